package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/realtime/protocol"
)

// A node that is cut off from its engine goes on serving its clients, whose screens then show what was, and look as if it still were. So
// the clients are told, and told again when it is over; in between nobody has to guess.

// Fault says why what clients see may be old: a reason of the protocol, and since when. An empty reason: all is well.
type Fault func() (reason protocol.StaleReason, since time.Time)

const (
	// staleAfter is how long a fault lasts before anybody is told: most are over within a reconnect.
	staleAfter = time.Second

	// staleLook is how often it is looked at.
	staleLook = 250 * time.Millisecond

	// staleSpread is over how long the clients are told, evenly: they may all answer by fetching something.
	staleSpread = time.Second
)

// freshness is what clients are told of the age of what they see.
type freshness struct {
	now  atomic.Pointer[fault] // nil: it is fresh
	mu   sync.Mutex            // of telling a session: the order of what it is told is that of what is true
	told atomic.Uint64
}

// fault is what clients are told, and its number, from 1 on.
type fault struct {
	protocol.Stale
	number uint32
}

// of returns the number of f; zero if there is none.
func (f *fault) of() uint32 {
	if f == nil {
		return 0
	}
	return f.number
}

// watchFaults looks at Options.Fault until ctx ends.
func (g *Gateway) watchFaults(ctx context.Context) {
	if g.opts.Fault == nil {
		return
	}
	tick := time.NewTicker(staleLook)
	defer tick.Stop()
	var faults uint32
	var began time.Time // of the fault, as it was first seen; zero: there is none
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		reason, since := g.opts.Fault()
		known := g.fresh.now.Load()
		switch now := time.Now(); {
		case reason == "":
			began = time.Time{}
			if known != nil {
				g.fresh.now.Store(nil)
				n := g.tellAll(ctx)
				g.opts.Log.Info("clients told that data is fresh again", "connections", n, "took_ms", now.Sub(known.Since).Milliseconds())
			}
		case began.IsZero():
			began = now
		case known == nil && now.Sub(began) >= staleAfter:
			if since.IsZero() || since.After(began) {
				since = began
			}
			faults++
			g.fresh.now.Store(&fault{protocol.Stale{Since: since, Reason: reason}, faults})
			n := g.tellAll(ctx)
			g.opts.Log.Warn("clients told that data may be stale", "reason", string(reason), "since", since, "connections", n)
		}
	}
}

// tellAll tells every session what is true now, spread over a time, and returns how many it told.
func (g *Gateway) tellAll(ctx context.Context) int {
	sessions := g.list()
	started, told := time.Now(), 0
	for i, s := range sessions {
		due := started.Add(staleSpread * time.Duration(i) / time.Duration(len(sessions)))
		if wait := time.Until(due); wait > 10*time.Millisecond { // a few at a time
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return told
			}
		}
		if s.tellFreshness() {
			told++
		}
	}
	return told
}

// tellFreshness tells the session if what is true now is not what it was told last. Before its head is sent it is told nothing; then it
// is told after it.
func (s *session) tellFreshness() bool {
	g := s.gw
	if g.fresh.now.Load().of() == s.told.Load() {
		return false
	}
	g.fresh.mu.Lock()
	defer g.fresh.mu.Unlock()
	s.mu.Lock()
	opened := s.state == open
	s.mu.Unlock()
	if !opened {
		return false
	}
	now := g.fresh.now.Load()
	if s.told.Swap(now.of()) == now.of() {
		return false
	}
	g.fresh.told.Add(1)
	if now != nil {
		s.push(now.Stale)
	} else {
		s.push(protocol.Fresh{Time: time.Now()})
	}
	return true
}
