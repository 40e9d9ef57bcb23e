package drive

import (
	"time"

	"kentongan/bench/latency"
)

// MaxScreens is how many connections one driver process holds: below the usual limit of 20,000 descriptors.
const MaxScreens = 18_000

// screensPerSource is how many connections start from one source address. Linux has about 28,000 ports for an address.
const screensPerSource = 10_000

// Manner is how the screens of a plan behave.
type Manner string

// The manners.
const (
	Bare  Manner = ""      // a page of the existing app: it listens, and does not come back
	V1    Manner = "v1"    // a client of kentongan.v1: whenever its line ends it comes back, and resumes
	Loris Manner = "loris" // an attacker: heads of requests that never end, a few bytes a second; it comes back
	Deaf  Manner = "deaf"  // an attacker: it connects, and never reads; it comes back
	Knock Manner = "knock" // it asks for a WebSocket, leaves as soon as it is answered, and comes back; not before [Fleet.Back]
)

// Plan says which connections to open.
type Plan struct {
	Addresses []string `json:"addresses"`        // "127.0.0.1:port"; screens are spread over them, and come back to the next one
	Origin    string   `json:"origin,omitempty"` // Origin header; empty: none
	Manner    Manner   `json:"manner,omitempty"`
	Deflate   bool     `json:"deflate,omitempty"`
	Protocol  string   `json:"protocol,omitempty"` // subprotocol that is asked for, and must be granted; V1 asks for its own by itself
	Hello     string   `json:"hello,omitempty"`    // text that a screen sends first; empty: none
	Rate      int      `json:"rate,omitempty"`     // connects a second; zero: as fast as the window allows
	Window    int      `json:"window,omitempty"`   // connects under way at once, in one driver; zero: 128
	Most      int      `json:"most,omitempty"`     // screens in one driver; zero: MaxScreens
	Source    int      `json:"source,omitempty"`   // the first screen's number in the whole crowd; chooses source and target address
	Behind    bool     `json:"behind,omitempty"`   // of a lower priority than the server: in life they have machines of their own

	// Moderate is how long a driver that has read what was there leaves what comes next, in the way of a network card that interrupts its
	// processor only so often; zero: it does not. Time stamps are later by that much at most.
	Moderate time.Duration `json:"moderateNs,omitempty"`

	// Pause is how long one of Knock stays away, in the mean; zero: as long as the refusal says, and a millisecond if there was none.
	Pause time.Duration `json:"pauseNs,omitempty"`

	Life    Life     `json:"life,omitzero"`
	Screens []Screen `json:"screens"`
}

// Life is what happens to screens of V1 from [Fleet.Live] on: the line of each is cut, again and again, and stays down for a while.
type Life struct {
	CutEvery time.Duration `json:"cutEveryNs"` // in the mean; each time from half to one and a half of it
	Offline  time.Duration `json:"offlineNs"`  // in the mean; each time from three to five quarters of it
	Seed     uint64        `json:"seed"`       // the same seed, the same times
}

// Screen is one connection.
type Screen struct {
	Tenant  int    `json:"tenant"`            // whose marks must arrive here
	Path    string `json:"path"`              // of the upgrade request; of V1 without the query
	Cookie  string `json:"cookie,omitempty"`  // Cookie header; empty: none
	Channel string `json:"channel,omitempty"` // V1: the one that is followed
	Epoch   string `json:"epoch,omitempty"`   // V1: resume from the begin of this epoch at the first connect; empty: do not
}

// Opened is the end of a Plan.
type Opened struct {
	Up      int                `json:"up"`
	Refused int                `json:"refused"`
	Why     string             `json:"why,omitempty"` // of the first refusal
	TookNs  int64              `json:"tookNs"`        // from the first connect to the last answer
	Latency *latency.Histogram `json:"latency"`       // from connect to the end of the 101; of V1, to the answer to the subscription
}

// Counts is what arrived since the last reset.
type Counts struct {
	Delivered int    `json:"delivered"` // marked messages, each the next of its tenant or after a gap
	Missing   int    `json:"missing"`   // messages that were passed over
	Twice     int    `json:"twice"`     // messages with a number that this screen has passed already
	Foreign   int    `json:"foreign"`   // messages of another tenant
	Unmarked  int    `json:"unmarked"`  // data frames without a mark
	Broken    int    `json:"broken"`    // frames that no server may send
	Pings     int    `json:"pings"`
	Closed    int    `json:"closed"` // connections that ended, unless it was we who ended them
	Bytes     int    `json:"bytes"`  // read from sockets
	Why       string `json:"why,omitempty"`

	// Of V1 alone, but for Returned.
	Gaps     int   `json:"gaps"`     // that were told
	Skipped  int   `json:"skipped"`  // messages that were passed over behind such a gap; they are not Missing
	Cuts     int   `json:"cuts"`     // lines that we have cut
	Returned int   `json:"returned"` // connections after the first of a screen
	Failures int   `json:"failures"` // attempts to return that were refused
	Down     int   `json:"down"`     // screens that are not connected now
	LastNs   int64 `json:"lastNs"`   // when the last message arrived, as mark.Now

	// Of Knock alone; answered in another way, or not at all, are Failures.
	Entered int `json:"entered"` // let in
	Full    int `json:"full"`    // refused as a server that is full should: 503, and when to come back
}

// Add sums up the counts of two drivers, or of two times.
func (c *Counts) Add(o Counts) {
	c.Delivered += o.Delivered
	c.Missing += o.Missing
	c.Twice += o.Twice
	c.Foreign += o.Foreign
	c.Unmarked += o.Unmarked
	c.Broken += o.Broken
	c.Pings += o.Pings
	c.Closed += o.Closed
	c.Bytes += o.Bytes
	c.Gaps += o.Gaps
	c.Skipped += o.Skipped
	c.Cuts += o.Cuts
	c.Returned += o.Returned
	c.Failures += o.Failures
	c.Down += o.Down
	c.LastNs = max(c.LastNs, o.LastNs)
	c.Entered += o.Entered
	c.Full += o.Full
	if c.Why == "" {
		c.Why = o.Why
	}
}

// ReturnSlot is how finely the times of returns are kept.
const ReturnSlot = 100 * time.Millisecond

// Returns is how screens of V1 came back since the last reset.
type Returns struct {
	Away  *latency.Histogram `json:"away"`  // from the end of a line until the subscription is answered on the next one
	Slots []int              `json:"slots"` // connects in each ReturnSlot since the reset
}

// add puts two drivers' returns together.
func (r *Returns) add(o *Returns) {
	r.Away.Add(o.Away)
	if more := len(o.Slots) - len(r.Slots); more > 0 {
		r.Slots = append(r.Slots, make([]int, more)...)
	}
	for i, n := range o.Slots {
		r.Slots[i] += n
	}
}

// The acts a driver can be told.
const (
	actOpen    = "open"    // answers when each screen is up or refused
	actReset   = "reset"   // forgets counts and latencies, but not which message each screen had last
	actCount   = "count"   // answers Counts
	actLatency = "latency" // answers the histogram
	actReturns = "returns" // answers Returns
	actLive    = "live"    // begins to cut lines as the plan's Life says
	actCut     = "cut"     // cuts all lines at once, and breaks off all knocks; nobody comes back before actBack
	actBack    = "back"    // lets all come back
)

// command is one line to a driver, answer one line from it.
type command struct {
	Act   string `json:"act"`
	Plan  *Plan  `json:"plan,omitempty"`
	Since int64  `json:"since,omitempty"` // reset: when the slots of returns begin, as mark.Now, the same for all drivers
}

type answer struct {
	Err     string             `json:"err,omitempty"`
	Opened  *Opened            `json:"opened,omitempty"`
	Counts  *Counts            `json:"counts,omitempty"`
	Latency *latency.Histogram `json:"latency,omitempty"`
	Returns *Returns           `json:"returns,omitempty"`
}
