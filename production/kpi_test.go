package production

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestKPIs computes the figures of one batch by hand.
func TestKPIs(t *testing.T) {
	start := At(midnight)
	p := Production{
		Status: Completed, PlannedPortions: 1000, ActualPortions: new(950), PlannedStart: start, PlannedEnd: start.Add(5 * time.Hour),
		ActualStart: start, ActualEnd: start.Add(6 * time.Hour), EstimatedCost: new(Rupiah(8_000_000)), ActualCost: new(Rupiah(10_000_000)),
		CostPerPortion: new(Rupiah(10_526)), HygieneScore: new(90), TasteRating: new(4), AppearanceRating: new(5), TextureRating: new(3),
		QualityPassed: new(true), WasteAmount: new(Kilograms(125)), Cooked: start.Add(4 * time.Hour), ConsumeBy: start.Add(8 * time.Hour),
		Dispatched: start.Add(6*time.Hour + 30*time.Minute),
	}
	f := Facts{Checks: 5, ChecksPassed: 4}
	want := KPIs{
		YieldPercentage: new(95.0), TimeVariance: new(20.0), CostVariance: new(25.0), CostPerPortion: new(Rupiah(10_526)),
		QualityScore:          new(85.0),  // (90 + 80 + 100 + 60 + 80 + 100) / 6
		OnTime:                new(false), //
		EfficiencyScore:       new(86.11), // (95 + 83.33 + 80) / 3
		OverallRating:         new(75.25), // 0.40 × 95 + 0.35 × 85 + 0 + 0.10 × 75
		DistributionReadiness: new(90.0), WastePer100Portions: new(1.32), MinutesToRelease: new(120.0), MinutesToDispatch: new(150.0),
		MinutesLeft: new(90.0), ChecksPassed: 4, Checks: 5,
	}
	if got := KPIsOf(p, f); !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Errorf("got %s; want %s", a, b)
	}
	p.PlannedEnd, p.Dispatched = p.ActualEnd, 0
	got := KPIsOf(p, f)
	if !*got.OnTime || *got.OverallRating != 90.25 || *got.DistributionReadiness != 100 || got.MinutesLeft != nil {
		t.Errorf("on time and not dispatched: %+v", got)
	}
	p.ActualPortions, p.ActualCost, p.ActualStart = new(1500), new(Rupiah(1_000_000)), p.ActualEnd.Add(-time.Hour)
	if got := KPIsOf(p, f); *got.EfficiencyScore != 100 || *got.OverallRating != 100 {
		t.Errorf("better than planned: efficiency %v, overall %v; want 100 at most", *got.EfficiencyScore, *got.OverallRating)
	}
}

// TestUnknownIsNotZero: of a batch of which nothing is known, nothing is said.
func TestUnknownIsNotZero(t *testing.T) {
	got := KPIsOf(Production{PlannedPortions: 1000, Status: Planned, PlannedStart: 1, PlannedEnd: 2}, Facts{})
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"yieldPercentage":null,"timeVariance":null,"costVariance":null,"costPerPortion":null,"qualityScore":null,"onTimePerformance":null,` +
		`"efficiencyScore":null,"overallRating":null,"distributionReadiness":25,"wastePer100Portions":null,"minutesCookedToReleased":null,` +
		`"minutesCookedToDispatched":null,"minutesLeftAtDispatch":null,"checksPassed":0,"checks":0}`
	if string(text) != want {
		t.Errorf("got %s; want %s", text, want)
	}
	if got := KPIsOf(Production{PlannedPortions: 10, ActualPortions: new(8)}, Facts{}); *got.EfficiencyScore != 93.33 || got.OverallRating != nil {
		t.Errorf("unknown parts of the efficiency count 100: got %v; the rating needs all: %v", *got.EfficiencyScore, got.OverallRating)
	}
	unrated := Production{
		Status: Completed, PlannedPortions: 10, ActualPortions: new(8), ActualCost: new(Rupiah(1)), EstimatedCost: new(Rupiah(1)),
		PlannedEnd: 1_795_680_000_000, ActualEnd: 1_795_676_400_000,
	}
	if got := KPIsOf(unrated, Facts{}); got.OverallRating != nil || got.QualityScore != nil || got.CostVariance == nil || got.OnTime == nil {
		t.Errorf("a batch that nobody rated has %+v", got)
	}
	text, _ = json.Marshal(Summarise(nil, nil))
	if strings.Contains(string(text), `"percent":0`) || strings.Contains(string(text), `"value":0`) {
		t.Errorf("nothing was summed up to %s", text)
	}
}

func TestSummarise(t *testing.T) {
	start := At(midnight)
	batch := func(late bool, failed, reworks int) Batch {
		b := Batch{Production: Production{
			Status: Completed, PlannedPortions: 100, ActualPortions: new(90), PlannedStart: start, PlannedEnd: start.Add(time.Hour),
			ActualStart: start, ActualEnd: start.Add(time.Hour), ReworkCount: reworks, Cooked: start, ConsumeBy: start.Add(4 * time.Hour),
			Dispatched: start.Add(3 * time.Hour),
		}, Facts: Facts{Checks: 5, ChecksPassed: 5 - failed}}
		if late {
			b.Production.ActualEnd++
			b.Production.Dispatched++
		}
		return b
	}
	s := Summarise([]Batch{
		batch(false, 0, 0), batch(true, 1, 0), batch(false, 0, 1),
		{Production: Production{Status: Planned, PlannedPortions: 50}}, {Production: Production{Status: Cancelled, PlannedPortions: 70}},
	}, []Alert{
		{RaisedAt: start, AcknowledgedAt: start.Add(time.Minute)}, {RaisedAt: start, AcknowledgedAt: start.Add(10 * time.Minute)},
		{RaisedAt: start, AcknowledgedAt: start.Add(3 * time.Minute)}, {RaisedAt: start}, {RaisedAt: start, AcknowledgedAt: start.Add(2 * time.Minute)},
	})
	if s.Batches != 5 || s.ByStatus[Completed] != 3 || s.PlannedPortions != 350 || s.ActualPortions != 270 {
		t.Errorf("got %+v", s)
	}
	for name, c := range map[string]struct {
		got        Rate
		count, of  int
		percentage float64
	}{
		"OnTime": {s.OnTime, 2, 3, 66.67}, "FirstPass": {s.FirstPass, 1, 3, 33.33}, "Checks": {s.ChecksPassed, 14, 15, 93.33},
		"DispatchedInTime": {s.DispatchedInTime, 2, 3, 66.67},
	} {
		if c.got.Count != c.count || c.got.Of != c.of || *c.got.Percent != c.percentage {
			t.Errorf("%s: got %d of %d, %v %%; want %d of %d, %v %%", name, c.got.Count, c.got.Of, *c.got.Percent, c.count, c.of, c.percentage)
		}
	}
	if *s.Yield.Value != 90 || s.Yield.Count != 3 || *s.AlertAnswer.Value != 2.5 || s.AlertAnswer.Count != 4 || s.CostVariance.Value != nil {
		t.Errorf("means: %+v, %+v, %+v", s.Yield, s.AlertAnswer, s.CostVariance)
	}
	if odd := answerTime([]Alert{{RaisedAt: 1, AcknowledgedAt: 60_001}, {RaisedAt: 1, AcknowledgedAt: 600_001}, {RaisedAt: 1, AcknowledgedAt: 120_001}}); *odd.Value != 2 {
		t.Errorf("median of 1, 2, 10 is %v", *odd.Value)
	}
}

// TestWithoutAPlanNobodyIsLate has a batch of an app that tells no planned times.
func TestWithoutAPlanNobodyIsLate(t *testing.T) {
	p := Production{Status: Completed, ActualStart: 1_795_669_200_000, ActualEnd: 1_795_676_400_000, PlannedEnd: 1_795_680_000_000}
	if k := KPIsOf(p, Facts{}); k.TimeVariance != nil || k.OnTime == nil || !*k.OnTime {
		t.Errorf("without a planned start: %+v", k)
	}
	p.PlannedEnd = 0
	if k := KPIsOf(p, Facts{}); k.TimeVariance != nil || k.OnTime != nil {
		t.Errorf("without a planned end: %+v", k)
	}
}
