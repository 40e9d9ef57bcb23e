package gateway

import (
	"context"
	"slices"
	"sync"

	"kentongan/tenant"
)

// turns lets a bounded number do something at the same time, and of one kitchen fewer. Who has to wait waits for others of the same
// kitchen: when one is done, the kitchens that wait have their turn one after the other, however many each of them has sent. A kitchen of
// more weight has as many turns in a row.
type turns struct {
	each   int                     // of one kitchen at the same time
	weight func(t tenant.ID) int   // of a kitchen; nil: all have 1
	mu     sync.Mutex              // guards everything below
	free   int                     // of all
	lines  map[tenant.ID]*turnLine // of those who have a turn or wait for one
	order  []*turnLine             // with somebody waiting, next first
}

// turnLine is one kitchen.
type turnLine struct {
	kitchen tenant.ID
	running int
	had     int             // turns in a row
	waiting []chan struct{} // oldest first; a turn is given by closing
}

// newTurns lets atOnce have a turn at the same time, each of one kitchen.
func newTurns(atOnce, each int, weight func(t tenant.ID) int) *turns {
	return &turns{free: atOnce, each: each, weight: weight, lines: map[tenant.ID]*turnLine{}}
}

// taken reports whether somebody has a turn.
func (q *turns) taken() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines) > 0
}

// take waits for a turn of somebody of t, and returns true; or false if ctx ends before. With true, give must follow.
func (q *turns) take(ctx context.Context, t tenant.ID) bool {
	q.mu.Lock()
	l := q.lines[t]
	if l == nil {
		l = &turnLine{kitchen: t}
		q.lines[t] = l
	}
	if q.free > 0 && l.running < q.each { // then nobody waits who may have it
		q.free--
		l.running++
		q.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	if len(l.waiting) == 0 {
		q.order = append(q.order, l)
	}
	l.waiting = append(l.waiting, mine)
	q.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(l.waiting, mine)
	if at < 0 { // it was given meanwhile
		q.end(l)
		return false
	}
	q.remove(l, at)
	q.forget(l)
	return false
}

// give ends a turn of somebody of t.
func (q *turns) give(t tenant.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end(q.lines[t])
}

// end is give for those who hold the lock.
func (q *turns) end(l *turnLine) {
	l.running--
	q.free++
	q.grant()
	q.forget(l)
}

// grant gives the turns that are free to those who may have one. The lock is held.
func (q *turns) grant() {
	for q.free > 0 {
		at := slices.IndexFunc(q.order, func(l *turnLine) bool { return l.running < q.each })
		if at < 0 {
			return
		}
		l := q.order[at]
		next := l.waiting[0]
		q.remove(l, 0)
		q.free--
		l.running++
		l.had++
		if l.had >= q.weightOf(l.kitchen) {
			l.had = 0
			if len(l.waiting) > 0 { // behind the others
				q.order = append(slices.Delete(q.order, at, at+1), l)
			}
		}
		close(next)
	}
}

// weightOf returns how many turns in a row a kitchen has.
func (q *turns) weightOf(t tenant.ID) int {
	if q.weight == nil {
		return 1
	}
	return q.weight(t)
}

// remove takes the one at a place out of those who wait. The lock is held.
func (q *turns) remove(l *turnLine, at int) {
	l.waiting = slices.Delete(l.waiting, at, at+1)
	if len(l.waiting) == 0 {
		l.had = 0
		q.order = slices.DeleteFunc(q.order, func(other *turnLine) bool { return other == l })
	}
}

// forget drops a kitchen that has nobody here. The lock is held.
func (q *turns) forget(l *turnLine) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(q.lines, l.kitchen)
	}
}
