// Package latency counts durations in buckets that grow with them, so that a hundred million samples take 30 KB, any
// number of histograms can be added up, and a quantile is wrong by less than 1.6 % of itself.
package latency

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"time"
)

const (
	// subBits is the precision: each power of two is cut into 1<<subBits buckets, so a bucket is 1/64 of its value wide.
	subBits = 6
	// buckets holds every non-negative int64 of nanoseconds.
	buckets = (63-subBits)*(1<<subBits) + (1 << subBits)
)

// Histogram counts durations. The zero value is empty and ready. It is for one goroutine at a time.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    int64
}

// Record counts d. A duration below zero counts as zero.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	h.counts[bucketOf(v)]++
	h.total++
	h.max = max(h.max, v)
}

// Add counts everything that other has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range &other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Max returns the longest recorded duration, exactly; zero if there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile returns a duration that a share q (0 to 1) of the samples does not exceed: the upper end of the bucket in
// which the sample of that rank lies, and never more than Max. It returns zero if nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(h.total)))
	rank = min(max(rank, 1), h.total)
	var seen uint64
	for i, n := range &h.counts {
		seen += n
		if seen >= rank {
			return time.Duration(min(upperEnd(i), h.max))
		}
	}
	panic("latency: counts and total of a histogram disagree")
}

// Within returns the share of the samples, 0 to 1, whose bucket lies wholly at or below d: never too large a share. It returns zero
// if nothing was recorded.
func (h *Histogram) Within(d time.Duration) float64 {
	if h.total == 0 || d < 0 {
		return 0
	}
	if int64(d) >= h.max {
		return 1
	}
	var seen uint64
	for i, n := range &h.counts {
		if upperEnd(i) > int64(d) {
			break
		}
		seen += n
	}
	return float64(seen) / float64(h.total)
}

// bucketOf returns the index for v >= 0. Values below 1<<(subBits+1) have a bucket each; above, the leading subBits+1
// bits of the value choose it.
func bucketOf(v int64) int {
	shift := max(bits.Len64(uint64(v))-subBits-1, 0) //nolint:gosec // v >= 0
	return shift<<subBits + int(v>>shift)
}

// upperEnd returns the largest value of bucket i.
func upperEnd(i int) int64 {
	shift := max(i>>subBits-1, 0)
	lead := int64(i - shift<<subBits)
	return (lead+1)<<shift - 1
}

// wire is a histogram between processes: only the buckets that hold something, as pairs of index and count.
type wire struct {
	Counts [][2]uint64 `json:"counts"`
	Max    int64       `json:"maxNs"`
}

// MarshalJSON writes the filled buckets.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	w := wire{Counts: [][2]uint64{}, Max: h.max}
	for i, n := range &h.counts {
		if n > 0 {
			w.Counts = append(w.Counts, [2]uint64{uint64(i), n})
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote, in place of what h held.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var w wire
	if err := json.Unmarshal(text, &w); err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	*h = Histogram{max: w.Max}
	for _, pair := range w.Counts {
		if pair[0] >= buckets {
			return fmt.Errorf("read histogram: no bucket %d", pair[0])
		}
		h.counts[pair[0]] += pair[1]
		h.total += pair[1]
	}
	return nil
}
