package protocol

import (
	"strconv"
	"time"

	"kentongan/realtime"
)

// Each type of this file is one thing that the server says unasked, beside publications. Append appends it as a whole
// unit of the dialect: a text frame for Bare and V1, an event (not yet framed as a chunk) for SSE. What a dialect does not
// have appends nothing, and the type says so.

// Welcome is the first push. Not in Bare.
type Welcome struct {
	Session         string        // public id of this session
	Time            time.Time     // the server's clock
	Heartbeat       time.Duration // a client that hears nothing for twice as long should connect anew
	MaxMessageBytes int           // the largest message that the server reads
	Expires         time.Time     // when the session's credential ends; zero: never
	Channels        []string      // wire names of what is followed from the start
	Retry           time.Duration // SSE: the retry line; zero: none
	Cursor          string        // SSE: the id from which a browser resumes that has not yet seen another event
}

// Append appends w in the dialect d.
func (w Welcome) Append(dst []byte, d Dialect) []byte {
	if d == Bare {
		return dst
	}
	start := len(dst)
	if d == SSE {
		dst = appendRetry(dst, w.Retry)
	}
	dst = beginPush(dst, d, "", "welcome", w.Cursor)
	dst = appendStringMember(dst, "session", w.Session)
	dst = appendMillisMember(dst, "time", w.Time)
	dst = appendDurationMember(dst, "heartbeatMs", w.Heartbeat)
	if w.MaxMessageBytes > 0 {
		dst = appendUintMember(dst, "maxMessageBytes", uint64(w.MaxMessageBytes))
	}
	if !w.Expires.IsZero() {
		dst = appendMillisMember(dst, "expires", w.Expires)
	}
	if len(w.Channels) > 0 {
		dst = append(appendMember(dst, "channels"), '[')
		for i, name := range w.Channels {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, name)
		}
		dst = append(dst, ']')
	}
	return endPush(dst, start, d)
}

// Gap tells that publications of a channel may be missing; the client fetches the state anew and goes on from Position.
type Gap struct {
	Channel  string // wire name
	Cause    realtime.GapCause
	Position realtime.Position // the newest known
	Cursor   string            // SSE: the id
}

// Append appends g in the dialect d.
func (g Gap) Append(dst []byte, d Dialect) []byte {
	start := len(dst)
	dst = beginPush(dst, d, "", "gap", g.Cursor)
	dst = appendStringMember(dst, "channel", g.Channel)
	dst = appendStringMember(dst, "cause", string(g.Cause))
	return endPush(appendPosition(dst, g.Position), start, d)
}

// StaleReason is a word that says why what a client sees may be old.
type StaleReason string

// The reasons. They are part of the protocol: see docs/protocol.md.
const (
	StaleEngine StaleReason = "engine" // this server is cut off from its engine: nothing new can come
	StaleIntake StaleReason = "intake" // what the app publishes with plain PUBLISH is not heard
)

// Stale tells that what the client sees may be old, in all channels, until Fresh is told.
type Stale struct {
	Since  time.Time // the last moment at which it was known to be fresh
	Reason StaleReason
}

// Append appends s in the dialect d.
func (s Stale) Append(dst []byte, d Dialect) []byte {
	start := len(dst)
	dst = beginPush(dst, d, "", "stale", "")
	dst = appendMillisMember(dst, "since", s.Since)
	return endPush(appendStringMember(dst, "reason", string(s.Reason)), start, d)
}

// Fresh tells that everything comes again as it happens. What was missed meanwhile has come as messages, or as gaps.
type Fresh struct {
	Time time.Time // the server's clock
}

// Append appends f in the dialect d.
func (f Fresh) Append(dst []byte, d Dialect) []byte {
	start := len(dst)
	return endPush(appendMillisMember(beginPush(dst, d, "", "fresh", ""), "time", f.Time), start, d)
}

// Heartbeat tells the server's time and how far each followed channel is. Not in Bare, which has WebSocket pings.
type Heartbeat struct {
	Time    time.Time
	Offsets []ChannelOffset
}

// ChannelOffset is the newest offset of a channel.
type ChannelOffset struct {
	Channel string // wire name
	Offset  uint64
}

// Append appends h in the dialect d.
func (h Heartbeat) Append(dst []byte, d Dialect) []byte {
	if d == Bare {
		return dst
	}
	start := len(dst)
	dst = beginPush(dst, d, "", "heartbeat", "")
	dst = appendMillisMember(dst, "time", h.Time)
	dst = append(appendMember(dst, "offsets"), '{')
	for i, o := range h.Offsets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, o.Channel), ':')
		dst = strconv.AppendUint(dst, o.Offset, 10)
	}
	return endPush(append(dst, '}'), start, d)
}

// Snapshot is the newest publication of each key of a channel, or a part of it, in the order of their offsets. What comes after
// Position follows as messages. Not in Bare, whose clients could not tell it from news.
type Snapshot struct {
	Channel      string            // wire name
	Position     realtime.Position // up to here they are the newest
	Publications []realtime.Publication
	More         bool   // another part follows
	Cursor       string // SSE: becomes the id of the event, if it is the last part
}

// Append appends s in the dialect d.
func (s Snapshot) Append(dst []byte, d Dialect) []byte {
	if d == Bare {
		return dst
	}
	start := len(dst)
	add := appendSSELines
	if d == V1 {
		add = func(dst, data []byte) []byte { return append(dst, data...) }
	}
	dst = beginPush(dst, d, "", "snapshot", s.Cursor)
	dst = appendPosition(appendStringMember(dst, "channel", s.Channel), s.Position)
	dst = appendMessages(dst, s.Publications, add)
	if s.More {
		dst = appendBoolMember(dst, "more", true)
	}
	return endPush(dst, start, d)
}

// Goaway announces that this connection will be closed. Not in Bare, where the close code says it.
type Goaway struct {
	ReconnectIn time.Duration // when to come back, already spread by the server; zero: the client's own rule holds
	Reason      string        // name of the close code that will come
}

// Append appends g in the dialect d. In SSE a ReconnectIn sets the browser's retry time too, which then keeps to it by itself.
func (g Goaway) Append(dst []byte, d Dialect) []byte {
	if d == Bare {
		return dst
	}
	start := len(dst)
	if d == SSE {
		dst = appendRetry(dst, g.ReconnectIn)
	}
	dst = beginPush(dst, d, "", "goaway", "")
	dst = appendDurationMember(dst, "reconnectInMs", g.ReconnectIn)
	dst = appendStringMember(dst, "reason", g.Reason)
	return endPush(dst, start, d)
}

// appendRetry appends a retry line, unless d is zero: a browser that is told to wait for nothing comes back in a loop.
func appendRetry(dst []byte, d time.Duration) []byte {
	if d <= 0 {
		return dst
	}
	dst = strconv.AppendInt(append(dst, "retry: "...), max(1, d.Milliseconds()), 10)
	return append(dst, '\n')
}

// beginPush appends everything up to the members of a push or reply; endPush closes what it opened. Start is where the
// unit begins, which may be before beginPush for SSE.
//
//	V1    {"id":1,"name":{ members }}
//	Bare  {"type":"name","id":1, members }
//	SSE   id: cursor, event: name, data: { members }
func beginPush(dst []byte, d Dialect, id ID, name, cursor string) []byte {
	switch d {
	case SSE:
		dst = appendSSEID(dst, cursor)
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		return append(dst, "\ndata: {"...)
	case V1:
		dst = append(beginFrame(dst), '{')
		if id != "" {
			dst = append(appendMember(dst, "id"), id...)
		}
		return append(appendMember(dst, name), '{')
	default: // Bare
		dst = appendStringMember(append(beginFrame(dst), '{'), "type", name)
		if id != "" {
			dst = append(appendMember(dst, "id"), id...)
		}
		return dst
	}
}

func endPush(dst []byte, start int, d Dialect) []byte {
	switch d {
	case SSE:
		return append(dst, "}\n\n"...)
	case V1:
		return endFrame(append(dst, '}', '}'), start, OpText)
	default: // Bare
		return endFrame(append(dst, '}'), start, OpText)
	}
}

func appendPosition(dst []byte, p realtime.Position) []byte {
	return appendUintMember(appendStringMember(dst, "epoch", p.Epoch), "offset", p.Offset)
}
