package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/tenant"
)

// DueBatches is as production.Timers has it: one round trip with four statements, however many batches are due.
func (s *Store) DueBatches(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	// The number is part of the text: PostgreSQL plans the statement for it, and callers always ask for the same one.
	due := "FROM kentongan.batches WHERE next_look <> 0 AND deleted_at = 0 AND next_look <= $1 ORDER BY next_look, tenant, id LIMIT " +
		strconv.Itoa(max(limit, 0))
	with := "WITH due AS MATERIALIZED (SELECT tenant, id, day " + due + ") "
	var (
		batches  []production.Batch
		kitchens []production.KitchenState
		alerts   []production.Alert
		days     map[place]production.DayLoad
	)
	err := s.call(ctx, "due batches", func(ctx context.Context, c *conn) error {
		days = map[place]production.DayLoad{}
		return c.moment(ctx, func(b *pgx.Batch) {
			into(b.Queue("SELECT "+batchColumns+" "+due, int64(now)), &batches, scanBatch)
			into(b.Queue(with+"SELECT "+kitchenColumns+" FROM kentongan.kitchens WHERE tenant IN (SELECT tenant FROM due)", int64(now)),
				&kitchens, scanKitchen)
			into(b.Queue(with+`SELECT doc FROM (
					SELECT a.* FROM due JOIN kentongan.alerts AS a ON a.tenant = due.tenant AND a.batch = due.id AND a.active
					UNION ALL
					SELECT a.* FROM (SELECT DISTINCT tenant FROM due) AS d JOIN kentongan.alerts AS a
						ON a.tenant = d.tenant AND a.batch = '' AND a.active
				) AS found ORDER BY raised_at, id`, int64(now)), &alerts, decoded[production.Alert])
			b.Queue(with+"SELECT tenant, day, "+dayLoad+` FROM (SELECT DISTINCT tenant, day FROM due) AS wanted
				JOIN kentongan.batches USING (tenant, day) GROUP BY tenant, day`, int64(now)).Query(scanDays(days))
		})
	})
	if err != nil {
		return nil, err
	}
	return together(batches, kitchens, alerts, days), nil
}

// place is a tenant with a batch ("": the kitchen), or with a day.
type place struct {
	tenant tenant.ID
	of     string
}

func scanDays(into map[place]production.DayLoad) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		for r.Next() {
			var (
				p place
				l production.DayLoad
			)
			if err := r.Scan((*string)(&p.tenant), &p.of, &l.Portions, &l.LastNumber); err != nil {
				return err
			}
			into[p] = l
		}
		return r.Err()
	}
}

// together makes one Due of each batch.
func together(
	batches []production.Batch, kitchens []production.KitchenState, alerts []production.Alert, days map[place]production.DayLoad,
) []production.Due {
	active := map[place][]production.Alert{}
	for _, a := range alerts {
		p := place{a.Tenant, a.ProductionID}
		active[p] = append(active[p], a)
	}
	states := make(map[tenant.ID]production.KitchenState, len(kitchens))
	for _, k := range kitchens {
		states[k.Kitchen.ID] = k
	}
	list := make([]production.Due, 0, len(batches))
	for i := range batches {
		b := &batches[i]
		t := b.Production.Tenant
		k := states[t]
		k.Kitchen.ID = t // also of a kitchen that was never set
		k.Alerts = active[place{t, ""}]
		b.Alerts = active[place{t, b.Production.ID}]
		list = append(list, production.Due{Kitchen: k, Batch: *b, Day: days[place{t, word(string(b.Production.Day))}]})
	}
	return list
}

// DueKitchens is as production.Timers has it.
func (s *Store) DueKitchens(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	due := "FROM kentongan.kitchens WHERE next_look <> 0 AND next_look <= $1 ORDER BY next_look, tenant LIMIT " +
		strconv.Itoa(max(limit, 0))
	var (
		kitchens []production.KitchenState
		alerts   []production.Alert
	)
	err := s.call(ctx, "due kitchens", func(ctx context.Context, c *conn) error {
		return c.moment(ctx, func(b *pgx.Batch) {
			into(b.Queue("SELECT "+kitchenColumns+" "+due, int64(now)), &kitchens, scanKitchen)
			into(b.Queue("WITH due AS MATERIALIZED (SELECT tenant "+due+`) SELECT a.doc FROM due JOIN kentongan.alerts AS a
				ON a.tenant = due.tenant AND a.batch = '' AND a.active ORDER BY a.raised_at, a.id`, int64(now)),
				&alerts, decoded[production.Alert])
		})
	})
	if err != nil {
		return nil, err
	}
	list := make([]production.Due, 0, len(kitchens))
	for _, k := range kitchens {
		for _, a := range alerts {
			if a.Tenant == k.Kitchen.ID {
				k.Alerts = append(k.Alerts, a)
			}
		}
		list = append(list, production.Due{Kitchen: k})
	}
	return list, nil
}

// NextDue is as production.Timers has it.
func (s *Store) NextDue(ctx context.Context) (production.Instant, error) {
	var next production.Instant
	err := s.call(ctx, "next due", func(ctx context.Context, c *conn) error {
		return c.QueryRow(ctx, `SELECT coalesce(least(
			(SELECT min(next_look) FROM kentongan.batches WHERE next_look <> 0 AND deleted_at = 0),
			(SELECT min(next_look) FROM kentongan.kitchens WHERE next_look <> 0)), 0)`).Scan((*int64)(&next))
	})
	return next, err
}

// ClaimNotices is as production.Timers has it. Rows that somebody else locks in this moment are passed over: he leases or settles them.
func (s *Store) ClaimNotices(
	ctx context.Context, owner string, now production.Instant, lease time.Duration, limit int,
) ([]production.Notice, error) {
	const claim = `UPDATE kentongan.notices AS n SET lease_owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
		FROM (SELECT tenant, id FROM kentongan.notices
			WHERE NOT done AND next_try <= $3 AND (lease_owner = $1 OR lease_owner IS NULL OR lease_until <= clock_timestamp())
			ORDER BY at, tenant, id LIMIT $4 FOR UPDATE SKIP LOCKED) AS due
		WHERE n.tenant = due.tenant AND n.id = due.id
		RETURNING n.tenant, n.id, alert, at, payload, attempts, next_try, last_error, ` + relaxed
	var list []production.Notice
	err := s.call(ctx, "claim of notices", func(ctx context.Context, c *conn) error {
		r, err := c.Query(ctx, claim, owner, lease.Seconds(), int64(now), max(limit, 0))
		if err != nil {
			return err
		}
		list, err = pgx.AppendRows(list[:0], r, scanNotice)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b production.Notice) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Tenant, b.Tenant), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

func scanNotice(r pgx.CollectableRow) (n production.Notice, err error) {
	var last []byte
	err = r.Scan((*string)(&n.Tenant), &n.ID, &n.AlertID, (*int64)(&n.At), &n.Payload, &n.Attempts, (*int64)(&n.NextTry), &last, nil)
	n.LastError = string(last)
	return n, err
}

// SettleNotice is as production.Timers has it.
func (s *Store) SettleNotice(ctx context.Context, owner string, n production.Notice, done bool) error {
	return s.call(ctx, "settling of a notice", func(ctx context.Context, c *conn) error {
		tag, err := c.Exec(ctx, `UPDATE kentongan.notices
			SET done = $4, next_try = $5, attempts = $6, last_error = $7, lease_owner = NULL, lease_until = NULL
			WHERE tenant = $1 AND id = $2 AND NOT done AND lease_owner = $3 AND lease_until > clock_timestamp()`,
			n.Tenant, key(n.ID), owner, done, int64(n.NextTry), n.Attempts, []byte(n.LastError))
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%q has no lease of notice %.100q: %w", owner, n.ID, production.ErrConflict)
		}
		return written(err)
	})
}
