package protocol

import (
	"time"

	"kentongan/realtime"
)

// ID is the id of a command as JSON text, a whole number or a quoted string, and so goes back verbatim. Empty: the
// command had none, or the push answers none.
type ID string

// Each type below is one thing that the server says beside publications. Append appends it as a whole unit of the dialect: a text frame
// for Bare and V1, an event (without chunk framing) for SSE. What a dialect does not know appends nothing; each says so.

// Welcome is the first push. Not in Bare.
type Welcome struct {
	Session         string        // public id of this session
	Time            time.Time     // the server's clock
	Heartbeat       time.Duration // a client that hears nothing for twice as long should connect anew
	MaxMessageBytes int           // the largest message that the server reads
	Expires         time.Time     // when the session's credential ends; zero: never
	Channels        []string      // what is followed from the start (SSE, or channels in the upgrade request)
	Retry           time.Duration // SSE: the retry line; zero: none
	Cursor          string        // SSE: the id from which a browser resumes that has not yet seen an event
}

// Gap tells that publications of a channel may be missing; the client fetches the state anew and goes on from Position.
type Gap struct {
	Channel  string // wire name
	Cause    realtime.GapCause
	Position realtime.Position // the newest known
	Cursor   string            // SSE: the id
}

// Heartbeat tells the server's time and how far each followed channel is. Not in Bare, which has pings of WebSocket.
type Heartbeat struct {
	Time    time.Time
	Offsets []ChannelOffset
}

// ChannelOffset is the newest offset of a channel.
type ChannelOffset struct {
	Channel string // wire name
	Offset  uint64
}

// Goaway announces that this connection will be closed. Not in Bare, where the close code says it.
type Goaway struct {
	ReconnectIn time.Duration // when to come back, already spread by the server
	Reason      string        // name of the close code that will come
}

// CommandError answers a command that was not carried out, and is what the parsers of commands return.
// In SSE it is an event of the type "problem", for "error" is EventSource's own.
type CommandError struct {
	ID      ID // empty if it could not be read
	Code    ErrorCode
	Message string // what is wrong and what would be right, for people; holds at most 64 bytes of the client's data
}

// Error returns code and message.
func (e *CommandError) Error() string { return string(e.Code) + ": " + e.Message }

// Subscribed answers subscribe.
//
// With Recovered, everything after the position that the client came with follows as messages up to Position and goes on live.
// Without, messages after Position follow; Gap then says why the client's position could not be continued from, and is
// empty if the client gave none.
type Subscribed struct {
	ID        ID
	Channel   string // wire name
	Position  realtime.Position
	Recovered bool
	Gap       realtime.GapCause
}

// Unsubscribed answers unsubscribe; without ID the server ended the subscription, and Code says why.
type Unsubscribed struct {
	ID      ID
	Channel string // wire name
	Code    ErrorCode
}

// Published answers publish. Not in Bare and SSE.
type Published struct {
	ID        ID
	Channel   string // wire name
	Published realtime.Published
}

// History answers history. Not in Bare and SSE.
type History struct {
	ID      ID
	Channel string // wire name
	Page    realtime.Page
}

// Presence answers presence. Not in Bare and SSE.
type Presence struct {
	ID      ID
	Channel string // wire name
	Members []realtime.Member
}

// Pong answers ping. Not in SSE.
type Pong struct {
	ID   ID
	Time time.Time
}

func (w Welcome) Append(dst []byte, d Dialect) []byte       { panic("protocol: Welcome") }
func (g Gap) Append(dst []byte, d Dialect) []byte           { panic("protocol: Gap") }
func (h Heartbeat) Append(dst []byte, d Dialect) []byte     { panic("protocol: Heartbeat") }
func (g Goaway) Append(dst []byte, d Dialect) []byte        { panic("protocol: Goaway") }
func (e *CommandError) Append(dst []byte, d Dialect) []byte { panic("protocol: CommandError") }
func (s Subscribed) Append(dst []byte, d Dialect) []byte    { panic("protocol: Subscribed") }
func (u Unsubscribed) Append(dst []byte, d Dialect) []byte  { panic("protocol: Unsubscribed") }
func (p Published) Append(dst []byte, d Dialect) []byte     { panic("protocol: Published") }
func (h History) Append(dst []byte, d Dialect) []byte       { panic("protocol: History") }
func (p Presence) Append(dst []byte, d Dialect) []byte      { panic("protocol: Presence") }
func (p Pong) Append(dst []byte, d Dialect) []byte          { panic("protocol: Pong") }

// AppendJSON appends {"channel","epoch","offset","messages":[…],"more","gap"}, which HTTP answers with too.
func (h History) AppendJSON(dst []byte) []byte { panic("protocol: History") }

// AppendJSON appends {"channel","members":[{"user","sessions","since"}]}, which HTTP answers with too.
func (p Presence) AppendJSON(dst []byte) []byte { panic("protocol: Presence") }

// AppendJSON appends {"channel","epoch","offset","duplicate"}, which HTTP answers with too.
func (p Published) AppendJSON(dst []byte) []byte { panic("protocol: Published") }
