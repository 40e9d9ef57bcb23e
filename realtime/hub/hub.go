// Package hub knows the subscriptions of this node: who follows which channel here. It takes each publication from
// the broker once and offers it to every session that follows its channel.
//
// Tenants are spread over a few shards, each with a lock, a bounded queue and a goroutine. What is quickly done is done at
// once by who brings it, the rest by the shard's goroutine, and never two things of one shard at the same time or out of
// turn: so each session sees the publications of a channel in their order, and a burst in one kitchen delays only its shard. There
// kitchens take turns, by what was delivered for each and by their weights, and small rooms go first. The sessions of a large room are
// visited round and round, and given at once what came since the last visit. A publication is encoded once for each dialect, however many
// screens follow it.
//
// A session that wants what it missed does not stop the others and needs no queue for what comes meanwhile: its
// subscription is not live yet, and it reads history, page after page, until it stands at the head; then [Hub.GoLive]
// flips it, under the lock of the shard, so that nothing is missed and nothing comes twice at the seam.
package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Subscriber is one session as the hub sees it. The hub calls it with a shard's lock held: the methods must not block
// and must not call the hub.
type Subscriber interface {
	// Offer hands on a publication of a live subscription. m and what it returns are shared and read-only.
	Offer(m *Message)

	// OfferBatch is Offer for several publications of live subscriptions at once.
	OfferBatch(b *Batch)

	// Near reads what Offer reads first and never changes, and returns anything that is made of it. It is called for several
	// subscribers before each of them is offered something, so that their memory is waited for once, and not one after the other.
	Near() uint64

	// OfferGap says that publications of one followed channel may be missing.
	OfferGap(wire string, g realtime.Gap)
}

// Broker is what the hub needs of realtime.Broker.
type Broker interface {
	Follow(ctx context.Context, t tenant.ID) (realtime.Heads, error)
	Unfollow(t tenant.ID)
}

// Options are the knobs of a Hub. The zero value is safe, except for Names, which is needed.
type Options struct {
	Names  *realtime.Names // spells channels for clients
	Shards int             // goroutines that deliver; zero means one for each CPU that Go uses

	// QueueLength bounds the publications that wait for one shard, and those that it has put in the lanes of their kitchens; zero means
	// 1,024. When both are full the engine's reader waits: with 1 KB each that is 2 MB a shard, and a second of a shard that writes 2,000
	// publications a second.
	QueueLength int

	// Weight is how large a kitchen's share is, compared with others, when there is more to deliver than time for it: at least 1. It may be
	// called at any time. Nil: all have the same.
	Weight func(t tenant.ID) int

	// Linger is how long a tenant is still followed after its last session has gone, so that a page reload does not
	// cost an unsubscribe and a subscribe; zero means 30 s.
	Linger time.Duration

	// DeflateMin is the size in bytes from which a publication is also kept deflated for sessions that negotiated it;
	// zero means 256: below that the 4 + 10 bytes of a frame and a block leave nothing to gain.
	DeflateMin int

	// Before, if set, is called with each publication before any session has it, in the order of their delivery. The engine's lock of
	// the tenant may be held: it must not block, and must not call the engine or the hub.
	Before func(p *realtime.Publication)

	// Hidden are the fields that only some readers may see; nil: all see everything.
	Hidden *realtime.HiddenFields

	// Delivered, if set, is called after a publication was offered to sessions, once for each shard that has any.
	Delivered func(p *realtime.Publication, sessions int)

	// FannedOut, if set, is called after a publication that is traced was written to the sessions of a shard, with the shard's lock held:
	// it must not block. Of a global publication each shard tells by itself.
	FannedOut func(p *realtime.Publication, how *FanOut)

	Log *slog.Logger // nil discards
}

// Hub is safe for concurrent use.
type Hub struct {
	opts   Options
	broker Broker
	shards []*shard
	seed   maphash.Seed
	done   chan struct{} // closed when Run returns: nothing is delivered any more
}

// ErrClosed is returned to those who come after the end of Run.
var ErrClosed = errors.New("hub is closed")

// New returns a Hub that follows tenants through b. It delivers while Run runs.
func New(b Broker, opts Options) *Hub {
	if opts.Shards <= 0 {
		opts.Shards = runtime.GOMAXPROCS(0)
	}
	if opts.QueueLength <= 0 {
		opts.QueueLength = 1024
	}
	if opts.Linger <= 0 {
		opts.Linger = 30 * time.Second
	}
	if opts.DeflateMin <= 0 {
		opts.DeflateMin = 256
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{opts: opts, broker: b, seed: maphash.MakeSeed(), done: make(chan struct{})}
	for range opts.Shards {
		h.shards = append(h.shards, newShard(h))
	}
	return h
}

// Run delivers until ctx ends. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range h.shards {
		g.Go(func() error { s.run(ctx); return nil })
	}
	h.sweep(ctx)
	return g.Wait()
}

// sweep unfollows tenants whose last session has been gone for a while. The global channels are followed for ever:
// they are few, and other shards share them.
func (h *Hub) sweep(ctx context.Context) {
	tick := time.NewTicker(max(h.opts.Linger/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range h.shards {
				s.sweep(now)
			}
		}
	}
}

// Deliver implements realtime.Sink. It delivers to a small room at once, and leaves a large one to its shard. It waits while the
// shard's queue is full: then the engine reads no further, and the publications wait there.
// Who on this node has to know before any screen is told first.
func (h *Hub) Deliver(p *realtime.Publication) {
	h.tellBefore(p)
	h.enqueue(p.Channel, job{publication: p})
}

// tellBefore tells who registered for it.
func (h *Hub) tellBefore(p *realtime.Publication) {
	if h.opts.Before != nil {
		h.opts.Before(p)
	}
}

// Gather implements realtime.Gatherer. What is left to a shard is not gathered here: there, what waits is together anyway.
func (h *Hub) Gather(p *realtime.Publication) {
	h.tellBefore(p)
	if p.Channel.Tenant == tenant.Global || !h.shardOf(p.Channel.Tenant).hold(p) {
		h.enqueue(p.Channel, job{publication: p})
	}
}

// Flush implements realtime.Gatherer.
func (h *Hub) Flush() {
	for _, s := range h.shards {
		s.flush()
	}
}

// Gap implements realtime.Sink.
func (h *Hub) Gap(g realtime.Gap) { h.enqueue(g.Channel, job{gap: &g}) }

// enqueue gives the job to the shard of its tenant; what is global concerns the sessions of all shards.
func (h *Hub) enqueue(ch realtime.Channel, j job) {
	if ch.Tenant != tenant.Global {
		h.shardOf(ch.Tenant).put(j)
		return
	}
	for _, s := range h.shards {
		s.put(j)
	}
}

func (h *Hub) shardOf(t tenant.ID) *shard {
	return h.shards[maphash.String(h.seed, string(t))%uint64(len(h.shards))]
}

// Stats is a snapshot of the hub for metrics.
type Stats struct {
	Tenants       int // followed here
	Subscriptions int
	Queued        int // publications and gaps that wait for a shard, or are being delivered by its goroutine
}

// Stats counts under the locks of the shards, one after the other.
func (h *Hub) Stats() Stats {
	var st Stats
	for _, s := range h.shards {
		s.mu.Lock()
		st.Tenants += len(s.rooms)
		st.Subscriptions += s.subscriptions
		s.mu.Unlock()
		st.Queued += int(s.pending.Load())
	}
	return st
}
