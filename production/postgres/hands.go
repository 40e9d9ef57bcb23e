package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// hands is the way of events from commits of the lane to the relay of this process, which is spared a claim and a mark of its own for
// each tenant: those were half of what a change cost, and they waited for commits, and commits for them, since all lock the tenant's row.
//
// A commit takes the lease together with the row (headSheet), if nothing of the tenant waits. What was published is marked by the
// tenant's next commit, or by the lane together with others once it has waited for settleAfter.
//
// What it believes is checked by the database where it matters: a commit tells whether the lease is ours, and up to which event all is
// sent. If the belief is wrong, or the outcome of a commit unknown, the lease is given back, and the events go the usual way.
type hands struct {
	ripe  chan struct{}      // there is something to settle
	flush chan chan struct{} // asks the lane to settle at once
	more  chan struct{}      // something is ready

	mu      sync.Mutex
	owner   string // who gets leases; empty: nobody, the way is closed
	leased  string // the last owner
	lease   time.Duration
	tenants map[tenant.ID]*handed
	ready   []tenant.ID            // each has events and is not out
	settle  map[tenant.ID]*settled // what is to be marked, or given back
	held    int                    // events in tenants
}

const (
	// settleAfter is how long a mark waits for the next commit of its tenant: about as long as a client takes for its next change
	// when there are many. It is also what events of another node wait that come behind ours.
	settleAfter = 20 * time.Millisecond

	maxHeld   = 8192 // events: some 8 MB. If publishing is slower, commits leave more than that to Claim
	maxBehind = 256  // events of one tenant that are handed on before a mark; a crash brings them again
	maxHanded = 64   // events that are handed out at once
)

// handed is a tenant whose lease we have.
type handed struct {
	began  time.Time          // the lease is counted from then on
	events []production.Event // not handed out yet
	out    bool
	queued bool  // in ready
	sent   int64 // all up to it were published
	last   int64 // all up to it were handed on
	places map[string]production.Sent
}

// settled is a tenant whose lease we give back.
type settled struct {
	seq    int64 // of the newest event that was published; 0: nothing is marked
	places map[string]production.Sent
	since  time.Time
}

func newHands() hands {
	return hands{
		ripe: make(chan struct{}, 1), flush: make(chan chan struct{}), more: make(chan struct{}, 1),
		tenants: map[tenant.ID]*handed{}, settle: map[tenant.ID]*settled{},
	}
}

var _ production.Direct = (*Store)(nil)

// Direct is as production.Direct has it.
func (s *Store) Direct(owner string, lease time.Duration) production.Way {
	s.hands.mu.Lock()
	defer s.hands.mu.Unlock()
	s.hands.owner, s.hands.leased, s.hands.lease = owner, owner, lease
	return &way{s}
}

type way struct{ *Store }

// Next is as production.Way has it.
func (w *way) Next(ctx context.Context) (production.Handed, error) {
	for {
		if h, ok := w.hands.next(); ok {
			return h, nil
		}
		select {
		case <-w.hands.more:
		case <-ctx.Done():
			return production.Handed{}, ctx.Err()
		}
	}
}

// Close is as production.Way has it.
func (w *way) Close(ctx context.Context) error {
	w.hands.shut()
	done := make(chan struct{})
	select {
	case w.hands.flush <- done:
		<-done
	case <-w.stopping:
	case <-ctx.Done():
	}
	w.hands.mu.Lock()
	defer w.hands.mu.Unlock()
	if n := len(w.hands.settle); n > 0 {
		return fmt.Errorf("%w: the leases of %d tenants are not given back", production.ErrUnavailable, n)
	}
	return nil
}

// shut hands nothing on any more, and settles what there is.
func (h *hands) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owner, h.ready = "", nil
	for t, st := range h.tenants {
		h.end(t, st)
	}
}

// end gives a tenant back. The caller has the lock.
func (h *hands) end(t tenant.ID, st *handed) {
	h.held -= len(st.events)
	st.events = nil
	delete(h.tenants, t)
	h.settle[t] = &settled{st.sent, st.places, time.Now()}
	raise(h.ripe)
}

func (h *hands) next() (production.Handed, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.ready) > 0 {
		t := h.ready[0]
		h.ready = h.ready[1:]
		st := h.tenants[t]
		if st == nil || !st.queued { // it was ended, and perhaps begun again
			continue
		}
		st.queued = false
		if time.Since(st.began) > h.lease/4 { // what is left of it would be short
			h.end(t, st)
			continue
		}
		if len(h.ready) > 0 {
			raise(h.more) // for another caller
		}
		n := min(len(st.events), maxHanded)
		c := production.Claim{Tenant: t, Events: st.events[:n:n], More: n < len(st.events)}
		st.events, st.out = st.events[n:], true
		h.held -= n
		return production.Handed{Claim: c, Began: st.began, Done: func(seq int64, at []production.Sent) { h.done(st, &c, seq, at) }}, true
	}
	return production.Handed{}, false
}

// done takes back what was handed out of st.
func (h *hands) done(st *handed, c *production.Claim, seq int64, at []production.Sent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.out = false
	if h.tenants[c.Tenant] != st {
		return // the lease had been lost: whoever has it now publishes these again, and marks them
	}
	st.sent = max(st.sent, seq)
	for _, p := range at {
		if st.places == nil {
			st.places = map[string]production.Sent{}
		}
		st.places[p.Channel] = p
	}
	switch {
	case seq != c.Events[len(c.Events)-1].Seq || len(st.events) == 0:
		h.end(c.Tenant, st)
	default:
		h.enqueue(c.Tenant, st)
	}
}

func (h *hands) enqueue(t tenant.ID, st *handed) {
	if !st.out && !st.queued {
		st.queued = true
		h.ready = append(h.ready, t)
		raise(h.more)
	}
}

// handing is what one transaction takes and gives. It is of the lane's goroutine; a nil one does nothing.
type handing struct {
	*hands
	owner string
	lease time.Duration
	began time.Time
	marks map[tenant.ID]*settled // that the transaction writes
	ours  map[tenant.ID]int64    // tenants whose lease we have after it, and up to which event all is sent
}

// begin returns the handing of a transaction, or nil if the way is closed or too much is on it.
func (h *hands) begin() *handing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owner == "" || h.held > maxHeld {
		return nil
	}
	return &handing{h, h.owner, h.lease, time.Now(), map[tenant.ID]*settled{}, map[tenant.ID]int64{}}
}

// of returns what the row of tenant t in headSheet says about the way, if base was its newest event: who shall have the lease (empty:
// nobody) and for how long, whether he may keep it though events wait, and the mark that can be written with it (nil: none).
func (g *handing) of(t tenant.ID, base int64) (owner string, lease time.Duration, keep bool, mark *settled) {
	if g == nil {
		return "", 0, false, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if it := g.settle[t]; it != nil {
		g.marks[t] = it
		delete(g.settle, t)
	}
	if it := g.marks[t]; it != nil && it.seq == base && it.seq > 0 {
		mark = it
	}
	st := g.tenants[t]
	return g.owner, g.lease, st != nil && st.last == base && st.last-st.sent < maxBehind, mark
}

// got notes whose lease we have after the transaction.
func (g *handing) got(tenants []string, sent []int64) {
	if g == nil {
		return
	}
	clear(g.ours)
	for i, t := range tenants {
		g.ours[tenant.ID(t)] = sent[i]
	}
}

// failed takes everything back: nobody knows what was written.
func (g *handing) failed(x *transaction) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range x.writes {
		if g.marks[w.tenant] == nil && g.tenants[w.tenant] == nil {
			g.marks[w.tenant] = &settled{since: time.Now()}
		}
	}
	g.putBack()
}

// putBack gives back the marks that were not written, and those leases of which nothing is known.
func (g *handing) putBack() {
	for t, it := range g.marks {
		if g.tenants[t] == nil && g.settle[t] == nil {
			g.settle[t] = it
		}
	}
	if len(g.settle) > 0 {
		raise(g.ripe)
	}
}

// committed hands on the events of a transaction that was written, and notes whose wait for Claim.
func (g *handing) committed(x *transaction) {
	events := map[tenant.ID][]production.Event{}
	for _, w := range x.writes {
		if w.err == nil && len(w.numbered) > 0 {
			events[w.tenant] = append(events[w.tenant], w.numbered...)
		}
	}
	took := map[tenant.ID]bool{}
	if g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		for t, list := range events {
			took[t] = g.take(t, list)
		}
		for t, sent := range g.ours {
			if it := g.marks[t]; it != nil && sent >= it.seq {
				delete(g.marks, t) // written
			}
		}
		g.putBack()
	}
	for _, w := range x.writes {
		w.waits = len(w.numbered) > 0 && !took[w.tenant]
	}
}

// take puts the new events of a tenant on the way, if its lease is ours and nothing is missing before them.
func (g *handing) take(t tenant.ID, list []production.Event) bool {
	sent, ours := g.ours[t]
	if !ours {
		return false
	}
	base, st := list[0].Seq-1, g.tenants[t]
	switch {
	case g.hands.owner != g.owner: // closed meanwhile
		g.settle[t] = &settled{since: time.Now()}
		return false
	case sent == base: // nothing waited
		if st != nil { // somebody else has published what is on the way
			g.held -= len(st.events)
			st.events = nil
		}
		delete(g.settle, t)
		delete(g.marks, t)
		st = &handed{sent: base}
		g.tenants[t] = st
	case st != nil && st.last == base: // behind those that are on the way
	case g.settle[t] != nil && g.settle[t].seq == base: // behind those that were published meanwhile
		st = &handed{sent: base, places: g.settle[t].places}
		delete(g.settle, t)
		g.tenants[t] = st
	default:
		if st == nil && g.settle[t] == nil {
			g.settle[t] = &settled{since: time.Now()}
		}
		return false
	}
	st.began = g.began
	st.events = append(st.events, list...)
	st.last = list[len(list)-1].Seq
	g.held += len(list)
	g.enqueue(t, st)
	return true
}
