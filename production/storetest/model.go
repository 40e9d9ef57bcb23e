package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// Model is a production.Store in memory. Its Commit copies by way of JSON, as a database does. It may be used concurrently.
type Model struct {
	*memory
	wake chan struct{}
}

// memory is what the nodes of a Model share.
type memory struct {
	mu       sync.Mutex
	kitchens map[tenant.ID]*kitchen // what has anything stored
	wakes    []chan struct{}        // of all nodes
}

var _ production.Store = (*Model)(nil)

// NewModel returns an empty Model.
func NewModel() *Model {
	return (&Model{memory: &memory{kitchens: map[tenant.ID]*kitchen{}}}).Node()
}

// Node returns another node on what m keeps.
func (m *Model) Node() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	wake := make(chan struct{}, 1)
	m.wakes = append(m.wakes, wake)
	return &Model{memory: m.memory, wake: wake}
}

// Close does nothing: what is stored stays.
func (*Model) Close() error { return nil }

// kitchen is everything of one tenant.
type kitchen struct {
	state      production.KitchenState
	batches    map[string]*batch
	alerts     map[string]production.Alert
	people     map[string]production.Person
	menus      map[string]production.Menu
	programmes map[string]production.Programme
	keys       map[string]production.Remembered
	observed   map[string]production.Observation
	audit      []production.AuditEntry

	events    []production.Event // those that were not forgotten
	seq, sent int64              // numbers of the newest event, and of the newest that was marked sent
	positions map[string]production.Sent
	lease     lease
	notices   map[string]*notice
}

type batch struct {
	production.Batch
	rows   production.Rows
	photos map[string][]byte // by id
}

type notice struct {
	production.Notice
	done  bool
	lease lease
}

type lease struct {
	owner string
	until time.Time
}

func (l lease) heldBy(owner string) bool { return l.owner == owner && time.Now().Before(l.until) }
func (l lease) free(owner string) bool   { return l.owner == owner || !time.Now().Before(l.until) }

func (m *memory) kitchen(t tenant.ID) *kitchen {
	if k := m.kitchens[t]; k != nil {
		return k
	}
	return &kitchen{
		state:   production.KitchenState{Kitchen: production.Kitchen{ID: t}},
		batches: map[string]*batch{}, alerts: map[string]production.Alert{}, people: map[string]production.Person{},
		menus: map[string]production.Menu{}, programmes: map[string]production.Programme{}, keys: map[string]production.Remembered{},
		observed: map[string]production.Observation{}, positions: map[string]production.Sent{}, notices: map[string]*notice{},
	}
}

// live returns the batch, or nil if there is none or it is deleted.
func (k *kitchen) live(id string) *batch {
	if b := k.batches[id]; b != nil && !b.Production.DeletedAt.Known() {
		return b
	}
	return nil
}

// active returns the active alerts of a batch, or with "" of the kitchen.
func (k *kitchen) active(id string) []production.Alert {
	var list []production.Alert
	for _, a := range k.alerts {
		if a.Active() && a.ProductionID == id {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, oldestFirst)
	return list
}

func oldestFirst(a, b production.Alert) int {
	return cmp.Or(cmp.Compare(a.RaisedAt, b.RaisedAt), strings.Compare(a.ID, b.ID))
}

func (k *kitchen) whole(b *batch) production.Batch {
	c := b.Batch
	c.Alerts = k.active(c.Production.ID)
	return c
}

func (k *kitchen) kitchenState() production.KitchenState {
	s := k.state
	s.Alerts = k.active("")
	return s
}

func (k *kitchen) load(day production.Day) (l production.DayLoad) {
	for _, b := range k.batches {
		p := &b.Production
		if p.Day != day {
			continue
		}
		l.LastNumber = max(l.LastNumber, rows.Number(p))
		if p.Status != production.Cancelled && !p.DeletedAt.Known() {
			l.Portions += p.PlannedPortions
		}
	}
	return l
}

// Load is as production.Changes has it.
func (m *Model) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	if err := over(ctx); err != nil {
		return production.Loaded{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(t)
	l := production.Loaded{
		Kitchen: k.kitchenState(), Remembered: find(k.keys, w.Key), Menu: find(k.menus, w.Menu), Programme: find(k.programmes, w.Programme),
		Alert: find(k.alerts, w.Alert), Observed: find(k.observed, w.Observed) != nil,
	}
	if w.Production != "" {
		b := k.live(w.Production)
		if b == nil {
			return production.Loaded{}, fmt.Errorf("production %s: %w", w.Production, production.ErrNotFound)
		}
		l.Batch, l.Day = k.whole(b), k.load(b.Production.Day)
		for i := range b.rows.Readings {
			if b.rows.Readings[i].ID == w.Reading {
				l.Reading = &b.rows.Readings[i]
			}
		}
	} else if w.Day != "" {
		l.Day = k.load(w.Day)
	}
	for _, id := range w.People {
		if p, ok := k.people[id]; ok {
			if l.People == nil {
				l.People = map[string]production.Person{}
			}
			l.People[id] = p
		}
	}
	return l, nil
}

func find[V any](in map[string]V, id string) *V {
	if v, ok := in[id]; ok {
		return &v
	}
	return nil
}

func over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", production.ErrUnavailable, err)
	}
	return nil
}

// Commit is as production.Changes has it.
func (m *Model) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	if err := over(ctx); err != nil {
		return nil, err
	}
	if err := rows.Check(&c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kitchen(c.Tenant)
	if err := k.conflict(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", production.ErrConflict, err)
	}
	m.kitchens[c.Tenant] = k
	k.writeBatch(&c)
	if c.Kitchen != nil {
		k.state = copied(*c.Kitchen)
		k.state.Alerts = nil
	}
	for _, a := range c.Alerts {
		k.alerts[a.ID] = copied(a)
	}
	for _, b := range k.batches {
		if c.LookAgain.Known() && !b.Production.DeletedAt.Known() && (b.Production.Open() || b.NextLook.Known()) {
			b.NextLook = c.LookAgain
		}
	}
	for _, o := range c.Observations {
		o.Payload, o.Flags = bytes.Clone(o.Payload), slices.Clone(o.Flags)
		k.observed[o.ID] = o
	}
	k.put(c.Put)
	if r := c.Remember; r != nil {
		remembered := *r
		remembered.Result = bytes.Clone(r.Result)
		k.keys[r.Key] = remembered
	}
	for _, n := range c.Notices {
		n.Payload = bytes.Clone(n.Payload)
		k.notices[n.ID] = &notice{Notice: n}
	}
	for _, e := range c.Audit {
		var last production.AuditEntry
		if len(k.audit) > 0 {
			last = k.audit[len(k.audit)-1]
		}
		e.Detail = bytes.Clone(e.Detail)
		k.audit = append(k.audit, e.Sealed(last))
	}
	var events []production.Event
	for _, e := range c.Events {
		k.seq++
		e.Seq = k.seq
		events = append(events, e)
		e.Payload = bytes.Clone(e.Payload)
		k.events = append(k.events, e)
	}
	if len(c.Events) > 0 || len(c.Notices) > 0 {
		for _, wake := range m.wakes {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}
	return events, nil
}

// conflict says what of c contradicts what is stored.
func (k *kitchen) conflict(c *production.Commit) error {
	if b := c.Batch; b != nil {
		stored := int64(0)
		if old := k.batches[b.Production.ID]; old != nil {
			stored = old.Revision
			if old.Production.DeletedAt.Known() {
				return fmt.Errorf("batch %s is deleted", b.Production.ID)
			}
		}
		if stored != c.Base {
			return fmt.Errorf("batch %s has revision %d, not %d", b.Production.ID, stored, c.Base)
		}
		for id, other := range k.batches {
			if id != b.Production.ID && b.Production.BatchNumber != "" && other.Production.BatchNumber == b.Production.BatchNumber {
				return fmt.Errorf("number %s is taken", b.Production.BatchNumber)
			}
		}
		if old := k.batches[b.Production.ID]; old != nil {
			if err := k.rowConflict(old, c); err != nil {
				return err
			}
		}
	}
	if c.Kitchen != nil && k.state.Revision != c.KitchenBase {
		return fmt.Errorf("the kitchen has revision %d, not %d", k.state.Revision, c.KitchenBase)
	}
	if c.Remember != nil && find(k.keys, c.Remember.Key) != nil {
		return fmt.Errorf("key %s is there", c.Remember.Key)
	}
	for _, o := range c.Observations {
		if find(k.observed, o.ID) != nil {
			return fmt.Errorf("observation %s is there", o.ID)
		}
	}
	for _, n := range c.Notices {
		if k.notices[n.ID] != nil {
			return fmt.Errorf("notice %s is there", n.ID)
		}
	}
	return k.alertConflict(c)
}

func (k *kitchen) rowConflict(old *batch, c *production.Commit) error {
	have := map[string]bool{}
	for _, e := range rows.Entries(&production.Commit{
		Readings: old.rows.Readings, Checks: old.rows.Checks, Samples: old.rows.Samples, Dispatches: old.rows.Dispatches, Corrections: old.rows.Corrections, Photos: old.rows.Photos,
	}) {
		have[string(e.Kind)+e.ID] = true
	}
	for _, e := range rows.Entries(c) {
		if have[string(e.Kind)+e.ID] {
			return fmt.Errorf("%s %s is there", e.Kind, e.ID)
		}
	}
	return nil
}

func (k *kitchen) alertConflict(c *production.Commit) error {
	after := maps.Clone(k.alerts)
	for _, a := range c.Alerts {
		after[a.ID] = a
	}
	seen := map[[2]string]bool{}
	for _, a := range after {
		key := [2]string{a.ProductionID, string(a.Code)}
		if a.Active() && seen[key] {
			return fmt.Errorf("a second active alert %s of batch %q", a.Code, a.ProductionID)
		}
		seen[key] = seen[key] || a.Active()
	}
	return nil
}

func (k *kitchen) writeBatch(c *production.Commit) {
	if c.Batch == nil {
		return
	}
	b := k.batches[c.Batch.Production.ID]
	if b == nil {
		b = &batch{}
		k.batches[c.Batch.Production.ID] = b
	}
	b.Batch = copied(*c.Batch)
	b.Alerts = nil
	b.Production.DeletedAt = c.Batch.Production.DeletedAt // it is not in the JSON
	for _, e := range rows.Entries(c) {
		doc, err := rows.Encode(e.Value)
		if err == nil {
			err = rows.Add(&b.rows, e.Kind, doc)
		}
		if err != nil {
			panic("storetest: " + err.Error())
		}
	}
	for _, p := range c.Photos {
		if b.photos == nil {
			b.photos = map[string][]byte{}
		}
		b.photos[p.ID] = slices.Clone(p.Data)
	}
}

func (k *kitchen) put(lists production.References) {
	for _, p := range lists.People {
		if p.PIN == "" {
			p.PIN = k.people[p.ID].PIN
		}
		k.people[p.ID] = p
	}
	for _, v := range lists.Menus {
		k.menus[v.ID] = copied(v)
	}
	for _, v := range lists.Programmes {
		k.programmes[v.ID] = v
	}
}

// copied returns v as it comes back from a database.
func copied[T any](v T) T {
	var back T
	doc, err := rows.Encode(v)
	if err == nil {
		err = rows.Decode(doc, &back)
	}
	if err != nil {
		panic("storetest: " + err.Error())
	}
	return back
}
