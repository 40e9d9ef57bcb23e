package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/tenant"
)

// standingPages are the queries of the tenants that filters let through, each by an index that holds what is open or active only.
var standingPages = map[production.StandingFilter]string{
	production.EveryKitchen:     "SELECT tenant FROM kentongan.heads WHERE true",
	production.CookingKitchens:  "SELECT DISTINCT tenant FROM kentongan.batches WHERE " + openBatch,
	production.AlarmingKitchens: "SELECT DISTINCT tenant FROM kentongan.alerts WHERE active AND severity >= 3",
	production.LateKitchens: "SELECT DISTINCT tenant FROM kentongan.alerts WHERE active AND batch <> '' AND code IN ('" +
		strings.Join(words(production.LateCodes), "', '") + "')",
}

// openBatch is the condition of the index batches_open.
const openBatch = "status NOT IN ('COMPLETED', 'CANCELLED') AND deleted_at = 0"

// standingPage returns the query of f; a filter that is none lets every kitchen through.
func standingPage(f production.StandingFilter) string {
	if q, ok := standingPages[f]; ok {
		return q
	}
	return standingPages[production.EveryKitchen]
}

// Standings is as production.Standings has it: one round trip.
func (s *Store) Standings(
	ctx context.Context, f production.StandingFilter, text string, after tenant.ID, limit int,
) (list []production.Standing, err error) {
	type stored struct {
		kitchen production.Kitchen
		open    int
		last    production.Instant
	}
	type raised struct {
		tenant tenant.ID
		alert  production.Alert
	}
	page, args := pageOf(f, text, after, limit)
	err = s.call(ctx, "standings", func(ctx context.Context, c *conn) error {
		var kitchens []stored
		var alerts []raised
		err := c.moment(ctx, func(b *pgx.Batch) {
			into(b.Queue(page+`SELECT page.tenant, k.doc,
					(SELECT count(*) FROM kentongan.batches b WHERE b.tenant = page.tenant AND `+openBatch+`),
					coalesce((SELECT e.at FROM kentongan.heads h JOIN kentongan.events e ON e.tenant = h.tenant AND e.seq = h.event_seq
						WHERE h.tenant = page.tenant), 0)
				FROM page LEFT JOIN kentongan.kitchens k ON k.tenant = page.tenant ORDER BY page.tenant`, args...), &kitchens,
				func(r pgx.CollectableRow) (k stored, err error) {
					var doc []byte
					if err := r.Scan((*string)(&k.kitchen.ID), &doc, &k.open, (*int64)(&k.last)); err != nil || doc == nil {
						return k, err
					}
					err = decode(doc, &k.kitchen)
					return k, err
				})
			into(b.Queue(page+"SELECT a.tenant, a.doc FROM page JOIN kentongan.alerts a ON a.tenant = page.tenant AND a.active",
				args...), &alerts, func(r pgx.CollectableRow) (a raised, err error) {
				var doc []byte
				if err := r.Scan((*string)(&a.tenant), &doc); err != nil {
					return a, err
				}
				err = decode(doc, &a.alert)
				return a, err
			})
		})
		if err != nil {
			return err
		}
		of := map[tenant.ID][]production.Alert{}
		for _, a := range alerts {
			of[a.tenant] = append(of[a.tenant], a.alert)
		}
		list = nil
		for _, k := range kitchens {
			list = append(list, production.StandingOf(k.kitchen, k.open, k.last, of[k.kitchen.ID]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// pageOf returns what selects the page of Standings, as a table "page", and its arguments.
func pageOf(f production.StandingFilter, text string, after tenant.ID, limit int) (page string, args []any) {
	page, args = standingPage(f)+" AND tenant > $1", []any{after, max(limit, 0)}
	if text != "" { // in the collation C lower knows A to Z, as production.Kitchen.Named does
		page = "SELECT tenant FROM (" + page + `) AS found WHERE (position(lower($3 COLLATE "C") IN lower(tenant)) > 0 OR EXISTS
			(SELECT FROM kentongan.kitchens k
				WHERE k.tenant = found.tenant AND position(lower($3 COLLATE "C") IN lower((k.doc ->> 'name') COLLATE "C")) > 0))`
		args = append(args, word(text))
	}
	return "WITH page AS MATERIALIZED (" + page + " ORDER BY tenant LIMIT $2) ", args
}

// CountStandings is as production.Standings has it.
func (s *Store) CountStandings(ctx context.Context) (n production.StandingCounts, err error) {
	err = s.call(ctx, "standing counts", func(ctx context.Context, c *conn) error {
		return c.moment(ctx, func(b *pgx.Batch) {
			for f, to := range map[production.StandingFilter]*int{
				production.EveryKitchen: &n.Kitchens, production.CookingKitchens: &n.Cooking,
				production.AlarmingKitchens: &n.Alarming, production.LateKitchens: &n.Behind,
			} {
				b.Queue("SELECT count(*) FROM (" + standingPage(f) + ") AS page").QueryRow(func(r pgx.Row) error { return r.Scan(to) })
			}
		})
	})
	return n, err
}
