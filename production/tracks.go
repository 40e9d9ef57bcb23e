package production

import (
	"slices"
	"time"
)

// clone returns a copy that can be written to.
func (f *Facts) clone() Facts {
	c := *f
	c.Tracks, c.Marks, c.Settled = slices.Clone(f.Tracks), slices.Clone(f.Marks), slices.Clone(f.Settled)
	return c
}

// track returns the newest temperature of a kind and dish, or nil.
func (f *Facts) track(kind ReadingKind, dish string) *Track {
	for i := range f.Tracks {
		if f.Tracks[i].Kind == kind && f.Tracks[i].Dish == dish {
			return &f.Tracks[i]
		}
	}
	return nil
}

// newest returns the newest temperature of every dish of p that must have one; nil stands for a dish without. Dishes that are served
// cold have no core temperature, unless the whole batch is cold. A reading without a dish counts for the only dish that there is.
func (f *Facts) newest(p *Production, kind ReadingKind) []*Track {
	var names []string
	for _, dish := range p.Dishes {
		if !dish.Cold || p.ControlMode == ControlCold {
			names = append(names, dish.Name)
		}
	}
	if len(p.Dishes) == 0 {
		return []*Track{f.track(kind, "")}
	}
	if len(names) == 1 {
		named, whole := f.track(kind, names[0]), f.track(kind, "")
		if named == nil || whole != nil && whole.At > named.At {
			named = whole
		}
		return []*Track{named}
	}
	tracks := make([]*Track, 0, len(names))
	for _, name := range names {
		tracks = append(tracks, f.track(kind, name))
	}
	return tracks
}

// margin is by how much a temperature has to be back in bounds before it counts as back: a probe at the limit flutters.
const margin = Celsius(10)

// measure enters a reading, and reports whether it is the newest of its kind, of whatever dish. One that was taken before one
// that is here already changes nothing.
func (f *Facts) measure(r *Reading, l Limits) (newest bool) {
	at := r.At()
	newest = !slices.ContainsFunc(f.Tracks, func(t Track) bool { return t.Kind == r.Kind && t.At > at })
	f.LastReading = max(f.LastReading, at)
	if r.Source == Probe {
		f.LastProbe = max(f.LastProbe, at)
	}
	t := f.track(r.Kind, r.Dish)
	if t == nil {
		f.Tracks = append(f.Tracks, Track{Kind: r.Kind, Dish: r.Dish})
		t = &f.Tracks[len(f.Tracks)-1]
	}
	if t.At > at {
		return false
	}
	t.Celsius, t.At = r.Celsius, at
	out, back := false, true
	switch r.Kind {
	case HotHold:
		out, back = r.Celsius < *l.HotHoldMinC, r.Celsius >= *l.HotHoldMinC+margin
	case ColdHold:
		out, back = r.Celsius > *l.ColdHoldMaxC, r.Celsius <= *l.ColdHoldMaxC-margin
	case Core, Ambient:
	}
	switch {
	case out && !t.OutSince.Known():
		t.OutSince = at
	case back && t.OutSince.Known():
		t.OutMs += at.Sub(t.OutSince).Milliseconds()
		t.OutSince = 0
	}
	return newest
}

// out returns for how long a track has been out of bounds by now: without a break, and in sum.
func (t *Track) out(now Instant) (streak, sum time.Duration) {
	if t.OutSince.Known() && now > t.OutSince {
		streak = now.Sub(t.OutSince)
	}
	return streak, streak + time.Duration(t.OutMs)*time.Millisecond
}

// newestCheck returns the newest check of a type, or nil.
func (f *Facts) newestCheck(t CheckType) *CheckMark {
	for i := range f.Marks {
		if f.Marks[i].Type == t {
			return &f.Marks[i]
		}
	}
	return nil
}

// mark enters a check as the newest of its type, unless a newer one is here already.
func (f *Facts) mark(c *Check) {
	f.RoundChecks++
	m := CheckMark{c.Type, c.ID, c.Passed, c.Severity, c.At()}
	switch old := f.newestCheck(c.Type); {
	case old == nil:
		f.Marks = append(f.Marks, m)
	case m.At >= old.At:
		*old = m
	}
}

// count counts a check. What failed once stays failed, however late it is told.
func (f *Facts) count(c *Check) {
	f.Checks++
	if c.Passed {
		f.ChecksPassed++
		return
	}
	f.FailedSeverity = c.Severity
	f.SafetyFailed = f.SafetyFailed || c.Type == Safety
}
