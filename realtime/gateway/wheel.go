package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/giveway"
)

// wheelSlots times tick is how far ahead a session can be booked; a later time takes more than one turn. A power of two, and
// more than the 25 s of the usual ping interval.
const wheelSlots = 512

// tick is how exact pings, expiries and time-outs are. A session must end within a second of its expiry. Thousands that have come back in
// the same second after a restart are due in the same second ever after: what is done for them at once has to be a small part of it.
const tick = time.Second / 8

// wheel calls each session when its time has come. One goroutine and one list entry a session replace the three timers that each
// would need otherwise (ping, time-out, expiry), of which nearly all are moved before they fire. All its times are those of
// gateway.clock.
type wheel struct {
	// lost is how long the process stood still in all: stopped, or starved of its CPU. Clients must not pay for that.
	lost atomic.Int64

	mu    sync.Mutex
	slots [wheelSlots][]*session
	now   int           // the slot that fires next
	fired time.Duration // when the slot before it was due

	way giveway.Way // of advance
}

// keptSlot is up to how many entries a slot keeps its memory for the next turn: for a busy node, and not for what came of a storm.
const keptSlot = 256

// book has s called at due, rounded up to the next tick; whoever is due in more than a turn is called early, and books again. A
// session is booked at most once at a time; who is called books again.
func (w *wheel) book(s *session, due time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticks := int((due - w.fired + tick - 1) / tick)
	ticks = min(max(ticks, 1), wheelSlots)
	at := (w.now + ticks - 1) % wheelSlots
	w.slots[at] = append(w.slots[at], s)
}

// run calls due sessions every tick until ctx ends.
func (w *wheel) run(ctx context.Context, clock func() time.Duration) {
	w.mu.Lock()
	w.fired = clock()
	w.mu.Unlock()
	t := time.NewTicker(tick)
	defer t.Stop()
	defer w.way.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.way.Begin()
			w.advance(clock()) // the time in the channel is old if this process stood still
		}
	}
}

// advance fires the slot of now, and before it those that were missed, so that nobody who is due waits for another turn.
func (w *wheel) advance(now time.Duration) {
	w.mu.Lock()
	slots := int((now - w.fired) / tick)
	w.mu.Unlock()
	if slots > 1 {
		w.lost.Add(int64(slots-1) * int64(tick))
	}
	for range slots {
		w.mu.Lock()
		fires := w.now
		due := w.slots[fires]
		w.slots[fires] = nil
		w.now = (w.now + 1) % wheelSlots
		w.fired += tick
		at := w.fired
		w.mu.Unlock()
		for _, s := range due {
			if next := s.onTick(at); next > 0 {
				w.book(s, next)
			}
			w.way.Sometimes()
		}
		clear(due)
		if cap(due) <= keptSlot {
			w.mu.Lock()
			if w.slots[fires] == nil {
				w.slots[fires] = due[:0]
			}
			w.mu.Unlock()
		}
	}
}
