package mark

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// base ties Go's monotonic clock, which is cheap to read, to the machine's, which is the same in all processes.
var base = tie()

type tied struct {
	at      time.Time
	machine int64
}

// Now returns nanoseconds of the machine's CLOCK_MONOTONIC. Two processes that call it at once get the same number to
// within a few microseconds.
func Now() int64 { return base.machine + int64(time.Since(base.at)) }

// tie reads both clocks several times and keeps the pair that was read in the shortest time, so that a process that was
// put aside between the two readings does not shift all its latencies.
func tie() tied {
	var best tied
	shortest := time.Duration(1<<63 - 1)
	for range 20 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			panic(fmt.Sprintf("mark: read CLOCK_MONOTONIC: %v", err))
		}
		took := time.Since(before)
		if took < shortest {
			shortest, best = took, tied{at: before.Add(took / 2), machine: ts.Nano()}
		}
	}
	return best
}
