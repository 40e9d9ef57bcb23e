package protocol

import (
	"strconv"
	"time"

	"kentongan/realtime"
)

// Each type of this file answers a command. Append appends it as push.go says. AppendJSON, where there is one, appends the
// same object without frame and id, which the HTTP routes answer with.

// ID is the id of a command as JSON text, a whole number or a quoted string, and so goes back verbatim. Empty: the
// command had none, or the push answers none.
type ID string

// CommandError answers a command that was not carried out, and is what the parsers of commands return.
// In SSE it is an event of the type "problem", for "error" is EventSource's own.
type CommandError struct {
	ID      ID // empty if it could not be read
	Code    ErrorCode
	Message string // what is wrong and what would be right, for people
}

// Error returns code and message.
func (e *CommandError) Error() string { return string(e.Code) + ": " + e.Message }

// Append appends e in the dialect d, with "temporary" from the table of error codes.
func (e *CommandError) Append(dst []byte, d Dialect) []byte {
	start := len(dst)
	name := "error"
	if d == SSE {
		name = "problem"
	}
	dst = beginPush(dst, d, e.ID, name, "")
	dst = appendStringMember(dst, "code", string(e.Code))
	dst = appendStringMember(dst, "message", e.Message)
	dst = appendBoolMember(dst, "temporary", e.Code.Temporary())
	return endPush(dst, start, d)
}

// Subscribed answers subscribe. Not in SSE, which subscribes in the request.
//
// With Recovered, everything after the position that the client came with follows as messages up to Position and goes on live.
// Without, messages after Position follow; Gap then says why the client's position could not be continued from, and is
// empty if the client gave none.
type Subscribed struct {
	ID        ID
	Channel   string            // wire name
	Position  realtime.Position // the newest
	Recovered bool
	Snapshot  bool // the newest of each key up to Position were pushed before
	Gap       realtime.GapCause
}

// Append appends s in the dialect d.
func (s Subscribed) Append(dst []byte, d Dialect) []byte {
	if d == SSE {
		return dst
	}
	start := len(dst)
	dst = beginPush(dst, d, s.ID, "subscribed", "")
	dst = appendPosition(appendStringMember(dst, "channel", s.Channel), s.Position)
	dst = appendBoolMember(dst, "recovered", s.Recovered)
	if s.Snapshot {
		dst = appendBoolMember(dst, "snapshot", true)
	}
	if s.Gap != "" {
		dst = appendStringMember(dst, "gap", string(s.Gap))
	}
	return endPush(dst, start, d)
}

// Unsubscribed answers unsubscribe; without ID the server ended the subscription, and Code says why.
type Unsubscribed struct {
	ID      ID
	Channel string // wire name
	Code    ErrorCode
}

// Append appends u in the dialect d.
func (u Unsubscribed) Append(dst []byte, d Dialect) []byte {
	start := len(dst)
	dst = beginPush(dst, d, u.ID, "unsubscribed", "")
	dst = appendStringMember(dst, "channel", u.Channel)
	if u.Code != "" {
		dst = appendStringMember(dst, "code", string(u.Code))
	}
	return endPush(dst, start, d)
}

// Published answers publish. V1 only.
type Published struct {
	ID        ID
	Channel   string // wire name
	Position  realtime.Position
	Duplicate bool // the key came before; Position is that of the first publish
}

// Append appends p in the dialect d.
func (p Published) Append(dst []byte, d Dialect) []byte {
	if d != V1 {
		return dst
	}
	start := len(dst)
	return endPush(p.members(beginPush(dst, d, p.ID, "published", "")), start, d)
}

// AppendJSON appends {"channel","epoch","offset","duplicate"}.
func (p Published) AppendJSON(dst []byte) []byte { return append(p.members(append(dst, '{')), '}') }

func (p Published) members(dst []byte) []byte {
	dst = appendPosition(appendStringMember(dst, "channel", p.Channel), p.Position)
	if p.Duplicate {
		dst = appendBoolMember(dst, "duplicate", true)
	}
	return dst
}

// History answers history. V1 only.
type History struct {
	ID      ID
	Channel string // wire name
	Page    realtime.Page
}

// Append appends h in the dialect d.
func (h History) Append(dst []byte, d Dialect) []byte {
	if d != V1 {
		return dst
	}
	start := len(dst)
	return endPush(h.members(beginPush(dst, d, h.ID, "history", "")), start, d)
}

// AppendJSON appends {"channel","epoch","offset","messages":[{"offset","time","data"}],"more","gap"}. The last two are left
// out when they do not apply. epoch and offset are the newest, not those of the last message.
func (h History) AppendJSON(dst []byte) []byte { return append(h.members(append(dst, '{')), '}') }

func (h History) members(dst []byte) []byte {
	dst = appendPosition(appendStringMember(dst, "channel", h.Channel), h.Page.Head)
	dst = appendMessages(dst, h.Page.Publications, func(dst, data []byte) []byte { return append(dst, data...) })
	if h.Page.More {
		dst = appendBoolMember(dst, "more", true)
	}
	if h.Page.Gap != "" {
		dst = appendStringMember(dst, "gap", string(h.Page.Gap))
	}
	return dst
}

// appendMessages appends "messages":[{"offset","time","data"}], the data by add.
func appendMessages(dst []byte, publications []realtime.Publication, add func(dst, data []byte) []byte) []byte {
	dst = append(appendMember(dst, "messages"), '[')
	for i := range publications {
		p := &publications[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendUintMember(append(dst, '{'), "offset", p.Position.Offset)
		dst = appendMillisMember(dst, "time", p.Time)
		dst = append(add(appendMember(dst, "data"), p.Data), '}')
	}
	return append(dst, ']')
}

// Presence answers presence. V1 only.
type Presence struct {
	ID      ID
	Channel string // wire name
	Members []realtime.Member
}

// Append appends p in the dialect d.
func (p Presence) Append(dst []byte, d Dialect) []byte {
	if d != V1 {
		return dst
	}
	start := len(dst)
	return endPush(p.members(beginPush(dst, d, p.ID, "presence", "")), start, d)
}

// AppendJSON appends {"channel","members":[{"user","sessions","since"}]}, since in milliseconds since 1970.
func (p Presence) AppendJSON(dst []byte) []byte { return append(p.members(append(dst, '{')), '}') }

func (p Presence) members(dst []byte) []byte {
	dst = append(appendMember(appendStringMember(dst, "channel", p.Channel), "members"), '[')
	for i, m := range p.Members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendStringMember(append(dst, '{'), "user", m.User)
		dst = strconv.AppendInt(appendMember(dst, "sessions"), int64(m.Sessions), 10)
		dst = append(appendMillisMember(dst, "since", m.Since), '}')
	}
	return append(dst, ']')
}

// Pong answers ping. Not in SSE.
type Pong struct {
	ID   ID
	Time time.Time
}

// Append appends p in the dialect d. Bare calls the time "timestamp", as the messages of the app do.
func (p Pong) Append(dst []byte, d Dialect) []byte {
	if d == SSE {
		return dst
	}
	start := len(dst)
	name := "time"
	if d == Bare {
		name = "timestamp"
	}
	return endPush(appendMillisMember(beginPush(dst, d, p.ID, "pong", ""), name, p.Time), start, d)
}
