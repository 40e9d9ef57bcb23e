package production

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// finding is what a rule sees in a batch, or in a kitchen, at one moment.
type finding struct {
	code     AlertCode
	severity Severity
	value    float64
	limit    float64
	unit     string
	key      string // tells one happening from the next, where a rule can find the same thing twice
}

// inquiry asks all rules. Its cost does not depend on how many readings and checks there were.
type inquiry struct {
	p    *Production
	f    *Facts
	k    *Kitchen
	day  DayLoad
	l    *Limits // all set
	now  Instant
	hits []finding
	next Instant // when a rule may say something else although nothing happens; zero: never
}

func (q *inquiry) found(code AlertCode, s Severity, value, limit float64, unit string) {
	q.hits = append(q.hits, finding{code: code, severity: s, value: value, limit: limit, unit: unit})
}

// at notes that a rule wants to be asked again at i.
func (q *inquiry) at(i Instant) {
	if i > q.now {
		q.next = sooner(q.next, i)
	}
}

// threshold is a time after which something is as bad as severity.
type threshold struct {
	after    time.Duration
	severity Severity
}

// overdue finds code by the time that has passed since an instant: more than a threshold's is a finding.
func (q *inquiry) overdue(code AlertCode, since Instant, steps ...threshold) {
	if !since.Known() {
		return // an app's plan without times
	}
	passed := q.now.Sub(since)
	worst := -1
	for i, s := range steps {
		if passed > s.after {
			worst = i
		} else {
			q.at(since.Add(s.after) + 1)
		}
	}
	if worst >= 0 {
		q.found(code, steps[worst].severity, wholeMinutes(passed), wholeMinutes(steps[worst].after), "min")
	}
}

func wholeMinutes(d time.Duration) float64 { return float64(d / time.Minute) }

// ask asks every rule about a batch. A cancelled batch has only what cannot be undone.
func (q *inquiry) ask() {
	q.failedChecks()
	if q.p.Status == Cancelled || q.p.DeletedAt.Known() {
		return
	}
	q.clock()
	q.schedule()
	q.temperatures()
	q.quality()
	q.figures()
}

// clock has EAT_BY and DISPATCH_TOO_LATE: the four hours, until the food has left. The app knows no dispatch: with COMPLETED its
// food is on the way.
func (q *inquiry) clock() {
	if !q.p.Cooked.Known() || q.p.Dispatched.Known() || q.p.Source == AppRecord && q.p.Status == Completed {
		return
	}
	limit, due := wholeMinutes(minutes(q.l.EatWithinMin)), q.p.ConsumeBy
	passed := wholeMinutes(q.now.Sub(q.p.Cooked))
	medium, high := q.p.Cooked.Add(minutes(q.l.EatByMediumMin)), q.p.Cooked.Add(minutes(q.l.EatByHighMin))
	switch {
	case q.now >= due:
		q.found(EatBy, Critical, passed, limit, "min")
	case q.now >= high:
		q.found(EatBy, High, passed, wholeMinutes(minutes(q.l.EatByHighMin)), "min")
	case q.now >= medium:
		q.found(EatBy, Medium, passed, wholeMinutes(minutes(q.l.EatByMediumMin)), "min")
	}
	q.at(medium)
	q.at(high)
	q.at(due)

	need := minutes(q.l.TravelMin) + minutes(q.l.EatingMin)
	if q.now.Add(need) > due {
		left := max(0, due.Sub(q.now))
		q.found(DispatchTooLate, High, wholeMinutes(left), wholeMinutes(need), "min")
	}
	q.at(due.Add(-need) + 1)
}

// schedule has what is measured against the plan.
func (q *inquiry) schedule() {
	p := q.p
	if !p.Open() {
		return
	}
	if p.Status == Planned {
		q.overdue(StartLate, p.PlannedStart,
			threshold{minutes(q.l.StartLateMediumMin), Medium}, threshold{minutes(q.l.StartLateHighMin), High})
	} else {
		q.behind()
	}
	q.overdue(Overrun, p.PlannedEnd, threshold{minutes(q.l.OverrunMediumMin), Medium}, threshold{minutes(q.l.OverrunHighMin), High})
	if p.Status == Cooking {
		q.readings()
	}
}

// behind compares the progress with the time: in whole numbers, so that the instant to look again is exact.
func (q *inquiry) behind() {
	p := q.p
	span, passed := int64(p.PlannedEnd-p.PlannedStart), int64(q.now-p.PlannedStart)
	if !p.PlannedStart.Known() || span <= 0 {
		return // as above
	}
	passed = min(max(passed, 0), span)
	severity, limit := Severity(""), 0
	for _, s := range []struct {
		points   int
		severity Severity
	}{{*q.l.BehindMediumPoints, Medium}, {*q.l.BehindHighPoints, High}} {
		most := int64(p.Progress+s.points) * span // 100 × the time at which expected − progress is just the limit
		switch {
		case 100*passed > most:
			severity, limit = s.severity, s.points
		case p.Progress+s.points < 100:
			q.at(p.PlannedStart + Instant(most/100) + 1)
		}
	}
	if severity != "" {
		q.found(BehindSchedule, severity, float64(100*passed/span-int64(p.Progress)), float64(limit), "%")
	}
}

// readings has NO_READING: nobody has measured for a while, or a probe that did is silent.
func (q *inquiry) readings() {
	q.overdue(NoReading, max(q.p.StatusSince, q.f.LastReading),
		threshold{minutes(q.l.NoReadingLowMin), Low}, threshold{minutes(q.l.NoReadingMediumMin), Medium})
	if q.f.LastProbe >= q.p.StatusSince && q.f.LastProbe.Known() && !q.has(NoReading) {
		q.overdue(NoReading, q.f.LastProbe, threshold{minutes(q.l.ProbeSilentMin), Low})
	}
}

func (q *inquiry) has(code AlertCode) bool {
	return slices.ContainsFunc(q.hits, func(f finding) bool { return f.code == code })
}

// temperatures has what was measured out of bounds.
func (q *inquiry) temperatures() {
	q.core()
	q.hold(HotHoldLow, HotHold)
	q.hold(ColdHoldHigh, ColdHold)
}

// core has CORE_TEMP_LOW, from the end of cooking on.
func (q *inquiry) core() {
	if q.p.Status != QualityCheck || q.p.ControlMode == ControlCold {
		return
	}
	var coldest *Track
	for _, t := range q.f.newest(q.p, Core) {
		if t != nil && (coldest == nil || t.Celsius < coldest.Celsius) {
			coldest = t
		}
	}
	if coldest == nil || coldest.Celsius >= *q.l.CoreMinC {
		return
	}
	severity, limit := High, *q.l.CoreMinC
	if coldest.Celsius < *q.l.CoreCriticalC {
		severity, limit = Critical, *q.l.CoreCriticalC
	}
	q.found(CoreTempLow, severity, degrees(coldest.Celsius), degrees(limit), "°C")
	q.hits[len(q.hits)-1].key = fmt.Sprint(int64(coldest.At))
}

func degrees(c Celsius) float64 { return float64(c) / 10 }

// hold has food that is kept hot, or cold. Times out of bounds add up over the life of a dish.
func (q *inquiry) hold(code AlertCode, kind ReadingKind) {
	if kind == HotHold && q.p.ControlMode != ControlHot {
		return
	}
	now := q.now
	if q.p.Dispatched.Known() {
		now = min(now, q.p.Dispatched)
	}
	var worst finding
	for i := range q.f.Tracks {
		t := &q.f.Tracks[i]
		if t.Kind != kind {
			continue
		}
		if f := q.track(code, t, now); f.severity.Rank() > worst.severity.Rank() {
			worst = f
		}
	}
	if worst.severity != "" {
		q.hits = append(q.hits, worst)
	}
}

// track judges one dish, and notes when it will be judged otherwise if nothing is measured.
func (q *inquiry) track(code AlertCode, t *Track, now Instant) finding {
	medium := time.Duration(*q.l.HotHoldMediumSec) * time.Second
	high, critical, bound := minutes(q.l.HotHoldHighMin), minutes(q.l.HotHoldCriticalMin), *q.l.HotHoldMinC
	if t.Kind == ColdHold {
		medium, bound = minutes(q.l.ColdHoldMediumMin), *q.l.ColdHoldMaxC
		high, critical = minutes(q.l.ColdHoldHighMin), minutes(q.l.ColdHoldCriticalMin)
	}
	streak, sum := t.out(now)
	f := finding{code: code, value: degrees(t.Celsius), limit: degrees(bound), unit: "°C"}
	switch {
	case sum > critical:
		f.severity, f.value, f.limit, f.unit = Critical, wholeMinutes(sum), wholeMinutes(critical), "min"
	case sum > high:
		f.severity, f.value, f.limit, f.unit = High, wholeMinutes(sum), wholeMinutes(high), "min"
	case t.Kind == ColdHold && t.OutSince.Known() && t.Celsius > *q.l.ColdHoldHighC:
		f.severity, f.limit = High, degrees(*q.l.ColdHoldHighC)
	case streak > medium:
		f.severity = Medium
	}
	if t.OutSince.Known() && now == q.now {
		before := time.Duration(t.OutMs) * time.Millisecond
		q.at(t.OutSince.Add(medium) + 1)
		q.at(t.OutSince.Add(high-before) + 1)
		q.at(t.OutSince.Add(critical-before) + 1)
	}
	return f
}

// failedChecks has QC_FAILED. The key is how many have failed: the next one is a new happening.
func (q *inquiry) failedChecks() {
	if failed := q.f.Checks - q.f.ChecksPassed; failed > 0 {
		q.found(QCFailed, q.f.FailedSeverity, float64(failed), 0, "")
		q.hits[len(q.hits)-1].key = fmt.Sprint(failed)
	}
}

// quality has what waits for a person.
func (q *inquiry) quality() {
	if q.f.EarlyReason != "" {
		early := q.p.Day.Start(q.k.Zone).Sub(q.p.CookingStarted)
		q.found(CookTooEarly, High, wholeMinutes(early), 0, "min")
	}
	if q.p.Status != QualityCheck {
		return
	}
	if q.f.RoundChecks == 0 {
		q.overdue(QCWaiting, q.p.StatusSince,
			threshold{minutes(q.l.QCWaitingMediumMin), Medium}, threshold{minutes(q.l.QCWaitingHighMin), High})
	}
	if !q.p.SampleTaken.Known() {
		q.overdue(SampleMissing, q.p.StatusSince, threshold{minutes(q.l.SampleMissingMin), Medium})
	}
}

// figures has costs, waste, yield and the day's cap.
func (q *inquiry) figures() {
	q.costs()
	if w := q.p.WasteAmount; w != nil {
		q.exceeds(WasteHigh, float64(*w)/10, float64(*q.l.WasteMediumKg), float64(*q.l.WasteHighKg), "kg")
	}
	if n := q.p.ActualPortions; n != nil && (q.p.Status == QualityCheck || q.p.Status == Completed) && q.p.PlannedPortions > 0 {
		yield := float64(*n) * 100 / float64(q.p.PlannedPortions)
		switch {
		case yield < float64(*q.l.YieldHighPercent):
			q.found(YieldLow, High, round2(yield), float64(*q.l.YieldHighPercent), "%")
		case yield < float64(*q.l.YieldMediumPercent):
			q.found(YieldLow, Medium, round2(yield), float64(*q.l.YieldMediumPercent), "%")
		}
	}
	if most := q.l.cap(*q.k); q.day.Portions > most && q.p.Open() {
		severity := Medium
		if q.f.Started {
			severity = High
		}
		q.found(OverCapacity, severity, float64(q.day.Portions), float64(most), "porsi")
	}
}

func (q *inquiry) exceeds(code AlertCode, value, medium, high float64, unit string) {
	switch {
	case value > high:
		q.found(code, High, round2(value), high, unit)
	case value > medium:
		q.found(code, Medium, round2(value), medium, unit)
	}
}

// costs has COST_OVER: against the estimate, or against what a portion may cost.
func (q *inquiry) costs() {
	p := q.p
	if p.ActualCost != nil && p.EstimatedCost != nil && *p.EstimatedCost > 0 {
		over := float64(*p.ActualCost-*p.EstimatedCost) * 100 / float64(*p.EstimatedCost)
		q.exceeds(CostOver, over, float64(*q.l.CostMediumPercent), float64(*q.l.CostHighPercent), "%")
	}
	cost, portions := p.EstimatedCost, p.PlannedPortions
	if p.ActualCost != nil {
		cost = p.ActualCost
	}
	if p.ActualPortions != nil && *p.ActualPortions > 0 && (p.Status == QualityCheck || p.Status == Completed) {
		portions = *p.ActualPortions
	}
	if cost == nil || portions == 0 || q.has(CostOver) {
		return
	}
	most := *q.l.CostRupiah
	if q.k.young(p.TargetGroup) {
		most = *q.l.CostYoungRupiah
	}
	if each := float64(*cost) / float64(portions); each > float64(most) {
		q.found(CostOver, Medium, round2(each), float64(most), "Rp")
	}
}

// DefaultYoungGroups are the target groups that are toddlers to grade 3, for which a portion may cost less. Names compare
// without regard to case.
var DefaultYoungGroups = []string{"BALITA", "PAUD", "TK", "SD_1_3", "SD 1-3", "SD KELAS 1-3"}

func (k *Kitchen) young(group string) bool {
	groups := k.YoungGroups
	if groups == nil {
		groups = DefaultYoungGroups
	}
	return slices.ContainsFunc(groups, func(g string) bool { return strings.EqualFold(g, group) })
}

// certificates has DOC_EXPIRING of a kitchen: the document that ends first.
func (q *inquiry) certificates() {
	margin := time.Duration(*q.l.CertificateDays) * 24 * time.Hour
	var first Day
	for _, c := range q.k.Certificates {
		if first == "" || c.ValidUntil < first {
			first = c.ValidUntil
		}
		end := c.ValidUntil.End(q.k.Zone)
		q.at(end.Add(-margin) + 1)
		q.at(end)
	}
	if first == "" {
		return
	}
	end := first.End(q.k.Zone)
	left := float64(end.Sub(q.now) / (24 * time.Hour))
	switch {
	case q.now >= end:
		q.found(DocExpiring, High, left, 0, "hari")
	case q.now > end.Add(-margin):
		q.found(DocExpiring, Low, left, float64(*q.l.CertificateDays), "hari")
	}
	if len(q.hits) > 0 {
		q.hits[len(q.hits)-1].key = string(first)
	}
}
