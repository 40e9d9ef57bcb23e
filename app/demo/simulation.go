package demo

import (
	"slices"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Message is one publication of a simulated kitchen.
type Message struct {
	Channel realtime.Channel
	Data    []byte // one JSON text
}

// event is a message that waits for its time.
type event struct {
	at      time.Time
	message Message
}

func named(t tenant.ID, name string) realtime.Channel { return realtime.Channel{Tenant: t, Name: name} }

const (
	batchEvery    = 50 * time.Second // a kitchen plans a new batch; about three are open at once
	announceEvery = 2 * time.Minute
	kitchenShift  = 3 * time.Second // by which the kitchens start one after the other

	// maxCatchUp is how much one Step makes up for. After a longer pause, such as that of a closed laptop, the kitchens begin anew:
	// nobody wants the messages of a night at once.
	maxCatchUp = 10 * time.Minute
)

// Simulation is the three kitchens at one moment. It has no clock and no I/O of its own, and is not safe for concurrent use.
type Simulation struct {
	seed  uint64
	last  time.Time // of the latest Step
	lines []*line
}

// line is the future of one kitchen, or of the platform: its batches overlap, so their events are merged in order of time.
type line struct {
	next   time.Time // when more is made
	every  time.Duration
	n      int
	make   func(n int, at time.Time) []event
	events []event // in order of time
}

// New returns kitchens that start to work at start. The same seed and start make the same messages.
func New(seed uint64, start time.Time) *Simulation {
	s := &Simulation{seed: seed}
	s.begin(start.Truncate(time.Millisecond))
	return s
}

func (s *Simulation) begin(start time.Time) {
	s.last = start.Add(-time.Millisecond) // what happens at start itself is still to come
	s.lines = nil
	for i, k := range Kitchens() {
		s.lines = append(s.lines, &line{
			next: start.Add(time.Duration(i) * kitchenShift), every: batchEvery,
			make: func(n int, at time.Time) []event { return newBatch(&k, s.seed, n, at) },
		})
	}
	s.lines = append(s.lines, &line{
		next: start.Add(announceEvery / 4), every: announceEvery,
		make: func(n int, at time.Time) []event { return []event{announce(n, at)} },
	})
}

// Step returns what is published after the previous Step up to now, in order of time. How often it is called does not
// change what comes, unless more than ten minutes pass between two calls. A clock that goes back makes it wait.
func (s *Simulation) Step(now time.Time) []Message {
	if now.Sub(s.last) > maxCatchUp {
		s.begin(now.Truncate(time.Millisecond))
	}
	if !now.After(s.last) {
		return nil
	}
	s.last = now
	for _, l := range s.lines {
		l.fill(now)
	}
	var due []Message
	for {
		l := s.earliest()
		if l == nil || l.events[0].at.After(now) {
			return due
		}
		due = append(due, l.events[0].message)
		l.events = l.events[1:]
	}
}

// fill makes everything that may begin up to now.
func (l *line) fill(now time.Time) {
	for !l.next.After(now) {
		l.events = append(l.events, l.make(l.n, l.next)...)
		// Stable: a batch says several things in one moment, in an order that matters.
		slices.SortStableFunc(l.events, func(a, b event) int { return a.at.Compare(b.at) })
		l.n++
		l.next = l.next.Add(l.every)
	}
}

// earliest returns the line with the next event; the first of them if several are due at once; nil if there is none.
func (s *Simulation) earliest() *line {
	var first *line
	for _, l := range s.lines {
		if len(l.events) > 0 && (first == nil || l.events[0].at.Before(first.events[0].at)) {
			first = l
		}
	}
	return first
}
