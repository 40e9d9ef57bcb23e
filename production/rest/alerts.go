package rest

import (
	"context"
	"fmt"
	"net/http"

	"kentongan/production"
)

// AcknowledgeBody says that somebody has seen an alert.
type AcknowledgeBody struct{ Entry }

// ResolveBody ends an alert.
type ResolveBody struct {
	CorrectiveAction string `json:"correctiveAction,omitempty"`
	Entry
}

type alertsInput struct {
	Who
	Page
	Production string   `query:"productionId" maxLength:"128" doc:"Only alerts of this batch."`
	Active     bool     `query:"active" doc:"true: open and acknowledged ones only."`
	Severity   string   `query:"severity" enum:"LOW,MEDIUM,HIGH,CRITICAL" doc:"This severity or a worse one."`
	Codes      []string `query:"code" doc:"Codes of rules, with commas between them."`
	From       string   `query:"from" format:"date-time" maxLength:"40" doc:"Raised then or later."`
	To         string   `query:"to" format:"date-time" maxLength:"40" doc:"Raised before then."`
}

// Alerts is a page of alerts.
type Alerts struct {
	Alerts []production.Alert `json:"alerts"`
	Next   string             `json:"next,omitempty"`
}

type alertsOutput struct{ Body Alerts }

// alerts adds the routes of alerts.
func (a *API) alerts() {
	register(a, a.declare(operation{
		id: "listAlerts", method: http.MethodGet, path: "/api/alerts", tag: tagAlerts, summary: "List alerts, newest first",
		need: need{rights: []production.Right{production.MaySee}, look: "alerts"},
	}), a.listAlerts)
	writes := need{rights: []production.Right{production.MaySee}} // the Service knows who may do what
	change(a, operation{
		id: "acknowledgeAlert", method: http.MethodPost, path: "/api/alerts/{id}/acknowledge", tag: tagAlerts, need: writes,
		summary: "Say that you have seen an alert", more: "It no longer sounds. The body may be {}.",
	}, func(ctx context.Context, r production.Request, id string, _ *AcknowledgeBody) (production.Result, error) {
		return a.opts.Service.Acknowledge(ctx, r, id)
	})
	change(a, operation{
		id: "resolveAlert", method: http.MethodPost, path: "/api/alerts/{id}/resolve", tag: tagAlerts, need: writes,
		summary: "End an alert", more: "HIGH and CRITICAL ones need a corrective action.",
	}, func(ctx context.Context, r production.Request, id string, b *ResolveBody) (production.Result, error) {
		return a.opts.Service.Resolve(ctx, r, id, b.CorrectiveAction)
	})
}

func (a *API) listAlerts(ctx context.Context, c *caller, in *alertsInput) (*alertsOutput, error) {
	f := production.AlertFilter{ProductionID: in.Production, Active: in.Active, MinSeverity: production.Severity(in.Severity)}
	for _, code := range in.Codes {
		if !production.AlertCode(code).Valid() {
			return nil, invalid("query.code", "has a code that is none: want some of those that alerts have, with commas between them")
		}
		f.Codes = append(f.Codes, production.AlertCode(code))
	}
	var err error
	if f.From, err = instant("query.from", in.From); err != nil {
		return nil, err
	}
	if f.To, err = instant("query.to", in.To); err != nil {
		return nil, err
	}
	after, err := parseAlertCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	limit := min(max(in.Limit, 1), mostPage)
	found, err := a.opts.Store.Alerts(ctx, c.tenant, f, after, limit+1)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out := &alertsOutput{Body: Alerts{Alerts: []production.Alert{}}}
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		out.Body.Next = alertCursor(production.AlertPlace{RaisedAt: last.RaisedAt, ID: last.ID})
	}
	for i := range found {
		out.Body.Alerts = append(out.Body.Alerts, *alertFor(&found[i], c.role()))
	}
	return out, nil
}
