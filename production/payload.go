package production

import (
	"slices"
	"strconv"
)

// member is one member of an event's data that is no field of the production.
type member struct {
	name  string
	value any
}

// event tells of a change of a production: all of it when it is new, else what has changed.
func (d *draft) event() Event {
	e := Event{Channel: UpdatesChannel, ProductionID: d.p.ID, Version: d.p.Version, At: d.now}
	if d.p.Version == 1 {
		e.Money = true
		e.Payload = envelope("production_created", d.p.ID, appendJSON(nil, d.p), d.now, d.c.Actor.ID())
		return e
	}
	var data []byte
	data, e.Money = changed(&d.before, &d.p, d.extra)
	e.Payload = envelope("production_update", d.p.ID, data, d.now, d.c.Actor.ID())
	return e
}

// changed returns the fields in which b differs from a, and more, as a JSON object; and whether there is money in it.
func changed(a, b *Production, more []member) (data []byte, withMoney bool) {
	data = append(data, '{')
	add := func(name string) {
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = strconv.AppendQuote(data, name)
		data = append(data, ':')
	}
	for i := range columns {
		c := &columns[i]
		if c.same(a, b) {
			continue
		}
		withMoney = withMoney || c.money
		add(c.name)
		data = c.add(data, b)
	}
	for _, m := range more {
		add(m.name)
		data = appendJSON(data, m.value)
	}
	return append(data, '}'), withMoney
}

// envelope is the shape of the app's messages about productions.
func envelope(kind, production string, data []byte, at Instant, by string) []byte {
	b := append([]byte(`{"type":"`), kind...)
	b = append(b, `","productionId":`...)
	b = appendJSON(b, production)
	b = append(b, `,"data":`...)
	b = append(b, data...)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, int64(at), 10)
	b = append(b, `,"updatedBy":`...)
	b = appendJSON(b, by)
	return append(b, '}')
}

// alertEvent tells of an alert as it is now.
func alertEvent(a *Alert, version int64, now Instant) Event {
	b := append([]byte(`{"type":"production_alert","productionId":`), appendJSON(nil, a.ProductionID)...)
	b = append(b, `,"alert":`...)
	b = appendJSON(b, a)
	b = append(b, `,"timestamp":`...)
	b = append(strconv.AppendInt(b, int64(now), 10), '}')
	return Event{
		Channel: AlertsChannel, ProductionID: a.ProductionID, Version: version, At: now, Payload: b, Money: a.Code == CostOver,
	}
}

// notice calls Head and Nutritionist. It says nothing of costs: Nutritionist may not see them.
func notice(a Alert, now Instant) Notice {
	type call struct {
		Type      string `json:"type"`
		Tenant    string `json:"sppgId"`
		ID        string `json:"productionId"`
		Alert     Alert  `json:"alert"`
		Count     int    `json:"count"`
		Notify    []Role `json:"notify"`
		Timestamp int64  `json:"timestamp"`
	}
	return Notice{
		ID: a.ID + "." + strconv.Itoa(a.Escalations), Tenant: a.Tenant, AlertID: a.ID, At: now,
		Payload: appendJSON(nil, call{
			"alert_escalation", string(a.Tenant), a.ProductionID, a.For(Nutritionist), a.Escalations,
			[]Role{Head, Nutritionist}, int64(now),
		}),
	}
}

// number gives the events of a commit their ids, which follow from what they tell of. A Store gives them their place.
func number(c *Commit, id string, revision int64) {
	for i := range c.Events {
		c.Events[i].Tenant = c.Tenant
		c.Events[i].ID = id + "." + strconv.FormatInt(revision, 10) + "." + strconv.Itoa(i+1)
	}
}

// replace puts a in place of the alert with its id, or adds it. It never writes to the slice that it was given.
func replace(alerts []Alert, a Alert) []Alert {
	alerts = slices.Clone(alerts)
	if at := slices.IndexFunc(alerts, func(old Alert) bool { return old.ID == a.ID }); at >= 0 {
		alerts[at] = a
		return alerts
	}
	return append(alerts, a)
}
