package production

import (
	"math"
	"slices"
	"time"
)

// KPIs are the figures of one batch. What cannot be known from what was recorded is nil, and null in JSON; it is never 0.
// Figures are rounded to two digits behind the point.
type KPIs struct {
	YieldPercentage       *float64 `json:"yieldPercentage"`       // actual by planned portions
	TimeVariance          *float64 `json:"timeVariance"`          // % that the batch took longer than planned
	CostVariance          *float64 `json:"costVariance"`          // % that it cost more than estimated; money
	CostPerPortion        *Rupiah  `json:"costPerPortion"`        // money
	QualityScore          *float64 `json:"qualityScore"`          // 0 to 100, the mean of what was rated
	OnTime                *bool    `json:"onTimePerformance"`     // ended not later than planned
	EfficiencyScore       *float64 `json:"efficiencyScore"`       // 0 to 100; money: it has costs in it
	OverallRating         *float64 `json:"overallRating"`         // 0 to 100; money
	DistributionReadiness *float64 `json:"distributionReadiness"` // 0 to 100
	WastePer100Portions   *float64 `json:"wastePer100Portions"`   // kg
	MinutesToRelease      *float64 `json:"minutesCookedToReleased"`
	MinutesToDispatch     *float64 `json:"minutesCookedToDispatched"`
	MinutesLeft           *float64 `json:"minutesLeftAtDispatch"` // of the four hours
	ChecksPassed          int      `json:"checksPassed"`
	Checks                int      `json:"checks"`
}

// Rate is a share with the counts that it is made of: "9 of 10".
type Rate struct {
	Count   int      `json:"count"`
	Of      int      `json:"of"`
	Percent *float64 `json:"percent"` // nil if Of is 0
}

// Mean is an average of what is known, with how many that were.
type Mean struct {
	Value *float64 `json:"value"` // nil if Count is 0
	Count int      `json:"count"`
}

// Summary is the figures of many batches.
type Summary struct {
	Batches           int            `json:"batches"`
	ByStatus          map[Status]int `json:"byStatus"`
	PlannedPortions   int            `json:"plannedPortions"`
	ActualPortions    int            `json:"actualPortions"` // of those that are known
	OnTime            Rate           `json:"onTime"`         // of COMPLETED
	FirstPass         Rate           `json:"firstPass"`      // COMPLETED without a failed check and without rework
	ChecksPassed      Rate           `json:"checksPassed"`
	DispatchedInTime  Rate           `json:"dispatchedWith60MinutesLeft"` // of those dispatched
	Yield             Mean           `json:"yieldPercentage"`
	TimeVariance      Mean           `json:"timeVariance"`
	CostVariance      Mean           `json:"costVariance"`   // money
	CostPerPortion    Mean           `json:"costPerPortion"` // money
	Quality           Mean           `json:"qualityScore"`
	Efficiency        Mean           `json:"efficiencyScore"` // money
	Overall           Mean           `json:"overallRating"`   // money
	WastePer100       Mean           `json:"wastePer100Portions"`
	MinutesToRelease  Mean           `json:"minutesCookedToReleased"`
	MinutesToDispatch Mean           `json:"minutesCookedToDispatched"`
	AlertAnswer       Mean           `json:"alertAnswerMinutes"` // the median, not the mean, of raised to acknowledged
}

// KPIsOf returns the figures of one batch. The formulas are those of the app that came before, but for what is unknown: there it
// was 0.
func KPIsOf(p Production, f Facts) KPIs {
	k := KPIs{CostPerPortion: p.CostPerPortion, ChecksPassed: f.ChecksPassed, Checks: f.Checks}
	if p.ActualPortions != nil && p.PlannedPortions > 0 {
		k.YieldPercentage = figure(percent(float64(*p.ActualPortions), float64(p.PlannedPortions)))
	}
	planned, actual := p.PlannedEnd.Sub(p.PlannedStart), p.ActualEnd.Sub(p.ActualStart)
	if p.ActualStart.Known() && p.ActualEnd.Known() && p.PlannedStart.Known() && planned > 0 {
		k.TimeVariance = figure(percent(float64(actual-planned), float64(planned)))
	}
	if p.ActualCost != nil && p.EstimatedCost != nil && *p.EstimatedCost > 0 {
		k.CostVariance = figure(percent(float64(*p.ActualCost-*p.EstimatedCost), float64(*p.EstimatedCost)))
	}
	k.QualityScore = quality(&p, &f)
	if p.Status == Completed && p.PlannedEnd.Known() && p.ActualEnd.Known() {
		onTime := p.ActualEnd <= p.PlannedEnd
		k.OnTime = &onTime
	}
	k.EfficiencyScore, k.OverallRating = efficiency(&k, &p), overall(&k)
	k.DistributionReadiness = readiness(&p)
	if p.WasteAmount != nil && p.ActualPortions != nil && *p.ActualPortions > 0 {
		k.WastePer100Portions = figure(float64(*p.WasteAmount) / 10 / float64(*p.ActualPortions) * 100)
	}
	if p.Cooked.Known() && p.Status == Completed {
		k.MinutesToRelease = figure(p.ActualEnd.Sub(p.Cooked).Minutes())
	}
	if p.Cooked.Known() && p.Dispatched.Known() {
		k.MinutesToDispatch = figure(p.Dispatched.Sub(p.Cooked).Minutes())
		k.MinutesLeft = figure(p.ConsumeBy.Sub(p.Dispatched).Minutes())
	}
	return k
}

// efficiency counts what is unknown as 100, but a batch whose portions nobody has counted has none.
func efficiency(k *KPIs, p *Production) *float64 {
	if k.YieldPercentage == nil {
		return nil
	}
	speed, thrift := 100.0, 100.0
	if actual := p.ActualEnd.Sub(p.ActualStart); k.TimeVariance != nil && actual > 0 {
		speed = percent(float64(p.PlannedEnd.Sub(p.PlannedStart)), float64(actual))
	}
	if k.CostVariance != nil && *p.ActualCost > 0 {
		thrift = percent(float64(*p.EstimatedCost), float64(*p.ActualCost))
	}
	return figure(min(100, (*k.YieldPercentage+speed+thrift)/3))
}

// overall needs all of its parts.
func overall(k *KPIs) *float64 {
	if k.YieldPercentage == nil || k.QualityScore == nil || k.OnTime == nil || k.CostVariance == nil {
		return nil
	}
	punctual := 0.0
	if *k.OnTime {
		punctual = 15
	}
	return figure(min(100, 0.40**k.YieldPercentage+0.35**k.QualityScore+punctual+0.10*max(0, 100-math.Abs(*k.CostVariance))))
}

func percent(part, whole float64) float64 { return part / whole * 100 }

// figure rounds to what a person reads.
func figure(v float64) *float64 {
	v = round2(v)
	return &v
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// quality is the mean of what was rated.
func quality(p *Production, f *Facts) *float64 {
	var sum float64
	var n int
	add := func(v float64) { sum, n = sum+v, n+1 }
	if p.HygieneScore != nil {
		add(float64(*p.HygieneScore))
	}
	for _, rating := range []*int{p.TasteRating, p.AppearanceRating, p.TextureRating} {
		if rating != nil {
			add(percent(float64(*rating), 5))
		}
	}
	if f.Checks > 0 {
		add(percent(float64(f.ChecksPassed), float64(f.Checks)))
	}
	if p.QualityPassed != nil {
		if *p.QualityPassed {
			add(100)
		} else {
			add(0)
		}
	}
	if n == 0 {
		return nil
	}
	return figure(sum / float64(n))
}

func readiness(p *Production) *float64 {
	points := 0.0
	switch p.Status {
	case Completed:
		points += 40
	case Cooking:
		points += 20
	default:
	}
	switch {
	case p.QualityPassed == nil:
		points += 15
	case *p.QualityPassed:
		points += 30
	}
	if p.ActualPortions != nil && *p.ActualPortions > 0 {
		points += 20
	}
	if !p.Dispatched.Known() {
		points += 10
	}
	return &points
}

// inTime is how much of the four hours should be left when food leaves.
const inTime = 60 * time.Minute

// Summarise returns the figures of batches, and of alerts for their answer times.
func Summarise(batches []Batch, alerts []Alert) Summary {
	s := Summary{ByStatus: map[Status]int{}}
	for i := range batches {
		p, f := &batches[i].Production, &batches[i].Facts
		k := KPIsOf(*p, *f)
		s.Batches++
		s.ByStatus[p.Status]++
		s.PlannedPortions += p.Counted()
		if p.ActualPortions != nil {
			s.ActualPortions += *p.ActualPortions
		}
		if p.Status == Completed {
			s.OnTime.add(*k.OnTime)
			s.FirstPass.add(f.Checks == f.ChecksPassed && p.ReworkCount == 0)
		}
		s.ChecksPassed.Count, s.ChecksPassed.Of = s.ChecksPassed.Count+f.ChecksPassed, s.ChecksPassed.Of+f.Checks
		if p.Dispatched.Known() {
			s.DispatchedInTime.add(p.ConsumeBy.Sub(p.Dispatched) >= inTime)
		}
		s.Yield.add(k.YieldPercentage)
		s.TimeVariance.add(k.TimeVariance)
		s.CostVariance.add(k.CostVariance)
		if k.CostPerPortion != nil {
			s.CostPerPortion.add(figure(float64(*k.CostPerPortion)))
		}
		s.Quality.add(k.QualityScore)
		s.Efficiency.add(k.EfficiencyScore)
		s.Overall.add(k.OverallRating)
		s.WastePer100.add(k.WastePer100Portions)
		s.MinutesToRelease.add(k.MinutesToRelease)
		s.MinutesToDispatch.add(k.MinutesToDispatch)
	}
	for _, r := range []*Rate{&s.OnTime, &s.FirstPass, &s.ChecksPassed, &s.DispatchedInTime} {
		if r.Of > 0 {
			r.Percent = figure(percent(float64(r.Count), float64(r.Of)))
		}
	}
	for _, m := range []*Mean{
		&s.Yield, &s.TimeVariance, &s.CostVariance, &s.CostPerPortion, &s.Quality, &s.Efficiency, &s.Overall, &s.WastePer100,
		&s.MinutesToRelease, &s.MinutesToDispatch,
	} {
		if m.Count > 0 {
			m.Value = figure(*m.Value / float64(m.Count))
		}
	}
	s.AlertAnswer = answerTime(alerts)
	return s
}

func (r *Rate) add(yes bool) {
	r.Of++
	if yes {
		r.Count++
	}
}

// add sums up; Summarise divides in the end.
func (m *Mean) add(v *float64) {
	if v == nil {
		return
	}
	if m.Value == nil {
		m.Value = new(float64)
	}
	*m.Value += *v
	m.Count++
}

// answerTime is the median: one alert that nobody saw over night says nothing of the others.
func answerTime(alerts []Alert) Mean {
	var took []float64
	for i := range alerts {
		if a := &alerts[i]; a.AcknowledgedAt.Known() {
			took = append(took, a.AcknowledgedAt.Sub(a.RaisedAt).Minutes())
		}
	}
	if len(took) == 0 {
		return Mean{}
	}
	slices.Sort(took)
	mid := len(took) / 2
	if len(took)%2 == 0 {
		return Mean{figure((took[mid-1] + took[mid]) / 2), len(took)}
	}
	return Mean{figure(took[mid]), len(took)}
}

// For returns k as r may see it.
func (k KPIs) For(r Role) KPIs {
	if !r.May(MaySeeMoney) {
		k.CostVariance, k.CostPerPortion, k.EfficiencyScore, k.OverallRating = nil, nil, nil, nil
	}
	return k
}

// For returns s as r may see it.
func (s Summary) For(r Role) Summary {
	if !r.May(MaySeeMoney) {
		s.CostVariance, s.CostPerPortion, s.Efficiency, s.Overall = Mean{}, Mean{}, Mean{}, Mean{}
	}
	return s
}
