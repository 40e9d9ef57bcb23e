package production

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

// KPIsOf returns the figures of one batch.
func KPIsOf(p Production, f Facts) KPIs { return KPIs{} }

// Summarise returns the figures of batches, and of alerts for their answer times.
func Summarise(batches []Batch, alerts []Alert) Summary { return Summary{} }

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
