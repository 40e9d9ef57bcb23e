package gateway

import (
	"context"
	"slices"
	"sync"

	"kentongan/tenant"
)

// turns lets a bounded number do something at the same time. Who has to wait waits for others of the same kitchen: when one is done, the
// kitchens that wait have their turn one after the other, however many each of them has sent.
type turns struct {
	mu      sync.Mutex // guards everything below
	free    int
	waiting map[tenant.ID][]chan struct{} // by kitchen, oldest first; a turn is given by closing
	order   []tenant.ID                   // kitchens with somebody waiting, next first
}

func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, waiting: map[tenant.ID][]chan struct{}{}}
}

// take waits for a turn of somebody of t, and returns true; or false if ctx ends before. With true, give must follow.
func (q *turns) take(ctx context.Context, t tenant.ID) bool {
	q.mu.Lock()
	if q.free > 0 { // then nobody waits
		q.free--
		q.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	if len(q.waiting[t]) == 0 {
		q.order = append(q.order, t)
	}
	q.waiting[t] = append(q.waiting[t], mine)
	q.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	q.mu.Lock()
	at := slices.Index(q.waiting[t], mine)
	if at >= 0 {
		q.remove(t, at)
	}
	q.mu.Unlock()
	if at < 0 { // it was given meanwhile
		q.give()
	}
	return false
}

// give ends a turn.
func (q *turns) give() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		q.free++
		return
	}
	t := q.order[0]
	next := q.waiting[t][0]
	q.remove(t, 0)
	if len(q.waiting[t]) > 0 { // behind the others
		q.order = append(q.order[1:], t)
	}
	close(next)
}

// remove takes the one at a place out of those of t. The lock is held.
func (q *turns) remove(t tenant.ID, at int) {
	q.waiting[t] = slices.Delete(q.waiting[t], at, at+1)
	if len(q.waiting[t]) == 0 {
		delete(q.waiting, t)
		q.order = slices.DeleteFunc(q.order, func(other tenant.ID) bool { return other == t })
	}
}
