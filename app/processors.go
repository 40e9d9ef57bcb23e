package app

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"time"
)

const (
	// loadTick is how often the load is looked at. A burst that needs more than it has waits for at most one of them.
	loadTick = 100 * time.Millisecond

	// crowded is the part of its processors from which on the server gets one more, and roomy that of one fewer from which on one is taken
	// away. Between the two nothing changes, so that a steady load does not make the number swing. With 0.85 a connect in a storm costs 5 %
	// less on a machine of two, but what is live waits behind others: neighbours' p99 is 1.73 times what it is elsewhere, and not 1.21.
	crowded = 0.75
	roomy   = 0.45

	// roomyFor is how long it has to be roomy, taken together: a single tick says little of a load that comes in bursts, and
	// a server that has one processor too many uses more of them, so that no ten ticks in a row might ever be calm.
	roomyFor = 10 * loadTick
)

// followLoad lets Go use only as many processors as the load needs, until ctx ends. Each message wakes a goroutine or two, and
// with idle processors at hand Go wakes a thread for each, which looks for work, finds none, and sleeps again. Measured with
// 20,000 deliveries a second, a fifth of one processor: 15.4 µs of CPU a delivery with two, 11.1 with one. GOMAXPROCS in the
// environment switches it off. While replaying returns true there are two at least: somebody works for as long as he is let, and
// what is live would have to wait until he gives way.
func followLoad(ctx context.Context, log *slog.Logger, replaying func() bool) {
	most := runtime.GOMAXPROCS(0)
	if most == 1 || os.Getenv("GOMAXPROCS") != "" { //nolint:forbidigo // it is Go's own variable
		return
	}
	defer runtime.GOMAXPROCS(most)
	tick := time.NewTicker(loadTick)
	defer tick.Stop()
	p := processors{most: most, now: most}
	at, used := time.Now(), cpuTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, cpu := time.Now(), cpuTime()
		before := p.now
		p.least = 1
		if replaying() {
			p.least = 2
		}
		if p.look(now.Sub(at), cpu-used) {
			runtime.GOMAXPROCS(p.now)
			log.Debug("processors follow the load", "before", before, "now", p.now)
		}
		at, used = now, cpu
	}
}

// processors says how many there should be.
type processors struct {
	most  int
	least int // at the moment; it is not more than most
	now   int
	span  time.Duration // since it was last crowded, or judged whether one fewer would do
	used  time.Duration // of all processors, in span
}

// look takes what was used of all processors in a span of time, and returns whether the number changes.
func (p *processors) look(span, used time.Duration) bool {
	if used.Seconds() > crowded*float64(p.now)*span.Seconds() {
		p.span, p.used = 0, 0
		if p.now == p.most {
			return false
		}
		p.now = min(p.most, 2*p.now) // half of a burst is over before we would have come there one by one
		return true
	}
	if p.now < p.least {
		p.span, p.used, p.now = 0, 0, p.least
		return true
	}
	if p.span, p.used = p.span+span, p.used+used; p.span < roomyFor {
		return false
	}
	roomy := p.now > p.least && p.used.Seconds() < roomy*float64(p.now-1)*p.span.Seconds()
	p.span, p.used = 0, 0
	if roomy {
		p.now--
	}
	return roomy
}
