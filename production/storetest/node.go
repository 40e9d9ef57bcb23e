package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// node is one Store under test, with calls that end the test when they fail.
type node struct {
	Store
	t     testing.TB
	db    Database
	fresh func(testing.TB) Database // returns another database
}

func open(t testing.TB, newDatabase func(testing.TB) Database) *node {
	t.Helper()
	n := &node{t: t, db: newDatabase(t), fresh: newDatabase}
	return n.another()
}

// another returns another node on the same database.
func (n *node) another() *node {
	n.t.Helper()
	s := n.db.Open(n.t)
	n.t.Cleanup(func() { s.Close() })
	return &node{Store: s, t: n.t, db: n.db, fresh: n.fresh}
}

const (
	k1 = tenant.ID("clx0k1tchen0000000000001")
	k2 = tenant.ID("clx0k1tchen0000000000002")

	day = production.Day("2026-11-26")
)

// noon is a moment of the tests' day, in milliseconds, so that every digit has to survive.
const noon = production.Instant(1_795_669_200_123)

func (n *node) commit(c production.Commit) []production.Event {
	n.t.Helper()
	events, err := n.Commit(n.t.Context(), c)
	if err != nil {
		n.t.Fatalf("commit: %v", err)
	}
	return events
}

func (n *node) refused(c production.Commit, want error) {
	n.t.Helper()
	if events, err := n.Commit(n.t.Context(), c); !errors.Is(err, want) || events != nil {
		n.t.Fatalf("commit: got %d events and %v, want %v", len(events), err, want)
	}
}

func (n *node) load(t tenant.ID, w production.Want) production.Loaded {
	n.t.Helper()
	l, err := n.Load(n.t.Context(), t, w)
	if err != nil {
		n.t.Fatalf("load %+v: %v", w, err)
	}
	return l
}

func (n *node) batch(t tenant.ID, id string) production.Batch {
	n.t.Helper()
	b, err := n.Batch(n.t.Context(), t, id)
	if err != nil {
		n.t.Fatalf("batch %s: %v", id, err)
	}
	return b
}

func (n *node) rows(t tenant.ID, id string) production.Rows {
	n.t.Helper()
	r, err := n.Rows(n.t.Context(), t, id, "", 1000)
	if err != nil {
		n.t.Fatalf("rows of %s: %v", id, err)
	}
	return r
}

func (n *node) snapshot(t tenant.ID) production.Snapshot {
	n.t.Helper()
	s, err := n.Snapshot(n.t.Context(), t, day)
	if err != nil {
		n.t.Fatalf("snapshot: %v", err)
	}
	return s
}

func (n *node) trail(t tenant.ID) []production.AuditEntry {
	n.t.Helper()
	var list []production.AuditEntry
	for e, err := range n.Audit(n.t.Context(), t, 1) {
		if err != nil {
			n.t.Fatalf("audit: %v", err)
		}
		list = append(list, e)
	}
	return list
}

// verified returns how many audit entries t has, once their chain is in order.
func (n *node) verified(t tenant.ID) int64 {
	n.t.Helper()
	count, _, err := production.VerifyAudit(n.Audit(n.t.Context(), t, 1))
	if err != nil {
		n.t.Fatalf("audit of %s: %v", t, err)
	}
	return count
}

// drain claims and marks everything that waits, and returns the events.
func (n *node) drain(owner string) []production.Event {
	n.t.Helper()
	var all []production.Event
	for {
		c, err := n.Claim(n.t.Context(), owner, time.Minute, 100)
		if errors.Is(err, production.ErrNotFound) {
			return all
		}
		if err != nil {
			n.t.Fatalf("claim: %v", err)
		}
		all = append(all, c.Events...)
		if err := n.MarkSent(n.t.Context(), owner, c.Tenant, c.Events[len(c.Events)-1].Seq, nil); err != nil {
			n.t.Fatalf("mark sent: %v", err)
		}
	}
}

// same fails the test if got is not want. Lists that are nil and lists that are empty are the same, but for those that JSON shows.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !equal(got, want) {
		t.Fatalf("%s:\ngot  %s\nwant %s", what, show(got), show(want))
	}
}

func equal(got, want any) bool {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() == reflect.Slice && w.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(got, want)
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return fmt.Sprintf("%+v\n     %s", v, text)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// plan returns a commit that inserts a batch, with an event and an audit entry. n makes the number and the order.
func plan(t tenant.ID, id string, n int) production.Commit {
	c := production.Commit{
		Tenant: t,
		Batch: &production.Batch{
			Revision: 1,
			Production: production.Production{
				ID: id, Tenant: t, ProgrammeID: "programme", MenuID: "menu", MenuName: "Nasi Ayam", Source: production.OwnRecord,
				BatchNumber: fmt.Sprintf("BATCH-20261126-%04d", n), Day: day, PlannedPortions: 1000, Status: production.Planned,
				StatusSince: noon, Wave: 1, ControlMode: production.ControlTime, Dishes: []production.Dish{{Name: "Nasi"}, {Name: "Ayam", Cold: true}},
				PlannedStart: noon.Add(time.Duration(n) * time.Minute), PlannedEnd: noon.Add(3 * time.Hour), TargetTemperature: 750,
				HeadCook: "cook", Version: 1, CreatedAt: noon, CreatedBy: "user", UpdatedAt: noon,
			},
		},
	}
	tell(&c)
	return c
}

// next returns a commit that changes b as edit does, with an event and an audit entry.
func next(b production.Batch, edit func(*production.Batch)) production.Commit {
	b.Production.Version++
	b.Production.UpdatedAt = b.Production.UpdatedAt.Add(time.Second)
	if edit != nil {
		edit(&b)
	}
	c := production.Commit{Tenant: b.Production.Tenant, Base: b.Revision}
	b.Alerts = nil
	b.Revision++
	c.Batch = &b
	tell(&c)
	return c
}

// tell adds an event and an audit entry about the batch of c.
func tell(c *production.Commit) {
	p := &c.Batch.Production
	c.Events = append(c.Events, production.Event{
		ID: fmt.Sprintf("%s.%d.%d", p.ID, c.Batch.Revision, len(c.Events)), Tenant: c.Tenant, Channel: production.UpdatesChannel,
		ProductionID: p.ID, Version: p.Version, At: p.UpdatedAt,
		Payload: fmt.Appendf(nil, `{"type": "production_update","productionId":%q,"data":{"actualCost":12.50},"timestamp":%d}`, p.ID, p.UpdatedAt),
		Money:   true,
	})
	c.Audit = append(c.Audit, entry(c.Tenant, p.ID, p.Version))
}

func entry(t tenant.ID, id string, version int64) production.AuditEntry {
	return production.AuditEntry{
		Tenant: t, At: noon, TakenAt: noon - 1, User: "user", Role: production.Head, Person: "person", Action: "update", ProductionID: id,
		Version: version, Reason: "karena \"hujan\"", Detail: json.RawMessage(`{ "b":1.50, "a": "\u00e9" }`),
	}
}

// alarm returns an active alert of the batch id, or with "" of the kitchen.
func alarm(t tenant.ID, id, alert string, code production.AlertCode) production.Alert {
	return production.Alert{
		ID: alert, Tenant: t, Code: code, Severity: production.High, Status: production.AlertOpen, ProductionID: id, BatchNumber: "BATCH",
		Message: production.Words{ID: "Suhu inti kurang", EN: "core too cold"}, Value: 71.3, Limit: 75, Unit: "°C",
		RaisedAt: noon, RisenAt: noon, NextEscalation: noon.Add(10 * time.Minute),
	}
}

func ids[T any](list []T, id func(*T) string) []string {
	var out []string
	for i := range list {
		out = append(out, id(&list[i]))
	}
	return out
}

func productionIDs(list []production.Production) []string {
	return ids(list, func(p *production.Production) string { return p.ID })
}

func alertIDs(list []production.Alert) []string {
	return ids(list, func(a *production.Alert) string { return a.ID })
}

// numbersOf returns the numbers of events.
func numbersOf(events []production.Event) []int64 {
	var list []int64
	for i := range events {
		list = append(list, events[i].Seq)
	}
	return list
}

func upTo(from, to int64) []int64 {
	var list []int64
	for ; from <= to; from++ {
		list = append(list, from)
	}
	return list
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
