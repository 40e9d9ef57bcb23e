package production

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The shortest time that a batch may take, and how far from its serving day its plan may lie: preparing begins on the
// evening before.
const (
	minDuration = 30 * time.Minute
	planMargin  = 48 * time.Hour
	planAhead   = 366 * 24 * time.Hour
)

// create is new → PLANNED.
func (d *draft) create(c Create) error {
	if err := d.allowed(MayPlan); err != nil {
		return err
	}
	if c.Wave == 0 {
		c.Wave = 1
	}
	if c.ControlMode == "" {
		c.ControlMode = ControlTime
	}
	target := *d.limits.CoreMinC
	if c.TargetTemperature != nil {
		target = *c.TargetTemperature
	}
	d.p = Production{
		ID: d.c.Production, Tenant: d.in.Kitchen.Kitchen.ID, Source: OwnRecord, Day: c.Day, Status: Planned, StatusSince: d.now,
		CreatedAt: d.now, CreatedBy: d.c.Actor.ID(), ProgrammeID: c.ProgrammeID, MenuID: c.MenuID, PlannedPortions: c.PlannedPortions,
		PlannedStart: c.PlannedStart, PlannedEnd: c.PlannedEnd, Wave: c.Wave, TargetGroup: c.TargetGroup, ControlMode: c.ControlMode,
		Dishes: slices.Clone(c.Dishes), HeadCook: c.HeadCook, AssistantCooks: slices.Clone(c.AssistantCooks), SupervisorID: c.SupervisorID,
		EstimatedCost: c.EstimatedCost, TargetTemperature: target, Notes: c.Notes, Photos: slices.Clone(c.Photos),
	}
	if d.in.Menu != nil {
		d.p.MenuName = d.in.Menu.Name
		if c.Dishes == nil {
			d.p.Dishes = slices.Clone(d.in.Menu.Dishes)
		}
	}
	d.noNil()
	bad := d.planned(true, true, d.p.staff())
	d.day(&bad)
	if d.in.Day.LastNumber >= maxNumberOfDay {
		bad.add("productionDate", "has %d batches: the numbers are used up", maxNumberOfDay)
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	d.p.BatchNumber = fmt.Sprintf("BATCH-%s-%04d", strings.ReplaceAll(string(c.Day), "-", ""), d.in.Day.LastNumber+1)
	return nil
}

// noNil makes lists that are empty [] in JSON and not null.
func (d *draft) noNil() {
	if d.p.Dishes == nil {
		d.p.Dishes = []Dish{}
	}
	if d.p.AssistantCooks == nil {
		d.p.AssistantCooks = []string{}
	}
	if d.p.Photos == nil {
		d.p.Photos = []string{}
	}
}

func (p Production) staff() []string {
	ids := append([]string{p.HeadCook, p.SupervisorID}, p.AssistantCooks...)
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// day checks the serving day of a new batch, and that the plan lies near it.
func (d *draft) day(bad *fields) {
	day, err := ParseDay(string(d.p.Day))
	zone := d.in.Kitchen.Kitchen.Zone
	switch {
	case err != nil:
		bad.add("productionDate", "%v", err)
		return
	case day.End(zone) <= d.now:
		bad.add("productionDate", "is over: in the kitchen's zone it is %s", DayOf(d.now, zone))
	case day.Start(zone) > d.now.Add(planAhead):
		bad.add("productionDate", "is more than a year away")
	}
	d.nearDay(bad)
}

func (d *draft) nearDay(bad *fields) {
	zone := d.in.Kitchen.Kitchen.Zone
	if d.p.PlannedStart < d.p.Day.Start(zone).Add(-planMargin) || d.p.PlannedEnd > d.p.Day.End(zone).Add(planMargin) {
		bad.add("plannedStartTime", "the plan lies more than %d hours outside of the serving day", int(planMargin.Hours()))
	}
}

// planned checks the fields of a plan. References are looked at only where they are new: that a menu was retired later
// does not make a plan invalid.
func (d *draft) planned(menu, programme bool, staff []string) fields {
	var bad fields
	p := &d.p
	if menu {
		reference(&bad, "menuId", p.MenuID, d.in.Menu != nil && d.in.Menu.ID == p.MenuID, d.in.Menu != nil && d.in.Menu.Active)
	}
	if programme {
		reference(&bad, "programId", p.ProgrammeID, d.in.Programme != nil && d.in.Programme.ID == p.ProgrammeID,
			d.in.Programme != nil && d.in.Programme.Active)
	}
	d.people(&bad, staff)
	bad.whole("plannedPortions", &p.PlannedPortions, 1, MaxPortions)
	bad.whole("wave", &p.Wave, 1, MaxWave)
	bad.text("targetGroup", p.TargetGroup, 0, 100)
	oneOf(&bad, "controlMode", p.ControlMode, ControlTime, ControlHot, ControlCold)
	bad.dishes("dishes", p.Dishes)
	bad.money("estimatedCost", p.EstimatedCost)
	bad.celsius("targetTemperature", &p.TargetTemperature)
	bad.text("notes", p.Notes, 0, 2000)
	bad.photos("photos", p.Photos)
	switch {
	case !p.PlannedStart.Known():
		bad.add("plannedStartTime", "must be set")
	case !p.PlannedEnd.Known():
		bad.add("plannedEndTime", "must be set")
	case p.PlannedEnd < p.PlannedStart.Add(minDuration):
		bad.add("plannedEndTime", "want at least %d minutes after plannedStartTime", int(minDuration.Minutes()))
	}
	if len(p.AssistantCooks) > MaxAssistants {
		bad.add("assistantCooks", "has %d: want at most %d", len(p.AssistantCooks), MaxAssistants)
	}
	for i, id := range p.AssistantCooks {
		if slices.Contains(p.AssistantCooks[:i], id) {
			bad.add(fmt.Sprintf("assistantCooks[%d]", i), "comes twice")
		}
		if id == "" {
			bad.add(fmt.Sprintf("assistantCooks[%d]", i), "must not be empty")
		}
	}
	return bad
}

// people checks that the ids of a plan that are among wanted are active staff.
func (d *draft) people(bad *fields, wanted []string) {
	look := func(path, id string) {
		if id == "" || !slices.Contains(wanted, id) {
			return
		}
		who, ok := d.in.People[id]
		reference(bad, path, id, ok, who.Active)
	}
	look("headCook", d.p.HeadCook)
	look("supervisorId", d.p.SupervisorID)
	for i, id := range d.p.AssistantCooks {
		look(fmt.Sprintf("assistantCooks[%d]", i), id)
	}
}

// reference says the same of what is another kitchen's as of what does not exist.
func reference(bad *fields, path, id string, exists, active bool) {
	switch {
	case id == "":
		bad.add(path, "must not be empty")
	case !exists:
		bad.add(path, "is not known in this kitchen")
	case !active:
		bad.add(path, "is no longer active")
	}
}

// update edits a plan.
func (d *draft) update(u Update) error {
	if err := d.allowed(MayPlan); err != nil {
		return err
	}
	if err := d.current(true); err != nil {
		return err
	}
	if err := d.within(Planned); err != nil {
		return err
	}
	if u == (Update{}) {
		return invalid(Field{"", "names nothing to change"})
	}
	p := &d.p
	patch(&p.ProgrammeID, u.ProgrammeID)
	patch(&p.MenuID, u.MenuID)
	patch(&p.PlannedPortions, u.PlannedPortions)
	patch(&p.PlannedStart, u.PlannedStart)
	patch(&p.PlannedEnd, u.PlannedEnd)
	patch(&p.Wave, u.Wave)
	patch(&p.TargetGroup, u.TargetGroup)
	patch(&p.ControlMode, u.ControlMode)
	patch(&p.HeadCook, u.HeadCook)
	patch(&p.SupervisorID, u.SupervisorID)
	patch(&p.TargetTemperature, u.TargetTemperature)
	patch(&p.Notes, u.Notes)
	patchList(&p.Dishes, u.Dishes)
	patchList(&p.AssistantCooks, u.AssistantCooks)
	patchList(&p.Photos, u.Photos)
	if u.EstimatedCost != nil {
		p.EstimatedCost = u.EstimatedCost
	}
	if u.MenuID != nil && d.in.Menu != nil {
		p.MenuName = d.in.Menu.Name
	}
	d.noNil()
	staff := slices.DeleteFunc(p.staff(), func(id string) bool { return slices.Contains(d.before.staff(), id) })
	bad := d.planned(u.MenuID != nil, u.ProgrammeID != nil, staff)
	d.nearDay(&bad)
	return bad.refusal()
}

func patch[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

func patchList[T any](field *[]T, to *[]T) {
	if to != nil {
		*field = slices.Clone(*to)
	}
}

// remove hides a plan that nobody has begun.
func (d *draft) remove() error {
	if err := d.allowed(MayPlan); err != nil {
		return err
	}
	if err := d.current(true); err != nil {
		return err
	}
	if err := d.within(Planned); err != nil {
		return err
	}
	d.p.DeletedAt = d.now
	d.extra = append(d.extra, member{"deleted", true})
	return nil
}

// cancel ends a batch that is not final.
func (d *draft) cancel(c Cancel) error {
	right := MayCancelLater
	if d.p.Status == Planned {
		right = MayCancelPlanned
	}
	if err := d.allowed(right); err != nil {
		return err
	}
	if err := d.current(true); err != nil {
		return err
	}
	if err := d.within(Planned, Preparing, Cooking, QualityCheck); err != nil {
		return err
	}
	var bad fields
	bad.text("reason", c.Reason, 10, 500)
	if err := bad.refusal(); err != nil {
		return err
	}
	d.enter(Cancelled, c.Reason)
	d.p.ActualEnd, d.p.RejectionReason = d.now, c.Reason
	if d.f.ChecksPassed < d.f.Checks {
		d.p.QualityPassed = new(bool)
	}
	return nil
}
