package rest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"kentongan/production"
)

// auditScan is how many entries one request looks through for those that it wants.
const auditScan = 10_000

// verifyTimeout is how long a check of the whole trail may take.
const verifyTimeout = time.Minute

type auditInput struct {
	Who
	From       int64  `query:"from" minimum:"1" default:"1" doc:"The number of the first entry."`
	Limit      int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many entries at most."`
	Production string `query:"productionId" maxLength:"128" doc:"Only entries about this batch."`
}

// Trail is a page of the audit trail.
type Trail struct {
	Entries []production.AuditEntry `json:"entries"`
	Next    int64                   `json:"next,omitempty"`
}

type auditOutput struct{ Body Trail }

// Verdict is what a check of the whole trail found.
type Verdict struct {
	Valid   bool            `json:"valid"`
	Entries int64           `json:"entries"`
	Last    production.Hash `json:"lastHash"`
	Flaw    string          `json:"flaw,omitempty"`
}

type verdictOutput struct{ Body Verdict }

// audits adds the routes of the audit trail.
func (a *API) audits() {
	rights := []production.Right{production.MayExport, production.MayExportCost}
	register(a, a.declare(operation{
		id: "listAudit", method: http.MethodGet, path: "/api/audit", tag: tagFigures, summary: "Read the audit trail, oldest first",
		more: "next is where the next page begins, and missing at the end; a page of one batch may have fewer entries than were asked " +
			"for and still have a next. Amounts of money are left out for roles that may not see them, and who may export costs only " +
			"gets the entries about costs.",
		need: need{rights: rights, look: "audit"},
	}), a.listAudit)
	register(a, a.declare(operation{
		id: "verifyAudit", method: http.MethodGet, path: "/api/audit/verify", tag: tagFigures, summary: "Check the whole audit trail",
		more: "Each entry holds the hash of the one before it. Compare lastHash with one that was printed on a day log, to know that " +
			"nothing was cut off.",
		need: need{rights: rights, look: "audit", timeout: verifyTimeout},
	}), a.verify)
}

func (a *API) listAudit(ctx context.Context, c *caller, in *auditInput) (*auditOutput, error) {
	out := &auditOutput{Body: Trail{Entries: []production.AuditEntry{}}}
	seen := 0
	for e, err := range a.opts.Store.Audit(ctx, c.tenant, max(in.From, 1)) {
		if err != nil {
			return nil, fmt.Errorf("read audit trail: %w", err)
		}
		if len(out.Body.Entries) == in.Limit || seen == auditScan {
			out.Body.Next = e.Seq
			break
		}
		seen++
		if in.Production != "" && e.ProductionID != in.Production {
			continue
		}
		if e, ok := auditFor(e, c); ok {
			out.Body.Entries = append(out.Body.Entries, e)
		}
	}
	return out, nil
}

// auditFor returns e as c may see it, and whether c may see it at all: who may export costs only sees entries with costs in them.
func auditFor(e production.AuditEntry, c *caller) (production.AuditEntry, bool) {
	if !c.may(production.MayExport) && bytes.Equal(e.For(production.Viewer).Detail, e.Detail) {
		return e, false
	}
	return e.For(c.role()), true
}

// verify walks the trail; an entry that cannot be read is no flaw of it but an error of ours.
func (a *API) verify(ctx context.Context, c *caller, _ *whoInput) (*verdictOutput, error) {
	var broken error
	trail := func(yield func(production.AuditEntry, error) bool) {
		for e, err := range a.opts.Store.Audit(ctx, c.tenant, 1) {
			broken = err
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
	n, last, err := production.VerifyAudit(iter.Seq2[production.AuditEntry, error](trail))
	if broken != nil {
		return nil, fmt.Errorf("read audit trail: %w", broken)
	}
	out := &verdictOutput{Body: Verdict{Valid: err == nil, Entries: n, Last: last.Hash}}
	if err != nil {
		out.Body.Flaw = err.Error()
	}
	return out, nil
}
