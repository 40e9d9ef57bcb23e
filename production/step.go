package production

import (
	"fmt"
	"slices"
)

// step is one way from a status to another. Its guards must all hold; its effects come after them.
type step struct {
	from, to Status
	right    Right
	guards   []guard
	effect   func(*draft)
}

// guard is a condition, with the word for a refusal.
type guard struct {
	name Guard
	ok   func(*draft) bool
}

// steps are all ways but cancelling. No step skips a status.
var steps = []step{
	{Planned, Preparing, MayWork, []guard{
		{GuardHeadCook, func(d *draft) bool { return d.p.HeadCook != "" }},
		{GuardNotTooEarly, func(d *draft) bool { return d.now >= d.p.PlannedStart.Add(-hours(d.limits.StartEarlyHours)) }},
		{GuardNotAfterDay, func(d *draft) bool { return d.now < d.p.Day.End(d.in.Kitchen.Kitchen.Zone) }},
	}, func(d *draft) {
		d.p.ActualStart = d.now
		d.f.Started = true
	}},
	{Preparing, Cooking, MayWork, []guard{
		{GuardHygiene, func(d *draft) bool { return d.f.passed(Hygiene) }},
		{GuardDayBegan, func(d *draft) bool { return d.dayBegan() || d.override() }},
	}, func(d *draft) {
		d.p.CookingStarted = d.now
		if !d.dayBegan() {
			d.f.EarlyReason = d.reason
		}
	}},
	{Cooking, QualityCheck, MayWork, []guard{
		{GuardReading, func(d *draft) bool { return d.f.RoundReading }},
		{GuardPortions, func(d *draft) bool { return d.p.ActualPortions != nil && *d.p.ActualPortions >= 1 }},
	}, func(d *draft) { d.cooked(max(d.at, d.p.CookingStarted)) }},
	{QualityCheck, Completed, MayRelease, []guard{
		{GuardTemperature, func(d *draft) bool { return d.f.passed(Temperature) }},
		{GuardTaste, func(d *draft) bool { return d.f.passed(Taste) }},
		{GuardAppearance, func(d *draft) bool { return d.f.passed(Appearance) }},
		{GuardSafety, func(d *draft) bool { return d.f.passed(Safety) }},
		{GuardHygiene, func(d *draft) bool { return d.f.passed(Hygiene) }},
		{GuardCore, func(d *draft) bool { return d.temperaturesHold() }},
		{GuardNoCritical, func(d *draft) bool { return d.noCritical() }},
		{GuardBeforeConsumeBy, func(d *draft) bool { return d.now < d.p.ConsumeBy }},
		{GuardSample, func(d *draft) bool { return d.p.SampleTaken.Known() }},
		{GuardReleaser, func(d *draft) bool { return d.c.Actor.ID() != d.p.HeadCook }},
	}, func(d *draft) { d.release() }},
	{QualityCheck, Cooking, MayRework, []guard{
		{GuardFailedCheck, func(d *draft) bool { return d.f.failedNow() }},
		{GuardNoFailedSafety, func(d *draft) bool { return !d.f.SafetyFailed }},
		{GuardReworksLeft, func(d *draft) bool { return d.p.ReworkCount < *d.limits.ReworkMax }},
		{GuardBeforeReworkTime, func(d *draft) bool { return d.now < d.p.Cooked.Add(minutes(d.limits.ReworkWithinMin)) }},
	}, func(d *draft) {
		d.p.ReworkCount++
		d.p.Progress = Cooking.floor() // the one way in which progress falls
		d.f.RoundReading = false
	}},
}

// transition takes a batch one step on.
func (d *draft) transition(t Transition) error {
	if t.To == Cancelled {
		return d.cancel(Cancel{t.Reason})
	}
	at := slices.IndexFunc(steps, func(s step) bool { return s.from == d.p.Status && s.to == t.To })
	if at < 0 {
		return d.noStep(t.To)
	}
	s := steps[at]
	if err := d.allowed(s.right); err != nil {
		return err
	}
	if t.Override {
		if err := d.allowed(MayOverride); err != nil {
			return err
		}
	}
	if err := d.current(true); err != nil {
		return err
	}
	d.reason = t.Reason
	var bad fields
	least := 0
	if t.Override {
		least = 10
	}
	bad.text("reason", t.Reason, least, 500)
	if !t.Work.empty() {
		if err := d.worked(t.Work, "work.", &bad); err != nil {
			return err
		}
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	var unmet []string
	for _, g := range s.guards {
		if !g.ok(d) {
			unmet = append(unmet, g.name)
		}
	}
	if len(unmet) > 0 {
		r := refuse(ErrRefused, CodeGuards, fmt.Sprintf("the batch cannot go from %s to %s yet", s.from, s.to))
		r.Unmet = unmet
		return r
	}
	d.enter(s.to, t.Reason)
	s.effect(d)
	return nil
}

// noStep says which steps there are.
func (d *draft) noStep(to Status) error {
	if !slices.Contains(Statuses, to) {
		var bad fields
		oneOf(&bad, "to", to, Statuses...)
		return bad.refusal()
	}
	if d.p.Status.Final() {
		return d.within()
	}
	r := refuse(ErrRefused, CodeNoSuchStep, fmt.Sprintf("no step leads from %s to %s; unmet lists where one leads", d.p.Status, to))
	for _, s := range steps {
		if s.from == d.p.Status {
			r.Unmet = append(r.Unmet, string(s.to))
		}
	}
	r.Unmet = append(r.Unmet, string(Cancelled))
	return r
}

// enter changes the status.
func (d *draft) enter(to Status, reason string) {
	d.extra = append(d.extra, member{"newStatus", to}, member{"oldStatus", d.p.Status})
	if reason != "" {
		d.extra = append(d.extra, member{"reason", reason})
	}
	d.reason = reason
	d.p.Status, d.p.StatusSince = to, d.now
	d.p.Progress = max(d.p.Progress, to.floor())
	d.f.RoundChecks = 0
}

func (d *draft) dayBegan() bool { return d.now >= d.p.Day.Start(d.in.Kitchen.Kitchen.Zone) }

func (d *draft) override() bool {
	t, ok := d.c.Act.(Transition)
	return ok && t.Override
}

// cooked starts the four hours, or moves their start back. It never moves it later.
func (d *draft) cooked(at Instant) {
	if d.p.Cooked.Known() && d.p.Cooked <= at {
		return
	}
	d.p.Cooked = at
	d.p.ConsumeBy = sooner(d.p.ConsumeBy, at.Add(minutes(d.limits.EatWithinMin)))
}

// temperaturesHold reports whether the newest reading of every dish is in bounds: CORE of hot ones, or COLD_HOLD of everything
// in a cold batch. A batch without a list of dishes counts as one dish.
func (d *draft) temperaturesHold() bool {
	kind, ok := Core, func(c Celsius) bool { return c >= *d.limits.CoreMinC }
	if d.p.ControlMode == ControlCold {
		kind, ok = ColdHold, func(c Celsius) bool { return c < *d.limits.ColdHoldMaxC }
	}
	for _, t := range d.f.newest(&d.p, kind) {
		if t == nil || !ok(t.Celsius) {
			return false
		}
	}
	return true
}

// noCritical also knows of what time has brought about and nobody has raised yet.
func (d *draft) noCritical() bool {
	b := d.in.Batch
	var c Commit
	look(&b, &c, &d.in.Kitchen.Kitchen, d.in.Day, &d.limits, d.now)
	return !slices.ContainsFunc(b.Alerts, func(a Alert) bool { return a.Severity == Critical && a.Active() })
}

// release completes a batch.
func (d *draft) release() {
	d.p.ActualEnd = d.now
	passed := true
	d.p.QualityPassed = &passed
	if cost, n := d.p.ActualCost, d.p.ActualPortions; cost != nil && n != nil && *n > 0 {
		each := (*cost + Rupiah(*n)/2) / Rupiah(*n)
		d.p.CostPerPortion = &each
	}
}
