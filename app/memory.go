package app

import (
	"context"
	"os"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

const (
	// storm is how many connections make enough garbage to be worth giving back.
	storm = 500

	// calm is how long nobody may have connected before the storm is taken for over.
	calm = 3 * time.Second

	// headroom is the garbage that may gather before it is collected, where Go would allow less: as much again as is alive. What
	// lives lies between it, and the pages of both stay when it is gone; so while people connect, it is little. Measured with
	// 15,000 of them within a second: 1.5 KB each with 64 MiB, 1.2 with 8, at the same CPU time.
	headroom = 8 << 20

	// busyHeadroom is the same while messages make more than busyRate bytes of garbage a second and hardly anybody connects. They leave
	// nothing behind, and what is alive, which each collection looks through, is much.
	busyHeadroom = 64 << 20
	busyRate     = 4 << 20
	busyConnects = 100 // a second, at most

	// maxPercent bounds the collector's percentage where next to nothing is alive.
	maxPercent = 400
)

// keepMemory keeps the garbage collector from working too often, and gives memory back once a storm of connects is over:
// an idle server allocates next to nothing, so the collector would let the garbage of handshakes stand beside the
// sessions for minutes. GOGC in the environment switches the first off. It returns when ctx ends.
func keepMemory(ctx context.Context, opened func() uint64) {
	tune := os.Getenv("GOGC") == "" //nolint:forbidigo // it is Go's own variable
	if tune {
		before := debug.SetGCPercent(maxPercent)
		defer debug.SetGCPercent(before)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var freed, last uint64 // connections that had been opened when memory was freed, and at the last look
	var quiet time.Duration
	allocated := heapBytes(allocatedBytes)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := opened()
		if tune {
			before := allocated
			allocated = heapBytes(allocatedBytes)
			room := uint64(headroom)
			if allocated-before > busyRate && now-last < busyConnects {
				room = busyHeadroom
			}
			debug.SetGCPercent(percent(heapBytes(aliveBytes), room))
		}
		quiet += time.Second
		if now != last {
			quiet = 0
		}
		last = now
		if now-freed >= storm && quiet >= calm {
			debug.FreeOSMemory()
			freed = now
		}
	}
}

// percent returns what to set the collector to if so many bytes are alive: room, but not less than Go's own 100.
func percent(alive, room uint64) int {
	return int(min(maxPercent, max(100, 100*room/max(1, alive))))
}

// What Go tells of its heap.
const (
	aliveBytes     = "/gc/heap/live:bytes"   // that the last collection left
	allocatedBytes = "/gc/heap/allocs:bytes" // since the process began
)

func heapBytes(name string) uint64 {
	sample := []gometrics.Sample{{Name: name}}
	gometrics.Read(sample)
	return sample[0].Value.Uint64()
}
