package intake

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"kentongan/internal/nap"
	"kentongan/realtime"
)

// The doors, as the quarantine names them.
const (
	DoorPubSub = "pubsub"
	DoorStream = "stream"
)

// Bounds of what waits to be held. Nobody waits for the quarantine: a message path that did would stand still with it.
const (
	maxAside      = 1024
	maxAsideBytes = 4 << 20
)

// Aside takes what was refused, and has it held in a quarantine beside the path of messages. When more is refused than can be written, the
// newest is let go and counted: the quarantine keeps a few examples anyway.
type Aside struct {
	quarantine realtime.Quarantine
	log        *slog.Logger
	wake       chan struct{}

	mu      sync.Mutex
	waiting []realtime.Held
	bytes   int

	held, lost atomic.Uint64
}

// AsideStats is a snapshot of what an Aside has done.
type AsideStats struct{ Held, Lost uint64 }

// NewAside returns one that has not begun. nil log discards.
func NewAside(q realtime.Quarantine, log *slog.Logger) *Aside {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Aside{quarantine: q, log: log, wake: make(chan struct{}, 1)}
}

// Put takes a message of plain PUBLISH that was refused. It does not wait, and keeps data: nobody may write to it.
func (a *Aside) Put(ch realtime.Channel, data []byte, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxAside || a.bytes+len(data) > maxAsideBytes && a.bytes > 0 {
		a.lost.Add(1)
		return
	}
	a.waiting = append(a.waiting, realtime.Held{Channel: ch, Door: DoorPubSub, Reason: why, Data: data})
	a.bytes += len(data)
	poke(a.wake)
}

// Run writes until ctx ends. It is called once.
func (a *Aside) Run(ctx context.Context) error {
	for {
		select {
		case <-a.wake:
			a.write(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
			a.write(last)
			cancel()
			return nil
		}
	}
}

// write has everything held that waits. What cannot be held now is tried again a few times: then the engine is out, and messages are no
// longer refused.
func (a *Aside) write(ctx context.Context) {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting, a.bytes = nil, 0
	a.mu.Unlock()
	for i := range waiting {
		for fails := 0; ; fails++ {
			err := a.quarantine.Hold(ctx, &waiting[i])
			if err == nil {
				a.held.Add(1)
				break
			}
			if fails >= 3 || !nap.For(ctx, backoff(fails)) {
				a.lost.Add(uint64(len(waiting) - i)) //nolint:gosec // a count
				a.log.Warn("refused messages could not be held in the quarantine", "messages", len(waiting)-i, "err", err)
				return
			}
		}
	}
}

// Stats returns the counters.
func (a *Aside) Stats() AsideStats { return AsideStats{a.held.Load(), a.lost.Load()} }
