// Package hands is the way of events from the commits of a store to the relay of the same process ([production.Direct]), which is spared
// a claim and a mark of its own for each tenant: those were half of what a change cost.
//
// A commit takes the lease together with the tenant's row, if nothing of the tenant waits. What was published is marked by the tenant's
// next commit, or together with others once it has waited for [SettleAfter]. A store for which a mark costs more than to keep the lease may
// leave it to later commits ([Handing.Carry]).
//
// What is believed here is checked by the database where it matters: a commit tells whether the lease is ours, and up to which event
// all is sent. If the belief is wrong, or the outcome of a commit unknown, the lease is given back, and the events go the usual way.
package hands

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// Hands are what is on the way. Its methods may be called concurrently.
type Hands struct {
	ripe  chan struct{}      // there is something to settle
	flush chan chan struct{} // asks for it at once
	more  chan struct{}      // something is ready

	mu      sync.Mutex
	owner   string // who gets leases; empty: nobody, the way is closed
	leased  string // the last owner
	lease   time.Duration
	tenants map[tenant.ID]*handed
	ready   []tenant.ID            // each has events and is not out
	settle  map[tenant.ID]*Settled // what is to be marked, or given back
	held    int                    // events in tenants
}

const (
	// SettleAfter is how long a mark waits for the next commit of its tenant: about as long as a client takes for its next change
	// when there are many. It is also what events of another node wait that come behind ours.
	SettleAfter = 20 * time.Millisecond

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

// Settled is a tenant whose lease we give back.
type Settled struct {
	Seq    int64                      // of the newest event that was published; 0: nothing is marked
	Places map[string]production.Sent // where the newest of each channel stands
	since  time.Time
}

// New returns Hands whose way is closed.
func New() *Hands {
	return &Hands{
		ripe: make(chan struct{}, 1), flush: make(chan chan struct{}), more: make(chan struct{}, 1),
		tenants: map[tenant.ID]*handed{}, settle: map[tenant.ID]*Settled{},
	}
}

// Open opens the way, as production.Direct has it. stopping ends a wait for what nobody settles any more.
func (h *Hands) Open(owner string, lease time.Duration, stopping <-chan struct{}) production.Way {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owner, h.leased, h.lease = owner, owner, lease
	return &way{h, stopping}
}

// Ripe says that there is something to settle, soon.
func (h *Hands) Ripe() <-chan struct{} { return h.ripe }

// Flush asks for all to be settled at once; what it sends is to be closed then.
func (h *Hands) Flush() <-chan chan struct{} { return h.flush }

type way struct {
	*Hands
	stopping <-chan struct{}
}

// Next is as production.Way has it.
func (w *way) Next(ctx context.Context) (production.Handed, error) {
	for {
		if h, ok := w.next(); ok {
			return h, nil
		}
		select {
		case <-w.more:
		case <-ctx.Done():
			return production.Handed{}, ctx.Err()
		}
	}
}

// Close is as production.Way has it.
func (w *way) Close(ctx context.Context) error {
	w.shut()
	done := make(chan struct{})
	select {
	case w.flush <- done:
		<-done
	case <-w.stopping:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.settle); n > 0 {
		return fmt.Errorf("%w: the leases of %d tenants are not given back", production.ErrUnavailable, n)
	}
	return nil
}

// shut hands nothing on any more, and settles what there is.
func (h *Hands) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owner, h.ready = "", nil
	for t, st := range h.tenants {
		h.end(t, st)
	}
}

// end gives a tenant back. The caller has the lock.
func (h *Hands) end(t tenant.ID, st *handed) {
	h.held -= len(st.events)
	st.events = nil
	delete(h.tenants, t)
	h.settle[t] = &Settled{st.sent, st.places, time.Now()}
	raise(h.ripe)
}

func (h *Hands) next() (production.Handed, bool) {
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
func (h *Hands) done(st *handed, c *production.Claim, seq int64, at []production.Sent) {
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

func (h *Hands) enqueue(t tenant.ID, st *handed) {
	if !st.out && !st.queued {
		st.queued = true
		h.ready = append(h.ready, t)
		raise(h.more)
	}
}

// Handing is what one transaction takes and gives. It is of one goroutine; a nil one does nothing.
type Handing struct {
	*Hands
	owner string
	lease time.Duration
	began time.Time
	marks map[tenant.ID]*Settled // that the transaction writes
	later map[tenant.ID]bool     // whose marks are left to later ones
	ours  map[tenant.ID]int64    // tenants whose lease we have after it, and up to which event all is sent
}

// Begin returns the Handing of a transaction, or nil if the way is closed or too much is on it.
func (h *Hands) Begin() *Handing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owner == "" || h.held > maxHeld {
		return nil
	}
	return &Handing{h, h.owner, h.lease, time.Now(), map[tenant.ID]*Settled{}, map[tenant.ID]bool{}, map[tenant.ID]int64{}}
}

// Wish is what a commit is to write into the row of its tenant for the way. The zero value is nothing.
type Wish struct {
	Owner string        // who shall have the lease, if it is free and nothing waits; empty: nobody
	Lease time.Duration // for how long
	Keep  bool          // he may keep it though events wait: they are on the way
	Mark  *Settled      // what was published, if he has the lease; nil: nothing is known
}

// Of returns what is to be written with a commit of tenant t, if base is the newest event before it.
func (g *Handing) Of(t tenant.ID, base int64) Wish {
	if g == nil {
		return Wish{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if it := g.settle[t]; it != nil {
		g.marks[t] = it
		delete(g.settle, t)
	}
	w := Wish{Owner: g.owner, Lease: g.lease}
	if it := g.marks[t]; it != nil && it.Seq == base && it.Seq > 0 {
		w.Mark = it
	}
	st := g.tenants[t]
	w.Keep = st != nil && st.last == base && st.last-st.sent < maxBehind
	return w
}

// maxCarried is how many events of one tenant may be published and not marked: a crash brings them again.
const maxCarried = 64

// Carry is as Of, for a tenant of which the store knows that it is leased, and that all up to sent is marked. It leaves what was published
// since to a later commit, or to be settled, unless that is too much; then ok is false, and Of has to be asked.
func (g *Handing) Carry(t tenant.ID, base, sent int64) (w Wish, ok bool) {
	if g == nil {
		return Wish{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.later[t] { // else this is another commit of the same transaction
		it := g.settle[t]
		if it == nil || it.Seq != base || base-sent >= maxCarried {
			return Wish{}, false
		}
		g.later[t] = true
	}
	return Wish{Owner: g.owner, Lease: g.lease, Keep: true}, true
}

// Got notes that we have the lease of tenant t after the transaction, and up to which event all of his is sent.
func (g *Handing) Got(t tenant.ID, sent int64) {
	if g != nil {
		g.ours[t] = sent
	}
}

// Again forgets what was got: the transaction is made once more.
func (g *Handing) Again() {
	if g != nil {
		clear(g.ours)
	}
}

// Failed takes everything back: nobody knows what was written, of these tenants.
func (g *Handing) Failed(tenants []tenant.ID) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tenants {
		if g.marks[t] == nil && g.tenants[t] == nil {
			g.marks[t] = &Settled{since: time.Now()}
		}
	}
	g.putBack()
}

// putBack gives back the marks that were not written, and those leases of which nothing is known.
func (g *Handing) putBack() {
	for t, it := range g.marks {
		if g.tenants[t] == nil && g.settle[t] == nil {
			g.settle[t] = it
		}
	}
	if len(g.settle) > 0 {
		raise(g.ripe)
	}
}

// Committed hands on the numbered events of a transaction that was written, and returns whose are on the way now. Those of the others
// wait for Claim.
func (g *Handing) Committed(events map[tenant.ID][]production.Event) (took map[tenant.ID]bool) {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	took = make(map[tenant.ID]bool, len(events))
	for t, list := range events {
		took[t] = g.take(t, list)
	}
	for t, sent := range g.ours {
		if it := g.marks[t]; it != nil && sent >= it.Seq {
			delete(g.marks, t) // written
		}
	}
	g.putBack()
	return took
}

// take puts the new events of a tenant on the way, if its lease is ours and nothing is missing before them.
func (g *Handing) take(t tenant.ID, list []production.Event) bool {
	sent, ours := g.ours[t]
	if !ours {
		return false
	}
	base, st := list[0].Seq-1, g.tenants[t]
	switch {
	case g.Hands.owner != g.owner: // closed meanwhile
		if g.settle[t] == nil {
			g.settle[t] = &Settled{since: time.Now()}
		}
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
	case g.settle[t] != nil && g.settle[t].Seq == base: // behind those that were published meanwhile
		st = &handed{sent: base, places: g.settle[t].Places}
		delete(g.settle, t)
		g.tenants[t] = st
	case g.marks[t] != nil && g.marks[t].Seq == base: // so it was, while the transaction ran, and it had no use for the mark
		st = &handed{sent: base, places: g.marks[t].Places}
		delete(g.marks, t)
		g.tenants[t] = st
	default:
		if st == nil && g.settle[t] == nil {
			g.settle[t] = &Settled{since: time.Now()}
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

// Ripened takes what is to be settled, but for what is so old that its lease has ended.
func (h *Hands) Ripened() (list map[tenant.ID]*Settled, owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list = make(map[tenant.ID]*Settled, len(h.settle))
	for t, it := range h.settle {
		if time.Since(it.since) < h.lease {
			list[t] = it
		}
	}
	clear(h.settle)
	return list, h.leased
}

// Unsettled takes back what could not be settled.
func (h *Hands) Unsettled(list map[tenant.ID]*Settled) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, it := range list {
		if h.settle[t] == nil && h.tenants[t] == nil {
			h.settle[t] = it
		}
	}
	raise(h.ripe)
}

func raise(flag chan<- struct{}) {
	select {
	case flag <- struct{}{}:
	default: // it is set, and whoever takes it will see this one's work, too
	}
}
