package drive

import "container/heap"

// act is what a timer does to a screen.
type act uint8

const (
	toCut   act = iota // its line is cut
	toLeave            // it leaves, for the server has said so, and comes back at once
	toCome             // it comes back
	toDrip             // an attacker sends the next bytes
)

// timer is due at a time of mark.Now, for a screen that has not changed since: turn is that of the screen when the timer was set.
type timer struct {
	due   int64
	index int
	turn  uint32
	act   act
}

// timers is a heap, the next one first.
type timers []timer

// Len, Less, Swap, Push and Pop are for package heap.
func (t *timers) Len() int           { return len(*t) }
func (t *timers) Less(i, j int) bool { return (*t)[i].due < (*t)[j].due }
func (t *timers) Swap(i, j int)      { (*t)[i], (*t)[j] = (*t)[j], (*t)[i] }

// Push adds one at the end.
func (t *timers) Push(x any) {
	one, ok := x.(timer)
	if !ok {
		panic("drive: a timer that is none")
	}
	*t = append(*t, one)
}

// Pop takes one from the end.
func (t *timers) Pop() any {
	last := len(*t) - 1
	one := (*t)[last]
	*t = (*t)[:last]
	return one
}

func (t *timers) set(one timer) { heap.Push(t, one) }

// next returns a timer that is due at now, if there is one.
func (t *timers) next(now int64) (timer, bool) {
	if len(*t) == 0 || (*t)[0].due > now {
		return timer{}, false
	}
	one, ok := heap.Pop(t).(timer)
	return one, ok
}

// waitMS returns for how many milliseconds nothing is due, rounded up: -1 for ever.
func (t *timers) waitMS(now int64) int {
	if len(*t) == 0 {
		return -1
	}
	const ms = 1_000_000
	return int(max((*t)[0].due-now+ms-1, 0) / ms)
}
