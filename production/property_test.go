package production

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/tenant"
)

// TestAnySequence lets anybody do anything at any time, and looks after each act whether something is so that must never be.
func TestAnySequence(t *testing.T) {
	reached := map[Status]int{}
	reworks, dispatches := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &mob{rt: rt, stage: newStage(t), severity: map[string]int{}}
		m.id = m.create(plan())
		for range rapid.IntRange(20, 80).Draw(rt, "acts") {
			m.act()
		}
		p := m.batchNow().Production
		reached[p.Status]++
		reworks += p.ReworkCount
		if p.Dispatched.Known() {
			dispatches++
		}
	})
	t.Logf("ended in %v, with %d reworks and %d dispatches", reached, reworks, dispatches)
	if reached[Completed] == 0 || reached[Cancelled] == 0 || reworks == 0 || dispatches == 0 { // each happens in a tenth of the sequences, or more
		t.Error("the test reaches too little")
	}
}

// mob is many people with one batch.
type mob struct {
	*stage
	rt       *rapid.T
	id       string
	severity map[string]int // of each alert, so far
}

func (m *mob) batchNow() Batch {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	b := m.store.kitchen(sppg).batches[m.id]
	b.Alerts = m.store.kitchen(sppg).active(m.id)
	return b
}

// helpful are people and acts that bring a batch on; without them a random walk gets nowhere.
func (m *mob) helpful(b Batch) (string, Act) {
	missing := func(kinds ...CheckType) (string, Act) {
		for _, k := range kinds {
			if !b.Facts.passed(k) && rapid.IntRange(0, 4).Draw(m.rt, "skip") > 0 {
				return "gizi", AddCheck{Type: k, Parameter: "uji", ActualValue: "baik", Passed: new(k == Safety || rapid.IntRange(0, 3).Draw(m.rt, "passed") > 0)}
			}
		}
		return "", nil
	}
	dish := rapid.SampledFrom([]string{"Nasi", "Ayam"}).Draw(m.rt, "dish")
	switch b.Production.Status {
	case Planned:
		return "koki", Transition{To: Preparing}
	case Preparing:
		if user, act := missing(Hygiene); act != nil {
			return user, act
		}
		return "kepala", Transition{To: Cooking, Override: true, Reason: "Pengiriman pertama sangat pagi"}
	case Cooking:
		if rapid.Bool().Draw(m.rt, "measure") {
			return "koki", AddReading{Kind: Core, Dish: dish, Celsius: Degrees(rapid.Int32Range(70, 95).Draw(m.rt, "celsius"))}
		}
		return "koki", Transition{To: QualityCheck, Work: Work{ActualPortions: new(950), Cooked: []DishCooked{{Name: dish}}}}
	case QualityCheck:
		if b.Facts.failedNow() && rapid.IntRange(0, 3).Draw(m.rt, "again") > 0 {
			return "gizi", Transition{To: Cooking}
		}
		if !b.Production.SampleTaken.Known() {
			return "mutu", TakeSample{}
		}
		if user, act := missing(Temperature, Taste, Appearance, Safety, Hygiene); act != nil {
			return user, act
		}
		if rapid.Bool().Draw(m.rt, "measure") {
			return "koki", AddReading{Kind: Core, Dish: dish, Celsius: Degrees(82)}
		}
		return "gizi", Transition{To: Completed}
	case Completed:
		return "kurir", RecordDispatch{}
	default:
		return "kepala", Correct{"notes", "x", "Catatan yang terlupa"}
	}
}

func (m *mob) any(b Batch) (string, Act) {
	rt := m.rt
	user := rapid.SampledFrom(slices.Sorted(func(yield func(string) bool) {
		for u := range team {
			if !yield(u) {
				return
			}
		}
	})).Draw(rt, "user")
	dish := rapid.SampledFrom([]string{"", "Nasi", "Ayam", "Jeruk", "Sup"}).Draw(rt, "dish")
	instant := At(m.now.Add(time.Duration(rapid.IntRange(-300, 60).Draw(rt, "ago")) * time.Minute))
	passed := rapid.Bool().Draw(rt, "passed")
	acts := []Act{
		Transition{To: rapid.SampledFrom(Statuses).Draw(rt, "to"), Override: passed, Reason: "Karena memang harus"},
		Work{Progress: new(rapid.IntRange(-1, 101).Draw(rt, "progress"))},
		Work{Cooked: []DishCooked{{dish, instant}}, ActualPortions: new(rapid.IntRange(0, 1100).Draw(rt, "portions"))},
		Work{ActualCost: new(Rupiah(rapid.Int64Range(-1, 2e7).Draw(rt, "cost"))), WasteAmount: new(Kilograms(rapid.Int32Range(0, 500).Draw(rt, "waste")))},
		AddReading{Kind: rapid.SampledFrom(ReadingKinds).Draw(rt, "kind"), Dish: dish, Celsius: Celsius(rapid.Int32Range(-310, 1310).Draw(rt, "celsius"))},
		AddCheck{Type: rapid.SampledFrom(CheckTypes).Draw(rt, "type"), Parameter: "uji", ActualValue: "x", Passed: &passed},
		TakeSample{Dish: dish}, RecordDispatch{}, Cancel{"Listrik padam sejak pagi"}, Delete{},
		Correct{"wasteAmount", "3.5", "Timbangan belum nol"},
		Update{PlannedPortions: new(rapid.IntRange(0, 4000).Draw(rt, "plan")), ControlMode: new(rapid.SampledFrom([]ControlMode{ControlTime, ControlHot, ControlCold}).Draw(rt, "mode"))},
	}
	if len(b.Alerts) > 0 {
		a := rapid.SampledFrom(b.Alerts).Draw(rt, "alert")
		acts = append(acts, Acknowledge{a.ID}, Resolve{a.ID, "Sudah ditangani"}, Resolve{a.ID, ""})
	}
	return user, rapid.SampledFrom(acts).Draw(rt, "act")
}

// act does one thing and checks what must hold across it.
func (m *mob) act() {
	minutes := rapid.SampledFrom([]int{0, 0, 0, 1, 1, 3, 3, 10, 20, 45, 90}).Draw(m.rt, "wait")
	if rapid.Bool().Draw(m.rt, "watched") {
		m.watch(time.Duration(minutes) * time.Minute)
	} else {
		m.wait(time.Duration(minutes) * time.Minute)
	}
	before := m.batchNow()
	user, act := m.any(before)
	if rapid.IntRange(0, 9).Draw(m.rt, "helpful") > 0 {
		user, act = m.helpful(before)
	}
	r := m.as(user)
	r.Version = before.Production.Version
	if rapid.IntRange(0, 19).Draw(m.rt, "stale") == 0 {
		r.Version--
	}
	if rapid.IntRange(0, 4).Draw(m.rt, "offline") == 0 {
		r.TakenAt = At(m.now.Add(-time.Duration(rapid.IntRange(-20, 240).Draw(m.rt, "offline minutes")) * time.Minute))
	}
	commits := m.store.commits
	result, err := m.svc.do(context.Background(), r, m.id, act)
	after := m.batchNow()
	what := fmt.Sprintf("%s by %s at %s: %#v (%v)", act.verb(), user, m.clock(), act, err)
	if err != nil {
		if _, ok := errors.AsType[*Refusal](err); !ok {
			m.rt.Fatalf("%s: not a refusal", what)
		}
		if m.store.commits != commits || !reflect.DeepEqual(before, after) {
			m.rt.Fatalf("%s: refused, and yet something changed", what)
		}
	} else {
		m.held(what, act, r, before, after, result)
	}
	m.alertsHeld(what)
	m.nothingMissed(what)
	m.factsFollow(what)
	if _, err := m.svc.do(context.Background(), Request{Tenant: other, Actor: r.Actor, Version: r.Version}, m.id, act); err == nil {
		m.rt.Fatalf("%s: another kitchen could do it, too", what)
	}
}

// held checks a change that was accepted.
func (m *mob) held(what string, act Act, r Request, before, after Batch, result Result) {
	b, a := before.Production, after.Production
	fail := func(format string, args ...any) { m.rt.Fatalf(what+": "+format, args...) }
	switch act.(type) {
	case Acknowledge, Resolve:
		if !reflect.DeepEqual(b, a) {
			fail("an answer changed the production")
		}
		return
	}
	if a.Version != b.Version+1 || after.Revision != before.Revision+1 || result.Production.Version != a.Version {
		fail("version %d to %d, revision %d to %d", b.Version, a.Version, before.Revision, after.Revision)
	}
	if b.Cooked.Known() && (!a.Cooked.Known() || a.Cooked > b.Cooked || a.ConsumeBy > b.ConsumeBy) {
		fail("the clock moved from %s to %s, its end from %s to %s", b.Cooked, a.Cooked, b.ConsumeBy, a.ConsumeBy)
	}
	if a.Cooked.Known() && (a.Cooked > m.clock() || a.Cooked < a.CookingStarted || a.ConsumeBy > a.Cooked.Add(4*time.Hour)) {
		fail("cooked at %s, started at %s, consume by %s", a.Cooked, a.CookingStarted, a.ConsumeBy)
	}
	rework := b.Status == QualityCheck && a.Status == Cooking
	if a.Progress < b.Progress && !rework || a.Progress < a.Status.floor() || a.Progress > 100 {
		fail("progress %d to %d", b.Progress, a.Progress)
	}
	if rework && (before.Facts.SafetyFailed || a.ReworkCount > 2 || a.ReworkCount != b.ReworkCount+1 || m.clock() >= b.Cooked.Add(2*time.Hour)) {
		fail("rework that must not be")
	}
	if a.Status != b.Status && a.Status != Cancelled && !rework && slices.Index(Statuses, a.Status) != slices.Index(Statuses, b.Status)+1 {
		fail("skipped from %s to %s", b.Status, a.Status)
	}
	if b.Status.Final() {
		b.Version, b.UpdatedAt, b.Dispatched = a.Version, a.UpdatedAt, a.Dispatched
		if !reflect.DeepEqual(a, b) {
			fail("something changed in a final batch: %+v to %+v", b, a)
		}
	}
	if a.Status == Completed && b.Status != Completed {
		m.released(fail, r, after)
	}
	if !b.Dispatched.Known() && a.Dispatched.Known() && (a.Status != Completed || a.Dispatched >= a.ConsumeBy) {
		fail("dispatched at %s, to be eaten by %s", a.Dispatched, a.ConsumeBy)
	}
}

// released checks the first rule of all: nothing is released without checks, core temperature, sample and time left.
func (m *mob) released(fail func(string, ...any), r Request, b Batch) {
	p := b.Production
	k := m.store.kitchen(sppg)
	for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
		var last *Check
		for i := range k.checks {
			if c := &k.checks[i]; c.Type == kind && (last == nil || c.At() >= last.At()) {
				last = c
			}
		}
		if last == nil || !last.Passed {
			fail("released with %s check %+v", kind, last)
		}
	}
	if p.ControlMode == ControlCold {
		return // its dishes are held cold; factsFollow compares the readings
	}
	for _, dish := range []string{"Nasi", "Ayam"} {
		var last *Reading
		for i := range k.readings {
			if got := &k.readings[i]; got.Kind == Core && got.Dish == dish && (last == nil || got.At() >= last.At()) {
				last = got
			}
		}
		if last == nil || last.Celsius < Degrees(75) {
			fail("released with reading %+v of %s", last, dish)
		}
	}
	if len(k.samples) == 0 || m.clock() >= p.ConsumeBy || r.Actor.User == p.HeadCook ||
		slices.ContainsFunc(b.Alerts, func(a Alert) bool { return a.Severity == Critical }) {
		fail("released with %d samples, at %s of %s, by %s, with %q", len(k.samples), m.clock(), p.ConsumeBy, r.Actor.User, m.alerts(m.id))
	}
}

// alertsHeld checks that alerts only rise, that what concerns safety ends by a person, and that the store, which panics at two active
// ones of a code, has an alert for each event.
func (m *mob) alertsHeld(what string) {
	for id, a := range m.store.kitchen(sppg).alerts {
		if a.Severity.Rank() < m.severity[id] {
			m.rt.Fatalf("%s: %s fell to %s", what, a.Code, a.Severity)
		}
		m.severity[id] = a.Severity.Rank()
		if a.Status == AlertAutoResolved && (a.Severity == Critical || a.Code == QCFailed || a.Code == CoreTempLow) || a.Status == AlertResolved && a.ResolvedBy == "" ||
			a.Status == AlertResolved && a.Severity.Rank() >= High.Rank() && len(a.CorrectiveAction) < 5 {
			m.rt.Fatalf("%s: ended as it must not: %+v", what, a)
		}
	}
}

// nothingMissed checks that time brings nothing about before the batch is looked at again.
func (m *mob) nothingMissed(what string) {
	b := m.batchNow()
	last := b.NextLook
	if !last.Known() {
		last = m.clock().Add(7 * 24 * time.Hour)
	}
	if last <= m.clock() {
		return // due by now: nobody has watched
	}
	at := m.clock() + Instant(rapid.Int64Range(0, int64(last-m.clock())-1).Draw(m.rt, "look"))
	k := m.store.kitchen(sppg)
	if c, ok := Look(Due{Kitchen: k.state, Batch: b, Day: k.load(b.Production.Day)}, at); ok && len(c.Alerts) > 0 {
		m.rt.Fatalf("%s: looked at %s, to be looked at again at %s, and at %s there was %+v", what, m.clock(), b.NextLook, at, c.Alerts)
	}
}

// factsFollow checks that the facts are what a count of all rows says.
func (m *mob) factsFollow(what string) {
	k, f := m.store.kitchen(sppg), m.batchNow().Facts
	checks, passed, failedSafety := 0, 0, false
	for _, c := range k.checks {
		checks++
		if c.Passed {
			passed++
		}
		failedSafety = failedSafety || c.Type == Safety && !c.Passed
	}
	if f.Checks != checks || f.ChecksPassed != passed || f.SafetyFailed != failedSafety {
		m.rt.Fatalf("%s: facts %+v; %d checks, %d passed", what, f, checks, passed)
	}
	for _, t := range f.Tracks {
		var last *Reading
		for i := range k.readings {
			r := &k.readings[i]
			if r.Kind == t.Kind && r.Dish == t.Dish && !r.Late && (last == nil || r.At() >= last.At()) {
				last = r
			}
		}
		if last == nil || last.At() != t.At || last.Celsius != t.Celsius {
			m.rt.Fatalf("%s: track %+v; the newest reading is %+v", what, t, last)
		}
	}
}

// TestForeignBatch tries every act on another kitchen's batch: each looks as if it did not exist.
func TestForeignBatch(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	for _, act := range everyAct {
		r := Request{Tenant: other, Actor: Actor{User: "kepala", Role: Head}, Version: 1}
		_, err := s.svc.do(t.Context(), r, id, act)
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Code != CodeNotFound || !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v; want NOT_FOUND", act.verb(), err)
		}
	}
	if _, err := s.svc.Delete(t.Context(), Request{Tenant: tenant.Global, Actor: Actor{User: "super", Role: Superadmin}}, id); !errors.Is(err, ErrForbidden) {
		t.Errorf("without a kitchen: got %v", err)
	}
}

// everyAct has one of each kind but Create.
var everyAct = []Act{
	Update{Notes: new("x")}, Work{Progress: new(1)}, Transition{To: Preparing}, Cancel{"Bahan tidak datang"}, Delete{},
	AddReading{Kind: Ambient, Celsius: 250}, AddCheck{Type: Hygiene, Parameter: "a", ActualValue: "b", Passed: new(true)}, TakeSample{},
	RecordDispatch{}, Correct{"notes", "x", "Catatan yang terlupa"}, Acknowledge{"alert_x"}, Resolve{"alert_x", "Diperbaiki"},
}
