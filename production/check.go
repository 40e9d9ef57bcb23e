package production

import "slices"

// checkPlaces says in which statuses a check of each type can be made: not of food that is not there yet.
var checkPlaces = map[CheckType][]Status{
	Hygiene:     {Preparing, Cooking, QualityCheck},
	Safety:      {Preparing, Cooking, QualityCheck}, // rapid tests of ingredients come before cooking
	Temperature: {Cooking, QualityCheck},
	Taste:       {Cooking, QualityCheck},
	Appearance:  {Cooking, QualityCheck},
}

// check records a quality check. It decides nothing: a person does, with a step.
func (d *draft) check(a AddCheck) error {
	if err := d.allowed(MayCheck); err != nil {
		return err
	}
	var bad fields
	oneOf(&bad, "checkType", a.Type, CheckTypes...)
	passed := d.checkFields(&a, &bad)
	if err := bad.refusal(); err != nil {
		return err
	}
	late := d.p.Status.Final() && d.c.TakenAt.Known() && d.at <= d.p.ActualEnd
	if !late {
		if err := d.within(checkPlaces[a.Type]...); err != nil {
			return err
		}
	}
	c := Check{
		ID: d.c.NewID, ProductionID: d.p.ID, Type: a.Type, Time: d.takenAt(), ReceivedAt: d.now, CheckedBy: d.c.Actor.ID(),
		Parameter: a.Parameter, ExpectedValue: a.ExpectedValue, ActualValue: a.ActualValue, Passed: passed, Score: a.Score,
		Rating: a.Rating, TextureRating: a.TextureRating, Celsius: a.Celsius, Notes: a.Notes, Recommendations: a.Recommendations,
		ActionRequired: a.ActionRequired || !passed, ActionTaken: a.ActionTaken, ActionBy: a.ActionBy, ActionDate: a.ActionDate,
		FollowUpRequired: a.FollowUpRequired, FollowUpDate: a.FollowUpDate, ClockOff: d.clockOff, Late: late,
	}
	if !passed {
		c.Severity = d.failed(a)
	}
	d.f.count(&c)
	if late {
		d.warn(WarnLate)
	} else {
		d.checked(&c)
	}
	d.commit.Checks = append(d.commit.Checks, c)
	d.extra = append(d.extra, member{"qualityCheck", c})
	d.result.RowID = c.ID
	return nil
}

// checkFields checks a and returns whether the check is passed.
func (d *draft) checkFields(a *AddCheck, bad *fields) bool {
	bad.text("parameter", a.Parameter, 1, 100)
	bad.text("expectedValue", a.ExpectedValue, 0, 100)
	bad.text("actualValue", a.ActualValue, 1, 100)
	bad.whole("score", a.Score, 0, 100)
	bad.whole("rating", a.Rating, 1, 5)
	bad.whole("textureRating", a.TextureRating, 1, 5)
	bad.celsius("celsius", a.Celsius)
	for path, s := range map[string]string{"notes": a.Notes, "recommendations": a.Recommendations, "actionTaken": a.ActionTaken} {
		bad.text(path, s, 0, 1000)
	}
	if a.ActionBy != "" {
		bad.id("actionBy", a.ActionBy)
	}
	if a.Severity != "" {
		oneOf(bad, "severity", a.Severity, Low, Medium, High, Critical)
	}
	if a.Type != Temperature && a.Celsius != nil {
		bad.add("celsius", "belongs to a TEMPERATURE check")
	}
	if a.Type != Taste && a.Type != Appearance && a.Rating != nil {
		bad.add("rating", "belongs to a TASTE or APPEARANCE check")
	}
	if a.Type != Appearance && a.Type != Taste && a.TextureRating != nil {
		bad.add("textureRating", "belongs to a TASTE or APPEARANCE check")
	}
	if a.Type != Hygiene && a.CriticalItem {
		bad.add("criticalItem", "belongs to a HYGIENE check")
	}
	why, measured := d.against(a)
	switch {
	case a.Passed == nil && !measured:
		bad.add("passed", "must be set: there is no number to decide by")
		return false
	case a.Passed == nil:
		return why == ""
	case *a.Passed && why != "":
		bad.add("passed", "is true, but %s", why)
		return false
	default:
		return *a.Passed
	}
}

// against returns what in the numbers of a speaks against passing, and whether there are numbers at all.
func (d *draft) against(a *AddCheck) (why string, measured bool) {
	l := d.limits
	low := func(n *int, least int, what string) {
		if n != nil {
			measured = true
			if *n < least && why == "" {
				why = what
			}
		}
	}
	switch a.Type {
	case Hygiene:
		low(a.Score, *l.HygieneMinScore, "the score is below the kitchen's limit")
		if a.CriticalItem {
			return "a critical item failed", true
		}
	case Taste, Appearance:
		low(a.Rating, *l.SensoryMinRating, "the rating is below the kitchen's limit")
		low(a.TextureRating, *l.SensoryMinRating, "the rating of texture is below the kitchen's limit")
	case Temperature:
		if a.Celsius == nil {
			break
		}
		measured = true
		if d.p.ControlMode == ControlCold {
			if *a.Celsius >= *l.ColdHoldMaxC {
				why = "it is not below " + l.ColdHoldMaxC.String()
			}
		} else if *a.Celsius < *l.CoreMinC {
			why = "it is below " + l.CoreMinC.String()
		}
	case Safety: // whether a rapid test is negative, a person says
	}
	return why, measured
}

// failed returns how bad a failed check is: by the table, or worse if the checker says so.
func (d *draft) failed(a AddCheck) Severity {
	s := Medium
	switch a.Type {
	case Hygiene:
		s = High
	case Safety:
		s = Critical
	case Temperature:
		s = High
		if d.p.ControlMode != ControlCold && d.coldestCore(a.Celsius) < *d.limits.CoreCriticalC {
			s = Critical
		}
	case Taste, Appearance:
	}
	if a.Severity.Rank() > s.Rank() {
		s = a.Severity
	}
	return s
}

// coldestCore returns what a failed TEMPERATURE check is judged by: its own number, or else the coldest newest CORE reading.
func (d *draft) coldestCore(own *Celsius) Celsius {
	if own != nil {
		return *own
	}
	coldest := maxCelsius
	for _, t := range d.f.newest(&d.p, Core) {
		if t != nil {
			coldest = min(coldest, t.Celsius)
		}
	}
	return coldest
}

// checked gives a check its effects.
func (d *draft) checked(c *Check) {
	d.f.mark(c)
	if mark := d.f.newestCheck(c.Type); mark == nil || mark.ID != c.ID {
		return // it was made before one that came sooner
	}
	switch c.Type {
	case Hygiene:
		if c.Score != nil && *c.Score >= 1 {
			d.p.HygieneScore = c.Score
		}
	case Taste:
		d.p.TasteRating = either(c.Rating, d.p.TasteRating)
		d.p.TextureRating = either(c.TextureRating, d.p.TextureRating)
	case Appearance:
		d.p.AppearanceRating = either(c.Rating, d.p.AppearanceRating)
		d.p.TextureRating = either(c.TextureRating, d.p.TextureRating)
	case Temperature, Safety:
	}
}

func either(a, b *int) *int {
	if a != nil {
		return a
	}
	return b
}

// passed reports whether the newest check of the type passed.
func (f *Facts) passed(t CheckType) bool {
	m := f.newestCheck(t)
	return m != nil && m.Passed
}

// failedNow reports whether the newest check of a type that rework can mend has failed.
func (f *Facts) failedNow() bool {
	return slices.ContainsFunc(f.Marks, func(m CheckMark) bool {
		return !m.Passed && (m.Type == Temperature || m.Type == Taste || m.Type == Appearance)
	})
}
