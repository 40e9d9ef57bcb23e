package production

import (
	"fmt"
	"slices"
)

func (w Work) empty() bool {
	return w.Progress == nil && w.ActualPortions == nil && w.WasteAmount == nil && w.WasteNotes == nil && w.ActualCost == nil &&
		len(w.Cooked) == 0 && w.Notes == nil && w.Photos == nil
}

// costOnly reports whether w holds the actual cost and nothing else.
func (w Work) costOnly() bool {
	w.ActualCost = nil
	return w.empty()
}

// work records what the kitchen tells of a batch that is under way.
func (d *draft) work(w Work) error {
	if !w.costOnly() {
		if err := d.allowed(MayWork); err != nil {
			return err
		}
	}
	if w.ActualCost != nil {
		if err := d.allowed(MayEnterCost); err != nil {
			return err
		}
	}
	if err := d.current(true); err != nil {
		return err
	}
	if w.empty() {
		return invalid(Field{"", "names nothing to change"})
	}
	statuses := []Status{Preparing, Cooking, QualityCheck}
	if w.costOnly() {
		statuses = append(statuses, Planned) // what was bought on the day before is paid on the day before
	}
	if err := d.within(statuses...); err != nil {
		return err
	}
	var bad fields
	if err := d.worked(w, "", &bad); err != nil {
		return err
	}
	return bad.refusal()
}

// worked applies w, of which path is the beginning of field names, and adds what is wrong to bad. It asks for rights again: w may
// come with a step that others may do.
func (d *draft) worked(w Work, path string, bad *fields) error {
	if !w.costOnly() {
		if err := d.allowed(MayWork); err != nil {
			return err
		}
	}
	if w.ActualCost != nil {
		if err := d.allowed(MayEnterCost); err != nil {
			return err
		}
	}
	p := &d.p
	food := p.Status == Cooking || p.Status == QualityCheck
	bad.whole(path+"progress", w.Progress, 0, 100)
	bad.whole(path+"actualPortions", w.ActualPortions, 0, MaxPortions)
	bad.money(path+"actualCost", w.ActualCost)
	if k := w.WasteAmount; k != nil && (*k < 0 || *k > MaxWaste) {
		bad.add(path+"wasteAmount", "is %s: want 0 kg to %s", *k, MaxWaste)
	}
	bad.text(path+"wasteNotes", known(w.WasteNotes), 0, 500)
	bad.text(path+"notes", known(w.Notes), 0, 2000)
	bad.photos(path+"photos", known(w.Photos))
	if w.ActualPortions != nil && !food {
		bad.add(path+"actualPortions", "are counted from COOKING on")
	}
	if len(w.Cooked) > 0 && !food {
		bad.add(path+"cookedDishes", "are told from COOKING on")
	}
	if w.Progress != nil && *w.Progress < p.Progress && len(*bad) == 0 {
		return refuse(ErrRefused, CodeProgressFalls, fmt.Sprintf("progress is %d and falls on rework only", p.Progress))
	}
	patch(&p.Progress, w.Progress)
	patch(&p.WasteNotes, w.WasteNotes)
	patch(&p.Notes, w.Notes)
	patchList(&p.Photos, w.Photos)
	if w.ActualPortions != nil {
		p.ActualPortions = w.ActualPortions
	}
	if w.WasteAmount != nil {
		p.WasteAmount = w.WasteAmount
	}
	if w.ActualCost != nil {
		p.ActualCost = w.ActualCost
	}
	if food {
		return d.dishesCooked(w.Cooked, path, bad)
	}
	return nil
}

// dishesCooked notes when dishes were done. The earliest of all starts the four hours of the batch; a time that was told is
// never moved later.
func (d *draft) dishesCooked(done []DishCooked, path string, bad *fields) error {
	if len(done) > MaxDishes {
		bad.add(path+"cookedDishes", "has %d: want at most %d", len(done), MaxDishes)
		return nil
	}
	dishes := slices.Clone(d.p.Dishes)
	for i, c := range done {
		where := fmt.Sprintf("%scookedDishes[%d]", path, i)
		if !c.At.Known() {
			c.At = max(d.at, d.p.CookingStarted)
		}
		at := slices.IndexFunc(dishes, func(dish Dish) bool { return dish.Name == c.Name })
		switch {
		case at < 0:
			bad.add(where+".name", "is no dish of this batch")
			continue
		case c.At > d.now:
			bad.add(where+".cookedAt", "lies in the future: it is %s by the server's clock", d.now)
			continue
		case c.At < d.p.CookingStarted:
			bad.add(where+".cookedAt", "lies before cooking began, at %s", d.p.CookingStarted)
			continue
		case dishes[at].Cooked.Known() && dishes[at].Cooked < c.At:
			return refuse(ErrRefused, CodeClockRestarts, fmt.Sprintf("%s was done at %s; that may be moved earlier, never later",
				where, dishes[at].Cooked))
		}
		dishes[at].Cooked = c.At
		d.cooked(c.At)
	}
	if len(done) > 0 {
		d.p.Dishes = dishes
	}
	return nil
}

// reading records a temperature. It is taken in whatever the status is, but for a plan: an entry that a bad line held up is
// never lost.
func (d *draft) reading(a AddReading) error {
	if a.Source == "" {
		a.Source = Manual
	}
	if a.Source != Probe || d.c.Actor.As() != Server { // probes report by an API key
		if err := d.allowed(MayMeasure); err != nil {
			return err
		}
	}
	var bad fields
	oneOf(&bad, "kind", a.Kind, ReadingKinds...)
	oneOf(&bad, "source", a.Source, Manual, Probe)
	bad.celsius("celsius", &a.Celsius)
	d.dish(&bad, a.Dish)
	if old := d.in.Reading; a.Corrects != "" && (old == nil || old.ID != a.Corrects || old.Kind != a.Kind || old.Dish != a.Dish) {
		bad.add("corrects", "is no reading of this batch, kind and dish")
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	if d.p.Status == Planned {
		return d.within(Preparing, Cooking, QualityCheck, Completed)
	}
	r := Reading{
		ID: d.c.NewID, ProductionID: d.p.ID, Kind: a.Kind, Dish: a.Dish, Celsius: a.Celsius, TakenAt: d.takenAt(), ReceivedAt: d.now,
		Source: a.Source, TakenBy: d.c.Actor.ID(), ClockOff: d.clockOff, Corrects: a.Corrects,
	}
	holding := d.p.Status == Completed && a.Kind != Core && !d.p.Dispatched.Known()
	if d.p.Status.Final() && !holding {
		r.Late = true
		d.warn(WarnLate)
	} else {
		d.measured(&r)
	}
	d.commit.Readings = append(d.commit.Readings, r)
	d.extra = append(d.extra, member{"reading", r})
	d.result.RowID = r.ID
	return nil
}

// takenAt returns what a row keeps: the device's own word, if there is one.
func (d *draft) takenAt() Instant {
	if d.c.TakenAt.Known() {
		return d.c.TakenAt
	}
	return d.now
}

func (d *draft) dish(bad *fields, name string) {
	if name != "" && !slices.ContainsFunc(d.p.Dishes, func(dish Dish) bool { return dish.Name == name }) {
		bad.add("dish", "is no dish of this batch")
	}
}

// measured gives a reading its effects.
func (d *draft) measured(r *Reading) {
	newest := d.f.measure(r, d.limits)
	if r.Kind == Core && newest {
		d.p.ActualTemperature = &r.Celsius
		if at := slices.IndexFunc(d.p.Dishes, func(dish Dish) bool { return dish.Name == r.Dish }); at >= 0 {
			d.p.Dishes = slices.Clone(d.p.Dishes)
			d.p.Dishes[at].CoreTemp = &r.Celsius
		}
	}
	needed := Core
	if d.p.ControlMode == ControlCold {
		needed = ColdHold
	}
	// It has to have come while the batch was cooking, and to have been taken in this round of it; a device may be slow by a little.
	if r.Kind == needed && d.p.Status == Cooking && r.At() >= d.p.StatusSince.Add(-MaxClockSkew) {
		d.f.RoundReading = true
	}
}

// sample records a retained food sample.
func (d *draft) sample(t TakeSample) error {
	if err := d.allowed(MayCheck); err != nil {
		return err
	}
	if err := d.within(Cooking, QualityCheck); err != nil {
		return err
	}
	s := Sample{
		ID: d.c.NewID, ProductionID: d.p.ID, Dish: t.Dish, TakenAt: d.takenAt(), ReceivedAt: d.now, KeepUntil: t.KeepUntil,
		TakenBy: d.c.Actor.ID(), Place: t.Place, ClockOff: d.clockOff,
	}
	var bad fields
	d.dish(&bad, t.Dish)
	bad.text("place", t.Place, 0, 100)
	if !s.KeepUntil.Known() {
		s.KeepUntil = d.at.Add(hours(d.limits.SampleKeepHours))
	}
	if least := d.at.Add(hours(&sampleKeep.Loosest)); s.KeepUntil < least {
		bad.add("keepUntil", "want at least %d hours after it was taken: %s", sampleKeep.Loosest, least)
	}
	if d.at < d.p.CookingStarted.Add(-MaxClockSkew) {
		bad.add("takenAt", "lies before cooking began, at %s", d.p.CookingStarted)
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	d.p.SampleTaken, d.p.SampleKeepUntil = d.at, s.KeepUntil
	d.commit.Samples = append(d.commit.Samples, s)
	d.extra = append(d.extra, member{"sample", s})
	d.result.RowID = s.ID
	return nil
}

// dispatch records that food of a released batch leaves. A device that was offline may tell it later than the food's time ended,
// as long as the food left before.
func (d *draft) dispatch(r RecordDispatch) error {
	if err := d.allowed(MayDispatch); err != nil {
		return err
	}
	if d.p.Status != Completed {
		if d.p.Status == Cancelled {
			return d.within()
		}
		return d.within(Completed)
	}
	var bad fields
	bad.whole("portions", r.Portions, 1, MaxPortions)
	bad.text("destination", r.Destination, 0, 200)
	bad.text("vehicle", r.Vehicle, 0, 100)
	bad.text("notes", r.Notes, 0, 500)
	if d.at < d.p.ActualEnd.Add(-MaxClockSkew) {
		bad.add("takenAt", "lies before the release, at %s", d.p.ActualEnd)
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	late := d.now >= d.p.ConsumeBy && d.at < d.p.ConsumeBy && d.c.TakenAt.Known()
	var unmet []string
	if d.now >= d.p.ConsumeBy && !late {
		unmet = append(unmet, GuardBeforeConsumeBy)
	}
	if !late && !d.noCritical() {
		unmet = append(unmet, GuardNoCritical)
	}
	if len(unmet) > 0 {
		refusal := refuse(ErrRefused, CodeGuards, "the food must not leave")
		refusal.Unmet = unmet
		return refusal
	}
	row := Dispatch{
		ID: d.c.NewID, ProductionID: d.p.ID, TakenAt: d.takenAt(), ReceivedAt: d.now, By: d.c.Actor.ID(), Portions: r.Portions,
		Destination: r.Destination, Vehicle: r.Vehicle, Notes: r.Notes, ClockOff: d.clockOff, Late: late,
	}
	if late {
		d.warn(WarnLate)
	}
	d.p.Dispatched = sooner(d.p.Dispatched, max(d.at, d.p.ActualEnd))
	d.commit.Dispatches = append(d.commit.Dispatches, row)
	d.extra = append(d.extra, member{"dispatch", row})
	d.result.RowID = row.ID
	return nil
}

// correct adds a correction row to a final batch.
func (d *draft) correct(c Correct) error {
	if err := d.allowed(MayCorrect); err != nil {
		return err
	}
	if !d.p.Status.Final() {
		return d.within(Completed, Cancelled)
	}
	var bad fields
	at := slices.IndexFunc(columns, func(col column) bool { return col.name == c.Field })
	if at < 0 {
		bad.add("field", "is %.40q: want the name of a field of the production", c.Field)
	}
	bad.text("value", c.Value, 1, 1000)
	bad.text("reason", c.Reason, 10, 500)
	if err := bad.refusal(); err != nil {
		return err
	}
	row := Correction{ID: d.c.NewID, ProductionID: d.p.ID, Field: c.Field, Value: c.Value, Reason: c.Reason, By: d.c.Actor.ID(), At: d.now}
	d.reason = c.Reason
	d.commit.Corrections = append(d.commit.Corrections, row)
	if columns[at].money {
		row = row.For(Viewer) // the event says that it was corrected; who may see the amount reads it
	}
	d.extra = append(d.extra, member{"correction", row})
	d.result.RowID = row.ID
	return nil
}
