package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// standingPages are the queries of the tenants that filters let through, each by an index that holds what is open or active only.
var standingPages = map[production.StandingFilter]string{
	production.EveryKitchen:     "SELECT tenant FROM heads WHERE true",
	production.CookingKitchens:  "SELECT DISTINCT tenant FROM productions WHERE open = 1",
	production.AlarmingKitchens: "SELECT DISTINCT tenant FROM alerts WHERE active = 1 AND severity >= 3",
	production.LateKitchens: "SELECT DISTINCT tenant FROM alerts WHERE active = 1 AND production <> '' AND code IN ('" +
		strings.Join(lateCodes(), "', '") + "')",
}

func lateCodes() (codes []string) {
	for _, c := range production.LateCodes {
		codes = append(codes, string(c))
	}
	return codes
}

// standingPage returns the query of f; a filter that is none lets every kitchen through.
func standingPage(f production.StandingFilter) string {
	if q, ok := standingPages[f]; ok {
		return q
	}
	return standingPages[production.EveryKitchen]
}

// Standings is as production.Standings has it.
func (s *Store) Standings(
	ctx context.Context, f production.StandingFilter, text string, after tenant.ID, limit int,
) (list []production.Standing, err error) {
	page, args := standingPage(f)+" AND tenant > ?", []any{string(after)}
	if text != "" { // lower knows A to Z, as production.Kitchen.Named does
		page = "SELECT tenant FROM (" + page + `) AS found WHERE (instr(lower(tenant), lower(?)) > 0 OR EXISTS
			(SELECT 1 FROM kitchens k WHERE k.tenant = found.tenant AND instr(lower(json_extract(k.doc, '$.name')), lower(?)) > 0))`
		args = append(args, text, text)
	}
	page = "WITH page AS MATERIALIZED (" + page + " ORDER BY tenant LIMIT ?) "
	args = append(args, max(limit, 0))
	err = s.read(ctx, func(c *conn) error {
		alerts, err := standingAlerts(ctx, c, page, args)
		if err != nil {
			return err
		}
		return c.each(ctx, page+`SELECT page.tenant, k.doc,
				(SELECT count(*) FROM productions p WHERE p.tenant = page.tenant AND p.open = 1),
				(SELECT e.at FROM heads h JOIN events e ON e.tenant = h.tenant AND e.seq = h.seq WHERE h.tenant = page.tenant)
			FROM page LEFT JOIN kitchens k ON k.tenant = page.tenant ORDER BY page.tenant`, args, func(r *sql.Rows) error {
			var k production.Kitchen
			var doc sql.RawBytes
			var open int
			var last sql.NullInt64
			if err := r.Scan(&k.ID, &doc, &open, &last); err != nil {
				return err
			}
			if doc != nil {
				if err := rows.Decode(doc, &k); err != nil {
					return err
				}
			}
			list = append(list, production.StandingOf(k, open, production.Instant(last.Int64), alerts[k.ID]))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read standings: %w", err)
	}
	return list, nil
}

// standingAlerts returns the active alerts of a page of tenants.
func standingAlerts(ctx context.Context, c *conn, page string, args []any) (map[tenant.ID][]production.Alert, error) {
	found := map[tenant.ID][]production.Alert{}
	// CROSS is SQLite's word for "in this order": page by page, not all that is active anywhere.
	err := c.each(ctx, page+"SELECT a.tenant, a.doc FROM page CROSS JOIN alerts a ON a.tenant = page.tenant AND a.active = 1", args,
		func(r *sql.Rows) error {
			var t tenant.ID
			var a production.Alert
			var doc sql.RawBytes
			if err := r.Scan(&t, &doc); err != nil {
				return err
			}
			if err := rows.Decode(doc, &a); err != nil {
				return err
			}
			found[t] = append(found[t], a)
			return nil
		})
	return found, err
}

// CountStandings is as production.Standings has it.
func (s *Store) CountStandings(ctx context.Context) (n production.StandingCounts, err error) {
	err = s.read(ctx, func(c *conn) error {
		for f, to := range map[production.StandingFilter]*int{
			production.EveryKitchen: &n.Kitchens, production.CookingKitchens: &n.Cooking,
			production.AlarmingKitchens: &n.Alarming, production.LateKitchens: &n.Behind,
		} {
			err := c.each(ctx, "SELECT count(*) FROM ("+standingPages[f]+")", nil, func(r *sql.Rows) error { return r.Scan(to) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return production.StandingCounts{}, fmt.Errorf("count standings: %w", err)
	}
	return n, nil
}
