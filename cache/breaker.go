package cache

import (
	"errors"
	"sync"
	"time"
)

var errOpen = errors.New("it did not answer, and is not asked for a moment")

// breaker stops asking Redis when it does not answer, so that callers get the answer of memory at once. While Run runs it is
// Run that finds out when Redis is back, and no caller waits for that; else one caller at a time tries.
type breaker struct {
	now func() int64

	mu      sync.Mutex
	fails   int // one after the other
	open    bool
	watched bool  // Run tries
	next    int64 // when a caller may try
	trying  bool
	opened  uint64
}

const (
	// failsToOpen is small, for each failure may have cost a caller the whole command timeout.
	failsToOpen = 3
	tryEvery    = int64(250 * time.Millisecond)
)

// allow reports whether Redis may be asked. Who was allowed says how it went.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return true
	}
	if b.watched || b.trying || b.now() < b.next {
		return false
	}
	b.trying = true
	return true
}

func (b *breaker) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && b.watched && !b.trying {
		return // it was asked before it broke
	}
	b.fails, b.open, b.trying = 0, false, false
}

// undecided ends a try that says nothing.
func (b *breaker) undecided() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

func (b *breaker) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.trying = false
	if b.fails >= failsToOpen {
		b.trip()
	}
}

// trip opens it. The lock is held.
func (b *breaker) trip() {
	if !b.open {
		b.opened++
	}
	b.open, b.next = true, b.now()+tryEvery
}

// force opens it, for it is known that Redis is silent.
func (b *breaker) force() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trip()
}

// watch says whether Run tries.
func (b *breaker) watch(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = on
}

// reset closes it, for Redis answers.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.open, b.trying = 0, false, false
}

func (b *breaker) isOpen() (open bool, opened uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open, b.opened
}
