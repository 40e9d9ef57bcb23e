package drive

import (
	"kentongan/bench/latency"
)

// MaxScreens is how many connections one driver process holds: below the usual limit of 20,000 descriptors.
const MaxScreens = 18_000

// screensPerSource is how many connections start from one source address. Linux has about 28,000 ports for an address.
const screensPerSource = 10_000

// Plan says which connections to open.
type Plan struct {
	Address string   `json:"address"`          // "127.0.0.1:port"
	Origin  string   `json:"origin,omitempty"` // Origin header; empty: none
	Deflate bool     `json:"deflate,omitempty"`
	Rate    int      `json:"rate,omitempty"`   // connects a second; zero: as fast as the window allows
	Window  int      `json:"window,omitempty"` // connects under way at once; zero: 128
	Source  int      `json:"source,omitempty"` // the first screen's number in the whole crowd; chooses the source address
	Screens []Screen `json:"screens"`
}

// Screen is one connection.
type Screen struct {
	Tenant int    `json:"tenant"`           // whose marks must arrive here
	Path   string `json:"path"`             // of the upgrade request
	Cookie string `json:"cookie,omitempty"` // Cookie header; empty: none
}

// Opened is the end of a Plan.
type Opened struct {
	Up      int                `json:"up"`
	Refused int                `json:"refused"`
	Why     string             `json:"why,omitempty"` // of the first refusal
	TookNs  int64              `json:"tookNs"`        // from the first connect to the last answer
	Latency *latency.Histogram `json:"latency"`       // from connect to the end of the 101
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
	Closed    int    `json:"closed"` // connections that ended
	Bytes     int    `json:"bytes"`  // read from sockets
	Why       string `json:"why,omitempty"`
}

// add sums up two drivers' counts.
func (c *Counts) add(o Counts) {
	c.Delivered += o.Delivered
	c.Missing += o.Missing
	c.Twice += o.Twice
	c.Foreign += o.Foreign
	c.Unmarked += o.Unmarked
	c.Broken += o.Broken
	c.Pings += o.Pings
	c.Closed += o.Closed
	c.Bytes += o.Bytes
	if c.Why == "" {
		c.Why = o.Why
	}
}

// The acts a driver can be told.
const (
	actOpen    = "open"    // answers when each screen is up or refused
	actReset   = "reset"   // forgets counts and latencies, but not which message each screen had last
	actCount   = "count"   // answers Counts
	actLatency = "latency" // answers the histogram
)

// command is one line to a driver, answer one line from it.
type command struct {
	Act  string `json:"act"`
	Plan *Plan  `json:"plan,omitempty"`
}

type answer struct {
	Err     string             `json:"err,omitempty"`
	Opened  *Opened            `json:"opened,omitempty"`
	Counts  *Counts            `json:"counts,omitempty"`
	Latency *latency.Histogram `json:"latency,omitempty"`
}
