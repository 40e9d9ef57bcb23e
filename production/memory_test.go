package production

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"kentongan/tenant"
)

// memory is a Store for the tests of this package, as simple as it can be: one lock and maps. The real ones pass storetest.
type memory struct {
	mu       sync.Mutex
	kitchens map[tenant.ID]*memoryKitchen
	commits  int
	conflict int // so many commits are refused as if somebody else had been quicker
	fail     error
}

type memoryKitchen struct {
	state      KitchenState
	people     map[string]Person
	menus      map[string]Menu
	programmes map[string]Programme
	batches    map[string]Batch // Alerts left out
	alerts     map[string]Alert
	remembered map[string]Remembered
	readings   []Reading
	checks     []Check
	samples    []Sample
	dispatches []Dispatch
	correct    []Correction
	events     []Event
	notices    []Notice
	audit      []AuditEntry
	observed   []Observation
}

func (m *memory) kitchen(t tenant.ID) *memoryKitchen {
	if m.kitchens == nil {
		m.kitchens = map[tenant.ID]*memoryKitchen{}
	}
	k := m.kitchens[t]
	if k == nil {
		k = &memoryKitchen{
			state: KitchenState{Kitchen: Kitchen{ID: t}}, people: map[string]Person{}, menus: map[string]Menu{},
			programmes: map[string]Programme{}, batches: map[string]Batch{}, alerts: map[string]Alert{}, remembered: map[string]Remembered{},
		}
		m.kitchens[t] = k
	}
	return k
}

func (m *memory) Load(_ context.Context, t tenant.ID, w Want) (Loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return Loaded{}, m.fail
	}
	k := m.kitchen(t)
	in := Loaded{Kitchen: k.state, Day: k.load(w.Day), People: map[string]Person{}}
	in.Kitchen.Alerts = k.active("")
	if w.Production != "" {
		b, ok := k.batches[w.Production]
		if !ok || b.Production.DeletedAt.Known() {
			return Loaded{}, fmt.Errorf("batch: %w", ErrNotFound)
		}
		b.Alerts = k.active(w.Production)
		in.Batch, in.Day = b, k.load(b.Production.Day)
	}
	if r, ok := k.remembered[w.Key]; ok && w.Key != "" {
		in.Remembered = &r
	}
	if menu, ok := k.menus[w.Menu]; ok {
		in.Menu = &menu
	}
	if programme, ok := k.programmes[w.Programme]; ok {
		in.Programme = &programme
	}
	for _, id := range w.People {
		if p, ok := k.people[id]; ok {
			in.People[id] = p
		}
	}
	if a, ok := k.alerts[w.Alert]; ok {
		in.Alert = &a
	}
	for _, r := range k.readings {
		if r.ID == w.Reading && r.ProductionID == w.Production {
			in.Reading = &r
		}
	}
	in.Observed = slices.ContainsFunc(k.observed, func(o Observation) bool { return o.ID == w.Observed })
	return in, nil
}

func (k *memoryKitchen) active(production string) []Alert {
	var list []Alert
	for _, id := range slices.Sorted(maps.Keys(k.alerts)) {
		if a := k.alerts[id]; a.ProductionID == production && a.Active() {
			list = append(list, a)
		}
	}
	return list
}

func (k *memoryKitchen) load(day Day) DayLoad {
	var l DayLoad
	for _, b := range k.batches {
		if b.Production.Day != day {
			continue
		}
		l.Portions += b.Production.Counted()
		var n int
		fmt.Sscanf(b.Production.BatchNumber, "BATCH-%8d-%d", new(int), &n)
		l.LastNumber = max(l.LastNumber, n)
	}
	return l
}

func (m *memory) Commit(_ context.Context, c Commit) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if m.conflict > 0 {
		m.conflict--
		return nil, ErrConflict
	}
	k := m.kitchen(c.Tenant)
	if c.Batch != nil {
		old, there := k.batches[c.Batch.Production.ID]
		if old.Revision != c.Base || c.Batch.Revision != c.Base+1 || there == (c.Base == 0) {
			return nil, ErrConflict
		}
		for _, b := range k.batches {
			if b.Production.ID != c.Batch.Production.ID && b.Production.BatchNumber == c.Batch.Production.BatchNumber {
				return nil, ErrConflict
			}
		}
	}
	if c.Kitchen != nil && k.state.Revision != c.KitchenBase {
		return nil, ErrConflict
	}
	if c.Remember != nil {
		if _, there := k.remembered[c.Remember.Key]; there {
			return nil, ErrConflict
		}
		k.remembered[c.Remember.Key] = *c.Remember
	}
	for _, o := range c.Observations {
		if slices.ContainsFunc(k.observed, func(old Observation) bool { return old.ID == o.ID }) {
			return nil, ErrConflict
		}
	}
	m.commits++
	return k.write(c), nil
}

func (k *memoryKitchen) write(c Commit) []Event {
	if c.Batch != nil {
		b := *c.Batch
		b.Alerts = nil
		k.batches[b.Production.ID] = b
	}
	if c.Kitchen != nil {
		k.state = *c.Kitchen
		k.state.Alerts = nil
	}
	for _, a := range c.Alerts {
		k.alerts[a.ID] = a
		if n := len(k.active(a.ProductionID)); n > 0 {
			seen := map[AlertCode]bool{}
			for _, other := range k.active(a.ProductionID) {
				if seen[other.Code] {
					panic("two active alerts of one code")
				}
				seen[other.Code] = true
			}
		}
	}
	for id, b := range k.batches {
		if c.LookAgain.Known() && (b.Production.Open() || b.NextLook.Known()) {
			b.NextLook = c.LookAgain
			k.batches[id] = b
		}
	}
	k.readings, k.checks = append(k.readings, c.Readings...), append(k.checks, c.Checks...)
	k.samples, k.dispatches = append(k.samples, c.Samples...), append(k.dispatches, c.Dispatches...)
	k.correct, k.notices = append(k.correct, c.Corrections...), append(k.notices, c.Notices...)
	k.observed = append(k.observed, c.Observations...)
	first := len(k.events)
	for _, e := range c.Events {
		e.Seq = int64(len(k.events) + 1)
		k.events = append(k.events, e)
	}
	for _, e := range c.Audit {
		var last AuditEntry
		if n := len(k.audit); n > 0 {
			last = k.audit[n-1]
		}
		k.audit = append(k.audit, e.Sealed(last))
	}
	for _, p := range c.Put.People {
		if p.PIN == "" {
			p.PIN = k.people[p.ID].PIN
		}
		k.people[p.ID] = p
	}
	for _, menu := range c.Put.Menus {
		k.menus[menu.ID] = menu
	}
	for _, p := range c.Put.Programmes {
		k.programmes[p.ID] = p
	}
	return slices.Clone(k.events[first:])
}

// due returns what the alert engine would look at.
func (m *memory) due(now Instant) []Due {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Due
	for _, k := range m.kitchens {
		state := k.state
		state.Alerts = k.active("")
		if state.NextLook.Known() && state.NextLook <= now {
			list = append(list, Due{Kitchen: state})
		}
		for _, id := range slices.Sorted(maps.Keys(k.batches)) {
			b := k.batches[id]
			if b.NextLook.Known() && b.NextLook <= now {
				b.Alerts = k.active(id)
				list = append(list, Due{Kitchen: state, Batch: b, Day: k.load(b.Production.Day)})
			}
		}
	}
	return list
}
