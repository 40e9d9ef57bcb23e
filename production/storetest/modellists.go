package storetest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// Batches is as production.Lists has it.
func (m *Model) Batches(ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int) ([]production.Production, error) {
	batches, err := m.Facts(ctx, t, f, after, limit)
	var list []production.Production
	for i := range batches {
		list = append(list, batches[i].Production)
	}
	return list, err
}

// Facts is as production.Lists has it.
func (m *Model) Facts(ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int) ([]production.Batch, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Batch
	for _, b := range m.kitchen(t).batches {
		p := &b.Production
		if p.DeletedAt.Known() || f.From != "" && p.Day < f.From || f.To != "" && p.Day > f.To || f.MenuID != "" && p.MenuID != f.MenuID ||
			f.Statuses != nil && !slices.Contains(f.Statuses, p.Status) || !strings.Contains(rows.Search(p), rows.Fold(f.Text)) {
			continue
		}
		list = append(list, b.Batch)
	}
	order := byPlace
	if f.Backwards {
		order = func(a, b production.BatchPlace) int { return byPlace(b, a) }
	}
	slices.SortFunc(list, func(a, b production.Batch) int { return order(placeOf(&a.Production), placeOf(&b.Production)) })
	if after != nil {
		list = slices.DeleteFunc(list, func(b production.Batch) bool { return order(placeOf(&b.Production), *after) <= 0 })
	}
	return head(list, limit), nil
}

func placeOf(p *production.Production) production.BatchPlace {
	return production.BatchPlace{Day: p.Day, PlannedStart: p.PlannedStart, ID: p.ID}
}

func byPlace(a, b production.BatchPlace) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.PlannedStart, b.PlannedStart), cmp.Compare(a.ID, b.ID))
}

// head returns at most limit of list, and nil for none.
func head[T any](list []T, limit int) []T {
	if list = list[:min(len(list), max(limit, 0))]; len(list) == 0 {
		return nil
	}
	return list
}

// Batch is as production.Lists has it.
func (m *Model) Batch(ctx context.Context, t tenant.ID, id string) (production.Batch, error) {
	if err := over(ctx); err != nil {
		return production.Batch{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	b := k.live(id)
	if b == nil {
		return production.Batch{}, fmt.Errorf("production %s: %w", id, production.ErrNotFound)
	}
	return k.whole(b), nil
}

// Rows is as production.Lists has it.
func (m *Model) Rows(ctx context.Context, t tenant.ID, id, after string, limit int) (production.Rows, error) {
	if err := over(ctx); err != nil {
		return production.Rows{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	b := k.live(id)
	if b == nil {
		return production.Rows{}, fmt.Errorf("production %s: %w", id, production.ErrNotFound)
	}
	r := b.rows
	if after != "" {
		i := slices.IndexFunc(r.Readings, func(r production.Reading) bool { return r.ID == after })
		if i < 0 {
			return production.Rows{}, fmt.Errorf("reading %s: %w", after, production.ErrNotFound)
		}
		r.Readings = r.Readings[i+1:]
	}
	r.Readings = head(slices.Clone(r.Readings), limit)
	for _, a := range k.alerts {
		if a.ProductionID == id {
			r.Alerts = append(r.Alerts, a)
		}
	}
	slices.SortFunc(r.Alerts, oldestFirst)
	return r, nil
}

// Photo is as production.Lists has it.
func (m *Model) Photo(ctx context.Context, t tenant.ID, id, photo string) (production.Photo, error) {
	if err := over(ctx); err != nil {
		return production.Photo{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.kitchen(t).live(id); b != nil {
		for _, p := range b.rows.Photos {
			if p.ID == photo {
				p.Data = slices.Clone(b.photos[photo])
				return p, nil
			}
		}
	}
	return production.Photo{}, fmt.Errorf("photo %s: %w", photo, production.ErrNotFound)
}

// Snapshot is as production.Lists has it.
func (m *Model) Snapshot(ctx context.Context, t tenant.ID, since production.Day) (production.Snapshot, error) {
	if err := over(ctx); err != nil {
		return production.Snapshot{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	s := production.Snapshot{Seq: k.seq, Positions: sortedBy(maps.Values(k.positions), func(s production.Sent) string { return s.Channel })}
	for _, b := range k.batches {
		if p := &b.Production; !p.DeletedAt.Known() && (p.Open() || p.Day >= since) {
			s.Batches = append(s.Batches, k.whole(b))
		}
	}
	slices.SortFunc(s.Batches, func(a, b production.Batch) int { return byPlace(placeOf(&a.Production), placeOf(&b.Production)) })
	for _, a := range k.alerts {
		if a.Active() {
			s.Alerts = append(s.Alerts, a)
		}
	}
	slices.SortFunc(s.Alerts, oldestFirst)
	return s, nil
}

// Alerts is as production.Lists has it.
func (m *Model) Alerts(ctx context.Context, t tenant.ID, f production.AlertFilter, after *production.AlertPlace, limit int) ([]production.Alert, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Alert
	for _, a := range m.kitchen(t).alerts {
		if f.ProductionID != "" && a.ProductionID != f.ProductionID || f.Active && !a.Active() || a.Severity.Rank() < f.MinSeverity.Rank() ||
			f.Codes != nil && !slices.Contains(f.Codes, a.Code) || f.From.Known() && a.RaisedAt < f.From || f.To.Known() && a.RaisedAt >= f.To {
			continue
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b production.Alert) int { return oldestFirst(b, a) })
	if after != nil {
		place := production.Alert{RaisedAt: after.RaisedAt, ID: after.ID}
		list = slices.DeleteFunc(list, func(a production.Alert) bool { return oldestFirst(a, place) >= 0 })
	}
	return head(list, limit), nil
}

// References is as production.Lists has it.
func (m *Model) References(ctx context.Context, t tenant.ID) (production.References, error) {
	if err := over(ctx); err != nil {
		return production.References{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	return production.References{
		People:     sortedBy(maps.Values(k.people), func(p production.Person) string { return p.Name + "\x00" + p.ID }),
		Menus:      sortedBy(maps.Values(k.menus), func(v production.Menu) string { return v.Name + "\x00" + v.ID }),
		Programmes: sortedBy(maps.Values(k.programmes), func(v production.Programme) string { return v.Name + "\x00" + v.ID }),
	}, nil
}

func sortedBy[T any](values iter.Seq[T], key func(T) string) []T {
	return slices.SortedFunc(values, func(a, b T) int { return strings.Compare(key(a), key(b)) })
}

// Observations is as production.Lists has it.
func (m *Model) Observations(ctx context.Context, t tenant.ID, flagged bool, after string, limit int) ([]production.Observation, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	newestFirst := func(a, b production.Observation) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(b.ID, a.ID))
	}
	place := find(k.observed, after)
	if after != "" && place == nil {
		return nil, fmt.Errorf("observation %s: %w", after, production.ErrNotFound)
	}
	var list []production.Observation
	for _, o := range k.observed {
		if (len(o.Flags) > 0 || !flagged) && (place == nil || newestFirst(o, *place) > 0) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, newestFirst)
	return head(list, limit), nil
}

// Audit is as production.Lists has it.
func (m *Model) Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[production.AuditEntry, error] {
	return func(yield func(production.AuditEntry, error) bool) {
		if err := over(ctx); err != nil {
			yield(production.AuditEntry{}, err)
			return
		}
		m.mu.Lock()
		trail := slices.Clone(m.kitchen(t).audit)
		m.mu.Unlock()
		for _, e := range trail {
			if e.Seq >= from && !yield(e, nil) {
				return
			}
		}
	}
}

// Kitchens is as production.Lists has it.
func (m *Model) Kitchens(ctx context.Context, after tenant.ID, limit int) ([]production.Kitchen, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Kitchen
	for _, id := range slices.Sorted(maps.Keys(m.kitchens)) {
		if id > after {
			list = append(list, m.kitchens[id].state.Kitchen)
		}
	}
	return head(list, limit), nil
}

// Standings is as production.Standings has it.
func (m *Model) Standings(ctx context.Context, f production.StandingFilter, text string, after tenant.ID, limit int) ([]production.Standing, error) {
	list, err := m.standings(ctx)
	list = slices.DeleteFunc(list, func(s production.Standing) bool {
		return s.Kitchen.ID <= after || !f.Lets(&s) || !s.Kitchen.Named(text)
	})
	return head(list, limit), err
}

// CountStandings is as production.Standings has it.
func (m *Model) CountStandings(ctx context.Context) (n production.StandingCounts, err error) {
	list, err := m.standings(ctx)
	for i := range list {
		n.Kitchens++
		for f, to := range map[production.StandingFilter]*int{
			production.CookingKitchens: &n.Cooking, production.AlarmingKitchens: &n.Alarming, production.LateKitchens: &n.Behind,
		} {
			if f.Lets(&list[i]) {
				*to++
			}
		}
	}
	return n, err
}

// standings returns how all kitchens stand, in the order of ids.
func (m *Model) standings(ctx context.Context) ([]production.Standing, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []production.Standing
	for _, id := range slices.Sorted(maps.Keys(m.kitchens)) {
		k := m.kitchens[id]
		open := 0
		for _, b := range k.batches {
			if !b.Production.DeletedAt.Known() && !b.Production.Status.Final() {
				open++
			}
		}
		var last production.Instant
		for _, e := range k.events {
			if e.Seq == k.seq {
				last = e.At
			}
		}
		active := slices.DeleteFunc(slices.Collect(maps.Values(k.alerts)), func(a production.Alert) bool { return !a.Active() })
		list = append(list, production.StandingOf(k.state.Kitchen, open, last, active))
	}
	return list, nil
}
