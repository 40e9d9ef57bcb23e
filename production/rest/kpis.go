package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"kentongan/production"
	"kentongan/tenant"
)

const (
	// maxDays and maxBatches bound what one answer of figures is made of: a year, and twice the batches of a busy kitchen in it.
	maxDays    = 366
	maxBatches = 5_000

	// maxAlerts bounds how many alerts answer times are taken from.
	maxAlerts = 20_000
)

type kpisInput struct {
	Who
	From   string `query:"from" format:"date" doc:"The first serving day; left out: six days before the last."`
	To     string `query:"to" format:"date" doc:"The last serving day; left out: today in the kitchen's zone."`
	Menu   string `query:"menuId" maxLength:"128" doc:"Only batches of this menu."`
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv is one line a batch."`
}

// KPIReport is the figures of a time.
type KPIReport struct {
	From    production.Day     `json:"from"`
	To      production.Day     `json:"to"`
	Summary production.Summary `json:"summary"`
	Batches []BatchKPIs        `json:"batches"`
}

// BatchKPIs are the figures of one batch, with what names it.
type BatchKPIs struct {
	ID          string            `json:"id"`
	BatchNumber string            `json:"batchNumber"`
	Day         production.Day    `json:"productionDate"`
	MenuName    string            `json:"menuName"`
	Status      production.Status `json:"status"`
	KPIs        production.KPIs   `json:"kpis"`
}

// fileOutput is an answer in one of several kinds.
type fileOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Body        []byte
}

// figures adds the route of KPIs.
func (a *API) figures() {
	o := a.declare(operation{
		id: "getKPIs", method: http.MethodGet, path: "/api/kpis", tag: tagFigures,
		summary: "Figures of some days, and of each batch in them",
		more:    "What is not known is null, never 0. Rates and means have their counts.",
		need:    need{rights: []production.Right{production.MaySee}, look: "kpis"},
	})
	answers[KPIReport](a, &o, mediaCSV)
	register(a, o, a.kpis)
}

func (a *API) kpis(ctx context.Context, c *caller, in *kpisInput) (*fileOutput, error) {
	kitchen, err := a.kitchen(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	from, to, err := a.days(kitchen, in.From, in.To)
	if err != nil {
		return nil, err
	}
	batches, err := a.batches(ctx, c.tenant, production.BatchFilter{From: from, To: to, MenuID: in.Menu})
	if err != nil {
		return nil, err
	}
	alerts, err := a.alertsOf(ctx, c.tenant, production.AlertFilter{From: from.Start(kitchen.Zone), To: to.End(kitchen.Zone)})
	if err != nil {
		return nil, err
	}
	summary := production.Summarise(batches, only(alerts, batches, in.Menu)).For(c.role())
	report := KPIReport{From: from, To: to, Summary: summary, Batches: []BatchKPIs{}}
	for i := range batches {
		p := &batches[i].Production
		report.Batches = append(report.Batches, BatchKPIs{
			p.ID, p.BatchNumber, p.Day, p.MenuName, p.Status, production.KPIsOf(*p, batches[i].Facts).For(c.role()),
		})
	}
	if in.Format == "csv" {
		return csvFile(fmt.Sprintf("kpi-%s-%s.csv", from, to), kpiTable(report, c.may(production.MaySeeMoney))), nil
	}
	return jsonFile(report), nil
}

// days reads a range of serving days.
func (a *API) days(k production.Kitchen, fromText, toText string) (from, to production.Day, err error) {
	if from, err = day("query.from", fromText); err != nil {
		return "", "", err
	}
	if to, err = day("query.to", toText); err != nil {
		return "", "", err
	}
	if to == "" {
		to = production.DayOf(production.At(a.opts.Now()), k.Zone)
	}
	if from == "" {
		from = addDays(to, -6)
	}
	switch {
	case from > to:
		return "", "", invalid("query.from", "is after to: want the first day in from and the last in to")
	case addDays(from, maxDays) <= to:
		return "", "", invalid("query.from", fmt.Sprintf("is %d days before to, or more: want a year at most", maxDays))
	}
	return from, to, nil
}

// batches returns all batches that match f, with their facts.
func (a *API) batches(ctx context.Context, t tenant.ID, f production.BatchFilter) ([]production.Batch, error) {
	var all []production.Batch
	var after *production.BatchPlace
	for {
		page, err := a.opts.Store.Facts(ctx, t, f, after, mostPage)
		if err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		all = append(all, page...)
		if len(page) < mostPage {
			return all, nil
		}
		if len(all) > maxBatches {
			return nil, invalid("query.from", "and to hold more than "+strconv.Itoa(maxBatches)+" batches: want fewer days")
		}
		last := &page[len(page)-1].Production
		after = &production.BatchPlace{Day: last.Day, PlannedStart: last.PlannedStart, ID: last.ID}
	}
}

// alertsOf returns all alerts that match f, newest first.
func (a *API) alertsOf(ctx context.Context, t tenant.ID, f production.AlertFilter) ([]production.Alert, error) {
	var all []production.Alert
	var after *production.AlertPlace
	for {
		page, err := a.opts.Store.Alerts(ctx, t, f, after, mostPage)
		if err != nil {
			return nil, fmt.Errorf("read alerts: %w", err)
		}
		all = append(all, page...)
		if len(page) < mostPage {
			return all, nil
		}
		if len(all) > maxAlerts {
			return nil, invalid("query.from", "and to hold more than "+strconv.Itoa(maxAlerts)+" alerts: want fewer days")
		}
		last := page[len(page)-1]
		after = &production.AlertPlace{RaisedAt: last.RaisedAt, ID: last.ID}
	}
}

// only returns the alerts of batches if a menu was asked for, else all.
func only(alerts []production.Alert, batches []production.Batch, menu string) []production.Alert {
	if menu == "" {
		return alerts
	}
	in := map[string]bool{}
	for i := range batches {
		in[batches[i].Production.ID] = true
	}
	var out []production.Alert
	for _, al := range alerts {
		if in[al.ProductionID] {
			out = append(out, al)
		}
	}
	return out
}

// kpiTable is the table of a CSV file. Its heads are those of the JSON, for programs read it; decimals have a point.
func kpiTable(r KPIReport, money bool) [][]string {
	head := []string{
		"productionDate", "batchNumber", "menuName", "status", "yieldPercentage", "timeVariance", "qualityScore", "onTimePerformance",
		"distributionReadiness", "wastePer100Portions", "minutesCookedToReleased", "minutesCookedToDispatched", "minutesLeftAtDispatch",
		"checksPassed", "checks",
	}
	if money {
		head = append(head, "costVariance", "costPerPortion", "efficiencyScore", "overallRating")
	}
	table := [][]string{head}
	for _, b := range r.Batches {
		k := b.KPIs
		row := []string{
			string(b.Day), b.BatchNumber, b.MenuName, string(b.Status), number(k.YieldPercentage), number(k.TimeVariance),
			number(k.QualityScore), truth(k.OnTime), number(k.DistributionReadiness),
			number(k.WastePer100Portions), number(k.MinutesToRelease),
			number(k.MinutesToDispatch), number(k.MinutesLeft), strconv.Itoa(k.ChecksPassed), strconv.Itoa(k.Checks),
		}
		if money {
			cost := ""
			if k.CostPerPortion != nil {
				cost = strconv.FormatInt(int64(*k.CostPerPortion), 10)
			}
			row = append(row, number(k.CostVariance), cost, number(k.EfficiencyScore), number(k.OverallRating))
		}
		table = append(table, row)
	}
	return table
}

// number is a figure in a CSV file; what is not known is an empty cell.
func number(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

func truth(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}
