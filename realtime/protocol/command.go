package protocol

import (
	"fmt"
	"slices"
	"strings"

	"kentongan/realtime"
)

// Verb is what a command asks for.
type Verb uint8

// The verbs. Bare knows subscribe, unsubscribe and ping.
const (
	VerbSubscribe Verb = iota + 1
	VerbUnsubscribe
	VerbPublish
	VerbHistory
	VerbPresence
	VerbPing
)

// verbNames are the words of kentongan.v1, by verb.
var verbNames = [...]string{
	VerbSubscribe: "subscribe", VerbUnsubscribe: "unsubscribe", VerbPublish: "publish",
	VerbHistory: "history", VerbPresence: "presence", VerbPing: "ping",
}

// String returns the word of v on the wire; it labels metrics.
func (v Verb) String() string {
	if 0 < v && int(v) < len(verbNames) {
		return verbNames[v]
	}
	return "unknown"
}

func verbOf(name string) (Verb, bool) {
	i := slices.Index(verbNames[:], name)
	return Verb(max(i, 0)), i > 0 //nolint:gosec // a place in verbNames
}

// Limits of commands.
const (
	MaxCommandDepth = 32  // how deep the JSON of a command may be nested
	MaxBareChannels = 128 // channels in one bare subscribe
	maxIDBytes      = 64  // of a quoted id
)

// Command is what a client asks for. Its memory is its own: nothing points into the parsed frame.
type Command struct {
	ID       ID
	Verb     Verb
	Channels []string          // wire names as the client sent them, at most realtime.MaxNameBytes each; none for ping, one in V1
	Since    realtime.Position // subscribe, history; zero: the client gave none
	BadSince bool              // a position was given that cannot be read: answer with a gap, not with an error
	Snapshot bool              // subscribe: begin with the newest of each key, if there is no position to go on from
	Limit    int               // history; zero: the server decides
	Data     []byte            // publish: one JSON text, verbatim
	Key      string            // publish: idempotency key, at most realtime.MaxKeyBytes
}

// NoSuchChannel returns the one answer for every channel that a client may not have: unknown, foreign, or outside of the
// grammar. That they look the same keeps it secret which channels exist.
func NoSuchChannel(id ID) *CommandError {
	return &CommandError{ID: id, Code: ErrNoChannel, Message: "no such channel for this connection; GET /api/ws lists yours"}
}

// ParseV1 reads one text message of kentongan.v1: {"id":1,"<verb>":{…}}. It is strict: a field that it does not know is an
// error, for a misspelled "since" would cost a client its resume without a word.
func ParseV1(data []byte) (Command, *CommandError) {
	top, bad := members(data)
	var c Command
	var body []byte
	for _, m := range top {
		if m.name == "id" {
			id, ok := parseID(m.value)
			if !ok {
				return c, badRequest("", "id must be a whole number from 1 to 2^53, or a string of 1 to %d bytes", maxIDBytes)
			}
			c.ID = id
		}
	}
	if bad != nil {
		bad.ID = c.ID
		return c, bad
	}
	for _, m := range top {
		if m.name == "id" {
			continue
		}
		verb, ok := verbOf(m.name)
		if !ok {
			return c, unknownCommand(c.ID, m.name, verbNames[1:])
		}
		if c.Verb != 0 {
			return c, badRequest(c.ID, "one command a message, not both %s and %s", c.Verb, verb)
		}
		c.Verb, body = verb, m.value
	}
	if c.Verb == 0 {
		return c, badRequest(c.ID, "no command; known are %s", strings.Join(verbNames[1:], ", "))
	}
	bad = c.parseBody(body)
	return c, bad
}

// parseBody reads the object behind the verb.
func (c *Command) parseBody(body []byte) *CommandError {
	fields, bad := members(body)
	if bad != nil {
		return badRequest(c.ID, "%s must be an object", c.Verb)
	}
	needsChannel, needsData := c.Verb != VerbPing, c.Verb == VerbPublish
	for _, f := range fields {
		var err *CommandError
		switch known := fieldsOf(c.Verb); {
		case !slices.Contains(known, f.name):
			err = badRequest(c.ID, "%s has no field %q; known are %s", c.Verb, clip(f.name), orNone(known))
		case f.name == "channel":
			needsChannel = false
			err = c.addChannel(f.value)
		case f.name == "since":
			c.Since, c.BadSince = parseSince(f.value)
		case f.name == "snapshot":
			if c.Snapshot = string(f.value) == "true"; !c.Snapshot && string(f.value) != "false" {
				err = badRequest(c.ID, "snapshot must be true or false")
			}
		case f.name == "limit":
			n, ok := wholeNumber(f.value)
			if !ok || n > maxLimit {
				err = badRequest(c.ID, "limit must be a whole number from 0 to %d", maxLimit)
			}
			c.Limit = int(n) //nolint:gosec // 2^53 at most
		case f.name == "data":
			needsData = false
			c.Data = slices.Clone(f.value)
		case f.name == "key":
			var ok bool
			if c.Key, ok = text(f.value); !ok || len(c.Key) > realtime.MaxKeyBytes {
				err = badRequest(c.ID, "key must be a string of at most %d bytes", realtime.MaxKeyBytes)
			}
		}
		if err != nil {
			return err
		}
	}
	switch {
	case needsChannel:
		return badRequest(c.ID, "%s needs a channel", c.Verb)
	case needsData:
		return badRequest(c.ID, "publish needs data")
	}
	return nil
}

// maxLimit is the largest limit that is read; how many publications a page really has, the server decides.
const maxLimit = 1 << 20

func fieldsOf(v Verb) []string {
	switch v {
	case VerbSubscribe:
		return []string{"channel", "since", "snapshot"}
	case VerbUnsubscribe, VerbPresence:
		return []string{"channel"}
	case VerbPublish:
		return []string{"channel", "data", "key"}
	case VerbHistory:
		return []string{"channel", "since", "limit"}
	default: // ping
		return nil
	}
}

func orNone(known []string) string {
	if len(known) == 0 {
		return "none"
	}
	return strings.Join(known, ", ")
}

// addChannel takes a channel's name. Whether there is such a channel is not known here, but none has a longer name.
func (c *Command) addChannel(value []byte) *CommandError {
	name, ok := text(value)
	if !ok {
		return badRequest(c.ID, "channel must be a string")
	}
	if len(name) > realtime.MaxNameBytes {
		return NoSuchChannel(c.ID)
	}
	c.Channels = append(c.Channels, name)
	return nil
}

// ParseBare reads one text message of the bare dialect: {"type":"subscribe","channel":"…"} or with "channels":[…], likewise
// "unsubscribe", and {"type":"ping"}; the type in any case. It ignores fields that it does not know: the app's hooks were
// written for other servers.
func ParseBare(data []byte) (Command, *CommandError) {
	var c Command
	fields, bad := members(data)
	if bad != nil {
		return c, bad
	}
	kind, hasType := "", false
	for _, f := range fields {
		switch f.name {
		case "id":
			c.ID, _ = parseID(f.value)
		case "type":
			kind, hasType = text(f.value)
		}
	}
	if !hasType {
		return c, badRequest(c.ID, `a message needs a "type": subscribe, unsubscribe or ping`)
	}
	switch strings.ToLower(kind) {
	case "ping":
		c.Verb = VerbPing
		return c, nil
	case "subscribe":
		c.Verb = VerbSubscribe
	case "unsubscribe":
		c.Verb = VerbUnsubscribe
	default:
		return c, unknownCommand(c.ID, kind, []string{"subscribe", "unsubscribe", "ping"})
	}
	bad = c.parseBareChannels(fields)
	return c, bad
}

func (c *Command) parseBareChannels(fields []member) *CommandError {
	for _, f := range fields {
		switch f.name {
		case "channel":
			if err := c.addChannel(f.value); err != nil {
				return err
			}
		case "channels":
			names, ok := elements(f.value)
			if !ok {
				return badRequest(c.ID, "channels must be an array of strings")
			}
			if len(names) > MaxBareChannels {
				return &CommandError{c.ID, ErrTooManyChannels, fmt.Sprintf("at most %d channels in one message", MaxBareChannels)}
			}
			for _, n := range names {
				if err := c.addChannel(n); err != nil {
					return err
				}
			}
		}
	}
	if len(c.Channels) == 0 {
		return badRequest(c.ID, `%s needs a "channel" or "channels"`, c.Verb)
	}
	return nil
}

func badRequest(id ID, format string, args ...any) *CommandError {
	return &CommandError{id, ErrBadRequest, fmt.Sprintf(format, args...)}
}

func unknownCommand(id ID, name string, known []string) *CommandError {
	return &CommandError{id, ErrUnknownCommand, fmt.Sprintf("unknown command %q; known are %s", clip(name), strings.Join(known, ", "))}
}

// clip keeps an answer short: what the client sent is quoted only so far that a person recognises it.
func clip(s string) string {
	const limit = 32
	if len(s) <= limit {
		return s
	}
	return cut(s, limit) + "…"
}
