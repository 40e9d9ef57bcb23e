package redis

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestLevel: what all keep fits, and nobody could keep more without another one having less.
func TestLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 1000), 0, 20).Draw(t, "sizes")
		total := rapid.Int64Range(0, 10_000).Draw(t, "total")
		kept := func(level int64) (sum int64) {
			for _, size := range sizes {
				sum += min(size, level)
			}
			return sum
		}
		got := level(sizes, total)
		if kept(got) > total {
			t.Fatalf("%d of %v keep %d, more than %d", got, sizes, kept(got), total)
		}
		if all := kept(math.MaxInt64); got == math.MaxInt64 && all > total || got != math.MaxInt64 && (all <= total || kept(got+1) <= total) {
			t.Fatalf("%d of %v, which are %d in all: %d would fit %d, too", got, sizes, all, got+1, total)
		}
	})
}
