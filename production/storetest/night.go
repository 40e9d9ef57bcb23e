package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kentongan/production"
)

// night cooks with the rules of the house, on the store and on the Model, and compares what they hold in the morning: what the rules
// commit is what a store takes.
func night(t *testing.T, n *node) {
	model := &node{Store: NewModel(), t: t}
	for _, to := range []*node{n, model} {
		cook(to)
	}
	same(t, "snapshot", n.snapshot(k1), model.snapshot(k1))
	ctx := t.Context()
	batches, err := n.Facts(ctx, k1, production.BatchFilter{}, nil, 10)
	if err != nil || len(batches) != 2 {
		t.Fatalf("%d batches, %v; want 2", len(batches), err)
	}
	for i := range batches {
		id := batches[i].Production.ID
		same(t, "batch", n.batch(k1, id), model.batch(k1, id))
		same(t, "rows", n.rows(k1, id), model.rows(k1, id))
		w := production.Want{Production: id, Key: "create", Menu: "menu", People: []string{"koki"}}
		same(t, "load", n.load(k1, w), model.load(k1, w))
	}
	same(t, "audit", n.trail(k1), model.trail(k1))
	n.verified(k1)
	same(t, "events", n.drain("relay"), model.drain("relay"))
	got, err1 := n.ClaimNotices(ctx, "caller", noon+1e9, patience, 100)
	want, err2 := model.ClaimNotices(ctx, "caller", noon+1e9, patience, 100)
	if err := errors.Join(err1, err2); err != nil || len(want) == 0 {
		t.Fatalf("%d notices, %v", len(want), err)
	}
	same(t, "notices", got, want)
}

// cook takes a batch from its plan to its dispatch. Alerts rise, are called for and are answered; another batch comes from an app.
func cook(n *node) {
	n.t.Helper()
	ctx, now, ids := n.t.Context(), day.Start(production.WIB).Add(-4*time.Hour).Time(), 0
	s := production.New(n, production.Options{
		Now:   func() time.Time { return now },
		NewID: func() string { ids++; return fmt.Sprintf("id%03d", ids) },
	})
	as := func(user string, role production.Role) production.Request {
		return production.Request{Tenant: k1, Actor: production.Actor{User: user, Role: role}}
	}
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatalf("at %s: %v", now, err)
		}
	}
	did := func(_ production.Result, err error) { n.t.Helper(); must(err) }
	look := func(later time.Duration) { // what the alert engine does
		now = now.Add(later)
		batches, err := n.DueBatches(ctx, production.At(now), 100)
		must(err)
		kitchens, err := n.DueKitchens(ctx, production.At(now), 100)
		must(err)
		for _, d := range append(batches, kitchens...) {
			if c, ok := production.Look(d, production.At(now)); ok {
				_, err := n.Commit(ctx, c)
				must(err)
			}
		}
	}
	must(s.Put(ctx, as("server", production.Server), production.References{
		Menus:      []production.Menu{{ID: "menu", Name: "Nasi ayam", Active: true, Dishes: []production.Dish{{Name: "Nasi"}, {Name: "Jeruk", Cold: true}}}},
		Programmes: []production.Programme{{ID: "programme", Name: "MBG", Active: true}},
		People: []production.Person{
			{ID: "koki", Name: "Sari", Role: production.KitchenStaff, Active: true}, {ID: "kepala", Name: "Budi", Role: production.Head, Active: true},
		},
	}))
	planned := production.Create{
		ProgrammeID: "programme", MenuID: "menu", Day: day, PlannedPortions: 3000, PlannedStart: production.At(now), PlannedEnd: production.At(now.Add(10 * time.Hour)),
		HeadCook: "koki", SupervisorID: "kepala",
	}
	request := as("manajer", production.Manager)
	request.Key = "create"
	created, err := s.Create(ctx, request, planned)
	must(err)
	again, err := s.Create(ctx, request, planned)
	must(err)
	if !again.Repeated || again.Production.ID != created.Production.ID {
		n.t.Fatalf("the key was used before, and got %+v", again)
	}
	id := created.Production.ID
	step := func(to production.Status, work production.Work) {
		n.t.Helper()
		r := as("kepala", production.Head)
		r.Version = n.batch(k1, id).Production.Version
		did(s.Transition(ctx, r, id, production.Transition{To: to, Work: work}))
	}
	check := func(kind production.CheckType) {
		n.t.Helper()
		did(s.Check(ctx, as("mutu", production.QCStaff), id, production.AddCheck{Type: kind, Parameter: "uji", ActualValue: "baik", Passed: new(true)}))
	}
	reading := func(c production.Celsius) {
		n.t.Helper()
		did(s.Reading(ctx, as("koki", production.KitchenStaff), id, production.AddReading{Kind: production.Core, Dish: "Nasi", Celsius: c}))
	}
	look(time.Hour) // it starts late
	step(production.Preparing, production.Work{})
	check(production.Hygiene)
	look(3 * time.Hour)
	step(production.Cooking, production.Work{})
	look(time.Hour)
	reading(720) // too cold
	step(production.QualityCheck, production.Work{ActualPortions: new(2900)})
	for range 5 {
		look(3 * time.Minute) // nobody answers
	}
	reading(900)
	for _, kind := range production.CheckTypes[1:] {
		check(kind)
	}
	did(s.Sample(ctx, as("mutu", production.QCStaff), id, production.TakeSample{}))
	for _, a := range n.snapshot(k1).Alerts {
		did(s.Acknowledge(ctx, as("kepala", production.Head), a.ID))
		did(s.Resolve(ctx, as("kepala", production.Head), a.ID, "dipanaskan lagi"))
	}
	step(production.Completed, production.Work{})
	did(s.Dispatch(ctx, as("kurir", production.Distribution), id, production.RecordDispatch{Portions: new(2900)}))
	did(s.Correct(ctx, as("kepala", production.Head), id, production.Correct{Field: "actualPortions", Value: "2899", Reason: "satu porsi tumpah"}))
	for i, payload := range []string{
		`{"type":"production_created","productionId":"app1","data":{"id":"app1","batchNumber":"A-1","plannedPortions":500,"status":"PLANNED"},"timestamp":1795669200000}`,
		`{"type":"production_update","productionId":"app1","data":{"status":"COOKING","progress":40},"timestamp":1795669200001}`, `no JSON`,
	} {
		for range 2 { // it comes twice
			_, err := s.Observe(ctx, k1, fmt.Sprint("0-", i), []byte(payload))
			must(err)
		}
	}
	kitchen := n.load(k1, production.Want{}).Kitchen.Kitchen
	kitchen.Limits.EatWithinMin = new(200)
	r := as("kepala", production.Head)
	r.Version = kitchen.Version
	_, err = s.Configure(ctx, r, kitchen)
	must(err)
	look(time.Hour)
	must(s.Looked(ctx, as("super", production.Superadmin), "board"))
}
