package production

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Decision is what the rules make of a change.
type Decision struct {
	Commit Commit // without Remember. Empty, with neither Batch nor Kitchen: there is nothing to do
	Result Result
}

// Apply decides on c. in holds what [Change.Wants] asks a Store for, and now is the server's clock. Without an error the
// decision is complete: new rows, alerts, events and audit entry; else the error is a *Refusal that names everything that is
// unmet, and nothing changes. Apply is pure.
func Apply(in Loaded, c Change, now Instant) (Decision, error) {
	d := newDraft(in, c, now)
	if err := d.apply(); err != nil {
		return Decision{}, err
	}
	return d.decision(), nil
}

// draft is a change in the making. Its methods return a *Refusal at the first group of things that is wrong, but name all of
// that group.
type draft struct {
	in     Loaded
	c      Change
	now    Instant
	at     Instant // when it happened, as far as the device's clock can be believed
	limits Limits  // of the kitchen, all set

	clockOff bool
	before   Production // as it was loaded
	p        Production
	f        Facts
	commit   Commit
	result   Result
	extra    []member // what the event says beside changed fields
	reason   string
	quiet    bool // production and facts are as they were: only alerts changed
}

func newDraft(in Loaded, c Change, now Instant) *draft {
	d := &draft{in: in, c: c, now: now, limits: in.Kitchen.Kitchen.Limits.OrDefaults(), before: in.Batch.Production, p: in.Batch.Production}
	d.f = in.Batch.Facts.clone()
	d.clockOff = c.DeviceNow.Known() && c.DeviceNow.Sub(now).Abs() > MaxClockSkew || c.TakenAt.Sub(now) > MaxClockSkew ||
		c.TakenAt.Known() && d.p.CreatedAt.Sub(c.TakenAt) > MaxClockSkew // nothing happened to a batch before there was one
	d.at = believable(c.TakenAt, now, d.clockOff)
	d.commit.Tenant = in.Kitchen.Kitchen.ID
	return d
}

func (d *draft) apply() error {
	if d.clockOff {
		d.warn(WarnClockOff)
	}
	switch act := d.c.Act.(type) {
	case Acknowledge:
		return d.acknowledge(act)
	case Resolve:
		return d.resolve(act)
	case Create:
		return d.create(act)
	}
	if d.p.Source == AppRecord {
		return refuse(ErrRefused, CodeNotOurs, "an app keeps this batch; change it there")
	}
	if err := d.current(false); err != nil { // before anything else: whoever lost a race shall hear that, and not what follows from it
		return err
	}
	switch act := d.c.Act.(type) {
	case Update:
		return d.update(act)
	case Work:
		return d.work(act)
	case Transition:
		return d.transition(act)
	case Cancel:
		return d.cancel(act)
	case Delete:
		return d.remove()
	case AddReading:
		return d.reading(act)
	case AddCheck:
		return d.check(act)
	case TakeSample:
		return d.sample(act)
	case RecordDispatch:
		return d.dispatch(act)
	case AddPhoto:
		return d.photo(act)
	case Correct:
		return d.correct(act)
	default:
		panic(fmt.Sprintf("production: act %T has no rule", d.c.Act))
	}
}

// decision completes what apply has prepared.
func (d *draft) decision() Decision {
	if d.quiet { // alerts write their commit themselves
		return Decision{d.commit, d.result}
	}
	d.p.Version = d.before.Version + 1
	d.p.UpdatedAt = d.now
	day := d.in.Day
	day.Portions += d.p.Counted() - d.before.Counted()
	b := Batch{Production: d.p, Facts: d.f, Alerts: d.in.Batch.Alerts, Revision: d.in.Batch.Revision + 1}
	d.commit.Events = append(d.commit.Events, d.event())
	look(&b, &d.commit, &d.in.Kitchen.Kitchen, day, &d.limits, d.now)
	d.commit.Batch, d.commit.Base = &b, d.in.Batch.Revision
	number(&d.commit, b.Production.ID, b.Revision)
	d.commit.Audit = append(d.commit.Audit, d.audit())
	if day.Portions > d.limits.cap(d.in.Kitchen.Kitchen) && d.p.Counted() > d.before.Counted() {
		d.warn(WarnOverCapacity)
	}
	d.result.Production = b.Production
	return Decision{d.commit, d.result}
}

// Counted returns the portions with which p counts for its day.
func (p Production) Counted() int {
	if p.Status == Cancelled || p.DeletedAt.Known() {
		return 0
	}
	return p.PlannedPortions
}

// audit describes the change. Its detail is the act itself: PINs are no part of it.
func (d *draft) audit() AuditEntry {
	detail, err := json.Marshal(d.c.Act)
	if err != nil {
		panic("production: " + err.Error()) // acts hold nothing that does not marshal
	}
	return AuditEntry{
		Tenant: d.commit.Tenant, At: d.now, TakenAt: d.c.TakenAt, User: d.c.Actor.User, Role: d.c.Actor.Role, Person: d.c.Actor.Person,
		Action: d.c.Act.verb(), ProductionID: d.p.ID, Version: d.p.Version, Reason: d.reason, Detail: detail,
	}
}

func (d *draft) warn(w Warning) {
	if !slices.Contains(d.result.Warnings, w) {
		d.result.Warnings = append(d.result.Warnings, w)
	}
}

// allowed asks for the right of the one who acts. On a shared tablet somebody else's right can be proved by a PIN.
func (d *draft) allowed(right Right) error {
	a := d.c.Actor
	switch {
	case a.As().May(right):
		return nil
	case a.Role == KitchenStaff && a.Person == "":
		return refuse(ErrForbidden, CodePINRequired, fmt.Sprintf("the role %s may not %s: give the PIN of somebody who may", a.Role, right))
	default:
		return refuse(ErrForbidden, CodeForbidden, fmt.Sprintf("the role %.40s may not %s", a.As(), right))
	}
}

// current checks the version that the sender has seen. Where something is only added none has to be named.
func (d *draft) current(compulsory bool) error {
	switch v := d.c.Version; {
	case v == 0 && compulsory:
		return invalid(Field{"version", "name the version that you have seen"})
	case v != 0 && v != d.before.Version:
		r := refuse(ErrConflict, CodeVersionConflict, fmt.Sprintf("you have seen version %d, and it is %d by now", v, d.before.Version))
		r.Version = d.before.Version
		return r
	default:
		return nil
	}
}

// within refuses what may not be done in the batch's status.
func (d *draft) within(statuses ...Status) error {
	if slices.Contains(statuses, d.p.Status) {
		return nil
	}
	if d.p.Status.Final() {
		return refuse(ErrRefused, CodeFinal, "the batch is "+string(d.p.Status)+": nothing in it changes any more")
	}
	r := refuse(ErrRefused, CodeWrongStatus, "not while the batch is "+string(d.p.Status))
	for _, s := range statuses {
		r.Unmet = append(r.Unmet, string(s))
	}
	return r
}

// refuse returns a refusal of one cause.
func refuse(is error, code Code, message string) *Refusal {
	return &Refusal{Code: code, Message: message, err: is}
}

// invalid returns a refusal for fields that are wrong.
func invalid(fields ...Field) *Refusal {
	return &Refusal{Code: CodeInvalid, Message: "the change has fields that are not valid", Fields: fields, err: ErrInvalid}
}

// Wants returns what Apply needs of a Store to decide on c.
func (c Change) Wants() Want {
	w := Want{Production: c.Production, Key: c.Key}
	people := func(ids ...string) {
		for _, id := range ids {
			if id != "" && !slices.Contains(w.People, id) {
				w.People = append(w.People, id)
			}
		}
	}
	switch act := c.Act.(type) {
	case Create:
		w.Production, w.Day, w.Menu, w.Programme = "", act.Day, act.MenuID, act.ProgrammeID
		people(act.HeadCook, act.SupervisorID)
		people(act.AssistantCooks...)
	case Update:
		w.Menu, w.Programme = known(act.MenuID), known(act.ProgrammeID)
		people(known(act.HeadCook), known(act.SupervisorID))
		people(known(act.AssistantCooks)...)
	case AddReading:
		w.Reading = act.Corrects
	case Acknowledge:
		w.Alert = act.Alert
	case Resolve:
		w.Alert = act.Alert
	}
	if c.PIN != nil {
		people(c.PIN.Person)
	}
	return w
}

// known returns what v points to, or the zero value.
func known[T any](v *T) T {
	if v == nil {
		var none T
		return none
	}
	return *v
}

// cap returns how many portions the kitchen may make a day.
func (l Limits) cap(k Kitchen) int {
	if k.CertifiedCook {
		return *l.DayCapCertified
	}
	return *l.DayCap
}

// sooner returns the earlier of two instants, of which zero is none.
func sooner(a, b Instant) Instant {
	if !a.Known() || b.Known() && b < a {
		return b
	}
	return a
}

// hours is for limits in hours.
func hours(n *int) time.Duration { return time.Duration(*n) * time.Hour }
