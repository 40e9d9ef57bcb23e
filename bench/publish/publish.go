// Package publish sends marked messages at a steady rate, as the app would: with PUBLISH to a Redis, in lists to
// POST /api/publish, or in bare lines to the floor.
package publish

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"kentongan/bench/mark"
)

// Door takes messages. It is for one goroutine.
type Door interface {
	// Add puts a message for a tenant into the batch. It copies text.
	Add(tenant int, text []byte)
	// Flush sends the batch. It returns when the other side has it, or, where that is not told, when it is written.
	Flush() error
	// Close waits until all that was sent is acknowledged, and returns an error if something was not.
	Close() error
}

// Tenant returns the name of tenant number i.
func Tenant(i int) string { return fmt.Sprintf("bench_%06d", i) }

// Channel returns the Redis name of the channel that tenant number i's messages go to.
func Channel(i int) string { return "production:updates:" + Tenant(i) }

// Load is a steady stream to Tenants tenants in turn, from number First on.
type Load struct {
	First   int
	Tenants int
	Rate    int // messages a second, to all tenants together
	Bytes   int // of a message
}

// Sent is what became of a Load.
type Sent struct {
	Messages int
	Took     time.Duration
	Late     time.Duration // the longest that a message was sent behind its time
}

// Publisher sends a Load. Messages of a tenant are numbered on from one Run to the next. It is for one goroutine.
type Publisher struct {
	door Door
	load Load
	now  func() int64
	msg  *mark.Message
	sent int // of all runs
}

// New returns a Publisher that stamps messages with now, which is [mark.Now] where a driver is to understand it. It returns
// an error if the messages are too short for their marks.
func New(door Door, load Load, now func() int64) (*Publisher, error) {
	msg, err := mark.NewMessage(load.Bytes)
	if err != nil {
		return nil, err
	}
	return &Publisher{door: door, load: load, now: now, msg: msg}, nil
}

// Run sends for a duration, Rate × duration messages in all. Those that are due at the same look at the clock go in one
// batch, each stamped when it is put there: a slow door shows as lateness and as latency of what waits behind it, but not
// as latency of a message that was not sent yet. (That is what Late is for: a run with a Late above the latencies has to
// be read with care.) It ends early with ctx's error.
func (p *Publisher) Run(ctx context.Context, duration time.Duration) (Sent, error) {
	runtime.LockOSThread() // a timer on its own thread is not late because of others in this process
	defer runtime.UnlockOSThread()
	total := int(float64(p.load.Rate) * duration.Seconds())
	interval := time.Second / time.Duration(p.load.Rate)
	var result Sent
	started := time.Now()
	for result.Messages < total {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		elapsed := time.Since(started)
		due := min(int(elapsed/interval)+1, total)
		if due == result.Messages {
			// A millisecond at least: the load of thousands a second comes in small bursts, as from an app.
			next := time.Duration(result.Messages) * interval
			time.Sleep(max(next-elapsed, time.Millisecond))
			continue
		}
		result.Late = max(result.Late, elapsed-time.Duration(result.Messages)*interval)
		for ; result.Messages < due; result.Messages++ {
			tenant, seq := p.load.First+p.sent%p.load.Tenants, p.sent/p.load.Tenants+1
			p.door.Add(tenant, p.msg.Stamp(mark.Mark{Sent: p.now(), Tenant: tenant, Seq: seq}))
			p.sent++
		}
		if err := p.door.Flush(); err != nil {
			return result, fmt.Errorf("publish: %w", err)
		}
	}
	result.Took = time.Since(started)
	return result, nil
}
