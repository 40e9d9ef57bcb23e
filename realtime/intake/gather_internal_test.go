package intake

import (
	"testing"
	"time"
)

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
		if got := (&PubSub{opts: PubSubOptions{GatherFor: c.set}}).gatherFor(c.n); got != c.want {
			t.Errorf("behind %d messages: %v, want %v", c.n, got, c.want)
		}
	}
	if got := (&PubSub{opts: PubSubOptions{GatherFor: -1}}).gatherFor(1); got > 0 {
		t.Errorf("nothing is to be gathered, and %v is waited", got)
	}
}
