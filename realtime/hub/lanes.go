package hub

import (
	"container/heap"

	"kentongan/tenant"
)

// lanes are the jobs that the goroutine of a shard has taken out of its queue, a lane for each kitchen. Kitchens have their turns by what
// was delivered for them: whoever has had least, divided by its weight, is next. So of two that have more to deliver than there is time
// for, each gets its share of it, however much of it the other one has sent, and to however many screens. Within a lane nothing is
// overtaken. What is global concerns the screens of all kitchens and is rare: it comes behind all that came before it, and before all that
// comes behind.
//
// This is start-time fair queueing (Goyal, Vin, Cheng 1996) with deliveries in the place of bytes. Only the shard's goroutine uses it.
type lanes struct {
	weight func(t tenant.ID) int // nil: all have 1
	of     map[tenant.ID]*lane   // with jobs, or with none and still ahead of the others
	order  laneOrder             // with jobs, except for the one that is taken
	count  int                   // of jobs, those behind included
	global bool                  // all jobs in lanes are global
	behind []job                 // not in lanes yet, for there is something global before them, or they are
	now    float64               // at of the last one that was taken
	turns  uint64                // that were given out
	spare  []*lane               // not in use
	tidied int                   // how many were left in of when those that are empty were last forgotten
}

// lane is what waits for one kitchen.
type lane struct {
	tenant tenant.ID
	jobs   []job   // oldest first
	at     float64 // deliveries that it has had, by weight, counted from where those stood who were there when it came
	turn   uint64  // who stood there first, of those who have had the same
	taken  bool
}

// maxSpare is how many lanes are kept for the next kitchens: rarely do more than a few wait.
const maxSpare = 128

func newLanes(weight func(t tenant.ID) int) *lanes {
	return &lanes{weight: weight, of: map[tenant.ID]*lane{}}
}

// add puts j behind the others of its kitchen.
func (q *lanes) add(j job) {
	q.count++
	within := q.count - 1 - len(q.behind)
	if len(q.behind) > 0 || within > 0 && j.global() != q.global {
		q.behind = append(q.behind, j)
		return
	}
	q.global = j.global()
	q.put(j)
}

// global reports whether j concerns all kitchens.
func (j job) global() bool { return j.tenant() == tenant.Global }

// next puts into lanes what was behind, now that they are empty.
func (q *lanes) next() {
	n := 0
	for q.global = q.behind[0].global(); n < len(q.behind) && q.behind[n].global() == q.global; n++ {
		q.put(q.behind[n])
	}
	left := copy(q.behind, q.behind[n:])
	clear(q.behind[left:])
	q.behind = q.behind[:left]
}

// put is add for what belongs into a lane.
func (q *lanes) put(j job) {
	t := j.tenant()
	l := q.of[t]
	if l == nil {
		if n := len(q.spare); n > 0 {
			l, q.spare = q.spare[n-1], q.spare[:n-1]
		} else {
			l = &lane{}
		}
		l.tenant = t
		q.of[t] = l
	}
	l.jobs = append(l.jobs, j)
	if len(l.jobs) == 1 && !l.taken {
		l.at = max(l.at, q.now)
		q.push(l)
	}
}

// push has l wait for its turn.
func (q *lanes) push(l *lane) {
	q.turns++
	l.turn = q.turns
	heap.Push(&q.order, l)
}

// take returns the lane whose turn it is. There must be one; done must follow.
func (q *lanes) take() *lane {
	l := heap.Pop(&q.order).(*lane) //nolint:forcetypeassert,errcheck // it holds nothing else
	l.taken, q.now = true, l.at
	return l
}

// alone reports whether nobody else waits than who was taken.
func (q *lanes) alone() bool { return len(q.order) == 0 }

// charge counts deliveries that l has had.
func (q *lanes) charge(l *lane, deliveries int) {
	share := 1
	if q.weight != nil {
		share = q.weight(l.tenant)
	}
	l.at += float64(deliveries) / float64(share)
}

// done ends the turn of l.
func (q *lanes) done(l *lane) {
	l.taken = false
	if len(l.jobs) > 0 {
		q.push(l)
	}
	switch {
	case q.count == len(q.behind):
		q.reset()
		if len(q.behind) > 0 {
			q.next()
		}
	case len(q.of) > q.tidied*2+maxSpare:
		for _, other := range q.of { // those that are empty, and not ahead of anybody any more, are as good as new
			if len(other.jobs) == 0 && other.at <= q.now {
				q.forget(other)
			}
		}
		q.tidied = len(q.of)
	}
}

// between does the first jobs of those lanes that quick returns true for, as long as it does, beside the one that is taken.
func (q *lanes) between(quick func(l *lane) (done int)) {
	kept := q.order[:0]
	for _, l := range q.order {
		q.drop(l, quick(l))
		if len(l.jobs) > 0 {
			kept = append(kept, l)
		}
	}
	clear(q.order[len(kept):])
	if len(kept) < len(q.order) {
		q.order = kept
		heap.Init(&q.order)
	}
}

// drop forgets the first n jobs of l.
func (q *lanes) drop(l *lane, n int) {
	if n == 0 {
		return
	}
	left := copy(l.jobs, l.jobs[n:])
	clear(l.jobs[left:])
	l.jobs = l.jobs[:left]
	q.count -= n
}

// reset begins anew: nobody waits, so nobody has had more than his share.
func (q *lanes) reset() {
	for _, l := range q.of {
		q.forget(l)
	}
	q.now, q.tidied = 0, 0
}

// forget drops a lane without jobs.
func (q *lanes) forget(l *lane) {
	delete(q.of, l.tenant)
	if len(q.spare) < maxSpare {
		*l = lane{jobs: l.jobs[:0]}
		q.spare = append(q.spare, l)
	}
}

// laneOrder is a heap: the lane whose turn it is, is the first one.
type laneOrder []*lane //nolint:recvcheck // Push and Pop grow and shrink it

func (o laneOrder) Len() int      { return len(o) }
func (o laneOrder) Swap(i, j int) { o[i], o[j] = o[j], o[i] }
func (o laneOrder) Less(i, j int) bool {
	return o[i].at < o[j].at || o[i].at == o[j].at && o[i].turn < o[j].turn
}

// Push implements heap.Interface.
func (o *laneOrder) Push(l any) { *o = append(*o, l.(*lane)) } //nolint:forcetypeassert,errcheck // see take

// Pop implements heap.Interface.
func (o *laneOrder) Pop() any {
	old := *o
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*o = old[:len(old)-1]
	return last
}
