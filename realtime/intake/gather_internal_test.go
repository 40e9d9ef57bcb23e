package intake

import (
	"testing"
	"time"
)

// patient returns one that has found out that many come.
func patient(gather time.Duration) *PubSub {
	p := &PubSub{opts: PubSubOptions{GatherFor: gather}}
	p.many.Store(true)
	return p
}

// Only behind a batch of many the whole time is waited, and not at all if nothing is to be gathered.
func TestGatherForLongerWhereManyCome(t *testing.T) {
	for _, c := range []struct {
		set  time.Duration
		n    int
		want time.Duration
	}{
		{5 * time.Millisecond, 1, 3 * time.Millisecond},
		{5 * time.Millisecond, fewMessages - 1, 3 * time.Millisecond},
		{5 * time.Millisecond, fewMessages, 5 * time.Millisecond},
		{5 * time.Millisecond, 128, 5 * time.Millisecond},
	} {
		if got := patient(c.set).gatherFor(c.n); got != c.want {
			t.Errorf("behind %d messages: %v, want %v", c.n, got, c.want)
		}
	}
	if got := patient(-1).gatherFor(1); got > 0 {
		t.Errorf("nothing is to be gathered, and %v is waited", got)
	}
}

// TestGatherOnlyWhereManyCome has messages come at some rate, two and two at the same time: below a thousand a second nobody waits for the
// next one, and above it they do, soon after it has become so.
func TestGatherOnlyWhereManyCome(t *testing.T) {
	p := &PubSub{opts: PubSubOptions{GatherFor: 5 * time.Millisecond}}
	s := stamper{p: p}
	now := time.Hour // a night in which nothing came
	for _, c := range []struct {
		rate  int // messages a second
		waits bool
	}{{20, false}, {300, false}, {900, false}, {1200, true}, {4000, true}, {900, false}, {40_000, true}, {10, false}} {
		for begun := now; now < begun+time.Second; now += 2 * time.Second / time.Duration(c.rate) {
			s.count(1, now)
			s.count(1, now+time.Microsecond)
			if settled := now > begun+250*time.Millisecond; settled && p.gatherFor(2) > 0 != c.waits {
				t.Fatalf("at %d a second, after %v, %v is waited", c.rate, now-begun, p.gatherFor(2))
			}
		}
	}
}
