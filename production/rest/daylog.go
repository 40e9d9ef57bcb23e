package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

const (
	// maxReadings bounds the readings of one log: twice the probes of a busy kitchen's day.
	maxReadings = 40_000

	// maxTrail bounds how much of the audit trail one log looks at: some days of a busy kitchen.
	maxTrail = 100_000
)

// DayLog is what a kitchen did for one serving day, as it is printed, signed and kept.
type DayLog struct {
	Kitchen  production.Kitchen `json:"kitchen"`
	Day      production.Day     `json:"productionDate"`
	MadeAt   production.Instant `json:"madeAt"`
	MadeBy   string             `json:"madeBy"`
	Extract  string             `json:"extract,omitempty"` // costs: the reader may export nothing else
	Summary  production.Summary `json:"summary"`
	Batches  []LogBatch         `json:"batches"`
	Alerts   []production.Alert `json:"alerts"`   // of the kitchen itself, raised on that day
	AuditSeq int64              `json:"auditSeq"` // the newest entry of the audit trail that was looked at
	Audit    production.Hash    `json:"auditHash"`

	names   map[string]string // of people, by id
	visited bool              // by somebody who belongs to no kitchen: addresses name it
}

// LogBatch is one batch with all that was recorded about it.
type LogBatch struct {
	Production  production.Production   `json:"production"`
	KPIs        production.KPIs         `json:"kpis"`
	Steps       []LogStep               `json:"steps"`
	Readings    []production.Reading    `json:"readings"`
	Checks      []production.Check      `json:"checks"`
	Samples     []production.Sample     `json:"samples"`
	Dispatches  []production.Dispatch   `json:"dispatches"`
	Corrections []production.Correction `json:"corrections"`
	Photos      []production.Photo      `json:"photoNotes"`
	Alerts      []production.Alert      `json:"alerts"`
	Reviewer    string                  `json:"reviewer"` // who released or cancelled it; empty: nobody yet
}

// LogStep is a step from one status to another.
type LogStep struct {
	At       production.Instant `json:"at"`
	To       production.Status  `json:"to"`
	By       string             `json:"by"`
	Reason   string             `json:"reason,omitempty"`
	Override bool               `json:"override,omitempty"` // cooking began before the day did
}

type dayLogInput struct {
	Who
	Date   string `query:"date" format:"date" doc:"The serving day; left out: today in the kitchen's zone."`
	Format string `query:"format" enum:"json,csv,html" default:"json" doc:"csv has one line an entry; html is a page in Indonesian for A4."`
}

// dayLogs adds the route of the log.
func (a *API) dayLogs() {
	o := a.declare(operation{
		id: "getDayLog", method: http.MethodGet, path: "/api/daylog", tag: tagFigures,
		summary: "The log of a serving day, to read, to file or to print",
		more: "Every step, temperature, check, sample, dispatch, alert and correction, with who did it, what the limit was, and what was " +
			"done about it. The printed page sums up readings of probes by the hour; JSON and CSV have each. Who may export costs only " +
			"gets the batches with their costs.",
		need: need{rights: []production.Right{production.MayExport, production.MayExportCost}, look: "daylog"},
	})
	answers[DayLog](a, &o, mediaCSV, mediaHTML)
	register(a, o, a.dayLog)
}

const mediaHTML = "text/html"

func (a *API) dayLog(ctx context.Context, c *caller, in *dayLogInput) (*fileOutput, error) {
	d, err := day("query.date", in.Date)
	if err != nil {
		return nil, err
	}
	l, err := a.collect(ctx, c, d)
	if err != nil {
		return nil, err
	}
	switch in.Format {
	case "csv":
		return csvFile("catatan-harian-"+string(l.Day)+".csv", l.table()), nil
	case "html":
		return l.page(), nil
	}
	return jsonFile(l), nil
}

// collect reads all of a day, as c may see it.
func (a *API) collect(ctx context.Context, c *caller, d production.Day) (*DayLog, error) {
	kitchen, err := a.kitchen(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	now := production.At(a.opts.Now())
	if d == "" {
		d = production.DayOf(now, kitchen.Zone)
	}
	batches, err := a.batches(ctx, c.tenant, production.BatchFilter{From: d, To: d})
	if err != nil {
		return nil, err
	}
	refs, err := a.opts.Store.References(ctx, c.tenant)
	if err != nil {
		return nil, fmt.Errorf("read lists: %w", err)
	}
	l := &DayLog{
		Kitchen: kitchen, Day: d, MadeAt: now, MadeBy: c.actor.ID(), Batches: []LogBatch{}, Alerts: []production.Alert{},
		names: map[string]string{}, visited: c.visits,
	}
	for _, p := range refs.People {
		l.names[p.ID] = p.Name
	}
	if !c.may(production.MayExport) {
		l.Extract = "costs"
	}
	if err := a.addBatches(ctx, c, l, batches); err != nil {
		return nil, err
	}
	var alerts []production.Alert
	for i := range l.Batches {
		alerts = append(alerts, l.Batches[i].Alerts...)
	}
	l.Summary = production.Summarise(batches, alerts).For(c.role())
	if l.Extract == "" {
		own, err := a.alertsOf(ctx, c.tenant, production.AlertFilter{From: d.Start(kitchen.Zone), To: d.End(kitchen.Zone)})
		if err != nil {
			return nil, err
		}
		for i := range own {
			if own[i].ProductionID == "" {
				l.Alerts = append(l.Alerts, own[i].For(c.role()))
			}
		}
	}
	return l, a.addSteps(ctx, c.tenant, l, batches)
}

// addBatches adds the batches with what was recorded about them.
func (a *API) addBatches(ctx context.Context, c *caller, l *DayLog, batches []production.Batch) error {
	left := maxReadings
	for i := range batches {
		b := &batches[i]
		rows, err := a.allRows(ctx, c.tenant, b.Production.ID, &left)
		if err != nil {
			return err
		}
		lb := LogBatch{
			Production: b.Production.For(c.role()), KPIs: production.KPIsOf(b.Production, b.Facts).For(c.role()),
			Steps: []LogStep{}, Alerts: []production.Alert{}, Corrections: correctionsFor(rows.Corrections, c.role()),
			Readings: []production.Reading{}, Checks: []production.Check{},
			Samples: []production.Sample{}, Dispatches: []production.Dispatch{}, Photos: []production.Photo{},
		}
		if l.Extract == "" {
			lb.Readings, lb.Checks = list(rows.Readings), list(rows.Checks)
			lb.Samples, lb.Dispatches, lb.Photos = list(rows.Samples), list(rows.Dispatches), list(rows.Photos)
		} else {
			lb.Corrections = costsOnly(lb.Corrections)
		}
		for j := range rows.Alerts {
			if l.Extract == "" || rows.Alerts[j].Code == production.CostOver {
				lb.Alerts = append(lb.Alerts, rows.Alerts[j].For(c.role()))
			}
		}
		l.Batches = append(l.Batches, lb)
	}
	return nil
}

func costsOnly(rows []production.Correction) []production.Correction {
	out := []production.Correction{}
	for _, row := range rows {
		if costFields[row.Field] {
			out = append(out, row)
		}
	}
	return out
}

// allRows reads all rows of a batch, and takes its readings off what is left.
func (a *API) allRows(ctx context.Context, t tenant.ID, id string, left *int) (production.Rows, error) {
	const page = 2000
	all, err := a.opts.Store.Rows(ctx, t, id, "", page)
	if err != nil {
		return all, fmt.Errorf("read records of %s: %w", id, err)
	}
	for last := all.Readings; len(last) == page; {
		if len(all.Readings) > *left {
			break
		}
		next, err := a.opts.Store.Rows(ctx, t, id, last[page-1].ID, page)
		if err != nil {
			return all, fmt.Errorf("read records of %s: %w", id, err)
		}
		last = next.Readings
		all.Readings = append(all.Readings, last...)
	}
	*left -= len(all.Readings)
	if *left < 0 {
		return all, invalid("query.date", fmt.Sprintf("has more than %d readings: read them batch by batch", maxReadings))
	}
	return all, nil
}

// addSteps adds who took the batches from status to status, out of the audit trail: nothing else knows it.
func (a *API) addSteps(ctx context.Context, t tenant.ID, l *DayLog, batches []production.Batch) error {
	at := map[string]*LogBatch{}
	var from, to production.Instant
	for i := range l.Batches {
		p := &batches[i].Production
		at[p.ID] = &l.Batches[i]
		for _, when := range []production.Instant{p.ActualStart, p.StatusSince} {
			if when.Known() && (from == 0 || when < from) {
				from = when
			}
		}
		to = max(to, p.UpdatedAt, p.StatusSince)
	}
	if len(at) == 0 {
		return nil
	}
	seq, err := a.firstEntry(ctx, t, from)
	if err != nil {
		return err
	}
	seen := 0
	for e, err := range a.opts.Store.Audit(ctx, t, seq) {
		if err != nil {
			return fmt.Errorf("read audit trail: %w", err)
		}
		seen++
		if e.At > to || seen > maxTrail {
			break
		}
		l.AuditSeq, l.Audit = e.Seq, e.Hash
		b := at[e.ProductionID]
		if b == nil {
			continue
		}
		if step, ok := stepOf(e); ok {
			if step.To.Final() {
				b.Reviewer = step.By
			}
			if l.Extract == "" {
				b.Steps = append(b.Steps, step)
			}
		}
	}
	return nil
}

// stepOf reads a step out of an entry of the trail.
func stepOf(e production.AuditEntry) (LogStep, bool) {
	by := e.User
	if e.Person != "" {
		by = e.Person
	}
	step := LogStep{At: e.At, By: by, Reason: e.Reason}
	switch e.Action {
	case "transition":
		var t production.Transition
		if json.Unmarshal(e.Detail, &t) != nil {
			return step, false
		}
		step.To, step.Override = t.To, t.Override
		return step, true
	case "cancel":
		step.To = production.Cancelled
		return step, true
	}
	return step, false
}

// firstEntry returns the number of an entry of the trail such that all before it are older than at. The trail grows for ever and a
// log is about one day of it, so it is looked up by halving: entries are in the order of their time, but for clocks that were set back
// by less than a minute.
func (a *API) firstEntry(ctx context.Context, t tenant.ID, at production.Instant) (int64, error) {
	at = at.Add(-time.Minute)
	older := func(seq int64) (bool, error) {
		for e, err := range a.opts.Store.Audit(ctx, t, seq) {
			if err != nil {
				return false, fmt.Errorf("read audit trail: %w", err)
			}
			return e.At < at, nil
		}
		return false, nil // behind the end
	}
	low, high := int64(0), int64(1) // low is older or none, high is not
	for {
		is, err := older(high)
		if err != nil {
			return 0, err
		}
		if !is {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		is, err := older(middle)
		if err != nil {
			return 0, err
		}
		if is {
			low = middle
		} else {
			high = middle
		}
	}
	return high, nil
}
