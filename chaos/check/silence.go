package check

import (
	"slices"
	"time"
)

// Span is the time of a fault, from its beginning until what was broken works again.
type Span struct {
	From, Until time.Duration
}

// Silences returns, for each span and each subscriber that was connected before and after it, how long nothing came to it at the
// longest around that time, in rising order. A subscriber whose channels nobody speaks in would be silent anyway: leave
// such ones out.
func Silences(spans []Span, subs []Subscriber) []time.Duration {
	var all []time.Duration
	for i := range subs {
		var came []time.Duration
		for _, e := range subs[i].Events {
			if e.Kind == Message {
				came = append(came, e.At)
			}
		}
		for _, s := range spans {
			if d, ok := silence(came, s); ok {
				all = append(all, d)
			}
		}
	}
	slices.Sort(all)
	return all
}

// silence is the longest pause in came that has a part in s.
func silence(came []time.Duration, s Span) (time.Duration, bool) {
	first, _ := slices.BinarySearch(came, s.From)
	if first == 0 || first == len(came) {
		return 0, false // it was not there before, or not after
	}
	longest := time.Duration(0)
	for i := first; i < len(came) && came[i-1] <= s.Until; i++ {
		longest = max(longest, came[i]-came[i-1])
	}
	return longest, true
}

// Quantile returns the value below which a part of sorted lies; zero if there is none.
func Quantile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}
