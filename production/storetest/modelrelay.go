package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// Wake is as production.Outbox has it.
func (m *Model) Wake() <-chan struct{} { return m.wake }

// Claim is as production.Outbox has it.
func (m *Model) Claim(ctx context.Context, owner string, d time.Duration, limit int) (production.Claim, error) {
	if err := over(ctx); err != nil {
		return production.Claim{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var oldest production.Event
	for t, k := range m.kitchens {
		if k.sent == k.seq || !k.lease.free(owner) {
			continue
		}
		if e := k.unsent()[0]; oldest.Seq == 0 || cmp.Or(cmp.Compare(e.At, oldest.At), cmp.Compare(t, oldest.Tenant)) < 0 {
			oldest = e
		}
	}
	if oldest.Seq == 0 {
		return production.Claim{}, fmt.Errorf("unsent events: %w", production.ErrNotFound)
	}
	k := m.kitchens[oldest.Tenant]
	k.lease = lease{owner, time.Now().Add(d)}
	waiting := k.unsent()
	events := slices.Clone(head(waiting, limit))
	return production.Claim{Tenant: oldest.Tenant, Events: events, More: len(events) < len(waiting)}, nil
}

func (k *kitchen) unsent() []production.Event {
	i := slices.IndexFunc(k.events, func(e production.Event) bool { return e.Seq > k.sent })
	if i < 0 {
		return nil
	}
	return k.events[i:]
}

// MarkSent is as production.Outbox has it.
func (m *Model) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	if err := over(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	if !k.lease.heldBy(owner) {
		return fmt.Errorf("events of %s: no lease of %s: %w", t, owner, production.ErrConflict)
	}
	if seq > k.seq {
		return fmt.Errorf("events of %s: there is no event %d: %w", t, seq, production.ErrInvalid)
	}
	k.sent, k.lease = max(k.sent, seq), lease{}
	for _, s := range at {
		k.positions[s.Channel] = s
	}
	return nil
}

// Release is as production.Outbox has it.
func (m *Model) Release(ctx context.Context, owner string, t tenant.ID) error {
	if err := over(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.kitchen(t); k.lease.owner == owner {
		k.lease = lease{}
	}
	return nil
}

// Backlog is as production.Outbox has it.
func (m *Model) Backlog(ctx context.Context) (n int64, oldest production.Instant, err error) {
	if err := over(ctx); err != nil {
		return 0, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.kitchens {
		if waiting := k.unsent(); len(waiting) > 0 {
			if n == 0 || waiting[0].At < oldest {
				oldest = waiting[0].At
			}
			n += int64(len(waiting))
		}
	}
	return n, oldest, nil
}

// Forget is as production.Outbox has it.
func (m *Model) Forget(ctx context.Context, b production.Before, limit int) (int, error) {
	if err := over(ctx); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	events, notices, keys, observed := limit, limit, limit, limit
	take := func(left *int, old bool) bool {
		if !old || *left <= 0 {
			return false
		}
		*left--
		return true
	}
	for _, k := range m.kitchens {
		k.events = slices.DeleteFunc(k.events, func(e production.Event) bool {
			return take(&events, e.At < b.Events && e.Seq <= k.sent && e.Seq < k.seq)
		})
		for id, n := range k.notices {
			if take(&notices, n.done && n.At < b.Events) {
				delete(k.notices, id)
			}
		}
		for id, r := range k.keys {
			if take(&keys, r.At < b.Keys) {
				delete(k.keys, id)
			}
		}
		for id, o := range k.observed {
			if take(&observed, o.At < b.Observations) {
				delete(k.observed, id)
			}
		}
	}
	return 4*limit - events - notices - keys - observed, nil
}

// DueBatches is as production.Timers has it.
func (m *Model) DueBatches(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Due
	for _, k := range m.kitchens {
		for _, b := range k.batches {
			if b.NextLook.Known() && b.NextLook <= now && !b.Production.DeletedAt.Known() {
				list = append(list, production.Due{Kitchen: k.kitchenState(), Batch: k.whole(b), Day: k.load(b.Production.Day)})
			}
		}
	}
	slices.SortFunc(list, func(a, b production.Due) int {
		return cmp.Or(cmp.Compare(a.Batch.NextLook, b.Batch.NextLook),
			cmp.Compare(a.Kitchen.Kitchen.ID, b.Kitchen.Kitchen.ID), strings.Compare(a.Batch.Production.ID, b.Batch.Production.ID))
	})
	return head(list, limit), nil
}

// DueKitchens is as production.Timers has it.
func (m *Model) DueKitchens(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Due
	for _, k := range m.kitchens {
		if k.state.NextLook.Known() && k.state.NextLook <= now {
			list = append(list, production.Due{Kitchen: k.kitchenState()})
		}
	}
	slices.SortFunc(list, func(a, b production.Due) int {
		return cmp.Or(cmp.Compare(a.Kitchen.NextLook, b.Kitchen.NextLook), cmp.Compare(a.Kitchen.Kitchen.ID, b.Kitchen.Kitchen.ID))
	})
	return head(list, limit), nil
}

// NextDue is as production.Timers has it.
func (m *Model) NextDue(ctx context.Context) (production.Instant, error) {
	if err := over(ctx); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var next production.Instant
	look := func(at production.Instant) {
		if at.Known() && (!next.Known() || at < next) {
			next = at
		}
	}
	for _, k := range m.kitchens {
		look(k.state.NextLook)
		for _, b := range k.batches {
			if !b.Production.DeletedAt.Known() {
				look(b.NextLook)
			}
		}
	}
	return next, nil
}

// ClaimNotices is as production.Timers has it.
func (m *Model) ClaimNotices(ctx context.Context, owner string, now production.Instant, d time.Duration, limit int) ([]production.Notice, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []*notice
	for _, k := range m.kitchens {
		for _, n := range k.notices {
			if !n.done && n.NextTry <= now && n.lease.free(owner) {
				due = append(due, n)
			}
		}
	}
	slices.SortFunc(due, func(a, b *notice) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Tenant, b.Tenant), strings.Compare(a.ID, b.ID))
	})
	var list []production.Notice
	for _, n := range head(due, limit) {
		n.lease = lease{owner, time.Now().Add(d)}
		list = append(list, n.Notice)
	}
	return list, nil
}

// SettleNotice is as production.Timers has it.
func (m *Model) SettleNotice(ctx context.Context, owner string, n production.Notice, done bool) error {
	if err := over(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := m.kitchen(n.Tenant).notices[n.ID]
	if stored == nil || stored.done || !stored.lease.heldBy(owner) {
		return fmt.Errorf("notice %s: no lease of %s: %w", n.ID, owner, production.ErrConflict)
	}
	stored.done, stored.lease = done, lease{}
	stored.NextTry, stored.Attempts, stored.LastError = n.NextTry, n.Attempts, n.LastError
	return nil
}
