package production

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// seen returns what the rules find in b at an instant, as "CODE SEVERITY value/limit unit".
func seen(b Batch, k Kitchen, load DayLoad, now Instant) string {
	limits := k.Limits.OrDefaults()
	q := inquiry{p: &b.Production, f: &b.Facts, k: &k, day: load, l: &limits, now: now}
	q.ask()
	var words []string
	for _, f := range q.hits {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s %v/%v %s", f.code, f.severity, f.value, f.limit, f.unit)))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// TestThresholds asks each rule on both sides of each of its limits.
func TestThresholds(t *testing.T) {
	base := At(midnight)
	at := func(d time.Duration) Instant { return base.Add(d) }
	const ms = time.Millisecond
	minute := time.Minute
	batch := func(status Status, change func(*Batch)) Batch {
		b := Batch{Production: Production{
			ID: "p", Status: status, StatusSince: base, Day: day, PlannedPortions: 1000, Progress: 90, ControlMode: ControlTime,
			PlannedStart: base, PlannedEnd: base.Add(100 * time.Hour),
		}}
		if change != nil {
			change(&b)
		}
		return b
	}
	cooked := func(status Status) Batch {
		return batch(status, func(b *Batch) {
			b.Production.Cooked, b.Production.ConsumeBy = base, at(4*time.Hour)
			b.Production.SampleTaken, b.Facts.RoundChecks = base, 1
			b.Facts.LastReading = at(100 * time.Hour)
		})
	}
	hold := func(mode ControlMode, kind ReadingKind, c Celsius, outMs int64) Batch {
		return batch(Completed, func(b *Batch) {
			b.Production.ControlMode = mode
			b.Facts.Tracks = []Track{{Kind: kind, Celsius: c, At: base, OutSince: base, OutMs: outMs}}
		})
	}
	for _, c := range []struct {
		name string
		b    Batch
		at   time.Duration
		want string
	}{
		{"EatBy/Before2h", cooked(QualityCheck), 2*time.Hour - ms, ""},
		{"EatBy/2h", cooked(QualityCheck), 2 * time.Hour, "EAT_BY MEDIUM 120/120 min"},
		{"EatBy/Before3h", cooked(QualityCheck), 3*time.Hour - ms, "EAT_BY MEDIUM 179/120 min"},
		{"EatBy/3h", cooked(QualityCheck), 3 * time.Hour, "EAT_BY HIGH 180/180 min"},
		{"EatBy/PastDispatchLimit", cooked(Completed), 3*time.Hour + ms, "DISPATCH_TOO_LATE HIGH 59/60 min, EAT_BY HIGH 180/180 min"},
		{"EatBy/Before4h", cooked(Completed), 4*time.Hour - ms, "DISPATCH_TOO_LATE HIGH 0/60 min, EAT_BY HIGH 239/180 min"},
		{"EatBy/4h", cooked(Completed), 4 * time.Hour, "DISPATCH_TOO_LATE HIGH 0/60 min, EAT_BY CRITICAL 240/240 min"},
		{"EatBy/WhileCooking", cooked(Cooking), 2 * time.Hour, "EAT_BY MEDIUM 120/120 min"},
		{"EatBy/Dispatched", batch(Completed, func(b *Batch) {
			b.Production.Cooked, b.Production.ConsumeBy, b.Production.Dispatched = base, at(4*time.Hour), at(time.Hour)
		}), 5 * time.Hour, ""},
		{"EatBy/Cancelled", cooked(Cancelled), 5 * time.Hour, ""},

		{"StartLate/15min", batch(Planned, nil), 15 * minute, ""},
		{"StartLate/Past15min", batch(Planned, nil), 15*minute + ms, "START_LATE MEDIUM 15/15 min"},
		{"StartLate/45min", batch(Planned, nil), 45 * minute, "START_LATE MEDIUM 45/15 min"},
		{"StartLate/Past45min", batch(Planned, nil), 45*minute + ms, "START_LATE HIGH 45/45 min"},
		{"StartLate/Deleted", batch(Planned, func(b *Batch) { b.Production.DeletedAt = base }), time.Hour, ""},

		{"Behind/15", batch(Preparing, func(b *Batch) { b.Production.Progress = 10 }), 25 * time.Hour, ""},
		{"Behind/Past15", batch(Preparing, func(b *Batch) { b.Production.Progress = 10 }), 25*time.Hour + ms, "BEHIND_SCHEDULE MEDIUM 15/15 %"},
		{"Behind/30", batch(Preparing, func(b *Batch) { b.Production.Progress = 10 }), 40 * time.Hour, "BEHIND_SCHEDULE MEDIUM 30/15 %"},
		{"Behind/Past30", batch(Preparing, func(b *Batch) { b.Production.Progress = 10 }), 40*time.Hour + ms, "BEHIND_SCHEDULE HIGH 30/30 %"},
		{"Behind/BeforeTheStart", batch(Preparing, func(b *Batch) { b.Production.Progress = 0 }), -time.Hour, ""},
		{"Behind/Clamped", batch(Preparing, func(b *Batch) { b.Production.Progress = 84 }), 100*time.Hour + minute, "BEHIND_SCHEDULE MEDIUM 16/15 %"},

		{"Overrun/10min", batch(Preparing, nil), 100*time.Hour + 10*minute, ""},
		{"Overrun/Past10min", batch(Preparing, nil), 100*time.Hour + 10*minute + ms, "OVERRUN MEDIUM 10/10 min"},
		{"Overrun/Past30min", batch(Preparing, nil), 100*time.Hour + 30*minute + ms, "OVERRUN HIGH 30/30 min"},
		{"Overrun/Completed", batch(Completed, nil), 101 * time.Hour, ""},

		{"NoReading/30min", batch(Cooking, nil), 30 * minute, ""},
		{"NoReading/Past30min", batch(Cooking, nil), 30*minute + ms, "NO_READING LOW 30/30 min"},
		{"NoReading/Past60min", batch(Cooking, nil), 60*minute + ms, "NO_READING MEDIUM 60/60 min"},
		{"NoReading/SinceTheLast", batch(Cooking, func(b *Batch) { b.Facts.LastReading = at(20 * minute) }), 50 * minute, ""},
		{"NoReading/ProbeSilent3min", batch(Cooking, func(b *Batch) { b.Facts.LastReading, b.Facts.LastProbe = at(minute), at(minute) }), 4 * minute, ""},
		{"NoReading/ProbeSilentPast3min", batch(Cooking, func(b *Batch) { b.Facts.LastReading, b.Facts.LastProbe = at(minute), at(minute) }), 4*minute + ms, "NO_READING LOW 3/3 min"},
		{"NoReading/ProbeOfTheRoundBefore", batch(Cooking, func(b *Batch) { b.Facts.LastProbe = base - 1 }), 10 * minute, ""},

		{"QCWaiting/15min", batch(QualityCheck, func(b *Batch) { b.Production.SampleTaken = base }), 15 * minute, ""},
		{"QCWaiting/Past15min", batch(QualityCheck, func(b *Batch) { b.Production.SampleTaken = base }), 15*minute + ms, "QC_WAITING MEDIUM 15/15 min"},
		{"QCWaiting/Past30min", batch(QualityCheck, func(b *Batch) { b.Production.SampleTaken = base }), 30*minute + ms, "QC_WAITING HIGH 30/30 min"},
		{"SampleMissing/15min", batch(QualityCheck, func(b *Batch) { b.Facts.RoundChecks = 1 }), 15 * minute, ""},
		{"SampleMissing/Past15min", batch(QualityCheck, func(b *Batch) { b.Facts.RoundChecks = 1 }), 15*minute + ms, "SAMPLE_MISSING MEDIUM 15/15 min"},

		{"HotHold/60s", hold(ControlHot, HotHold, 590, 0), minute, ""},
		{"HotHold/Past60s", hold(ControlHot, HotHold, 590, 0), minute + ms, "HOT_HOLD_LOW MEDIUM 59/60 °C"},
		{"HotHold/2hInSum", hold(ControlHot, HotHold, 590, 3600_000), 60 * minute, "HOT_HOLD_LOW MEDIUM 59/60 °C"},
		{"HotHold/Past2hInSum", hold(ControlHot, HotHold, 590, 3600_000), 60*minute + ms, "HOT_HOLD_LOW HIGH 120/120 min"},
		{"HotHold/Past4h", hold(ControlHot, HotHold, 590, 0), 4*time.Hour + ms, "HOT_HOLD_LOW CRITICAL 240/240 min"},
		{"HotHold/OnlyInHotMode", hold(ControlTime, HotHold, 590, 0), 5 * time.Hour, ""},
		{"ColdHold/15min", hold(ControlCold, ColdHold, 60, 0), 15 * minute, ""},
		{"ColdHold/Past15min", hold(ControlCold, ColdHold, 60, 0), 15*minute + ms, "COLD_HOLD_HIGH MEDIUM 6/5 °C"},
		{"ColdHold/10C", hold(ControlCold, ColdHold, 100, 0), minute, ""},
		{"ColdHold/Past10C", hold(ControlCold, ColdHold, 101, 0), minute, "COLD_HOLD_HIGH HIGH 10.1/10 °C"},
		{"ColdHold/Past2h", hold(ControlTime, ColdHold, 60, 0), 2*time.Hour + ms, "COLD_HOLD_HIGH HIGH 120/120 min"},
		{"ColdHold/Past4h", hold(ControlCold, ColdHold, 60, 0), 4*time.Hour + ms, "COLD_HOLD_HIGH CRITICAL 240/240 min"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := seen(c.b, Kitchen{}, DayLoad{}, at(c.at)); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

// TestFigures asks the rules that do not depend on time.
func TestFigures(t *testing.T) {
	with := func(status Status, change func(*Batch)) Batch {
		b := Batch{Production: Production{
			Status: status, Day: day, PlannedPortions: 1000, SampleTaken: 1, ControlMode: ControlTime,
			PlannedStart: At(midnight), PlannedEnd: At(midnight.Add(time.Hour)), StatusSince: At(midnight), Progress: 90,
		}, Facts: Facts{RoundChecks: 1}}
		change(&b)
		return b
	}
	core := func(status Status, mode ControlMode, temps ...Celsius) Batch {
		return with(status, func(b *Batch) {
			b.Production.ControlMode = mode
			for i, c := range temps {
				name := fmt.Sprint("dish ", i)
				b.Production.Dishes = append(b.Production.Dishes, Dish{Name: name})
				b.Facts.Tracks = append(b.Facts.Tracks, Track{Kind: Core, Dish: name, Celsius: c})
			}
		})
	}
	cost := func(estimate, actual *Rupiah, group string) Batch {
		return with(Completed, func(b *Batch) {
			b.Production.EstimatedCost, b.Production.ActualCost, b.Production.TargetGroup = estimate, actual, group
		})
	}
	waste := func(k Kilograms) Batch { return with(Completed, func(b *Batch) { b.Production.WasteAmount = &k }) }
	yield := func(status Status, n int) Batch {
		return with(status, func(b *Batch) { b.Production.ActualPortions = &n })
	}
	rp := func(n Rupiah) *Rupiah { return &n }
	for _, c := range []struct {
		name string
		b    Batch
		k    Kitchen
		load int
		want string
	}{
		{"Core/75", core(QualityCheck, ControlTime, 750, 900), Kitchen{}, 0, ""},
		{"Core/Below75", core(QualityCheck, ControlTime, 900, 749), Kitchen{}, 0, "CORE_TEMP_LOW HIGH 74.9/75 °C"},
		{"Core/70", core(QualityCheck, ControlHot, 700), Kitchen{}, 0, "CORE_TEMP_LOW HIGH 70/75 °C"},
		{"Core/Below70", core(QualityCheck, ControlTime, 740, 699), Kitchen{}, 0, "CORE_TEMP_LOW CRITICAL 69.9/70 °C"},
		{"Core/WhileCooking", core(Cooking, ControlTime, 300), Kitchen{}, 0, ""},
		{"Core/Cold", core(QualityCheck, ControlCold, 300), Kitchen{}, 0, ""},
		{"Core/StricterKitchen", core(QualityCheck, ControlTime, 790), Kitchen{Limits: Limits{CoreMinC: new(Degrees(80))}}, 0, "CORE_TEMP_LOW HIGH 79/80 °C"},
		{"Cost/10Percent", cost(rp(1_000_000), rp(1_100_000), ""), Kitchen{}, 0, ""},
		{"Cost/Past10Percent", cost(rp(1_000_000), rp(1_100_001), ""), Kitchen{}, 0, "COST_OVER MEDIUM 10/10 %"},
		{"Cost/Past25Percent", cost(rp(1_000_000), rp(1_260_000), ""), Kitchen{}, 0, "COST_OVER HIGH 26/25 %"},
		{"Cost/NothingEstimated", cost(rp(0), rp(1_000_000), ""), Kitchen{}, 0, ""},
		{"Cost/PerPortion", cost(rp(10_000_000), nil, ""), Kitchen{}, 0, ""},
		{"Cost/PastPerPortion", cost(rp(10_001_000), nil, "SD 4-6"), Kitchen{}, 0, "COST_OVER MEDIUM 10001/10000 Rp"},
		{"Cost/Young", cost(nil, rp(8_001_000), "balita"), Kitchen{}, 0, "COST_OVER MEDIUM 8001/8000 Rp"},
		{"Cost/YoungByTheKitchensWords", cost(nil, rp(8_001_000), "anak kecil"), Kitchen{YoungGroups: []string{"Anak kecil"}}, 0, "COST_OVER MEDIUM 8001/8000 Rp"},
		{"Cost/NoYoungGroups", cost(nil, rp(8_001_000), "balita"), Kitchen{YoungGroups: []string{}}, 0, ""},
		{"Waste/10kg", waste(100), Kitchen{}, 0, ""},
		{"Waste/Past10kg", waste(101), Kitchen{}, 0, "WASTE_HIGH MEDIUM 10.1/10 kg"},
		{"Waste/Past30kg", waste(301), Kitchen{}, 0, "WASTE_HIGH HIGH 30.1/30 kg"},
		{"Yield/95", yield(QualityCheck, 950), Kitchen{}, 0, ""},
		{"Yield/Below95", yield(QualityCheck, 949), Kitchen{}, 0, "YIELD_LOW MEDIUM 94.9/95 %"},
		{"Yield/Below85", yield(Completed, 849), Kitchen{}, 0, "YIELD_LOW HIGH 84.9/85 %"},
		{"Yield/StillCounting", yield(Cooking, 1), Kitchen{}, 0, ""},
		{"Capacity/Cap", with(Preparing, func(*Batch) {}), Kitchen{}, 2500, ""},
		{"Capacity/PastCap", with(Planned, func(*Batch) {}), Kitchen{}, 2501, "OVER_CAPACITY MEDIUM 2501/2500 porsi"},
		{"Capacity/Started", with(Preparing, func(b *Batch) { b.Facts.Started = true }), Kitchen{}, 2501, "OVER_CAPACITY HIGH 2501/2500 porsi"},
		{"Capacity/Certified", with(Planned, func(*Batch) {}), Kitchen{CertifiedCook: true}, 3000, ""},
		{"Capacity/PastCertified", with(Planned, func(*Batch) {}), Kitchen{CertifiedCook: true}, 3001, "OVER_CAPACITY MEDIUM 3001/3000 porsi"},
		{"TooEarly", with(Completed, func(b *Batch) {
			b.Facts.EarlyReason, b.Production.CookingStarted = "x", At(midnight.Add(-30*time.Minute))
		}), Kitchen{}, 0, "COOK_TOO_EARLY HIGH 30/0 min"},
		{"FailedCheck", with(Cancelled, func(b *Batch) { b.Facts.Checks, b.Facts.ChecksPassed, b.Facts.FailedSeverity = 5, 3, Critical }), Kitchen{}, 0, "QC_FAILED CRITICAL 2/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := seen(c.b, c.k, DayLoad{Portions: c.load}, At(midnight)); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	end := Day("2026-12-31").End(WIB)
	for _, c := range []struct {
		at   Instant
		want string
	}{
		{end.Add(-30 * 24 * time.Hour), ""},
		{end.Add(-30*24*time.Hour) + 1, "DOC_EXPIRING LOW 29"},
		{end - 1, "DOC_EXPIRING LOW 0"},
		{end, "DOC_EXPIRING HIGH 0"},
	} {
		k := Kitchen{Certificates: []Certificate{{"HALAL", "", "2028-01-01"}, {"SLHS", "", "2026-12-31"}}}
		q := inquiry{k: &k, l: &defaults, now: c.at}
		q.certificates()
		got := ""
		for _, f := range q.hits {
			got += fmt.Sprintf("%s %s %v", f.code, f.severity, f.value)
		}
		if got != c.want {
			t.Errorf("at %s: got %q; want %q", c.at, got, c.want)
		}
	}
}

// TestHoldingWithAMargin: a temperature at the limit flutters; it is back in bounds a whole degree away from it.
func TestHoldingWithAMargin(t *testing.T) {
	l := Limits{}.OrDefaults()
	var f Facts
	at := At(midnight)
	measure := func(c Celsius, after time.Duration) *Track {
		at = at.Add(after)
		f.measure(&Reading{Kind: HotHold, Celsius: c, TakenAt: at, ReceivedAt: at}, l)
		return f.track(HotHold, "")
	}
	if got := measure(600, 0); got.OutSince.Known() {
		t.Errorf("60.0 is out of bounds: %+v", got)
	}
	began := at.Add(time.Minute)
	if got := measure(599, time.Minute); got.OutSince != began {
		t.Errorf("59.9: %+v", got)
	}
	if got := measure(609, 10*time.Minute); got.OutSince != began {
		t.Errorf("60.9 is back in bounds: %+v", got)
	}
	if got := measure(610, 10*time.Minute); got.OutSince.Known() || got.OutMs != (20*time.Minute).Milliseconds() {
		t.Errorf("61.0: %+v; want 20 minutes in sum", got)
	}
	measure(500, time.Minute)
	if got := measure(700, 10*time.Minute); got.OutMs != (30 * time.Minute).Milliseconds() {
		t.Errorf("second time: %+v; want 30 minutes in sum", got)
	}
	old := *f.track(HotHold, "")
	f.measure(&Reading{Kind: HotHold, Celsius: 100, TakenAt: at - 1, ReceivedAt: at}, l)
	if got := *f.track(HotHold, ""); got != old {
		t.Errorf("an older reading changed the newest: %+v", got)
	}
	f.measure(&Reading{Kind: ColdHold, Celsius: 51, TakenAt: at, ReceivedAt: at}, l)
	f.measure(&Reading{Kind: ColdHold, Celsius: 41, TakenAt: at.Add(time.Minute), ReceivedAt: at.Add(time.Minute)}, l)
	if got := f.track(ColdHold, ""); got.OutSince != at {
		t.Errorf("4.1 °C is back in bounds: %+v", got)
	}
	f.measure(&Reading{Kind: ColdHold, Celsius: 40, TakenAt: at.Add(time.Minute), ReceivedAt: at.Add(time.Minute)}, l)
	if got := f.track(ColdHold, ""); got.OutSince.Known() {
		t.Errorf("4.0 °C is not back in bounds: %+v", got)
	}
}

// BenchmarkLook is one pass of the alert engine over batches under way, store left out.
func BenchmarkLook(b *testing.B) {
	s := newStage(b)
	id := s.to(QualityCheck)
	due := Due{Kitchen: s.store.kitchen(sppg).state, Batch: s.batch(id), Day: DayLoad{Portions: 1000}}
	now := s.clock().Add(time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		Look(due, now)
	}
}

// BenchmarkApply is what the rules cost in a change: a reading of a probe, with its event and its audit entry.
func BenchmarkApply(b *testing.B) {
	s := newStage(b)
	id := s.to(Cooking)
	in := Loaded{Kitchen: s.store.kitchen(sppg).state, Batch: s.batch(id), Day: DayLoad{Portions: 1000}}
	c := Change{Request: s.as("koki"), Production: id, NewID: "r", Act: AddReading{Kind: Core, Dish: "Ayam", Celsius: 801, Source: Probe}}
	now := s.clock().Add(time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(in, c, now); err != nil {
			b.Fatal(err)
		}
	}
}
