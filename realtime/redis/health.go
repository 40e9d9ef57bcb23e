package redis

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// part is one of the connections, or what Redis lets us do over them.
type part int

const (
	partUser part = iota // what the user may do
	partAsk
	partPublish
	partLink
	partSlot // of a Cluster
	partCount
)

func (p part) String() string {
	return [partCount]string{"the user", "asking connection", "publishing connection", "subscribing connection", "slot"}[p]
}

// health remembers what was last wrong with each part.
type health struct {
	mu   sync.Mutex
	errs [partCount]error
	weak []Weakness // found at the last look
}

func (h *health) set(p part, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs[p] = inWords(err)
}

// of returns what is wrong with p; nil: nothing is known to be.
func (h *health) of(p part) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.errs[p]
}

// Ready returns nil, or what is wrong with which part. It does no I/O: the connections are probed all the time.
func (b *Broker) Ready() error {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	for p := partCount - 1; p >= 0; p-- {
		if err := b.health.errs[p]; err != nil {
			return fmt.Errorf("redis %s, %s: %w", b.opts.where(), p, err)
		}
	}
	return nil
}

// Heard returns when the subscribing connection last gave a sign of life; zero: never. What came before it is known here; of what came
// after it nothing is.
func (b *Broker) Heard() time.Time {
	if ns := b.counts.heard.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// CatchingUp reports whether something is being read that was missed.
func (b *Broker) CatchingUp() bool { return b.sub.syncer.busy() }

type counters struct {
	published, delivered, duplicates, dropped, repaired, gaps atomic.Uint64
	reconnects, retried, refused, foreign, inspections        atomic.Uint64
	evicted                                                   atomic.Uint64
	roundTrip, heard                                          atomic.Int64
}

// Stats is a snapshot of what a Broker has done.
type Stats struct {
	Published   uint64        // stored by this node
	Duplicates  uint64        // answered with an earlier position
	Retried     uint64        // sent again because the answer was lost
	Refused     uint64        // not taken because the queue was full
	Delivered   uint64        // handed to the Sink
	Repaired    uint64        // of these, read from history because no copy of them came
	Dropped     uint64        // copies that came again
	Gaps        uint64        // told to the Sink
	Evicted     uint64        // left the history early, for their kitchen had too much
	Foreign     uint64        // messages on live channels that are no copies of ours
	Reconnects  uint64        // of the subscribing connection
	Inspections uint64        // looks at how Redis is set up
	Queued      int           // publications that wait to be sent
	Followed    int           // tenants
	Moves       uint64        // of the primary, as the sentinels said
	RoundTrip   time.Duration // of the last ping on the subscribing connection
}

// Stats returns the counters since New. They are read one by one, not at one moment.
func (b *Broker) Stats() Stats {
	c, home := &b.counts, b.opts.Primary
	home.mu.Lock()
	moves := home.moves
	home.mu.Unlock()
	return Stats{
		Published: c.published.Load(), Duplicates: c.duplicates.Load(), Retried: c.retried.Load(), Refused: c.refused.Load(),
		Delivered: c.delivered.Load(), Repaired: c.repaired.Load(), Dropped: c.dropped.Load(), Gaps: c.gaps.Load(),
		Foreign: c.foreign.Load(), Reconnects: c.reconnects.Load(), Queued: b.pub.queued(), Followed: b.sub.count(), Moves: moves,
		Inspections: c.inspections.Load(), Evicted: c.evicted.Load(),
		RoundTrip: time.Duration(c.roundTrip.Load()),
	}
}
