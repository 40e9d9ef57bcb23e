package stamping

import "time"

// Hearer is told what one connection to Redis hears. All its methods but Spare are called from one goroutine, in the order of what
// happens, and must not wait.
type Hearer interface {
	// Ready says that everything is subscribed to, and which channel says so to others (Report.Feeds).
	Ready(name string)

	// Ponged takes to a ping that was sent at that Unix time in ns.
	Ponged(sent int64)

	// Wants is asked before each message: if it is false, the payload is not read into memory.
	Wants() bool

	// Message takes a message. glob and name are valid during the call only; payload may be kept, and is nil if it was not wanted or
	// is longer than the connection takes.
	Message(glob, name, payload []byte, size int)

	Marked(mark string) // a mark was met
	Learned(a Answer)   // the holder's answer to one

	// Rest is asked when something has come after nothing had or, with streams, when all that came has been told and more is
	// expected: the connection may let more gather that long, if it is not negative.
	Rest(streams bool) time.Duration

	// Spare is asked by any goroutine before the connection is given up because Redis does not answer on it, though it still says what is
	// published: only if another one hears as well, and is not being given up, may this one go.
	Spare() bool
}
