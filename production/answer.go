package production

import (
	"slices"
)

// answer finds the active alert of a change.
func (d *draft) answer(id string) (Alert, error) {
	if d.in.Alert == nil || d.in.Alert.ID != id {
		return Alert{}, refuse(ErrNotFound, CodeNotFound, "there is no such alert in this kitchen")
	}
	alerts := d.in.Batch.Alerts
	if d.in.Alert.ProductionID == "" {
		alerts = d.in.Kitchen.Alerts
	}
	at := slices.IndexFunc(alerts, func(a Alert) bool { return a.ID == id })
	if at < 0 {
		return Alert{}, refuse(ErrRefused, CodeAlertClosed, "the alert is "+string(d.in.Alert.Status)+" already")
	}
	return alerts[at], nil
}

// acknowledge says that somebody has seen an alert. Twice is as good as once.
func (d *draft) acknowledge(act Acknowledge) error {
	if err := d.mayAcknowledge(); err != nil {
		return err
	}
	a, err := d.answer(act.Alert)
	if err != nil {
		return err
	}
	d.quiet = true
	if a.Status == AlertAcknowledged {
		d.result.Alert, d.result.Production = &a, d.p
		return nil
	}
	a.Status, a.AcknowledgedAt, a.AcknowledgedBy, a.NextEscalation = AlertAcknowledged, d.now, d.c.Actor.ID(), 0
	d.answered(a)
	return nil
}

// mayAcknowledge has the one right that depends on what it is used for: who answers for costs may answer alerts about costs.
func (d *draft) mayAcknowledge() error {
	if d.in.Alert != nil && d.in.Alert.Code == CostOver {
		return d.allowed(MayAcknowledgeCost)
	}
	return d.allowed(MayAcknowledge)
}

// resolve ends an alert.
func (d *draft) resolve(act Resolve) error {
	a, err := d.answer(act.Alert)
	if err != nil {
		return err
	}
	switch a.Severity {
	case Critical:
		err = d.allowed(MayResolveCritical)
	case High:
		err = d.allowed(MayResolveHigh)
	default:
		err = d.mayAcknowledge()
	}
	if err != nil {
		return err
	}
	least := 0
	if a.Severity.Rank() >= High.Rank() {
		least = 5
	}
	var bad fields
	bad.text("correctiveAction", act.CorrectiveAction, least, 500)
	if err := bad.refusal(); err != nil {
		return err
	}
	d.quiet = true
	if !a.AcknowledgedAt.Known() {
		a.AcknowledgedAt, a.AcknowledgedBy = d.now, d.c.Actor.ID()
	}
	a.Status, a.ResolvedAt, a.ResolvedBy, a.NextEscalation = AlertResolved, d.now, d.c.Actor.ID(), 0
	a.CorrectiveAction = act.CorrectiveAction
	d.reason = act.CorrectiveAction
	d.answered(a)
	return nil
}

// answered stores an alert that a person has dealt with. The batch keeps its version: nothing in it has changed.
func (d *draft) answered(a Alert) {
	d.result.Alert, d.result.Production = &a, d.p
	v := life{c: &d.commit, version: d.p.Version, now: d.now}
	v.write(a)
	if a.ProductionID == "" {
		k := d.in.Kitchen
		k.Revision++
		k.Alerts, k.Settled = settle(k.Alerts, k.Settled, a, d.findings())
		lookAtKitchen(&k, &d.commit, &d.limits, d.now)
		d.commit.Kitchen, d.commit.KitchenBase = &k, d.in.Kitchen.Revision
		number(&d.commit, kitchenEvents(d.commit), k.Revision)
	} else {
		b := d.in.Batch
		b.Revision++
		b.Facts = d.f
		b.Alerts, b.Facts.Settled = settle(b.Alerts, d.f.Settled, a, d.findings())
		look(&b, &d.commit, &d.in.Kitchen.Kitchen, d.in.Day, &d.limits, d.now)
		d.commit.Batch, d.commit.Base = &b, d.in.Batch.Revision
		number(&d.commit, b.Production.ID, b.Revision)
	}
	d.commit.Audit = append(d.commit.Audit, d.audit())
}

// findings returns what the rules find now in what the change is about.
func (d *draft) findings() []finding {
	q := inquiry{p: &d.p, f: &d.f, k: &d.in.Kitchen.Kitchen, day: d.in.Day, l: &d.limits, now: d.now}
	if d.in.Alert.ProductionID == "" {
		q.certificates()
	} else {
		q.ask()
	}
	return q.hits
}

// settle puts a in place. If it was resolved while its cause is still there, that is kept, so that it is not raised anew at once.
func settle(alerts []Alert, settled []Settled, a Alert, hits []finding) ([]Alert, []Settled) {
	alerts = replace(alerts, a)
	if a.Active() {
		return alerts, settled
	}
	alerts = slices.DeleteFunc(alerts, func(old Alert) bool { return old.ID == a.ID })
	if at := slices.IndexFunc(hits, func(f finding) bool { return f.code == a.Code }); at >= 0 {
		settled = append(slices.Clone(settled), Settled{a.Code, a.Severity, hits[at].key})
	}
	return alerts, settled
}
