package cache

import (
	"sync"
	"sync/atomic"
	"testing"
)

// newTestBreaker returns a breaker and its clock.
func newTestBreaker() (*breaker, *int64) {
	var now int64
	return &breaker{now: func() int64 { return now }}, &now
}

func failed(b *breaker, times int) {
	for range times {
		if b.allow() {
			b.fail()
		}
	}
}

func wantOpen(t *testing.T, b *breaker, when string, want bool) {
	t.Helper()
	if open, _ := b.isOpen(); open != want {
		t.Fatalf("%s: open is %v", when, open)
	}
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	b, _ := newTestBreaker()
	failed(b, failsToOpen-1)
	b.succeed()
	failed(b, failsToOpen-1)
	wantOpen(t, b, "an answer in between", false)
	failed(b, 1)
	wantOpen(t, b, "in a row", true)
	if b.allow() {
		t.Error("Redis is asked at once")
	}
	if _, opened := b.isOpen(); opened != 1 {
		t.Errorf("opened %d times", opened)
	}
}

// TestBreakerTriesWithOneCaller: half open, it lets one of many ask, and nobody else before that one knows how it went.
func TestBreakerTriesWithOneCaller(t *testing.T) {
	b, now := newTestBreaker()
	failed(b, failsToOpen)
	try := func() int64 {
		var allowed atomic.Int64
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				if b.allow() {
					allowed.Add(1)
				}
			})
		}
		callers.Wait()
		return allowed.Load()
	}
	*now = tryEvery - 1
	if n := try(); n != 0 {
		t.Errorf("%d ask too early", n)
	}
	*now = tryEvery
	if n := try(); n != 1 {
		t.Errorf("%d ask, want 1", n)
	}
	*now += 10 * tryEvery
	if n := try(); n != 0 {
		t.Errorf("%d ask beside the one that does", n)
	}
	b.fail()
	if n := try(); n != 0 {
		t.Errorf("%d ask right after it failed", n)
	}
	*now += tryEvery
	if n := try(); n != 1 {
		t.Errorf("later %d ask, want 1", n)
	}
	b.undecided() // its caller gave up
	if n := try(); n != 1 {
		t.Errorf("after an undecided try %d ask, want 1", n)
	}
	b.succeed()
	wantOpen(t, b, "after an answer", false)
	if n := try(); n != 100 {
		t.Errorf("of 100 only %d may ask", n)
	}
}

// TestBreakerIsWatched: while Run tries no caller does, and an answer to what was asked before does not close it.
func TestBreakerIsWatched(t *testing.T) {
	b, now := newTestBreaker()
	b.watch(true)
	asked := b.allow()
	b.force()
	wantOpen(t, b, "forced", true)
	*now += 100 * tryEvery
	if !asked || b.allow() {
		t.Error("a caller tries")
	}
	b.succeed()
	wantOpen(t, b, "an answer from before", true)
	b.reset()
	wantOpen(t, b, "Run had an answer", false)
	failed(b, failsToOpen)
	b.watch(false)
	*now += tryEvery
	if !b.allow() {
		t.Error("nobody tries after Run")
	}
}
