package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

func dayLoads(t *testing.T, n *node) {
	portions := func(id string, number, portions int, edit func(*production.Production)) {
		c := plan(k1, id, number)
		c.Batch.Production.PlannedPortions = portions
		if edit != nil {
			edit(&c.Batch.Production)
		}
		n.commit(c)
	}
	portions("a", 3, 1, nil)
	portions("b", 1, 20, func(p *production.Production) { p.Status = production.Completed })
	portions("cancelled", 4, 300, func(p *production.Production) { p.Status = production.Cancelled })
	portions("deleted", 7, 4000, nil)
	n.commit(next(n.batch(k1, "deleted"), func(b *production.Batch) { b.Production.DeletedAt = noon }))
	portions("odd", 0, 50000, func(p *production.Production) { p.BatchNumber = "KLOTER-99" })
	portions("other", 0, 600000, func(p *production.Production) { p.BatchNumber, p.Day = "BATCH-20261127-0010", "2026-11-27" })
	portions("many", 0, 7000000, func(p *production.Production) { p.BatchNumber, p.Day = "BATCH-20261127-12345", "2026-11-27" })
	n.commit(plan(k2, "z", 99))
	for d, want := range map[production.Day]production.DayLoad{
		day: {Portions: 50021, LastNumber: 7}, "2026-11-27": {Portions: 7600000, LastNumber: 12345}, "2026-11-28": {},
	} {
		same(t, "load of "+string(d), n.load(k1, production.Want{Day: d}).Day, want)
	}
	same(t, "load of a batch's day", n.load(k1, production.Want{Production: "many"}).Day, production.DayLoad{Portions: 7600000, LastNumber: 12345})
}

func rowsInOrder(t *testing.T, n *node) {
	n.commit(plan(k1, "b", 1))
	n.commit(plan(k1, "other", 2))
	var want []string
	for i := range 30 { // neither ids nor times are in the order of adding
		c := next(n.batch(k1, "b"), nil)
		for j := range i % 3 {
			id := fmt.Sprintf("r%02d", (i*3+j)*37%90)
			want = append(want, id)
			c.Readings = append(c.Readings, production.Reading{ID: id, ProductionID: "b", TakenAt: noon - production.Instant(i)})
		}
		id := fmt.Sprintf("c%02d", i*7%30)
		c.Checks = []production.Check{{ID: id, ProductionID: "b"}}
		c.Samples = []production.Sample{{ID: id, ProductionID: "b"}}
		c.Dispatches = []production.Dispatch{{ID: id, ProductionID: "b"}}
		c.Corrections = []production.Correction{{ID: id, ProductionID: "b"}}
		c.Photos = []production.Photo{{ID: id, ProductionID: "b", Data: []byte(id)}}
		n.commit(c)
		elsewhere := next(n.batch(k1, "other"), nil)
		elsewhere.Readings = []production.Reading{{ID: fmt.Sprintf("o%d", i), ProductionID: "other"}}
		n.commit(elsewhere)
	}
	reading := func(r *production.Reading) string { return r.ID }
	all := n.rows(k1, "b")
	same(t, "readings", ids(all.Readings, reading), want)
	for i := range 30 {
		if id := fmt.Sprintf("c%02d", i*7%30); all.Checks[i].ID != id || all.Samples[i].ID != id || all.Dispatches[i].ID != id || all.Corrections[i].ID != id ||
			all.Photos[i].ID != id {
			t.Fatalf("row %d is %s %s %s %s %s, want %s", i, all.Checks[i].ID, all.Samples[i].ID, all.Dispatches[i].ID, all.Corrections[i].ID,
				all.Photos[i].ID, id)
		}
	}
	var paged []string
	for after := ""; ; {
		page, err := n.Rows(t.Context(), k1, "b", after, 7)
		if err != nil || len(page.Readings) > 7 || len(page.Checks) != 30 {
			t.Fatalf("page after %q: %d readings, %d checks, %v", after, len(page.Readings), len(page.Checks), err)
		}
		if len(page.Readings) == 0 {
			break
		}
		paged = append(paged, ids(page.Readings, reading)...)
		after = paged[len(paged)-1]
	}
	same(t, "pages of readings", paged, want)
	for _, after := range []string{"nobody", "o1"} {
		if _, err := n.Rows(t.Context(), k1, "b", after, 7); !errors.Is(err, production.ErrNotFound) {
			t.Errorf("after %s: %v, want ErrNotFound", after, err)
		}
	}
	if got := n.load(k1, production.Want{Production: "b", Reading: "o1"}).Reading; got != nil {
		t.Errorf("a reading of another batch: %+v", got)
	}
	again := next(n.batch(k1, "b"), nil)
	again.Readings = []production.Reading{{ID: want[0], ProductionID: "b"}}
	n.refused(again, production.ErrConflict) // a row is never overwritten
}

// scatter stores batches whose places are all different, though each part of the place is shared by some.
func scatter(n *node) (places []production.BatchPlace) {
	for i := range 40 {
		c := plan(k1, fmt.Sprintf("p%02d", i*7%40), i+1)
		p := &c.Batch.Production
		p.Day = []production.Day{"2026-11-24", "2026-11-25", "2026-11-26", "2026-12-01"}[i%4]
		p.PlannedStart = noon + production.Instant(i%3)
		p.Status = production.Statuses[i%6]
		p.MenuID = fmt.Sprintf("m%d", i%5)
		p.MenuName = []string{"Nasi Ayam", "Bubur Ketan", "SOTO ÉNAK", "100%_pasti"}[i%4]
		c.Batch.Facts = production.Facts{Checks: i}
		n.commit(c)
		places = append(places, placeOf(p))
	}
	slices.SortFunc(places, byPlace)
	return places
}

func batchesByPlace(t *testing.T, n *node) {
	places := scatter(n)
	var want []string
	for _, p := range places {
		want = append(want, p.ID)
	}
	for _, backwards := range []bool{false, true} {
		if backwards {
			want, places = reversed(want), reversed(places)
		}
		f := production.BatchFilter{Backwards: backwards}
		for _, limit := range []int{1, 7, 40, 100} {
			var got []string
			var after *production.BatchPlace
			for {
				page, err := n.Batches(t.Context(), k1, f, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("%d batches, %v", len(page), err)
				}
				facts, err := n.Facts(t.Context(), k1, f, after, limit)
				if err != nil || len(facts) != len(page) {
					t.Fatalf("%d facts for %d batches, %v", len(facts), len(page), err)
				}
				for i := range facts {
					if facts[i].Production.ID != page[i].ID || facts[i].Revision != 1 {
						t.Fatalf("facts of %s at revision %d, want %s at 1", facts[i].Production.ID, facts[i].Revision, page[i].ID)
					}
				}
				if len(page) == 0 {
					break
				}
				got = append(got, productionIDs(page)...)
				last := placeOf(&page[len(page)-1])
				after = &last
			}
			same(t, fmt.Sprintf("backwards %v, pages of %d", backwards, limit), got, want)
		}
		// A place need not be one of a batch.
		between := places[10]
		between.ID += "~"
		if backwards {
			between.ID = places[10].ID[:2]
		}
		page, err := n.Batches(t.Context(), k1, f, &between, 100)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(places, func(p production.BatchPlace) bool {
			return backwards == (byPlace(p, between) < 0) && p != between
		})
		same(t, "after a place between two", productionIDs(page), want[i:])
	}
	for _, limit := range []int{0, -1} {
		if page, err := n.Batches(t.Context(), k1, production.BatchFilter{}, nil, limit); err != nil || len(page) > 0 {
			t.Errorf("limit %d: %d batches, %v; want none", limit, len(page), err)
		}
	}
}

func batchesByFilter(t *testing.T, n *node) {
	model := &node{Store: NewModel(), t: t}
	scatter(n)
	scatter(model)
	for name, f := range map[string]production.BatchFilter{
		"From":        {From: "2026-11-25"},
		"To":          {To: "2026-11-25"},
		"OneDay":      {From: day, To: day},
		"NoDay":       {From: "2026-12-02"},
		"Statuses":    {Statuses: []production.Status{production.Planned, production.Cancelled}},
		"NoStatus":    {Statuses: []production.Status{}},
		"Menu":        {MenuID: "m3"},
		"Number":      {Text: "batch-20261126-001"},
		"Name":        {Text: "ayam"},
		"OtherCase":   {Text: "soto éNAK"},
		"NoPattern":   {Text: "%_p"},
		"Underscore":  {Text: "_"},
		"Backslash":   {Text: `\`},
		"Quote":       {Text: `'`},
		"AcrossTexts": {Text: "0001\nNasi"},
		"All":         {From: "2026-11-25", To: "2026-11-30", Statuses: production.Statuses[:3], MenuID: "m1", Text: "a", Backwards: true},
	} {
		t.Run(name, func(t *testing.T) {
			want, _ := model.Batches(t.Context(), k1, f, nil, 100)
			got, err := n.Batches(t.Context(), k1, f, nil, 100)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "batches", productionIDs(got), productionIDs(want))
			whole, err := n.Facts(t.Context(), k1, f, nil, 100)
			if err != nil {
				t.Fatal(err)
			}
			wantWhole, _ := model.Facts(t.Context(), k1, f, nil, 100)
			same(t, "facts", whole, wantWhole)
		})
	}
}

func alertLists(t *testing.T, n *node) {
	model := &node{Store: NewModel(), t: t}
	for _, to := range []*node{n, model} {
		to.commit(plan(k1, "b", 1))
		to.commit(plan(k1, "c", 2))
		to.commit(production.Commit{Tenant: k1, Kitchen: &production.KitchenState{Kitchen: production.Kitchen{ID: k1}, Revision: 1}})
		for i := range 30 {
			id := []string{"b", "c"}[i%2]
			a := alarm(k1, id, fmt.Sprintf("a%02d", i*7%30), []production.AlertCode{production.EatBy, production.Overrun, production.QCFailed}[i%3])
			a.RaisedAt = noon + production.Instant(i%4)
			a.Severity = []production.Severity{production.Low, production.Medium, production.High, production.Critical}[i%4]
			a.Status = []production.AlertStatus{production.AlertResolved, production.AlertAutoResolved}[i/15]
			if i >= 24 {
				a.Status = []production.AlertStatus{production.AlertOpen, production.AlertAcknowledged}[i%2]
			}
			c := next(to.batch(k1, id), nil)
			c.Alerts = []production.Alert{a}
			to.commit(c)
		}
	}
	for name, f := range map[string]production.AlertFilter{
		"All":      {},
		"Batch":    {ProductionID: "b"},
		"Active":   {Active: true},
		"Severity": {MinSeverity: production.High},
		"Codes":    {Codes: []production.AlertCode{production.EatBy, production.QCFailed}},
		"NoCode":   {Codes: []production.AlertCode{}},
		"From":     {From: noon + 1},
		"To":       {To: noon + 1},
		"Many": {
			ProductionID: "c", MinSeverity: production.Medium, Codes: []production.AlertCode{production.EatBy, production.Overrun},
			From: noon + 1, To: noon + 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			want, _ := model.Alerts(t.Context(), k1, f, nil, 100)
			for _, limit := range []int{1, 4, 100} {
				var got []production.Alert
				var after *production.AlertPlace
				for {
					page, err := n.Alerts(t.Context(), k1, f, after, limit)
					if err != nil || len(page) > limit {
						t.Fatalf("%d alerts, %v", len(page), err)
					}
					if len(page) == 0 {
						break
					}
					got = append(got, page...)
					after = &production.AlertPlace{RaisedAt: page[len(page)-1].RaisedAt, ID: page[len(page)-1].ID}
				}
				same(t, fmt.Sprintf("alerts in pages of %d", limit), got, want)
			}
		})
	}
}

func references(t *testing.T, n *node) {
	put := func(lists production.References) {
		t.Helper()
		n.commit(production.Commit{Tenant: k1, Put: lists})
	}
	put(production.References{
		People: []production.Person{{ID: "1", Name: "b", PIN: "secret"}, {ID: "2", Name: "B"}, {ID: "3", Name: "é"}, {ID: "0", Name: "b"}},
		Menus:  []production.Menu{{ID: "1", Name: "m"}, {ID: "2", Name: "a"}}, Programmes: []production.Programme{{ID: "1", Name: "m"}},
	})
	put(production.References{
		People: []production.Person{{ID: "1", Name: "b", Active: true}, {ID: "3", Name: "a", PIN: "new"}},
		Menus:  []production.Menu{{ID: "1", Name: "M", Dishes: []production.Dish{{Name: "d", Cold: true}}}},
	})
	got, err := n.References(t.Context(), k1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "references", got, production.References{
		People:     []production.Person{{ID: "2", Name: "B"}, {ID: "3", Name: "a", PIN: "new"}, {ID: "0", Name: "b"}, {ID: "1", Name: "b", Active: true, PIN: "secret"}},
		Menus:      []production.Menu{{ID: "1", Name: "M", Dishes: []production.Dish{{Name: "d", Cold: true}}}, {ID: "2", Name: "a"}},
		Programmes: []production.Programme{{ID: "1", Name: "m"}},
	})
	loaded := n.load(k1, production.Want{People: []string{"1", "3"}, Menu: "2", Programme: "2"})
	if loaded.People["1"].PIN != "secret" || len(loaded.People) != 2 || loaded.Menu.Name != "a" || loaded.Programme != nil {
		t.Errorf("loaded %+v, %+v, %+v", loaded.People, loaded.Menu, loaded.Programme)
	}
}

func kitchens(t *testing.T, n *node) {
	n.commit(plan("b", "x", 1)) // a kitchen that never set anything
	n.commit(production.Commit{Tenant: "c", Audit: []production.AuditEntry{entry("c", "", 0)}})
	n.commit(production.Commit{Tenant: "a", Kitchen: &production.KitchenState{Kitchen: production.Kitchen{ID: "a", Name: "A"}, Revision: 1}})
	n.commit(production.Commit{Tenant: "B", Put: production.References{Menus: []production.Menu{{ID: "m", Name: "m"}}}})
	all := []production.Kitchen{{ID: "B"}, {ID: "a", Name: "A"}, {ID: "b"}, {ID: "c"}}
	for after, want := range map[tenant.ID][]production.Kitchen{"": all, "B": all[1:], "aa": all[2:], "c": nil} {
		got, err := n.Kitchens(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "after "+string(after), got, want)
	}
	if got, err := n.Kitchens(t.Context(), "", 2); err != nil || len(got) != 2 {
		t.Errorf("%d kitchens, %v; want 2", len(got), err)
	}
}

// standings has a kitchen in which all is well, one that is late, one that alarms, and one in which everything is over.
func standings(t *testing.T, n *node) {
	c := plan("a", "x", 1)
	c.Kitchen = &production.KitchenState{Kitchen: production.Kitchen{ID: "a", Name: "A", Zone: production.WIT}, Revision: 1}
	n.commit(c)
	late := plan("b", "x", 1)
	behind, over := alarm("b", "x", "1", production.BehindSchedule), alarm("b", "x", "2", production.Overrun)
	behind.Severity, over.Severity = production.Medium, production.Low
	late.Alerts = []production.Alert{behind, over} // of one batch
	n.commit(late)
	wrong := plan("c", "x", 1)
	cold, seen, old := alarm("c", "x", "1", production.CoreTempLow), alarm("c", "x", "2", production.EatBy), alarm("c", "x", "3", production.QCFailed)
	cold.Severity, cold.RaisedAt = production.Critical, noon-5
	seen.Status, seen.RaisedAt = production.AlertAcknowledged, noon-9
	old.Status = production.AlertResolved
	wrong.Alerts = []production.Alert{cold, seen, old}
	wrong.Events = append(wrong.Events, production.Event{ID: "later", Tenant: "c", Channel: production.AlertsChannel, At: noon + 7, Payload: []byte("{}")})
	n.commit(wrong)
	done, gone := plan("d", "x", 1), plan("d", "y", 2)
	done.Batch.Production.Status, gone.Batch.Production.DeletedAt = production.Completed, noon
	n.commit(done)
	n.commit(gone)

	named := production.Kitchen{ID: "tk-B", Name: "Surabaya II, 100 % Élok"}
	n.commit(production.Commit{Tenant: "tk-B", Kitchen: &production.KitchenState{Kitchen: named, Revision: 1}})

	want := []production.Standing{
		{Kitchen: production.Kitchen{ID: "a", Name: "A", Zone: production.WIT}, Open: 1, LastChange: noon},
		{Kitchen: production.Kitchen{ID: "b"}, Open: 1, Behind: 1, Medium: 1, Low: 1, LastChange: noon},
		{Kitchen: production.Kitchen{ID: "c"}, Open: 1, Critical: 1, High: 1, Unanswered: 1, UnansweredSince: noon - 5, LastChange: noon + 7},
		{Kitchen: production.Kitchen{ID: "d"}, LastChange: noon},
		{Kitchen: named},
	}
	look := func(f production.StandingFilter, after tenant.ID, limit int, want []production.Standing) {
		t.Helper()
		got, err := n.Standings(t.Context(), f, "", after, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("%q after %q", f, after), got, want)
	}
	look(production.EveryKitchen, "", 10, want)
	look("what is none", "", 10, want)
	look(production.EveryKitchen, "a", 2, want[1:3])
	look(production.EveryKitchen, "", 0, nil)
	look(production.EveryKitchen, "tk-B", 10, nil)
	look(production.CookingKitchens, "", 10, want[:3])
	look(production.LateKitchens, "", 10, want[1:2])
	look(production.AlarmingKitchens, "", 10, want[2:3])
	look(production.AlarmingKitchens, "c", 10, nil)
	for text, want := range map[string]string{
		"": "a b c d tk-B", "a": "a tk-B", "c": "c", "TK-b": "tk-B", "tk-": "tk-B", "surabaya ii": "tk-B", "%": "tk-B", "ÉL": "tk-B", "él": "", "_": "", "\x00": "", "b": "b tk-B",
	} {
		got, err := n.Standings(t.Context(), production.EveryKitchen, text, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("with %q", text), strings.Join(ids(got, func(s *production.Standing) string { return string(s.Kitchen.ID) }), " "), want)
	}
	counts, err := n.CountStandings(t.Context())
	if want := (production.StandingCounts{Kitchens: 5, Cooking: 3, Alarming: 1, Behind: 1}); err != nil || counts != want {
		t.Errorf("counted %+v, %v; want %+v", counts, err, want)
	}
}

// tenants stores the same ids in two kitchens and looks at each through every method.
func tenants(t *testing.T, n *node) {
	ctx := t.Context()
	for i, k := range []tenant.ID{k1, k2} {
		name := string(k)
		c := plan(k, "b", 1)
		c.Batch.Production.Notes = name
		c.Batch.NextLook = noon + production.Instant(i)
		c.Kitchen = &production.KitchenState{Kitchen: production.Kitchen{ID: k, Name: name}, Revision: 1}
		c.Alerts = []production.Alert{alarm(k, "b", "a", production.EatBy), alarm(k, "", "ka", production.DocExpiring)}
		c.Alerts[0].CorrectiveAction, c.Alerts[1].CorrectiveAction = name, name
		c.Readings = []production.Reading{{ID: "r", ProductionID: "b", TakenBy: name}}
		c.Put = production.References{People: []production.Person{{ID: "p", Name: name}}, Menus: []production.Menu{{ID: "m", Name: name}}, Programmes: []production.Programme{{ID: "g", Name: name}}}
		c.Remember = &production.Remembered{Key: "k", At: noon, Result: []byte(name)}
		c.Observations = []production.Observation{{ID: "o", At: noon, Payload: []byte(name)}}
		c.Notices = []production.Notice{{ID: "a.1", Tenant: k, AlertID: "a", At: noon, Payload: []byte(name)}}
		n.commit(c)
	}
	want := production.Want{Production: "b", Key: "k", Menu: "m", Programme: "g", People: []string{"p"}, Alert: "a", Reading: "r", Observed: "o"}
	for _, k := range []tenant.ID{k1, k2} {
		name := string(k)
		l := n.load(k, want)
		s := n.snapshot(k)
		alerts, err1 := n.Alerts(ctx, k, production.AlertFilter{}, nil, 10)
		lists, err2 := n.References(ctx, k)
		observed, err3 := n.Observations(ctx, k, false, "", 10)
		batches, err4 := n.Batches(ctx, k, production.BatchFilter{}, nil, 10)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		texts := []string{
			l.Kitchen.Kitchen.Name, l.Kitchen.Alerts[0].CorrectiveAction, l.Batch.Production.Notes, l.Batch.Alerts[0].CorrectiveAction, string(l.Remembered.Result), l.Menu.Name,
			l.Programme.Name, l.People["p"].Name, l.Alert.CorrectiveAction, l.Reading.TakenBy, s.Batches[0].Production.Notes, s.Alerts[0].CorrectiveAction,
			n.rows(k, "b").Readings[0].TakenBy, lists.People[0].Name, lists.Menus[0].Name, lists.Programmes[0].Name, string(observed[0].Payload), batches[0].Notes,
		}
		for i, text := range texts {
			if text != name {
				t.Errorf("kitchen %s sees %s of another (text %d)", name, text, i)
			}
		}
		if len(alerts) != 2 || len(s.Batches) != 1 || len(s.Alerts) != 2 || len(batches) != 1 || len(observed) != 1 || len(l.Batch.Alerts) != 1 || s.Seq != 1 ||
			l.Day.Portions != 1000 || n.verified(k) != 1 || len(n.rows(k, "b").Alerts) != 1 {
			t.Errorf("kitchen %s sees more or less than its own", name)
		}
	}
	due, err := n.DueBatches(ctx, noon+1, 10)
	if err != nil || len(due) != 2 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	for i, k := range []tenant.ID{k1, k2} {
		if due[i].Kitchen.Kitchen.ID != k || due[i].Batch.Production.Tenant != k || due[i].Batch.Alerts[0].Tenant != k || len(due[i].Kitchen.Alerts) != 1 || due[i].Day.Portions != 1000 {
			t.Errorf("due %d: %+v", i, due[i])
		}
	}
	// A change of one leaves the other as it is, and neither can be changed in the other's name.
	n.commit(next(n.batch(k1, "b"), func(b *production.Batch) { b.Production.DeletedAt = noon }))
	if got := n.batch(k2, "b"); got.Revision != 1 {
		t.Errorf("the other kitchen's batch is at revision %d, want 1", got.Revision)
	}
	if _, err := n.Batch(ctx, "clx0nobody", "b"); !errors.Is(err, production.ErrNotFound) {
		t.Errorf("a third kitchen: %v, want ErrNotFound", err)
	}
	if err := n.MarkSent(ctx, "relay", k1, 1, nil); !errors.Is(err, production.ErrConflict) {
		t.Errorf("mark without a lease: %v, want ErrConflict", err)
	}
}
