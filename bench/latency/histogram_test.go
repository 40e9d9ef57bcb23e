package latency_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/bench/latency"
)

// durations draws samples of every size: a uniform draw would hardly ever give a short one.
func durations(t *rapid.T, label string) []time.Duration {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
		size := rapid.IntRange(0, 62).Draw(t, "bits")
		return time.Duration(rapid.Int64Range(0, math.MaxInt64>>(62-size)).Draw(t, "ns"))
	}), 1, 300).Draw(t, label)
}

func record(samples []time.Duration) *latency.Histogram {
	h := new(latency.Histogram)
	for _, d := range samples {
		h.Record(d)
	}
	return h
}

func TestQuantileAgainstSortedSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := durations(t, "samples")
		h := record(samples)
		slices.Sort(samples)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		rank := min(max(int(math.Ceil(q*float64(len(samples)))), 1), len(samples))
		want, got := samples[rank-1], h.Quantile(q)
		if got < want || float64(got-want) > float64(want)/64 {
			t.Fatalf("quantile %g of %d samples: got %d, want %d and at most 1/64 more", q, len(samples), got, want)
		}
		if h.Max() != samples[len(samples)-1] || h.Quantile(1) != h.Max() {
			t.Fatalf("max %d and quantile 1 %d, want %d", h.Max(), h.Quantile(1), samples[len(samples)-1])
		}
		if h.Count() != uint64(len(samples)) {
			t.Fatalf("count %d, want %d", h.Count(), len(samples))
		}
	})
}

func TestAddEqualsRecordingAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := durations(t, "a"), durations(t, "b")
		sum := record(a)
		sum.Add(record(b))
		if want := record(slices.Concat(a, b)); *sum != *want {
			t.Fatalf("sum of two histograms differs from the histogram of all their samples")
		}
	})
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := record(durations(t, "samples"))
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back latency.Histogram
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back != *h {
			t.Fatalf("histogram changed on its way through %s", text)
		}
	})
}

func TestUnmarshalRefusesUnknownBucket(t *testing.T) {
	var h latency.Histogram
	if err := json.Unmarshal([]byte(`{"counts":[[99999,1]],"maxNs":1}`), &h); err == nil {
		t.Fatal("a bucket that does not exist was accepted")
	}
}

func TestEmptyAndNegative(t *testing.T) {
	var h latency.Histogram
	if got := h.Quantile(0.99); got != 0 {
		t.Fatalf("quantile of nothing: got %v, want 0", got)
	}
	h.Record(-time.Second)
	if h.Count() != 1 || h.Max() != 0 {
		t.Fatalf("after a negative sample: count %d max %v, want 1 and 0", h.Count(), h.Max())
	}
}

// TestWithin compares with a count of the samples: never more than there are, and no more than a bucket less.
func TestWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := durations(t, "samples")
		h := record(samples)
		limit := time.Duration(rapid.Int64Range(-1, int64(h.Max())).Draw(t, "limit"))
		if all := h.Within(h.Max()); all != 1 {
			t.Fatalf("%v of the samples are no longer than the longest", all)
		}
		most, least := 0, 0
		for _, d := range samples {
			if d = max(d, 0); d <= limit {
				most++
			}
			if limit >= 0 && d < limit-limit/32 {
				least++
			}
		}
		n := float64(max(len(samples), 1))
		if got := h.Within(limit); got > float64(most)/n+1e-9 || got < float64(least)/n-1e-9 {
			t.Fatalf("%v of the samples lie within %v, counted %d to %d of %d", got, limit, least, most, len(samples))
		}
	})
}
