package production

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// messages are the texts of alerts.
var messages = map[AlertCode]Words{
	CoreTempLow:     {"Suhu inti kurang", "Core temperature too low"},
	HotHoldLow:      {"Suhu penyimpanan panas turun", "Hot food too cool"},
	ColdHoldHigh:    {"Suhu dingin terlalu tinggi", "Cold food too warm"},
	EatBy:           {"Batas waktu konsumsi", "Eat-by time"},
	DispatchTooLate: {"Pengiriman terlambat", "Dispatch too late"},
	CookTooEarly:    {"Memasak sebelum pukul 00.00", "Cooking before midnight"},
	StartLate:       {"Terlambat mulai", "Late start"},
	BehindSchedule:  {"Tertinggal dari jadwal", "Behind schedule"},
	Overrun:         {"Melewati waktu selesai", "Past the planned end"},
	QCFailed:        {"Pemeriksaan gagal", "Quality check failed"},
	QCWaiting:       {"Menunggu pemeriksaan", "Waiting for checks"},
	SampleMissing:   {"Sampel belum disimpan", "No sample kept"},
	CostOver:        {"Biaya melebihi anggaran", "Costs above budget"},
	WasteHigh:       {"Limbah tinggi", "Much waste"},
	YieldLow:        {"Porsi kurang", "Too few portions"},
	OverCapacity:    {"Melebihi kapasitas harian", "Above the day's capacity"},
	NoReading:       {"Suhu belum dicatat", "No temperature recorded"},
	DocExpiring:     {"Sertifikat segera berakhir", "Certificate expires soon"},
}

// escalateFor is how long nobody is called again for the same alert: a whole day of calls every five minutes that nobody
// answered. The alert itself stays open, and sounds.
const escalateFor = 24 * time.Hour

// Look decides what the passing of time has brought about in a batch or a kitchen: alerts that are raised, rise, or
// resolve themselves, calls for those that nobody answered, and when to look again. ok is false if there is nothing to
// commit. Look is pure: two nodes that look at the same moment decide the same, and only one of their commits succeeds.
func Look(d Due, now Instant) (c Commit, ok bool) {
	limits := d.Kitchen.Kitchen.Limits.OrDefaults()
	c.Tenant = d.Kitchen.Kitchen.ID
	if d.Batch.Production.ID == "" {
		k := d.Kitchen
		k.Revision++
		lookAtKitchen(&k, &c, &limits, now)
		if len(c.Alerts) == 0 && k.NextLook == d.Kitchen.NextLook {
			return Commit{}, false
		}
		c.Kitchen, c.KitchenBase = &k, d.Kitchen.Revision
		number(&c, kitchenEvents(c), k.Revision)
		watched(&c, now)
		return c, true
	}
	b := d.Batch
	b.Revision++
	look(&b, &c, &d.Kitchen.Kitchen, d.Day, &limits, now)
	if len(c.Alerts) == 0 && b.NextLook == d.Batch.NextLook {
		return Commit{}, false
	}
	stored := b // b itself stays off the heap: mostly there is nothing to store
	c.Batch, c.Base = &stored, d.Batch.Revision
	number(&c, b.Production.ID, b.Revision)
	watched(&c, now)
	return c, true
}

// kitchenEvents is where the ids of events begin that belong to no batch.
func kitchenEvents(c Commit) string { return "kitchen." + string(c.Tenant) }

// watched writes down what time has brought about.
func watched(c *Commit, now Instant) {
	type line struct {
		Alert       string      `json:"alert"`
		Code        AlertCode   `json:"code"`
		Severity    Severity    `json:"severity"`
		Status      AlertStatus `json:"status"`
		Escalations int         `json:"escalations,omitempty"`
	}
	var lines []line
	for i := range c.Alerts {
		a := &c.Alerts[i]
		lines = append(lines, line{a.ID, a.Code, a.Severity, a.Status, a.Escalations})
	}
	if lines == nil {
		return
	}
	e := AuditEntry{Tenant: c.Tenant, At: now, User: "system", Action: "watch", Detail: appendJSON(nil, lines)}
	if c.Batch != nil {
		e.ProductionID, e.Version = c.Batch.Production.ID, c.Batch.Production.Version
	}
	c.Audit = append(c.Audit, e)
}

// look brings the alerts of b up to date with what the rules find now. b is b of revision b.Revision: the one to be stored.
func look(b *Batch, c *Commit, k *Kitchen, day DayLoad, l *Limits, now Instant) {
	q := inquiry{p: &b.Production, f: &b.Facts, k: k, day: day, l: l, now: now}
	q.ask()
	life := life{
		alerts: b.Alerts, settled: b.Facts.Settled, c: c, l: l, now: now, next: q.next,
		of:       Alert{ProductionID: b.Production.ID, BatchNumber: b.Production.BatchNumber, Tenant: c.Tenant},
		revision: b.Revision, version: b.Production.Version,
	}
	life.meet(q.hits)
	b.Alerts, b.Facts.Settled, b.NextLook = life.alerts, life.settled, life.next
}

func lookAtKitchen(k *KitchenState, c *Commit, l *Limits, now Instant) {
	q := inquiry{k: &k.Kitchen, l: l, now: now}
	q.certificates()
	life := life{
		alerts: k.Alerts, settled: k.Settled, c: c, l: l, now: now, next: q.next, of: Alert{Tenant: c.Tenant},
		revision: k.Revision,
	}
	life.meet(q.hits)
	k.Alerts, k.Settled, k.NextLook = life.alerts, life.settled, life.next
}

// life leads alerts from one moment to the next.
type life struct {
	alerts  []Alert   // active ones
	settled []Settled // see Settled
	c       *Commit
	l       *Limits
	now     Instant
	next    Instant
	of      Alert // what all have in common

	revision, version int64 // of what they belong to
}

// meet compares what is found with what is known.
func (v *life) meet(hits []finding) {
	v.settled = slices.DeleteFunc(slices.Clone(v.settled), func(s Settled) bool {
		return !slices.ContainsFunc(hits, func(f finding) bool { return f.code == s.Code })
	})
	active := slices.Clone(v.alerts)
	v.alerts = nil
	for _, a := range active {
		at := slices.IndexFunc(hits, func(f finding) bool { return f.code == a.Code })
		switch {
		case at >= 0 && hits[at].severity.Rank() > a.Severity.Rank():
			v.rise(a, hits[at])
		case at < 0 && v.ends(&a):
			a.Status, a.ResolvedAt, a.NextEscalation = AlertAutoResolved, v.now, 0
			v.write(a)
		default:
			v.escalate(a)
		}
	}
	for _, f := range hits {
		known := slices.ContainsFunc(active, func(a Alert) bool { return a.Code == f.code })
		if !known && !v.isSettled(f) {
			v.raise(f)
		}
	}
	if v.next.Known() {
		v.next = max(v.next, v.now+1)
	}
}

// isSettled reports whether somebody has resolved f already.
func (v *life) isSettled(f finding) bool {
	return slices.ContainsFunc(v.settled, func(s Settled) bool {
		return s.Code == f.code && s.Key == f.key && f.severity.Rank() <= s.Severity.Rank()
	})
}

// ends reports whether an alert ends when no rule finds its cause. What concerned the safety of food ends by a person. Of what an app has
// told no rule knows the cause; there are apps that never tell of an end.
func (v *life) ends(a *Alert) bool {
	if a.Severity == Critical || a.Code == QCFailed || a.Code == CoreTempLow {
		return false
	}
	return a.Source != AppRecord || v.now >= a.RisenAt.Add(appAlertLife)
}

func (v *life) raise(f finding) {
	a := v.of
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%d|%s", a.Tenant, a.ProductionID, v.revision, f.code)) // two nodes find the same
	a.ID = "alert_" + hex.EncodeToString(sum[:12])
	a.Code, a.Status, a.Message, a.RaisedAt = f.code, AlertOpen, messages[f.code], v.now
	v.settled = slices.DeleteFunc(v.settled, func(s Settled) bool { return s.Code == f.code })
	v.rise(a, f)
}

// rise gives an alert a higher severity. Whoever has answered it has not answered this: it sounds again.
func (v *life) rise(a Alert, f finding) {
	a.Severity, a.RisenAt, a.Value, a.Limit, a.Unit = f.severity, v.now, f.value, f.limit, f.unit
	a.Status, a.AcknowledgedAt, a.AcknowledgedBy, a.NextEscalation = AlertOpen, 0, "", 0
	a.NextEscalation = firstCall(a.Severity, v.l, v.now)
	v.write(a)
	v.keep(a)
}

// firstCall returns when somebody is called if nobody answers an alert that came to its severity now; zero: never.
func firstCall(s Severity, l *Limits, now Instant) Instant {
	switch s {
	case High:
		return now.Add(minutes(l.EscalateHighMin))
	case Critical:
		return now.Add(minutes(l.EscalateCriticalMin))
	default:
		return 0
	}
}

// escalate calls Head and Nutritionist if nobody has answered in time. However long nobody looked, they are called once.
func (v *life) escalate(a Alert) {
	if !a.NextEscalation.Known() || v.now < a.NextEscalation {
		v.keep(a)
		return
	}
	a.Escalations++
	a.EscalatedAt, a.NextEscalation = v.now, v.now.Add(minutes(v.l.EscalateRepeatMin))
	if v.now.Sub(a.RisenAt) >= escalateFor {
		a.NextEscalation = 0
	}
	v.write(a)
	v.c.Notices = append(v.c.Notices, notice(a, v.now))
	v.keep(a)
}

func (v *life) keep(a Alert) {
	v.alerts = append(v.alerts, a)
	v.next = sooner(v.next, a.NextEscalation)
	if end := a.RisenAt.Add(appAlertLife); a.Source == AppRecord && v.now < end {
		v.next = sooner(v.next, end)
	}
}

// write stores an alert and tells the screens. What a person did and what time did to it may come in one commit.
func (v *life) write(a Alert) {
	v.c.Alerts = replace(v.c.Alerts, a)
	v.c.Events = append(v.c.Events, alertEvent(&a, v.version, v.now))
}
