package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"kentongan/production"
	"kentongan/realtime"
	"kentongan/tenant"
)

var errNoID = errors.New("the event has no id")

// maxPoison bounds the list of events that were set aside. They are exceptions: each is a mistake in code or in settings.
const maxPoison = 100

// Poison is an event that can never be published. It stays in the database until it is forgotten there with all others of its age; its
// batch, with all that happened to it, stays for ever.
type Poison struct {
	Tenant       tenant.ID          `json:"sppgId"`
	Seq          int64              `json:"seq"` // its number in the outbox of the tenant
	Event        string             `json:"event"`
	Channel      string             `json:"channel"`
	ProductionID string             `json:"productionId,omitempty"`
	At           production.Instant `json:"at"`
	Reason       string             `json:"reason"`
}

// poisoned is the newest events that were set aside by this process.
type poisoned struct {
	mu    sync.Mutex
	total uint64
	list  []Poison // oldest first
}

func (p *poisoned) add(one Poison) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total++
	if len(p.list) == maxPoison {
		p.list = slices.Delete(p.list, 0, 1)
	}
	p.list = append(p.list, one)
}

// setAside gives up an event that can never be published, loudly: it is logged and listed, and the readers of its channel are told a
// gap, for something is missing there. If they cannot be told now, the event is tried again.
func (w *worker) setAside(ctx context.Context, e *production.Event, ch realtime.Channel, why error) error {
	if turner, can := w.broker.(realtime.EpochTurner); can && !errors.Is(why, realtime.ErrNoChannel) {
		if err := turner.TurnEpoch(ctx, ch, realtime.GapIntake); err != nil {
			return fmt.Errorf("tell the readers of %s that event %s is missing: %w", e.Channel, e.ID, err)
		}
	}
	w.poison.add(Poison{
		Tenant: e.Tenant, Seq: e.Seq, Event: e.ID, Channel: e.Channel, ProductionID: e.ProductionID, At: e.At, Reason: why.Error(),
	})
	w.opts.Log.ErrorContext(ctx, "event set aside: it can never be published", "tenant", e.Tenant, "production", e.ProductionID,
		"event", e.ID, "channel", e.Channel, "err", why)
	return nil
}

// Poisoned returns the newest events that this process has set aside, newest first, and how many it has in all.
func (r *Relay) Poisoned() (list []Poison, total uint64) {
	r.poison.mu.Lock()
	defer r.poison.mu.Unlock()
	list = slices.Clone(r.poison.list)
	slices.Reverse(list)
	return list, r.poison.total
}
