package gateway

import (
	"context"
	"sync"
	"time"
)

// wheelSlots times tick is how far ahead a session can be booked; a later time takes more than one turn. A power of two, and
// more than the 25 s of the usual ping interval.
const wheelSlots = 64

// tick is how exact pings, expiries and time-outs are. A session must end within a second of its expiry.
const tick = time.Second

// wheel calls each session when its time has come. One goroutine and one list entry a session replace the three timers that each
// would need otherwise (ping, time-out, expiry), of which nearly all are moved before they fire.
type wheel struct {
	mu    sync.Mutex
	slots [wheelSlots][]*session
	now   int // the slot that fires next
}

// book has s called after wait, rounded up to the next tick. A session is booked at most once at a time; who is called books
// again.
func (w *wheel) book(s *session, wait time.Duration) {
	ticks := int((wait + tick - 1) / tick)
	ticks = min(max(ticks, 1), wheelSlots) // whoever wants to wait longer is called early, and books again
	w.mu.Lock()
	defer w.mu.Unlock()
	at := (w.now + ticks - 1) % wheelSlots
	w.slots[at] = append(w.slots[at], s)
}

// run calls due sessions every tick until ctx ends.
func (w *wheel) run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var due []*session
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			w.mu.Lock()
			due, w.slots[w.now] = w.slots[w.now], due[:0]
			w.now = (w.now + 1) % wheelSlots
			w.mu.Unlock()
			for i, s := range due {
				due[i] = nil
				if wait := s.onTick(now); wait > 0 {
					w.book(s, wait)
				}
			}
		}
	}
}
