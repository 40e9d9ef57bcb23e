package protocol

import "kentongan/realtime"

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

// MaxCommandDepth is how deep the JSON of a command may be nested.
const MaxCommandDepth = 32

// Command is what a client asks for. Its memory is its own: nothing points into the parsed frame.
type Command struct {
	ID       ID
	Verb     Verb
	Channels []string          // wire names as the client sent them, unchecked but for their length; one in V1, 1 to 128 in Bare; none for ping
	Since    realtime.Position // subscribe, history; zero: the client gave none
	BadSince bool              // a position was given that cannot be read: answer with a gap, not with an error
	Limit    int               // history; zero: the server decides
	Data     []byte            // publish: one JSON text, verbatim
	Key      string            // publish: idempotency key, at most 255 bytes
}

// ParseV1 reads one text message of kentongan.v1.
func ParseV1(data []byte) (Command, *CommandError) { panic("protocol: ParseV1") }

// ParseBare reads one text message of the bare dialect.
func ParseBare(data []byte) (Command, *CommandError) { panic("protocol: ParseBare") }
