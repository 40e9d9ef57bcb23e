package realtime

import (
	"strconv"
	"time"

	"kentongan/internal/tracing"
)

// Position is a place in the history of one channel.
//
// Offsets are 1, 2, 3 … within an epoch; offset 0 is the place before the first publication. An epoch is an opaque
// word of at most 32 letters and digits. A new epoch says that the history was lost, so positions of different epochs
// cannot be compared. The zero Position belongs to no history.
type Position struct {
	Epoch  string
	Offset uint64
}

// String returns "epoch/offset", for logs.
func (p Position) String() string { return p.Epoch + "/" + strconv.FormatUint(p.Offset, 10) }

// Publication is one message in a channel. All its fields are fixed once it was stamped; Data is shared by every
// reader and must not be written to.
type Publication struct {
	Channel  Channel
	Position Position
	Time     time.Time // when it was stamped, in milliseconds, by the clock of the engine
	Data     []byte    // one JSON text, byte for byte as it was published

	// Arrived is when this node first held the message, by its own monotonic clock. It is not stored and is zero for
	// publications out of history. The latency histogram starts here.
	Arrived time.Time

	// Trace is where it stands in the trace that it belongs to; nil: in none that is recorded. It is not stored.
	Trace *tracing.Context
}

// GapCause says why something may be missing in a channel.
type GapCause string

// The causes of a gap that a client may be told. They are part of the protocol: see docs/protocol.md.
const (
	GapExpired    GapCause = "expired"     // the history no longer reaches back to the client's position
	GapEpoch      GapCause = "epoch"       // the history is another one than the client's position is of
	GapAhead      GapCause = "ahead"       // the client's position is ahead of the history: it was lost
	GapIntake     GapCause = "intake"      // the way from the app to here broke; nobody knows what was missed
	GapNoHistory  GapCause = "no-history"  // the channel keeps no history
	GapOverloaded GapCause = "overloaded"  // the engine could not keep up and had to drop
	GapMalformed  GapCause = "bad-request" // the client's position cannot be read
)

// Gap is the honest "something may be missing here". Position is the newest known: a client fetches the state anew
// and goes on from there.
type Gap struct {
	Channel  Channel
	Cause    GapCause
	Position Position
}
