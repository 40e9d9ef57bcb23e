package stamping

import (
	"context"
	"time"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// Ledger is what all nodes on one Redis share. Each call is one step that no other one divides.
type Ledger interface {
	// Report tells how a node is, and answers how things stand. Every node calls it several times a second: the holder keeps its
	// lease by it, the others learn by it that there is none.
	Report(ctx context.Context, r Report) (State, error)

	// Stamp stamps the messages of a batch of which that was not done yet, in their order. An error means that nobody knows whether
	// it was done; the same batch may be sent again.
	// While a turn is owed (State.Owed), it turns all epochs of a tenant before the first message that it stamps there: a gap is told
	// before what comes after it.
	Stamp(ctx context.Context, b Batch) (Receipt, error)

	// Turn turns the epochs of all tenants for which that has not been done yet. What it has done before an error stays done. It
	// clears no debt: that is what Report.Turned is for.
	Turn(ctx context.Context, owed string) error
}

// Timing of leases. They are the Ledger's to keep, by the clock of Redis.
const (
	// LeaseTime is how long a holder that has gone silent keeps its lease while its connections stay open: a process that is
	// stopped, or a machine that hangs. It is many times the longest pause of a process that is well, and short for a kitchen.
	LeaseTime = 1200 * time.Millisecond

	// Patience is how long a numbering without a holder waits for a node that could go on with it, and does not: it may
	// stand still. After that another node begins a new one.
	Patience = 3 * time.Second
)

// Report is what a node tells the Ledger.
type Report struct {
	Node  string   // id of the process; random
	Token string   // of the lease that the node has, or will have if it becomes the holder now
	Globs string   // fingerprint of what its feeds subscribe to: only those who hear the same count alike
	Feeds []string // a channel for each feed that is up, to which that feed subscribes: whoever asks Redis sees whether it is

	Numbering string // to which the node is aligned; empty: to none
	Low       int64  // it has all messages from this number on
	Passed    int64  // of the holder: up to here is nothing that is not stamped

	Mark    string   // a word that never was; is published by this report if Ask is set, or if a numbering begins with it
	Ask     bool     // somebody has to learn its place
	Answers []Answer // of the holder, published by this report

	Trusted bool   // if it begins the very first numbering, nothing was missed before
	Release bool   // the node gives the lease up, or does not want it
	Turned  string // the State.Owed for which all epochs were turned
	Doubt   string // a numbering that was found to be counted wrongly somewhere
}

// Answer says which number the place of a mark has.
type Answer struct {
	Numbering string
	Mark      string
	Number    int64 // of the message before the mark
}

// State is how things stand right after a Report.
type State struct {
	Numbering string // the mark with which it began, which is its number 0; empty: none has begun
	Stamped   int64  // the highest number stamped
	Holder    string // node that has the lease; empty: nobody, or one that is gone
	Mine      bool   // it is the one that reported
	Took      Cause  // why it became the holder by this report; empty: it did not
	Began     bool   // and the numbering began with it
	First     bool   // and there was none before
	Apart     bool   // the holder listens to other globs than this node
	Owed      string // not empty: all epochs have to be turned, and this is to be told in Report.Turned then

	Since time.Time // if Took is set: when the holder before was last heard of; zero: never
	Open  []bool    // for each of Report.Feeds: whether Redis knows of it
}

// Cause says why a lease was free.
type Cause string

// Causes of a take-over.
const (
	CauseFirst    Cause = "first"    // nobody ever had it
	CauseReleased Cause = "released" // the holder gave it up
	CauseGone     Cause = "gone"     // no connection of the holder is left
	CauseExpired  Cause = "expired"  // the holder was silent
)

// Causes lists all of them, for metrics.
func Causes() []Cause { return []Cause{CauseFirst, CauseReleased, CauseGone, CauseExpired} }

// Message is one message of plain PUBLISH. It has no Channel if it is not to be stamped, and is counted all the same.
type Message struct {
	Channel realtime.Channel
	Data    []byte
	Arrived time.Time
}

// Numbered is a Message and its number.
type Numbered struct {
	Message
	Number int64
	Trace  *tracing.Context // where it stands in a trace; nil: in none that is recorded. A Ledger hands it through
}

// Batch is what is to be stamped next: all that is not stamped yet of the numbers after Prev, up to Last.
type Batch struct {
	Token     string
	Numbering string
	Prev      int64 // the Ledger has stamped at least up to here, or refuses
	Last      int64
	Messages  []Numbered // rising; numbers that are not here are of messages that are not stamped

	line uint64 // the line that it was made from
}

// Receipt is what became of a Batch.
type Receipt struct {
	Outcome Outcome
	Stamped int64 // the highest number stamped now
	Count   int   // messages that this call stamped
	Err     error // with OutcomeStuck: what Redis says about the first message after Stamped
}

// Outcome is the kind of a Receipt.
type Outcome int

// Outcomes of Ledger.Stamp.
const (
	OutcomeDone   Outcome = iota
	OutcomeFenced         // another node is the holder, or the numbering is over: nothing was done
	OutcomeTorn           // the Ledger has stamped less than up to Prev: Redis has forgotten. Nothing was done
	OutcomeStuck          // done up to Stamped; the next message cannot be stored
)
