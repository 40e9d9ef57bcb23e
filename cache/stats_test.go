package cache

import (
	"sync"
	"testing"
)

// TestTally adds from many goroutines, more than there are cells: nothing is lost, wherever their stacks lie, and also while somebody reads.
func TestTally(t *testing.T) {
	const goroutines, each = 4 * tallyCells, 1000
	var sum tally
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			before := sum.Load()
			for range each {
				sum.Add(2)
			}
			if got := sum.Load(); got < before+2*each {
				t.Errorf("the sum is %d after %d and %d more", got, before, 2*each)
			}
		})
	}
	wg.Wait()
	if got := sum.Load(); got != 2*goroutines*each {
		t.Errorf("the sum is %d, want %d", got, 2*goroutines*each)
	}
}
