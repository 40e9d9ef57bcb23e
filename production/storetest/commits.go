package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

// full is a batch in which every field is set, to values that a careless store would change.
func full() production.Production {
	return production.Production{
		ID: "full", Tenant: k1, ProgrammeID: "programme'; --", MenuID: "menu", MenuName: "Nasi Goréng \"istimewa\" 🍛\n\t\\u0041", Source: production.OwnRecord,
		BatchNumber: "BATCH-20261126-0042", Day: day, PlannedPortions: 10_000, ActualPortions: new(0), HeadCook: "cook", AssistantCooks: []string{"b", "a"},
		SupervisorID: "s", Status: production.QualityCheck, StatusSince: noon, Progress: 80, Wave: 6, TargetGroup: "SD 1–3", ControlMode: production.ControlHot,
		Dishes:       []production.Dish{{Name: "Nasi", Cooked: noon + 1, CoreTemp: new(production.Celsius(755))}, {Name: "Buah", Cold: true, CoreTemp: new(production.Celsius(-5))}},
		PlannedStart: noon, PlannedEnd: noon + 1, ActualStart: noon + 2, ActualEnd: noon + 3, CookingStarted: noon + 4, Cooked: noon + 5, ConsumeBy: noon + 6,
		Dispatched: noon + 7, EstimatedCost: new(production.Rupiah(0)), ActualCost: new(production.Rupiah(math.MaxInt64)), CostPerPortion: new(production.Rupiah(9_007_199_254_740_993)),
		TargetTemperature: 751, ActualTemperature: new(production.Celsius(-1)), HygieneScore: new(100), TasteRating: new(1), AppearanceRating: new(2), TextureRating: new(3),
		QualityPassed: new(false), RejectionReason: "tidak", WasteAmount: new(production.Kilograms(0)), WasteNotes: "w", SampleTaken: noon + 8, SampleKeepUntil: noon + 9,
		Notes: strings.Repeat("catatan ", 200), Photos: []string{"https://foto/1"}, ReworkCount: 2, Version: math.MaxInt64, CreatedAt: 1, CreatedBy: "user", UpdatedAt: -1,
	}
}

func given(t *testing.T, n *node) {
	facts := production.Facts{
		Tracks: []production.Track{{Kind: production.Core, Dish: "Nasi", Celsius: 755, At: noon, OutSince: 1, OutMs: 12}}, Checks: 2, ChecksPassed: 1,
		Marks:        []production.CheckMark{{Type: production.Taste, ID: "c1", Passed: true, Severity: production.Low, At: noon}},
		SafetyFailed: true, RoundReading: true, RoundChecks: 1, LastReading: noon, LastProbe: noon + 1, EarlyReason: "hujan", Started: true,
		FailedSeverity: production.High, Settled: []production.Settled{{Code: production.WasteHigh, Severity: production.Medium, Key: "k"}},
	}
	raised := alarm(k1, "full", "a1", production.CoreTempLow)
	raised.AcknowledgedAt, raised.AcknowledgedBy, raised.Escalations, raised.EscalatedAt = noon+1, "x", 3, noon+2
	raised.ResolvedAt, raised.ResolvedBy, raised.CorrectiveAction = 4, "y", "dipanaskan lagi"
	oven := alarm(k1, "", "a2", production.DocExpiring)
	c := production.Commit{
		Tenant: k1,
		Batch:  &production.Batch{Production: full(), Facts: facts, Revision: 1, NextLook: noon + 10},
		Kitchen: &production.KitchenState{Revision: 1, NextLook: noon + 11, Settled: []production.Settled{{Code: production.DocExpiring, Severity: production.Low}}, Kitchen: production.Kitchen{
			ID: k1, Name: "Dapur Menteng", Zone: production.WIT, CertifiedCook: true, YoungGroups: []string{"PAUD"},
			Certificates: []production.Certificate{{Kind: "SLHS", Number: "1/2", ValidUntil: "2027-01-31"}},
			Limits:       production.Limits{EatWithinMin: new(0), CoreMinC: new(production.Celsius(801)), CertificateDays: new(45)}, Version: 3, UpdatedAt: noon, UpdatedBy: "u",
		}},
		Alerts: []production.Alert{raised, oven},
		Readings: []production.Reading{{
			ID: "r1", ProductionID: "full", Kind: production.HotHold, Dish: "Nasi", Celsius: -300, TakenAt: noon, ReceivedAt: noon + 1, Source: production.Probe,
			TakenBy: "p", ClockOff: true, Late: true, Corrects: "r0",
		}},
		Checks: []production.Check{{
			ID: "c1", ProductionID: "full", Type: production.Safety, Time: noon, ReceivedAt: noon + 1, CheckedBy: "q", Parameter: "formalin", ExpectedValue: "-", ActualValue: "+",
			Score: new(0), Rating: new(1), TextureRating: new(5), Celsius: new(production.Celsius(1)), Severity: production.Critical, Notes: "n", Recommendations: "r",
			ActionRequired: true, ActionTaken: "t", ActionBy: "b", ActionDate: noon + 2, FollowUpRequired: true, FollowUpDate: noon + 3, ClockOff: true, Late: true,
		}},
		Samples: []production.Sample{{ID: "s1", ProductionID: "full", Dish: "d", TakenAt: noon, ReceivedAt: noon + 1, KeepUntil: noon + 2, TakenBy: "t", Place: "kulkas", ClockOff: true}},
		Dispatches: []production.Dispatch{{
			ID: "d1", ProductionID: "full", TakenAt: noon, ReceivedAt: noon + 1, By: "b", Portions: new(0), Destination: "SDN 1", Vehicle: "B 1", Notes: "n", ClockOff: true, Late: true,
		}},
		Corrections: []production.Correction{{ID: "x1", ProductionID: "full", Field: "notes", Value: "v", Reason: "salah ketik saja", By: "u", At: noon}},
		Photos: []production.Photo{
			{
				ID: "p1", ProductionID: "full", Note: "n", Type: "image/png", Size: 4, Width: 1, Height: 2, Digest: production.Hash{1, 31: 255}, TakenAt: noon,
				ReceivedAt: noon + 1, TakenBy: "t", ClockOff: true, Data: []byte("\x00\xff\x89P"),
			},
			{ID: "p2", ProductionID: "full", Data: bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6}, production.MaxPhotoBytes/7)},
		},
		Events: []production.Event{
			{ID: "full.1.0", Tenant: k1, Channel: production.UpdatesChannel, ProductionID: "full", Version: 1, At: noon, Payload: []byte("{\"b\": 1.0,\"a\":[ ]\n}"), Money: true},
			{ID: "full.1.1", Tenant: k1, Channel: production.AlertsChannel, At: noon + 1, Payload: []byte(`{}`)},
		},
		Notices: []production.Notice{{ID: "a1.1", Tenant: k1, AlertID: "a1", At: noon, Payload: []byte(`{"n": 1.0}`), Attempts: 2, NextTry: noon, LastError: "503"}},
		Audit:   []production.AuditEntry{entry(k1, "full", 1), {Tenant: k1, At: noon, User: "system", Action: "look"}},
		Observations: []production.Observation{
			{ID: "0-1", At: noon, ProductionID: "full", Payload: []byte("\x00\xff no JSON"), Flags: []string{"NO_JSON", "ODD"}},
			{ID: "0-2", At: noon, Payload: []byte("{}")},
		},
		Put: production.References{
			People:     []production.Person{{ID: "p", Name: "Siti", Role: production.Head, Active: true, PIN: "pbkdf2", Updated: noon}},
			Menus:      []production.Menu{{ID: "m", Name: "Nasi", Active: true, Dishes: []production.Dish{{Name: "Nasi"}}, Groups: []string{"SD"}, Updated: noon}},
			Programmes: []production.Programme{{ID: "g", Name: "MBG", Active: true, Updated: noon}},
		},
		Remember: &production.Remembered{Key: "kunci \"1\"", Fingerprint: production.Hash{1, 31: 255}, At: noon, Result: []byte(`{ "x": 1.0 }`)},
	}
	events := n.commit(c)
	want := slices.Clone(c.Events)
	want[0].Seq, want[1].Seq = 1, 2
	same(t, "answer of the commit", events, want)

	batch, state := *c.Batch, *c.Kitchen
	batch.Alerts, state.Alerts = []production.Alert{raised}, []production.Alert{oven}
	same(t, "loaded", n.load(k1, production.Want{
		Production: "full", Key: c.Remember.Key, Menu: "m", Programme: "g", People: []string{"p", "nobody"}, Alert: "a2", Reading: "r1", Observed: "0-2",
	}), production.Loaded{
		Kitchen: state, Batch: batch, Day: production.DayLoad{Portions: 10_000, LastNumber: 42}, Remembered: c.Remember, Menu: &c.Put.Menus[0],
		Programme: &c.Put.Programmes[0], People: map[string]production.Person{"p": c.Put.People[0]}, Alert: &oven, Reading: &c.Readings[0], Observed: true,
	})
	same(t, "batch", n.batch(k1, "full"), batch)
	same(t, "rows", n.rows(k1, "full"), production.Rows{
		Readings: c.Readings, Checks: c.Checks, Samples: c.Samples, Dispatches: c.Dispatches, Corrections: c.Corrections, Photos: withoutData(c.Photos),
		Alerts: []production.Alert{raised},
	})
	for _, p := range c.Photos {
		got, err := n.Photo(t.Context(), k1, "full", p.ID)
		if err != nil || !bytes.Equal(got.Data, p.Data) {
			t.Errorf("photo %s has %d bytes, %v; want the %d that were given", p.ID, len(got.Data), err, len(p.Data))
		}
		p.Data, got.Data = nil, nil
		same(t, "photo", got, p)
	}
	same(t, "snapshot", n.snapshot(k1), production.Snapshot{Batches: []production.Batch{batch}, Alerts: []production.Alert{raised, oven}, Seq: 2})
	claim, err := n.Claim(t.Context(), "relay", patience, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "claim", claim, production.Claim{Tenant: k1, Events: want})
	due, err := n.DueBatches(t.Context(), noon+10, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "due", due, []production.Due{{Kitchen: state, Batch: batch, Day: production.DayLoad{Portions: 10_000, LastNumber: 42}}})
	observed, err := n.Observations(t.Context(), k1, false, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "observations", observed, reversed(c.Observations))
	calls, err := n.ClaimNotices(t.Context(), "caller", noon, patience, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "notices", calls, c.Notices)
	lists, err := n.References(t.Context(), k1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "references", lists, c.Put)
	all, err := n.Kitchens(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kitchens", all, []production.Kitchen{state.Kitchen})
	first := c.Audit[0].Sealed(production.AuditEntry{})
	same(t, "audit", n.trail(k1), []production.AuditEntry{first, c.Audit[1].Sealed(first)})
	none(t, n)
}

// none checks that an empty list comes back as one, and none as none: JSON shows the difference.
func none(t *testing.T, n *node) {
	t.Helper()
	empty := production.Production{ID: "empty", Tenant: k1, Day: day, AssistantCooks: []string{}, Dishes: []production.Dish{}, Photos: []string{}}
	n.commit(production.Commit{Tenant: k1, Batch: &production.Batch{Production: empty, Revision: 1}})
	same(t, "a batch with empty lists", n.batch(k1, "empty"), production.Batch{Production: empty, Revision: 1})
	zero := production.Production{ID: "zero", Tenant: k1, Day: day}
	n.commit(production.Commit{Tenant: k1, Batch: &production.Batch{Production: zero, Revision: 1}})
	same(t, "a batch with nothing", n.batch(k1, "zero"), production.Batch{Production: zero, Revision: 1})
}

func nothing(t *testing.T, n *node) {
	ctx := t.Context()
	same(t, "load", n.load(k1, production.Want{Key: "k", Day: day, Menu: "m", Programme: "g", People: []string{"p"}, Alert: "a", Observed: "o"}),
		production.Loaded{Kitchen: production.KitchenState{Kitchen: production.Kitchen{ID: k1}}})
	same(t, "snapshot", n.snapshot(k1), production.Snapshot{})
	_, noBatch := n.Load(ctx, k1, production.Want{Production: "x"})
	_, noBatch2 := n.Batch(ctx, k1, "x")
	_, noRows := n.Rows(ctx, k1, "x", "", 10)
	_, noClaim := n.Claim(ctx, "relay", patience, 10)
	for _, err := range []error{noBatch, noBatch2, noRows, noClaim} {
		if !errors.Is(err, production.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	batches, err1 := n.Batches(ctx, k1, production.BatchFilter{}, nil, 10)
	facts, err2 := n.Facts(ctx, k1, production.BatchFilter{}, nil, 10)
	alerts, err3 := n.Alerts(ctx, k1, production.AlertFilter{}, nil, 10)
	lists, err4 := n.References(ctx, k1)
	observed, err5 := n.Observations(ctx, k1, false, "", 10)
	all, err6 := n.Kitchens(ctx, "", 10)
	waiting, since, err7 := n.Backlog(ctx)
	due, err8 := n.DueBatches(ctx, noon, 10)
	dueKitchens, err9 := n.DueKitchens(ctx, noon, 10)
	look, err10 := n.NextDue(ctx)
	calls, err11 := n.ClaimNotices(ctx, "caller", noon, patience, 10)
	gone, err12 := n.Forget(ctx, production.Before{Events: noon, Keys: noon, Observations: noon}, 10)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12); err != nil {
		t.Fatal(err)
	}
	if len(batches)+len(facts)+len(alerts)+len(lists.People)+len(lists.Menus)+len(lists.Programmes)+len(observed)+len(all)+len(due)+len(dueKitchens)+len(calls)+gone > 0 ||
		waiting != 0 || since != 0 || look != 0 || n.verified(k1) != 0 {
		t.Error("an empty database holds something")
	}
}

func revisions(t *testing.T, n *node) {
	c := plan(k1, "b", 1)
	n.commit(c)
	n.refused(c, production.ErrConflict)
	first := n.batch(k1, "b")
	second := next(first, func(b *production.Batch) { b.Production.Progress = 1 })
	n.commit(second)
	n.refused(second, production.ErrConflict)
	n.refused(next(first, nil), production.ErrConflict)
	unborn := plan(k1, "unborn", 2)
	unborn.Base, unborn.Batch.Revision = 1, 2
	n.refused(unborn, production.ErrConflict)
	if got := n.batch(k1, "b"); got.Revision != 2 || got.Production.Progress != 1 {
		t.Errorf("got revision %d, progress %d; want 2 and 1", got.Revision, got.Production.Progress)
	}
	n.commit(next(n.batch(k1, "b"), nil))
	if got := n.verified(k1); got != 3 {
		t.Errorf("%d audit entries, want 3", got)
	}
}

func kitchenRevisions(t *testing.T, n *node) {
	set := func(base int64, name string) production.Commit {
		return production.Commit{Tenant: k1, KitchenBase: base, Kitchen: &production.KitchenState{
			Revision: base + 1, Kitchen: production.Kitchen{ID: k1, Name: name, Version: base + 1},
		}}
	}
	n.refused(set(1, "early"), production.ErrConflict)
	n.commit(set(0, "one"))
	n.refused(set(0, "again"), production.ErrConflict)
	n.commit(set(1, "two"))
	n.refused(set(1, "late"), production.ErrConflict)
	if got := n.load(k1, production.Want{}).Kitchen; got.Kitchen.Name != "two" || got.Revision != 2 {
		t.Errorf("got %q at revision %d, want two at 2", got.Kitchen.Name, got.Revision)
	}
	// One commit may have both; if one of the two is stale, neither is written.
	both := plan(k1, "b", 1)
	both.Kitchen, both.KitchenBase = set(1, "stale").Kitchen, 1
	n.refused(both, production.ErrConflict)
	if _, err := n.Batch(t.Context(), k1, "b"); !errors.Is(err, production.ErrNotFound) {
		t.Errorf("the batch of a commit with a stale kitchen: %v, want ErrNotFound", err)
	}
	both.Kitchen, both.KitchenBase = set(2, "three").Kitchen, 2
	n.commit(both)
}

func conflictWritesNothing(t *testing.T, n *node) {
	n.commit(plan(k1, "b", 1))
	stored := n.batch(k1, "b")
	before := n.snapshot(k1)
	c := next(stored, nil)
	c.Base, c.Batch.Revision = 7, 8
	c.Alerts = []production.Alert{alarm(k1, "b", "a", production.EatBy)}
	c.Readings = []production.Reading{{ID: "r", ProductionID: "b"}}
	c.Notices = []production.Notice{{ID: "n", Tenant: k1}}
	c.Observations = []production.Observation{{ID: "o", At: noon}}
	c.Put.People = []production.Person{{ID: "p", Name: "P"}}
	c.Remember = &production.Remembered{Key: "k", At: noon}
	n.refused(c, production.ErrConflict)
	same(t, "snapshot", n.snapshot(k1), before)
	got := n.load(k1, production.Want{Key: "k", People: []string{"p"}, Alert: "a", Observed: "o", Production: "b", Reading: "r"})
	if got.Remembered != nil || len(got.People) > 0 || got.Alert != nil || got.Observed || got.Reading != nil {
		t.Errorf("something of a refused commit is there: %+v", got)
	}
	if calls, err := n.ClaimNotices(t.Context(), "x", noon, patience, 10); err != nil || len(calls) > 0 {
		t.Errorf("a notice of a refused commit is there: %v, %v", calls, err)
	}
	if got := n.verified(k1); got != 1 {
		t.Errorf("%d audit entries, want 1", got)
	}
	if got := numbersOf(n.drain("relay")); !slices.Equal(got, []int64{1}) {
		t.Errorf("events %v, want 1", got)
	}
	if got := n.commit(next(stored, nil)); got[0].Seq != 2 {
		t.Errorf("the next event has number %d, want 2", got[0].Seq)
	}
}

func numbers(_ *testing.T, n *node) {
	n.commit(plan(k1, "a", 1))
	n.refused(plan(k1, "b", 1), production.ErrConflict)
	n.commit(plan(k2, "a", 1)) // another kitchen counts for itself
	n.commit(next(n.batch(k1, "a"), func(b *production.Batch) { b.Production.DeletedAt = noon }))
	n.refused(plan(k1, "b", 1), production.ErrConflict) // a deleted batch keeps its number
	n.commit(plan(k1, "b", 2))
	for _, id := range []string{"x", "y"} { // an app may send batches without one
		c := plan(k1, id, 0)
		c.Batch.Production.BatchNumber, c.Batch.Production.Source = "", production.AppRecord
		n.commit(c)
	}
}

func keys(t *testing.T, n *node) {
	remember := func(t tenant.ID, result string) production.Commit {
		return production.Commit{Tenant: t, Remember: &production.Remembered{Key: "k", At: noon, Result: []byte(result)}}
	}
	n.commit(remember(k1, `1`))
	n.refused(remember(k1, `2`), production.ErrConflict)
	n.commit(remember(k2, `3`))
	c := plan(k1, "b", 1)
	c.Remember = &production.Remembered{Key: "k", At: noon}
	n.refused(c, production.ErrConflict)
	if got := n.load(k1, production.Want{Key: "k"}).Remembered; got == nil || string(got.Result) != `1` {
		t.Errorf("remembered %+v, want the first result", got)
	}
	if got := n.load(k1, production.Want{Key: "K"}).Remembered; got != nil {
		t.Errorf("another key remembers %+v", got)
	}
}

func observations(t *testing.T, n *node) {
	observed := func(id string, at production.Instant, flags ...string) production.Commit {
		return production.Commit{Tenant: k1, Observations: []production.Observation{{ID: id, At: at, Payload: []byte(id), Flags: flags}}}
	}
	for i, id := range []string{"e", "a", "d"} {
		n.commit(observed(id, noon+production.Instant(i/2)))
	}
	n.commit(observed("odd", noon-1, "ODD"))
	n.refused(observed("a", noon), production.ErrConflict)
	list := func(flagged bool, after string, limit int) []string {
		t.Helper()
		got, err := n.Observations(t.Context(), k1, flagged, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids(got, func(o *production.Observation) string { return o.ID })
	}
	same(t, "all", list(false, "", 10), []string{"d", "e", "a", "odd"})
	same(t, "first page", list(false, "", 2), []string{"d", "e"})
	same(t, "second page", list(false, "e", 2), []string{"a", "odd"})
	same(t, "flagged", list(true, "", 10), []string{"odd"})
	same(t, "flagged after one that is not", list(true, "a", 10), []string{"odd"})
	if _, err := n.Observations(t.Context(), k1, false, "nobody", 10); !errors.Is(err, production.ErrNotFound) {
		t.Errorf("after an id that is not there: %v, want ErrNotFound", err)
	}
}

func withoutData(photos []production.Photo) []production.Photo {
	list := slices.Clone(photos)
	for i := range list {
		list[i].Data = nil
	}
	return list
}

func brokenCommits(t *testing.T, n *node) {
	n.commit(plan(k1, "b", 1))
	before := n.snapshot(k1)
	for name, spoil := range map[string]func(*production.Commit){
		"NoTenant":       func(c *production.Commit) { c.Tenant = tenant.Global },
		"BatchOfAnother": func(c *production.Commit) { c.Batch.Production.Tenant = k2 },
		"BatchWithoutID": func(c *production.Commit) { c.Batch.Production.ID = "" },
		"RevisionSkips":  func(c *production.Commit) { c.Batch.Revision++ },
		"RevisionStays":  func(c *production.Commit) { c.Batch.Revision = c.Base },
		"KitchenOfAnother": func(c *production.Commit) {
			c.Kitchen = &production.KitchenState{Kitchen: production.Kitchen{ID: k2}, Revision: 1}
		},
		"KitchenRevision":     func(c *production.Commit) { c.Kitchen = &production.KitchenState{Kitchen: production.Kitchen{ID: k1}} },
		"AlertOfAnother":      func(c *production.Commit) { c.Alerts = []production.Alert{alarm(k2, "b", "a", production.EatBy)} },
		"AlertOfAnotherBatch": func(c *production.Commit) { c.Alerts = []production.Alert{alarm(k1, "x", "a", production.EatBy)} },
		"AlertWithoutKitchen": func(c *production.Commit) { c.Alerts = []production.Alert{alarm(k1, "", "a", production.EatBy)} },
		"AlertWithoutBatch": func(c *production.Commit) {
			c.Alerts, c.Batch = []production.Alert{alarm(k1, "b", "a", production.EatBy)}, nil
		},
		"ReadingOfAnotherBatch": func(c *production.Commit) { c.Readings = []production.Reading{{ID: "r", ProductionID: "x"}} },
		"CheckWithoutBatch":     func(c *production.Commit) { c.Batch, c.Checks = nil, []production.Check{{ID: "r", ProductionID: "b"}} },
		"SampleOfNothing":       func(c *production.Commit) { c.Samples = []production.Sample{{ID: "r"}} },
		"DispatchOfNothing":     func(c *production.Commit) { c.Dispatches = []production.Dispatch{{ID: "r"}} },
		"CorrectionOfNothing":   func(c *production.Commit) { c.Corrections = []production.Correction{{ID: "r"}} },
		"PhotoOfAnotherBatch": func(c *production.Commit) {
			c.Photos = []production.Photo{{ID: "p", ProductionID: "x", Data: []byte("x")}}
		},
		"EventOfAnother":  func(c *production.Commit) { c.Events[0].Tenant = k2 },
		"NoticeOfAnother": func(c *production.Commit) { c.Notices = []production.Notice{{ID: "n", Tenant: k2}} },
		"AuditOfAnother":  func(c *production.Commit) { c.Audit[0].Tenant = k2 },
	} {
		t.Run(name, func(t *testing.T) {
			c := next(n.batch(k1, "b"), nil)
			spoil(&c)
			if _, err := n.Commit(t.Context(), c); !errors.Is(err, production.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			same(t, "snapshot", n.snapshot(k1), before)
		})
	}
}

func argumentsNotKept(t *testing.T, n *node) {
	c := plan(k1, "b", 1)
	c.Batch.Production.Photos = []string{"one"}
	c.Remember = &production.Remembered{Key: "k", At: noon, Result: []byte(`1`)}
	n.commit(c)
	c.Batch.Production.Photos[0], c.Batch.Production.Dishes[0].Name = "changed", "changed"
	c.Remember.Result[0], c.Events[0].Payload[0], c.Audit[0].Detail[0] = 'x', 'x', 'x'
	got := n.load(k1, production.Want{Production: "b", Key: "k"})
	if p := got.Batch.Production; p.Photos[0] != "one" || p.Dishes[0].Name != "Nasi" || string(got.Remembered.Result) != `1` {
		t.Errorf("the store keeps memory of its caller: %v", got)
	}
	if e := n.drain("relay"); e[0].Payload[0] != '{' {
		t.Errorf("the payload of an event changed with its argument: %s", e[0].Payload)
	}
	n.verified(k1)
}

func deleteHides(t *testing.T, n *node) {
	ctx := t.Context()
	c := plan(k1, "b", 1)
	c.Readings = []production.Reading{{ID: "r", ProductionID: "b"}}
	c.Batch.NextLook = noon
	n.commit(c)
	stored := n.batch(k1, "b")
	n.commit(next(stored, func(b *production.Batch) { b.Production.DeletedAt = noon }))
	_, err1 := n.Batch(ctx, k1, "b")
	_, err2 := n.Rows(ctx, k1, "b", "", 10)
	_, err3 := n.Load(ctx, k1, production.Want{Production: "b"})
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, production.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	batches, err1 := n.Batches(ctx, k1, production.BatchFilter{}, nil, 10)
	facts, err2 := n.Facts(ctx, k1, production.BatchFilter{}, nil, 10)
	due, err3 := n.DueBatches(ctx, noon, 10)
	look, err4 := n.NextDue(ctx)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if len(batches)+len(facts)+len(due)+len(n.snapshot(k1).Batches) > 0 || look != 0 {
		t.Errorf("a deleted batch is in %d lists, %d facts, %d due, next at %v", len(batches), len(facts), len(due), look)
	}
	// Nothing can follow, and its id stays taken; what it left behind stays.
	again := next(stored, nil)
	again.Base, again.Batch.Revision = 2, 3
	n.refused(again, production.ErrConflict)
	n.refused(plan(k1, "b", 9), production.ErrConflict)
	if got := n.verified(k1); got != 2 {
		t.Errorf("%d audit entries, want 2", got)
	}
	if got := numbersOf(n.drain("relay")); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("events %v, want 1 and 2", got)
	}
}

func auditChain(t *testing.T, n *node) {
	const many = 1500 // more than a page
	c := production.Commit{Tenant: k1}
	for i := range int64(many) {
		c.Audit = append(c.Audit, entry(k1, "b", i))
	}
	n.commit(c)
	n.commit(production.Commit{Tenant: k2, Audit: []production.AuditEntry{entry(k2, "b", 1)}})
	n.commit(production.Commit{Tenant: k1, Audit: []production.AuditEntry{{Tenant: k1, At: noon, User: "last", Detail: json.RawMessage(nil)}}})
	if got := n.verified(k1); got != many+1 {
		t.Errorf("%d entries in order, want %d", got, many+1)
	}
	if got := n.verified(k2); got != 1 {
		t.Errorf("%d entries of the other kitchen, want 1", got)
	}
	whole := n.trail(k1)
	for _, from := range []int64{-1, 0, 2, many, many + 1, many + 2} {
		want := whole[min(max(from, 1)-1, many+1):]
		i := 0
		for e, err := range n.Audit(t.Context(), k1, from) {
			if err != nil || i >= len(want) || e.Hash != want[i].Hash {
				t.Fatalf("from %d: entry %d is %+v, %v", from, i, e, err)
			}
			i++
		}
		if i != len(want) {
			t.Errorf("from %d: %d entries, want %d", from, i, len(want))
		}
	}
	for range n.Audit(t.Context(), k1, 1) { // who has seen enough may stop
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range n.Audit(ctx, k1, 1) {
		if !errors.Is(err, production.ErrUnavailable) {
			t.Errorf("with an ended context: %v, want ErrUnavailable", err)
		}
	}
}
