package production

import (
	"fmt"
	"time"
)

// Direction says which way a limit becomes stricter.
type Direction string

// The directions.
const (
	Lower  Direction = "LOWER"
	Higher Direction = "HIGHER"
)

// Limit describes one of the Limits, in its unit; temperatures are tenths of a degree.
type Limit struct {
	Name     string // as in JSON
	Unit     string
	Safety   bool      // may be stricter than Loosest, never looser
	Stricter Direction // of safety limits
	Default  int
	Loosest  int // what a safety limit may be at most (Lower) or at least (Higher); the default, with one exception
	Min, Max int // of what makes sense at all

	whole  func(*Limits) **int
	degree func(*Limits) **Celsius
}

// value returns the limit as l has it, or ok = false if it is not set.
func (d *Limit) value(l *Limits) (n int, ok bool) {
	if d.degree != nil {
		if p := *d.degree(l); p != nil {
			return int(*p), true
		}
		return 0, false
	}
	if p := *d.whole(l); p != nil {
		return *p, true
	}
	return 0, false
}

func (d *Limit) set(l *Limits, n int) {
	if d.degree != nil {
		c := Celsius(n) //nolint:gosec // Min and Max bound it
		*d.degree(l) = &c
		return
	}
	*d.whole(l) = &n
}

// safety and free make a row of the table; tempered is safety for a temperature.
func safety(name, unit string, stricter Direction, def, lo, hi int, f func(*Limits) **int) Limit {
	return Limit{Name: name, Unit: unit, Safety: true, Stricter: stricter, Default: def, Loosest: def, Min: lo, Max: hi, whole: f}
}

func tempered(name string, stricter Direction, def, lo, hi int, f func(*Limits) **Celsius) Limit {
	return Limit{Name: name, Unit: "0.1 °C", Safety: true, Stricter: stricter, Default: def, Loosest: def, Min: lo, Max: hi, degree: f}
}

func free(name, unit string, def, lo, hi int, f func(*Limits) **int) Limit {
	return Limit{Name: name, Unit: unit, Default: def, Min: lo, Max: hi, whole: f}
}

// limitTable has every limit. The numbers are those of the rules of alerts and steps; what they rest on (WHO five keys, BGN, BPOM, the
// 2-hour/4-hour rule) is in docs/production.md.
var limitTable = []Limit{
	safety("eatWithinMinutes", "min", Lower, 240, 60, 240, func(l *Limits) **int { return &l.EatWithinMin }),
	safety("eatByMediumMinutes", "min", Lower, 120, 1, 240, func(l *Limits) **int { return &l.EatByMediumMin }),
	safety("eatByHighMinutes", "min", Lower, 180, 1, 240, func(l *Limits) **int { return &l.EatByHighMin }),
	safety("travelMinutes", "min", Higher, 30, 0, 120, func(l *Limits) **int { return &l.TravelMin }),
	safety("eatingMinutes", "min", Higher, 30, 0, 120, func(l *Limits) **int { return &l.EatingMin }),
	tempered("coreMinC", Higher, 750, 600, 1000, func(l *Limits) **Celsius { return &l.CoreMinC }),
	tempered("coreCriticalC", Higher, 700, 600, 1000, func(l *Limits) **Celsius { return &l.CoreCriticalC }),
	tempered("hotHoldMinC", Higher, 600, 500, 1000, func(l *Limits) **Celsius { return &l.HotHoldMinC }),
	safety("hotHoldMediumSeconds", "s", Lower, 60, 0, 3600, func(l *Limits) **int { return &l.HotHoldMediumSec }),
	safety("hotHoldHighMinutes", "min", Lower, 120, 1, 240, func(l *Limits) **int { return &l.HotHoldHighMin }),
	safety("hotHoldCriticalMinutes", "min", Lower, 240, 1, 240, func(l *Limits) **int { return &l.HotHoldCriticalMin }),
	tempered("coldHoldMaxC", Lower, 50, -300, 100, func(l *Limits) **Celsius { return &l.ColdHoldMaxC }),
	tempered("coldHoldHighC", Lower, 100, -300, 200, func(l *Limits) **Celsius { return &l.ColdHoldHighC }),
	safety("coldHoldMediumMinutes", "min", Lower, 15, 0, 240, func(l *Limits) **int { return &l.ColdHoldMediumMin }),
	safety("coldHoldHighMinutes", "min", Lower, 120, 1, 240, func(l *Limits) **int { return &l.ColdHoldHighMin }),
	safety("coldHoldCriticalMinutes", "min", Lower, 240, 1, 240, func(l *Limits) **int { return &l.ColdHoldCriticalMin }),
	safety("reworkMax", "", Lower, 2, 0, 2, func(l *Limits) **int { return &l.ReworkMax }),
	safety("reworkWithinMinutes", "min", Lower, 120, 0, 240, func(l *Limits) **int { return &l.ReworkWithinMin }),
	safety("hygieneMinScore", "", Higher, 80, 1, 100, func(l *Limits) **int { return &l.HygieneMinScore }),
	safety("sensoryMinRating", "", Higher, 3, 1, 5, func(l *Limits) **int { return &l.SensoryMinRating }),
	sampleKeep,
	safety("sampleMissingMinutes", "min", Lower, 15, 0, 240, func(l *Limits) **int { return &l.SampleMissingMin }),
	safety("dayCap", "porsi", Lower, 2500, 1, 10_000, func(l *Limits) **int { return &l.DayCap }),
	safety("dayCapCertified", "porsi", Lower, 3000, 1, 10_000, func(l *Limits) **int { return &l.DayCapCertified }),
	safety("escalateHighMinutes", "min", Lower, 10, 1, 60, func(l *Limits) **int { return &l.EscalateHighMin }),
	safety("escalateCriticalMinutes", "min", Lower, 2, 1, 60, func(l *Limits) **int { return &l.EscalateCriticalMin }),
	safety("escalateRepeatMinutes", "min", Lower, 5, 1, 60, func(l *Limits) **int { return &l.EscalateRepeatMin }),
	safety("noReadingLowMinutes", "min", Lower, 30, 1, 240, func(l *Limits) **int { return &l.NoReadingLowMin }),
	safety("noReadingMediumMinutes", "min", Lower, 60, 1, 240, func(l *Limits) **int { return &l.NoReadingMediumMin }),
	safety("probeSilentMinutes", "min", Lower, 3, 1, 240, func(l *Limits) **int { return &l.ProbeSilentMin }),
	free("startEarlyHours", "h", 12, 0, 48, func(l *Limits) **int { return &l.StartEarlyHours }),
	free("startLateMediumMinutes", "min", 15, 0, 1440, func(l *Limits) **int { return &l.StartLateMediumMin }),
	free("startLateHighMinutes", "min", 45, 0, 1440, func(l *Limits) **int { return &l.StartLateHighMin }),
	free("behindMediumPoints", "%", 15, 1, 100, func(l *Limits) **int { return &l.BehindMediumPoints }),
	free("behindHighPoints", "%", 30, 1, 100, func(l *Limits) **int { return &l.BehindHighPoints }),
	free("overrunMediumMinutes", "min", 10, 0, 1440, func(l *Limits) **int { return &l.OverrunMediumMin }),
	free("overrunHighMinutes", "min", 30, 0, 1440, func(l *Limits) **int { return &l.OverrunHighMin }),
	free("qcWaitingMediumMinutes", "min", 15, 0, 240, func(l *Limits) **int { return &l.QCWaitingMediumMin }),
	free("qcWaitingHighMinutes", "min", 30, 0, 240, func(l *Limits) **int { return &l.QCWaitingHighMin }),
	free("costMediumPercent", "%", 10, 0, 1000, func(l *Limits) **int { return &l.CostMediumPercent }),
	free("costHighPercent", "%", 25, 0, 1000, func(l *Limits) **int { return &l.CostHighPercent }),
	free("costYoungRupiah", "Rp", 8000, 1, 1_000_000, func(l *Limits) **int { return &l.CostYoungRupiah }),
	free("costRupiah", "Rp", 10_000, 1, 1_000_000, func(l *Limits) **int { return &l.CostRupiah }),
	free("wasteMediumKg", "kg", 10, 0, 5000, func(l *Limits) **int { return &l.WasteMediumKg }),
	free("wasteHighKg", "kg", 30, 0, 5000, func(l *Limits) **int { return &l.WasteHighKg }),
	free("yieldMediumPercent", "%", 95, 1, 100, func(l *Limits) **int { return &l.YieldMediumPercent }),
	free("yieldHighPercent", "%", 85, 1, 100, func(l *Limits) **int { return &l.YieldHighPercent }),
	free("certificateDays", "hari", 30, 1, 365, func(l *Limits) **int { return &l.CertificateDays }),
}

// sampleKeep is the exception: three days are usual, two are what health offices ask for at least.
var sampleKeep = Limit{
	Name: "sampleKeepHours", Unit: "h", Safety: true, Stricter: Higher, Default: 72, Loosest: 48, Min: 48, Max: 24 * 31,
	whole: func(l *Limits) **int { return &l.SampleKeepHours },
}

// LimitTable returns a description of every limit, in the order of Limits' documentation.
func LimitTable() []Limit { return append([]Limit(nil), limitTable...) }

// defaults has every limit set. Its pointers are shared and never written through.
var defaults = func() Limits {
	var l Limits
	for i := range limitTable {
		limitTable[i].set(&l, limitTable[i].Default)
	}
	return l
}()

// OrDefaults returns l with every limit set: to the default where it was nil.
func (l Limits) OrDefaults() Limits {
	if l == (Limits{}) {
		return defaults
	}
	for i := range limitTable {
		d := &limitTable[i]
		switch {
		case d.degree != nil && *d.degree(&l) == nil:
			*d.degree(&l) = *d.degree(&defaults)
		case d.whole != nil && *d.whole(&l) == nil:
			*d.whole(&l) = *d.whole(&defaults)
		}
	}
	return l
}

// order lists limits of which the first must not pass the second, so that an alert rises step by step.
var order = [][2]string{
	{"eatByMediumMinutes", "eatByHighMinutes"}, {"eatByHighMinutes", "eatWithinMinutes"}, {"coreCriticalC", "coreMinC"},
	{"hotHoldHighMinutes", "hotHoldCriticalMinutes"}, {"coldHoldMaxC", "coldHoldHighC"},
	{"coldHoldMediumMinutes", "coldHoldHighMinutes"}, {"coldHoldHighMinutes", "coldHoldCriticalMinutes"},
	{"dayCap", "dayCapCertified"}, {"noReadingLowMinutes", "noReadingMediumMinutes"},
	{"startLateMediumMinutes", "startLateHighMinutes"}, {"behindMediumPoints", "behindHighPoints"},
	{"overrunMediumMinutes", "overrunHighMinutes"}, {"qcWaitingMediumMinutes", "qcWaitingHighMinutes"},
	{"costMediumPercent", "costHighPercent"}, {"wasteMediumKg", "wasteHighKg"}, {"yieldHighPercent", "yieldMediumPercent"},
}

// check returns what is wrong with l: every limit that makes no sense, is looser than safety allows, or stands in the wrong order.
func (l Limits) check() []Field {
	var bad []Field
	for i := range limitTable {
		d := &limitTable[i]
		n, ok := d.value(&l)
		if !ok {
			continue
		}
		lo, hi := d.Min, d.Max
		if d.Safety && d.Stricter == Lower {
			hi = d.Loosest
		}
		if d.Safety && d.Stricter == Higher {
			lo = d.Loosest
		}
		if n < lo || n > hi {
			why := "want %s to %s"
			if d.Safety {
				why += "; a safety limit may be made stricter, never looser"
			}
			bad = append(bad, Field{"limits." + d.Name, fmt.Sprintf(why, d.text(lo), d.text(hi))})
		}
	}
	full := l.OrDefaults()
	for _, pair := range order {
		a, b := limitNamed(pair[0]), limitNamed(pair[1])
		low, _ := a.value(&full)
		high, _ := b.value(&full)
		if low > high {
			why := fmt.Sprintf("is %s: want at most %s, which is %s", a.text(low), b.Name, b.text(high))
			bad = append(bad, Field{"limits." + a.Name, why})
		}
	}
	return bad
}

func (d *Limit) text(n int) string {
	switch {
	case d.degree != nil:
		return tenths(int64(n)) + " °C"
	case d.Unit == "":
		return fmt.Sprint(n)
	default:
		return fmt.Sprint(n) + " " + d.Unit
	}
}

func limitNamed(name string) *Limit {
	for i := range limitTable {
		if limitTable[i].Name == name {
			return &limitTable[i]
		}
	}
	panic("production: no limit " + name)
}

// safetyChanged reports whether a and b differ in a safety limit, and otherChanged whether they differ in another one.
func limitsChanged(a, b Limits) (safetyChanged, otherChanged bool) {
	for i := range limitTable {
		d := &limitTable[i]
		x, okX := d.value(&a)
		y, okY := d.value(&b)
		if x != y || okX != okY {
			safetyChanged, otherChanged = safetyChanged || d.Safety, otherChanged || !d.Safety
		}
	}
	return safetyChanged, otherChanged
}

func minutes(n *int) time.Duration { return time.Duration(*n) * time.Minute }
