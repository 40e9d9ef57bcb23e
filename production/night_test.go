package production

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// TestNight takes one batch through a night. Every step is refused first, and the refusal names all that is missing.
func TestNight(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	go1 := func(user, id string, to Status) error {
		_, err := s.svc.Transition(ctx, s.on(user, id), id, Transition{To: to})
		return err
	}

	c := plan()
	c.HeadCook, c.PlannedStart = "", At(s.now.Add(13*time.Hour))
	c.PlannedEnd = c.PlannedStart.Add(10 * time.Hour)
	id := s.create(c)
	if got := s.batch(id).Production; got.BatchNumber != "BATCH-20261126-0001" || got.Status != Planned || got.Version != 1 || got.MenuName != "Nasi ayam" {
		t.Fatalf("got %+v", got)
	}
	s.refused(go1("koki", id, Preparing), CodeGuards, GuardHeadCook, GuardNotTooEarly)
	s.refused(go1("koki", id, Cooking), CodeNoSuchStep, string(Preparing), string(Cancelled))
	s.must(s.svc.Update(ctx, s.on("manajer", id), id, Update{HeadCook: new("koki"), PlannedStart: new(At(midnight.Add(-4 * time.Hour)))}))
	s.wait(2 * time.Hour)
	s.step("koki", id, Preparing)
	if p := s.batch(id).Production; p.ActualStart != s.clock() {
		t.Fatalf("actualStartTime is %s; want %s", p.ActualStart, s.clock())
	}

	s.refused(go1("koki", id, Cooking), CodeGuards, GuardHygiene, GuardDayBegan)
	s.inspect(id, Hygiene, false)
	s.refused(go1("koki", id, Cooking), CodeGuards, GuardHygiene, GuardDayBegan)
	s.inspect(id, Hygiene, true)
	s.refused(go1("koki", id, Cooking), CodeGuards, GuardDayBegan)
	s.watch(midnight.Sub(s.now) - time.Millisecond)
	s.refused(go1("koki", id, Cooking), CodeGuards, GuardDayBegan)
	s.wait(time.Millisecond)
	s.step("koki", id, Cooking)
	s.want(id, "QC_FAILED HIGH OPEN")

	s.refused(go1("koki", id, QualityCheck), CodeGuards, GuardReading, GuardPortions)
	s.watch(30 * time.Minute)
	s.read(id, Core, "Nasi", Degrees(90))
	s.read(id, Core, "Ayam", Degrees(71))
	s.refused(go1("koki", id, QualityCheck), CodeGuards, GuardPortions)
	cooked := s.clock()
	s.must(s.svc.Transition(ctx, s.on("koki", id), id, Transition{To: QualityCheck, Work: Work{
		ActualPortions: new(980), Cooked: []DishCooked{{Name: "Nasi"}},
	}}))
	p := s.batch(id).Production
	if p.Cooked != cooked || p.ConsumeBy != cooked.Add(4*time.Hour) || p.Progress != 80 {
		t.Fatalf("got cookedAt %s, consumeBy %s, progress %d", p.Cooked, p.ConsumeBy, p.Progress)
	}
	if got := s.alert(id, CoreTempLow); got.Severity != High || got.Value != 71 || got.Limit != 75 {
		t.Fatalf("got %+v; want HIGH, 71 below 75", got)
	}

	all := []string{
		GuardTemperature, GuardTaste, GuardAppearance, GuardSafety, GuardCore, GuardSample,
	}
	s.refused(go1("gizi", id, Completed), CodeGuards, all...)
	s.refused(go1("gizi", id, Cooking), CodeGuards, GuardFailedCheck)
	s.inspect(id, Temperature, false)
	s.watch(10 * time.Minute)
	s.step("gizi", id, Cooking)
	if p := s.batch(id).Production; p.ReworkCount != 1 || p.Progress != 30 || p.Cooked != cooked || p.CookingStarted != At(midnight) {
		t.Fatalf("after rework: %+v", p)
	}
	s.refused(go1("koki", id, QualityCheck), CodeGuards, GuardReading)
	s.read(id, Core, "Ayam", Degrees(82))
	s.watch(15 * time.Minute)
	s.step("koki", id, QualityCheck)
	if p := s.batch(id).Production; p.Cooked != cooked || p.ConsumeBy != cooked.Add(4*time.Hour) {
		t.Fatalf("rework moved the clock: %+v", p)
	}
	for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
		s.inspect(id, kind, true)
	}
	s.refused(go1("gizi", id, Completed), CodeGuards, GuardSample)
	s.must(s.svc.Sample(ctx, s.as("mutu"), id, TakeSample{Place: "Lemari es 1"}))
	s.must(s.svc.Work(ctx, s.on("akuntan", id), id, Work{ActualCost: new(Rupiah(9_800_000))}))
	s.step("gizi", id, Completed)
	p = s.batch(id).Production
	if p.Progress != 100 || p.QualityPassed == nil || !*p.QualityPassed || p.ActualEnd != s.clock() || *p.CostPerPortion != 10_000 ||
		p.SampleKeepUntil != s.clock().Add(72*time.Hour) {
		t.Fatalf("released: %+v", p)
	}
	s.refused(go1("gizi", id, Cooking), CodeFinal)

	s.must(s.svc.Dispatch(ctx, s.as("kurir"), id, RecordDispatch{Portions: new(980), Destination: "SDN 1"}))
	s.must(s.svc.Correct(ctx, s.as("kepala"), id, Correct{"actualPortions", "979", "Satu porsi tumpah saat pemorsian"}))
	s.proved(id)
}

// proved checks the trail of a night: every version has its event, in order, and the audit chain holds.
func (s *stage) proved(id string) {
	s.t.Helper()
	k := s.store.kitchen(sppg)
	version := int64(0)
	for i, e := range k.events {
		if e.Seq != int64(i+1) || !json.Valid(e.Payload) || e.ID == "" || e.Tenant != sppg {
			s.t.Fatalf("event %d: %+v", i+1, e)
		}
		if e.Channel == UpdatesChannel && e.ProductionID == id {
			if version++; e.Version != version {
				s.t.Fatalf("event %s tells of version %d; want %d", e.ID, e.Version, version)
			}
		}
	}
	if got := s.batch(id).Production.Version; got != version {
		s.t.Fatalf("version is %d, and %d events tell of it", got, version)
	}
	n, _, err := VerifyAudit(func(yield func(AuditEntry, error) bool) {
		for _, e := range k.audit {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil || n != int64(len(k.audit)) || n < version {
		s.t.Fatalf("verified %d of %d audit entries: %v", n, len(k.audit), err)
	}
	ids := make([]string, 0, len(k.events))
	for _, e := range k.events {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(k.events) {
		s.t.Fatal("two events have one id")
	}
}
