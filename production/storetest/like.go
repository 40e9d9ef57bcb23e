package storetest

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/production"
	"kentongan/tenant"
)

// likeTheModel does the same random things to the store, through two nodes, and to the Model, and compares every answer. Each
// check has a database of its own, which takes a store longer than rapid's hundred checks are made for; -rapid.checks=N asks for more.
func likeTheModel(t *testing.T, n *node) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		flag.Set(f.Name, "4")
		defer flag.Set(f.Name, f.DefValue)
	}
	rapid.Check(t, func(r *rapid.T) {
		db := n.fresh(t)
		p := &pair{R: r, t: t, db: db, stores: []Store{db.Open(t), db.Open(t)}, model: NewModel()}
		defer func() {
			for _, s := range p.stores {
				s.Close()
			}
		}()
		r.Repeat(map[string]func(*rapid.T){
			"commit":  func(r *rapid.T) { p.R = r; p.commit() },
			"commit2": func(r *rapid.T) { p.R = r; p.commit() }, // most of what happens
			"relay":   func(r *rapid.T) { p.R = r; p.relay() },
			"call":    func(r *rapid.T) { p.R = r; p.call() },
			"forget":  func(r *rapid.T) { p.R = r; p.forget() },
			"reopen":  func(r *rapid.T) { p.R = r; p.reopen() },
			"":        func(r *rapid.T) { p.R = r; p.look() },
		})
	})
}

// pair is a store and the model that it should be like.
type pair struct {
	R      *rapid.T
	t      *testing.T
	db     Database
	stores []Store
	model  *Model
}

// store returns one of the two nodes.
func (p *pair) store() Store { return p.stores[p.int("node", 0, 1)] }

func (p *pair) int(what string, from, to int) int { return rapid.IntRange(from, to).Draw(p.R, what) }
func (p *pair) maybe(what string) bool            { return p.int(what, 0, 2) == 0 }
func (p *pair) instant(what string) production.Instant {
	return noon + production.Instant(p.int(what, 0, 9))
}

func pick[T any](p *pair, what string, from ...T) T { return rapid.SampledFrom(from).Draw(p.R, what) }

func (p *pair) tenant() tenant.ID { return pick(p, "tenant", k1, k2) }
func (p *pair) batchID() string   { return pick(p, "batch", "a", "b", "c") }

// same ends the check if the two answers or the sorts of the two errors differ.
func (p *pair) same(what string, got, want any, gotErr, wantErr error) {
	p.R.Helper()
	for _, sort := range []error{nil, production.ErrConflict, production.ErrNotFound, production.ErrInvalid} {
		if is(gotErr, sort) != is(wantErr, sort) {
			p.R.Fatalf("%s: got the error %v, want %v", what, gotErr, wantErr)
		}
	}
	if gotErr == nil && !equal(got, want) {
		p.R.Fatalf("%s:\ngot  %s\nwant %s", what, show(got), show(want))
	}
}

func is(err, sort error) bool {
	return err == nil && sort == nil || sort != nil && errors.Is(err, sort)
}

func (p *pair) commit() {
	c := p.draw()
	got, gotErr := p.store().Commit(p.t.Context(), c)
	want, wantErr := p.model.Commit(p.t.Context(), c)
	p.same("commit", got, want, gotErr, wantErr)
}

// draw makes up a commit. Mostly it is based on what is stored.
func (p *pair) draw() production.Commit {
	t := p.tenant()
	c := production.Commit{Tenant: t}
	if !p.maybe("without batch") {
		p.drawBatch(&c)
	}
	if p.maybe("kitchen") {
		base := p.model.kitchen(t).state.Revision
		if p.maybe("stale kitchen") {
			base = int64(p.int("base", 0, 2))
		}
		c.KitchenBase = base
		c.Kitchen = &production.KitchenState{Revision: base + 1, NextLook: pick(p, "look", 0, p.instant("look")), Kitchen: production.Kitchen{ID: t, Version: base}}
		if p.maybe("kitchen's alert") {
			c.Alerts = append(c.Alerts, p.alert(t, ""))
		}
	}
	for i := range p.int("events", 0, 2) {
		c.Events = append(c.Events, production.Event{ID: fmt.Sprint(i), Tenant: t, Channel: production.UpdatesChannel, At: p.instant("event"), Payload: []byte("{ }")})
	}
	for range p.int("audit", 0, 2) {
		c.Audit = append(c.Audit, production.AuditEntry{Tenant: t, At: p.instant("audit"), Action: "x"})
	}
	if p.int("look again", 0, 9) == 0 {
		c.LookAgain = p.instant("look again")
	}
	id := fmt.Sprint(p.int("id", 0, 30))
	if p.maybe("key") {
		c.Remember = &production.Remembered{Key: id, At: p.instant("key"), Result: []byte(id)}
	}
	if p.maybe("observation") {
		o := production.Observation{ID: id, At: p.instant("observed"), Payload: []byte{0, 255}}
		if p.maybe("flagged") {
			o.Flags = []string{"ODD"}
		}
		c.Observations = append(c.Observations, o)
	}
	if p.maybe("notice") {
		c.Notices = append(c.Notices, production.Notice{ID: id, Tenant: t, At: p.instant("notice"), NextTry: p.instant("try")})
	}
	if p.maybe("lists") {
		c.Put.People = []production.Person{{ID: p.batchID(), Name: p.batchID(), PIN: pick[production.PINHash](p, "pin", "", "one", "two")}}
		c.Put.Menus = []production.Menu{{ID: p.batchID(), Name: p.batchID()}}
	}
	return c
}

func (p *pair) drawBatch(c *production.Commit) {
	id := p.batchID()
	b := production.Batch{Production: production.Production{ID: id, Tenant: c.Tenant}}
	if old := p.model.kitchen(c.Tenant).batches[id]; old != nil {
		b = old.Batch
	}
	c.Base = b.Revision
	if p.maybe("stale") {
		c.Base = int64(p.int("base", 0, 3))
	}
	b.Revision = c.Base + 1
	b.NextLook = pick(p, "look", 0, p.instant("look"))
	b.Facts = production.Facts{Checks: p.int("checks", 0, 9)}
	v := &b.Production
	v.Day = pick[production.Day](p, "day", "2026-11-25", "2026-11-26", "2026-11-27")
	v.PlannedStart = p.instant("start")
	v.Status = pick(p, "status", production.Statuses...)
	v.MenuID, v.MenuName = p.batchID(), pick(p, "name", "Nasi", "SOTO", "Émping")
	v.PlannedPortions = p.int("portions", 0, 5000)
	v.BatchNumber = pick(p, "number", "", fmt.Sprintf("BATCH-20261126-%04d", p.int("number", 1, 5)))
	if p.int("delete", 0, 9) == 0 {
		v.DeletedAt = noon
	}
	c.Batch = &b
	for i := range p.int("readings", 0, 2) {
		c.Readings = append(c.Readings, production.Reading{ID: fmt.Sprint(2*p.int("reading", 0, 20) + i), ProductionID: id, TakenAt: p.instant("taken")})
	}
	if p.maybe("sample") {
		c.Samples = []production.Sample{{ID: fmt.Sprint(p.int("sample", 0, 20)), ProductionID: id}}
	}
	if p.maybe("photo") {
		c.Photos = []production.Photo{{ID: fmt.Sprint(p.int("photo", 0, 3)), ProductionID: id, Data: []byte{byte(p.int("picture", 0, 255))}}}
	}
	for range p.int("alerts", 0, 2) {
		a := p.alert(c.Tenant, id)
		if !slices.ContainsFunc(c.Alerts, func(b production.Alert) bool { return a.ID == b.ID }) {
			c.Alerts = append(c.Alerts, a)
		}
	}
}

// alert makes up one whose id tells its batch and code, as those never change.
func (p *pair) alert(t tenant.ID, id string) production.Alert {
	n := p.int("alert", 0, 5)
	a := alarm(t, id, fmt.Sprint("alert-", id, n), []production.AlertCode{production.EatBy, production.Overrun}[n%2])
	a.Status = pick(p, "status", production.AlertOpen, production.AlertAcknowledged, production.AlertResolved, production.AlertAutoResolved)
	a.Severity = pick(p, "severity", production.Low, production.Critical)
	a.RaisedAt = p.instant("raised")
	return a
}

func (p *pair) relay() {
	ctx, owner := p.t.Context(), pick(p, "owner", "one", "two")
	s := p.store()
	limit := p.int("limit", 1, 4)
	got, gotErr := s.Claim(ctx, owner, time.Hour, limit)
	want, wantErr := p.model.Claim(ctx, owner, time.Hour, limit)
	p.same("claim", got, want, gotErr, wantErr)
	t, seq := p.tenant(), int64(p.int("seq", 1, 9))
	if wantErr == nil && p.int("mark what was claimed", 0, 3) > 0 {
		t, seq = want.Tenant, want.Events[p.int("event", 0, len(want.Events)-1)].Seq
	}
	if p.maybe("release") {
		p.same("release", nil, nil, s.Release(ctx, owner, t), p.model.Release(ctx, owner, t))
		return
	}
	at := []production.Sent{{Channel: pick(p, "channel", production.UpdatesChannel, production.AlertsChannel), Epoch: "e", Offset: uint64(seq)}}
	p.same("mark", nil, nil, s.MarkSent(ctx, owner, t, seq, at), p.model.MarkSent(ctx, owner, t, seq, at))
}

func (p *pair) call() {
	ctx, owner, now := p.t.Context(), pick(p, "owner", "one", "two"), p.instant("now")
	s := p.store()
	limit := p.int("limit", 1, 4)
	got, gotErr := s.ClaimNotices(ctx, owner, now, time.Hour, limit)
	want, wantErr := p.model.ClaimNotices(ctx, owner, now, time.Hour, limit)
	p.same("claim notices", got, want, gotErr, wantErr)
	v := production.Notice{ID: "7", Tenant: p.tenant()}
	if len(want) > 0 && !p.maybe("another") {
		v = want[0]
	}
	v.Attempts, v.LastError, v.NextTry = v.Attempts+1, "e", p.instant("try")
	done := p.maybe("done")
	p.same("settle", nil, nil, s.SettleNotice(ctx, owner, v, done), p.model.SettleNotice(ctx, owner, v, done))
}

func (p *pair) forget() {
	b := production.Before{Events: p.instant("events"), Keys: p.instant("keys"), Observations: p.instant("observations")}
	got, gotErr := p.store().Forget(p.t.Context(), b, 1000)
	want, wantErr := p.model.Forget(p.t.Context(), b, 1000)
	p.same("forget", got, want, gotErr, wantErr)
}

func (p *pair) reopen() {
	i := p.int("node", 0, 1)
	if err := p.stores[i].Close(); err != nil {
		p.R.Fatalf("close: %v", err)
	}
	p.stores[i] = p.db.Open(p.t)
}

// look compares what is read: everything of one kitchen, with filters and pages that are made up.
func (p *pair) look() {
	ctx, t, s := p.t.Context(), p.tenant(), p.store()
	limit := p.int("limit", 0, 5)
	w := production.Want{Key: fmt.Sprint(p.int("key", 0, 30)), Menu: p.batchID(), People: []string{"a", "b"}, Observed: fmt.Sprint(p.int("observed", 0, 30)), Alert: "alert-a1", Day: day}
	if p.maybe("batch") {
		w.Production, w.Reading = p.batchID(), fmt.Sprint(p.int("reading", 0, 41))
	}
	compare(p, "load", func(s production.Store) (production.Loaded, error) { return s.Load(ctx, t, w) }, s)
	f := production.BatchFilter{
		From: pick[production.Day](p, "from", "", "2026-11-26"), To: pick[production.Day](p, "to", "", "2026-11-26"), MenuID: pick(p, "menu", "", "a"),
		Text: pick(p, "text", "", "éM", "20261126-0001"), Backwards: p.maybe("backwards"),
	}
	if p.maybe("statuses") {
		f.Statuses = []production.Status{production.Planned, production.Cooking, production.Cancelled}
	}
	var after *production.BatchPlace
	if p.maybe("after") {
		after = &production.BatchPlace{Day: day, PlannedStart: p.instant("start"), ID: p.batchID()}
	}
	compare(p, "batches", func(s production.Store) ([]production.Production, error) { return s.Batches(ctx, t, f, after, limit) }, s)
	compare(p, "facts", func(s production.Store) ([]production.Batch, error) { return s.Facts(ctx, t, f, after, limit) }, s)
	g := production.AlertFilter{
		ProductionID: pick(p, "alerts of", "", "a"), Active: p.maybe("active"), MinSeverity: pick[production.Severity](p, "severity", "", production.High),
		From: pick(p, "from", 0, p.instant("from")), To: pick(p, "to", 0, p.instant("to")),
	}
	compare(p, "alerts", func(s production.Store) ([]production.Alert, error) { return s.Alerts(ctx, t, g, nil, limit) }, s)
	reading := pick(p, "after", "", "4")
	compare(p, "rows", func(s production.Store) (production.Rows, error) { return s.Rows(ctx, t, p0, reading, limit) }, s)
	photo := fmt.Sprint(p.int("photo", 0, 3))
	compare(p, "photo", func(s production.Store) (production.Photo, error) { return s.Photo(ctx, t, p0, photo) }, s)
	compare(p, "snapshot", func(s production.Store) (production.Snapshot, error) { return s.Snapshot(ctx, t, day) }, s)
	compare(p, "references", func(s production.Store) (production.References, error) { return s.References(ctx, t) }, s)
	flagged := p.maybe("flagged")
	compare(p, "observations", func(s production.Store) ([]production.Observation, error) {
		return s.Observations(ctx, t, flagged, "", limit)
	}, s)
	compare(p, "kitchens", func(s production.Store) ([]production.Kitchen, error) { return s.Kitchens(ctx, "", limit) }, s)
	of := pick(p, "standings", production.EveryKitchen, pick(p, "filter", production.CookingKitchens, pick(p, "filter", production.AlarmingKitchens, production.LateKitchens)))
	text := pick(p, "of kitchens", "", "", "1", "SP", "nobody")
	compare(p, "standings", func(s production.Store) ([]production.Standing, error) { return s.Standings(ctx, of, text, "", limit) }, s)
	compare(p, "standing counts", func(s production.Store) (production.StandingCounts, error) { return s.CountStandings(ctx) }, s)
	now := p.instant("now")
	compare(p, "due batches", func(s production.Store) ([]production.Due, error) { return s.DueBatches(ctx, now, limit) }, s)
	compare(p, "due kitchens", func(s production.Store) ([]production.Due, error) { return s.DueKitchens(ctx, now, limit) }, s)
	compare(p, "next due", func(s production.Store) (production.Instant, error) { return s.NextDue(ctx) }, s)
	compare(p, "backlog", func(s production.Store) ([2]int64, error) {
		n, since, err := s.Backlog(ctx)
		return [2]int64{n, int64(since)}, err
	}, s)
	compare(p, "audit", func(s production.Store) ([]production.AuditEntry, error) {
		var list []production.AuditEntry
		for e, err := range s.Audit(ctx, t, 1) {
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}, s)
}

// p0 is the batch whose rows are compared.
const p0 = "a"

func compare[T any](p *pair, what string, read func(production.Store) (T, error), s Store) {
	p.R.Helper()
	got, gotErr := read(s)
	want, wantErr := read(p.model)
	p.same(what, got, want, gotErr, wantErr)
}
