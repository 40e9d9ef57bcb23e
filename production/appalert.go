package production

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// appAlertLife is how long an alert of an app stays that nobody ends: one serving day, as on the screens. One that is CRITICAL stays.
const appAlertLife = 24 * time.Hour

// maxAppAlerts is how many alerts of an app a batch can have at a time; the rules have 17.
const maxAppAlerts = 20

// DefaultAppCode is the code of an alert of an app that gives it none.
const DefaultAppCode AlertCode = "APP_ALERT"

// What an app calls its alerts: ids are part of paths.
var (
	appAlertID   = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
	appAlertCode = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,60}$`)
)

// Valid reports whether c can be the code of an alert: one of the rules', or what an app calls its own.
func (c AlertCode) Valid() bool { return appAlertCode.MatchString(string(c)) }

// code returns what kind of alert the app tells of.
func (m *message) code() (c AlertCode, ok bool) {
	for _, name := range []string{"code", "type"} {
		text := m.said[name]
		if len(text) == 0 || string(text) == "null" {
			continue
		}
		c := word(text)
		return AlertCode(c), appAlertCode.MatchString(c)
	}
	return "", true
}

// alertID returns the id under which the alert is kept: the one that the app has given it; without one, what screens call it by, which is
// the batch and the code. Empty: the message is no alert.
func (m *message) alertID() string {
	if m.said == nil || m.id == "" {
		return ""
	}
	if id := word(m.said["id"]); appAlertID.MatchString(id) {
		return id
	}
	code, ok := m.code()
	if !ok {
		code = ""
	}
	return m.id + " " + string(code)
}

// hear takes in an alert that an app tells of. The screens have its message as it came, so there is no event; what is kept is what a screen
// begins with, and what is answered and escalated like any other alert. It has the id that the app calls it by.
func (o *observer) hear() {
	known, ours := o.meet()
	if !ours {
		return
	}
	id := o.msg.alertID()
	if was := o.in.Alert; was != nil && was.ID == id && (was.Source != AppRecord || was.ProductionID != o.msg.id) {
		o.flag(FlagField + ":alert.id") // of a rule, or of another batch
		return
	}
	heard, status := o.heard(id)
	alerts := o.in.Batch.Alerts
	at := slices.IndexFunc(alerts, func(a Alert) bool { return a.ID == id })
	switch over := status == AlertResolved || status == AlertAutoResolved; {
	case over && at < 0:
		return // it is over here, too
	case over:
		alerts = o.over(alerts, at, status)
	case at >= 0:
		alerts = o.again(alerts, at, heard, status)
	case o.in.Alert != nil && max(heard.RaisedAt, o.at) <= o.in.Alert.ResolvedAt:
		return // somebody has resolved it since
	default:
		alerts = o.raised(alerts, heard, status)
	}
	if len(o.commit.Alerts) == 0 {
		return
	}
	if !known {
		o.begin()
		o.p.Version, o.p.UpdatedAt = 1, o.now
		for i := range o.commit.Alerts {
			o.commit.Alerts[i].BatchNumber = o.p.BatchNumber
		}
		for i := range alerts {
			alerts[i].BatchNumber = o.p.BatchNumber
		}
	}
	o.store(alerts)
}

// heard reads the alert as far as it can be read, and flags the rest.
func (o *observer) heard(id string) (a Alert, status AlertStatus) {
	said := o.msg.said
	a = Alert{
		ID: id, Tenant: o.commit.Tenant, Source: AppRecord, ProductionID: o.msg.id, BatchNumber: o.p.BatchNumber, Code: DefaultAppCode,
		RaisedAt: o.at, RisenAt: o.at,
	}
	odd := func(name string) { o.flag(FlagField + ":alert." + name) }
	if text := said["id"]; text != nil && word(text) != id {
		odd("id")
	}
	if code, ok := o.msg.code(); !ok {
		odd("code")
	} else if code != "" {
		a.Code = code
	}
	var ok bool
	if a.Severity, ok = oneWord(said["severity"], Medium, Low, High, Critical); !ok {
		odd("severity")
	}
	if status, ok = oneWord(said["status"], AlertOpen, AlertAcknowledged, AlertResolved, AlertAutoResolved); !ok {
		odd("status")
	}
	if a.Message, ok = appWords(said["message"]); !ok {
		odd("message")
	}
	if a.Message == (Words{}) {
		a.Message = Words{string(a.Code), string(a.Code)}
	}
	for name, to := range map[string]*float64{"value": &a.Value, "limit": &a.Limit} {
		if text := said[name]; text != nil && (json.Unmarshal(text, to) != nil || math.Abs(*to) > 1e12) {
			*to = 0
			odd(name)
		}
	}
	if text := said["unit"]; text != nil {
		if a.Unit = clip(word(text)); utf8.RuneCountInString(a.Unit) > 12 {
			a.Unit = ""
			odd("unit")
		}
	}
	var raised Instant
	if text := said["raisedAt"]; text != nil && json.Unmarshal(text, &raised) != nil {
		odd("raisedAt")
	} else if raised.Known() {
		a.RaisedAt = believable(raised, o.now, raised.Sub(o.now) > MaxClockSkew)
		a.RisenAt = a.RaisedAt
	}
	slices.Sort(o.flags) // value and limit come in any order
	return a, status
}

// raised adds an alert that is new. There is one of each code; another one of the app with the same code takes its place.
func (o *observer) raised(alerts []Alert, a Alert, status AlertStatus) []Alert {
	own := 0
	for i := range alerts {
		if alerts[i].Source == AppRecord {
			own++
		}
	}
	if own >= maxAppAlerts {
		o.flag(FlagAlerts)
		return alerts
	}
	if at := slices.IndexFunc(alerts, func(old Alert) bool { return old.Code == a.Code }); at >= 0 {
		if alerts[at].Source != AppRecord {
			return alerts // a rule has found it, too, and knows when it ends
		}
		alerts = o.over(alerts, at, AlertAutoResolved)
	}
	a.Status = AlertOpen
	a.NextEscalation = firstCall(a.Severity, &o.limits, o.now)
	if status == AlertAcknowledged {
		o.seen(&a)
	}
	o.commit.Alerts = append(o.commit.Alerts, a)
	return append(slices.Clone(alerts), a)
}

// again takes in what an app says of an alert that is there. It may only rise, and then it sounds again.
func (o *observer) again(alerts []Alert, at int, heard Alert, status AlertStatus) []Alert {
	a := alerts[at]
	before := a
	if heard.Severity.Rank() > a.Severity.Rank() {
		a.Severity, a.RisenAt, a.Status, a.AcknowledgedAt, a.AcknowledgedBy = heard.Severity, o.at, AlertOpen, 0, ""
		a.NextEscalation = firstCall(a.Severity, &o.limits, o.now)
	}
	a.Message, a.Value, a.Limit, a.Unit = heard.Message, heard.Value, heard.Limit, heard.Unit
	if status == AlertAcknowledged && a.Status == AlertOpen {
		o.seen(&a)
	}
	if a == before {
		return alerts
	}
	o.commit.Alerts = append(o.commit.Alerts, a)
	alerts = slices.Clone(alerts)
	alerts[at] = a
	return alerts
}

func (o *observer) seen(a *Alert) {
	a.Status, a.AcknowledgedAt, a.AcknowledgedBy, a.NextEscalation = AlertAcknowledged, o.at, clip(word(o.msg.said["acknowledgedBy"])), 0
}

// over ends an alert.
func (o *observer) over(alerts []Alert, at int, status AlertStatus) []Alert {
	a := alerts[at]
	a.Status, a.ResolvedAt, a.NextEscalation = status, o.at, 0
	if status == AlertResolved {
		a.ResolvedBy = clip(word(o.msg.said["resolvedBy"]))
		action := word(o.msg.said["correctiveAction"])
		if utf8.RuneCountInString(action) <= 500 && strings.IndexFunc(action, unprintable) < 0 {
			a.CorrectiveAction = action
		}
	}
	o.commit.Alerts = append(o.commit.Alerts, a)
	return slices.Delete(slices.Clone(alerts), at, at+1)
}

// oneWord reads one of some words, whatever its case. Without a text it is the first of them.
func oneWord[T ~string](text json.RawMessage, first T, others ...T) (T, bool) {
	if len(text) == 0 || string(text) == "null" {
		return first, true
	}
	w := T(strings.ToUpper(word(text)))
	if w == first || slices.Contains(others, w) {
		return w, true
	}
	return first, false
}

// appWords reads a text in one language, or in both.
func appWords(text json.RawMessage) (w Words, ok bool) {
	if len(text) == 0 || string(text) == "null" {
		return w, true
	}
	if json.Unmarshal(text, &w) != nil {
		w.ID = word(text)
	}
	if w.ID == "" {
		w.ID = w.EN
	}
	if w.EN == "" {
		w.EN = w.ID
	}
	var bad fields
	bad.text("", w.ID, 1, 500)
	bad.text("", w.EN, 1, 500)
	if len(bad) > 0 {
		return Words{}, false
	}
	return w, true
}
