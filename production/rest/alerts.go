package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"kentongan/production"
	"kentongan/tenant"
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
	Codes      []string `query:"code" doc:"Codes, with commas between them: of rules, or what the app calls alerts of its own. One that is no rule's, and that no alert of the kitchen has had, is refused."` //nolint:lll // a tag cannot be broken
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
	var err error
	if f.Codes, err = a.codes(ctx, c.tenant, in.Codes); err != nil {
		return nil, err
	}
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

// codes returns the codes of a filter. One with a typing error would find nothing, and look like a kitchen in which all is well; so what is
// no code of a rule must be one that an alert of the kitchen has, or has had: what its app calls alerts is known from nowhere else.
func (a *API) codes(ctx context.Context, t tenant.ID, given []string) (codes []production.AlertCode, err error) {
	for _, text := range given {
		code := production.AlertCode(text)
		switch {
		case slices.Contains(codes, code):
			continue
		case slices.Contains(alertCodes, code), code == production.DefaultAppCode:
		case !code.Valid():
			return nil, invalid("query.code", "has a code that is none: "+wantCodes)
		default:
			had, err := a.opts.Store.Alerts(ctx, t, production.AlertFilter{Codes: []production.AlertCode{code}}, nil, 1)
			if err != nil {
				return nil, fmt.Errorf("look for alerts with a code: %w", err)
			}
			if len(had) == 0 {
				return nil, invalid("query.code", "has "+text+", which no rule has and no alert of this kitchen: "+wantCodes)
			}
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// wantCodes says which codes would be right.
var wantCodes = func() string {
	var b strings.Builder
	b.WriteString("want some of ")
	for _, code := range alertCodes {
		b.WriteString(string(code) + ", ")
	}
	b.WriteString(string(production.DefaultAppCode) + ", or what the app calls alerts of its own, with commas between them")
	return b.String()
}()
