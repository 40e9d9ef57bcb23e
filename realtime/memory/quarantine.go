package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// maxQuarantineBytes bounds what is held of all tenants together: a quarter of what the history has by default. Past it the tenant that
// has the most loses its oldest.
const maxQuarantineBytes = 64 << 20

// Quarantine is the realtime.Quarantine of one process. Its zero value is ready.
type Quarantine struct {
	mu    sync.Mutex
	seq   uint64
	total int
	cells map[tenant.ID]*cell
}

// cell is what is held of one tenant, the oldest first; at least one.
type cell struct {
	held  []realtime.Held
	bytes int
}

var _ realtime.Quarantine = (*Quarantine)(nil)

// Hold implements realtime.Quarantine.
func (q *Quarantine) Hold(ctx context.Context, h *realtime.Held) error {
	if err := ended(ctx, "hold"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.seq++
	h.ID = fmt.Sprintf("%013d-%d", now.UnixMilli(), q.seq)
	h.Time = time.UnixMilli(now.UnixMilli()).UTC()
	if h.Bytes = len(h.Data); h.Bytes > realtime.MaxHeldBytes {
		h.Data = nil
	}
	if q.cells == nil {
		q.cells = map[tenant.ID]*cell{}
	}
	c := q.cells[h.Channel.Tenant]
	if c == nil {
		c = &cell{}
		q.cells[h.Channel.Tenant] = c
	}
	kept := *h
	kept.Data = slices.Clone(h.Data)
	c.held = append(c.held, kept)
	c.bytes += len(kept.Data)
	q.total += len(kept.Data)
	for len(c.held) > realtime.MaxHeld || c.bytes > realtime.MaxHeldTotal {
		q.dropOldest(h.Channel.Tenant)
	}
	q.expire(now)
	for q.total > maxQuarantineBytes {
		q.dropOldest(q.largest())
	}
	if len(q.cells) > realtime.MaxHeldTenants {
		order := q.order()
		q.forget(order[len(order)-1])
	}
	return nil
}

// dropOldest lets go of the oldest of t. The lock is held.
func (q *Quarantine) dropOldest(t tenant.ID) {
	c := q.cells[t]
	size := len(c.held[0].Data)
	c.held = slices.Delete(c.held, 0, 1)
	c.bytes -= size
	q.total -= size
	if len(c.held) == 0 {
		delete(q.cells, t)
	}
}

func (q *Quarantine) forget(t tenant.ID) {
	q.total -= q.cells[t].bytes
	delete(q.cells, t)
}

func (q *Quarantine) largest() (t tenant.ID) {
	most := -1
	for id, c := range q.cells {
		if c.bytes > most {
			t, most = id, c.bytes
		}
	}
	return t
}

// expire lets go of what is too old. The lock is held.
func (q *Quarantine) expire(now time.Time) {
	for t, c := range q.cells {
		for len(c.held) > 0 && now.Sub(c.held[0].Time) > realtime.HeldAge {
			q.dropOldest(t)
		}
	}
}

// order returns the tenants, the one with the newest first. The lock is held.
func (q *Quarantine) order() []tenant.ID {
	tenants := make([]tenant.ID, 0, len(q.cells))
	for t := range q.cells {
		tenants = append(tenants, t)
	}
	slices.SortFunc(tenants, func(a, b tenant.ID) int {
		x, y := q.cells[a].held, q.cells[b].held
		return compareIDs(y[len(y)-1].ID, x[len(x)-1].ID)
	})
	return tenants
}

// compareIDs compares by what counts up, which stands behind the dash.
func compareIDs(a, b string) int {
	number := func(id string) uint64 {
		for i := range len(id) {
			if id[i] == '-' {
				n, err := strconv.ParseUint(id[i+1:], 10, 64)
				if err == nil {
					return n
				}
			}
		}
		panic("memory: an id that Hold has not made: " + id)
	}
	x, y := number(a), number(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Tenants implements realtime.Quarantine.
func (q *Quarantine) Tenants(ctx context.Context) ([]tenant.ID, error) {
	if err := ended(ctx, "list tenants of"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(time.Now())
	return q.order(), nil
}

// List implements realtime.Quarantine.
func (q *Quarantine) List(ctx context.Context, t tenant.ID, limit int) ([]realtime.Held, error) {
	if err := ended(ctx, "list"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(time.Now())
	c := q.cells[t]
	if c == nil {
		return nil, nil
	}
	list := slices.Clone(c.held[max(0, len(c.held)-max(0, limit)):])
	slices.Reverse(list)
	for i := range list {
		list[i].Data = nil
	}
	return list, nil
}

// Find implements realtime.Quarantine.
func (q *Quarantine) Find(ctx context.Context, t tenant.ID, id string) (realtime.Held, error) {
	if err := ended(ctx, "read"); err != nil {
		return realtime.Held{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expire(time.Now())
	if at := q.find(t, id); at >= 0 {
		h := q.cells[t].held[at]
		h.Data = slices.Clone(h.Data)
		return h, nil
	}
	return realtime.Held{}, realtime.ErrNotHeld
}

// find returns where id is among what is held of t, or -1. The lock is held.
func (q *Quarantine) find(t tenant.ID, id string) int {
	c := q.cells[t]
	if c == nil {
		return -1
	}
	return slices.IndexFunc(c.held, func(h realtime.Held) bool { return h.ID == id })
}

// Drop implements realtime.Quarantine.
func (q *Quarantine) Drop(ctx context.Context, t tenant.ID, ids ...string) (n int, err error) {
	if err := ended(ctx, "drop"); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		at := q.find(t, id)
		if at < 0 {
			continue
		}
		c := q.cells[t]
		size := len(c.held[at].Data)
		c.held = slices.Delete(c.held, at, at+1)
		c.bytes -= size
		q.total -= size
		n++
		if len(c.held) == 0 {
			delete(q.cells, t)
		}
	}
	return n, nil
}

// ended returns an ErrUnavailable if ctx is over.
func ended(ctx context.Context, doing string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s quarantine: %w: %w", doing, realtime.ErrUnavailable, err)
	}
	return nil
}
