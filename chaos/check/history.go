package check

import "time"

// World is what histories are judged against.
type World struct {
	Channels  []Channel // their index is the number that histories use
	Retention int       // publications that each channel keeps: a gap "expired" within them is needless
	Excuses   []Excuse  // when other gaps are to be expected
	Losses    []Excuse  // when a history was lost with all that is in it
	Faults    int       // that were injected: a run without any proves nothing
	Rules     Rules
}

// Channel is a channel and whose it is.
type Channel struct {
	Name   string // wire name
	Tenant string // empty: everybody's
}

// Rules are what may differ between runs.
type Rules struct {
	// NoBareResume lets bare clients miss what was published while their line was down.
	NoBareResume bool

	// Replicated says that Redis acknowledges what a failover may forget. Then a position may be given out a second time: to a
	// reader who has what was there first, that is no mistake if it is told of a new epoch afterwards.
	Replicated bool

	// StaleAfter is how long a connection may go on after its right has ended; zero means 5 s.
	StaleAfter time.Duration
}

// Excuse is a time in which something happened after which nobody can know what is missing, so that gaps are honest: the
// history was lost, or the connection that hears plain PUBLISH broke.
type Excuse struct {
	From, Until time.Duration
}

// Position is a place in a channel's history. The zero value is unknown.
type Position struct {
	Epoch  string
	Offset uint64
}

// Outcome is what a publisher knows of a publication.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // no answer, or one that says so: it may appear once
	Acked                  // stored, says the door
	Sent                   // Redis answered to a plain PUBLISH
	Refused                // not stored, says the door
)

// Publication is what a publisher has noted of one publication.
type Publication struct {
	Begin, End time.Duration // from the first attempt to the last answer
	Outcome    Outcome
	Attempts   int
	At         Position // if the door told it
}

// Publisher is the history of one publisher.
type Publisher struct {
	Name    string
	Channel int

	// Ordered publishers go through a door that keeps their order, and begin a publication when the one before has ended.
	Ordered bool

	Publications []Publication // the one with sequence number n is at index n-1
}

// Dialect is how a subscriber speaks, as far as the rules differ.
type Dialect uint8

// The dialects.
const (
	Bare Dialect = iota // no positions
	V1
	SSE
)

// String returns the name of d.
func (d Dialect) String() string { return [...]string{"bare", "v1", "sse"}[d] }

// Kind is what a subscriber has seen.
type Kind uint8

// The kinds of events.
const (
	Opened       Kind = iota + 1 // a connection is up; bare and SSE follow all their channels from here
	Subscribed                   // v1: the answer to subscribe, with Position, Recovered and Cause
	Message                      // a publication
	Gap                          // something may be missing up to Position
	Unsubscribed                 // the channel is left
	Closed                       // the connection has ended
)

// Event is one line of a subscriber's history.
type Event struct {
	At        time.Duration
	Kind      Kind
	Recovered bool // Subscribed
	Forged    bool // Message: the payload is none of ours, or its digest is wrong
	Channel   int32
	Of        int32 // Message: the channel that the payload names; -1: none of ours
	Publisher int32 // Message: index of the publisher, by the payload
	Seq       uint32
	Position  Position
	Cause     string // Gap and Subscribed: why; Closed: the code and the reason
}

// Subscriber is the history of one client, over all of its connections.
type Subscriber struct {
	Name     string
	Dialect  Dialect
	Tenant   string
	Channels []int         // what it follows
	Ends     time.Duration // when its right ended; zero: not at all
	Events   []Event       // in the order of At
}
