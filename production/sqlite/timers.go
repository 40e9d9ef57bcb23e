package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// DueBatches is as production.Timers has it.
func (s *Store) DueBatches(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	var list []production.Due
	err := s.read(ctx, func(c *conn) error {
		var tenants []tenant.ID
		err := c.each(ctx, "SELECT tenant, "+batchColumns+` FROM productions WHERE next_look <> 0 AND next_look <= ?
			ORDER BY next_look, tenant, id LIMIT ?`, []any{int64(now), max(limit, 0)}, func(r *sql.Rows) error {
			var d production.Due
			var t tenant.ID
			err := scanBatch(r, &d.Batch, &t)
			list, tenants = append(list, d), append(tenants, t)
			return err
		})
		if err != nil {
			return err
		}
		return surround(ctx, c, list, tenants)
	})
	if err != nil {
		return nil, fmt.Errorf("read due batches: %w", err)
	}
	return list, nil
}

// surround reads what else is needed of batches that are due. Many of them are of the same kitchen and day.
func surround(ctx context.Context, c *conn, list []production.Due, tenants []tenant.ID) (err error) {
	type kitchenDay struct {
		tenant tenant.ID
		day    production.Day
	}
	kitchens, days := map[tenant.ID]production.KitchenState{}, map[kitchenDay]production.DayLoad{}
	for i, t := range tenants {
		d := &list[i]
		k, ok := kitchens[t]
		if !ok {
			if k, err = kitchen(ctx, c, t); err != nil {
				return err
			}
			kitchens[t] = k
		}
		key := kitchenDay{t, d.Batch.Production.Day}
		load, ok := days[key]
		if !ok {
			if load, err = dayLoad(ctx, c, t, key.day); err != nil {
				return err
			}
			days[key] = load
		}
		d.Kitchen, d.Day = k, load
		if d.Batch.Alerts, err = activeAlerts(ctx, c, t, d.Batch.Production.ID); err != nil {
			return err
		}
	}
	return nil
}

// DueKitchens is as production.Timers has it.
func (s *Store) DueKitchens(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	var list []production.Due
	err := s.read(ctx, func(c *conn) error {
		var tenants []tenant.ID
		err := c.each(ctx, "SELECT tenant FROM kitchens WHERE next_look <> 0 AND next_look <= ? ORDER BY next_look, tenant LIMIT ?",
			[]any{int64(now), max(limit, 0)}, func(r *sql.Rows) error {
				var t tenant.ID
				err := r.Scan(&t)
				tenants = append(tenants, t)
				return err
			})
		if err != nil {
			return err
		}
		for _, t := range tenants {
			k, err := kitchen(ctx, c, t)
			if err != nil {
				return err
			}
			list = append(list, production.Due{Kitchen: k})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read due kitchens: %w", err)
	}
	return list, nil
}

// NextDue is as production.Timers has it.
func (s *Store) NextDue(ctx context.Context) (production.Instant, error) {
	var next sql.NullInt64
	err := s.read(ctx, func(c *conn) error {
		return c.one(ctx, `SELECT min(next_look) FROM (SELECT min(next_look) AS next_look FROM productions WHERE next_look <> 0
			UNION ALL SELECT min(next_look) FROM kitchens WHERE next_look <> 0)`, nil, &next)
	})
	if err != nil {
		return 0, fmt.Errorf("read next due: %w", err)
	}
	return production.Instant(next.Int64), nil
}

// waitingNotices are those that the owner may lease.
const waitingNotices = `FROM notices WHERE done = 0 AND next_try <= ? AND (lease_owner = ? OR lease_until <= ?)
	ORDER BY at, tenant, id LIMIT ?`

// ClaimNotices is as production.Timers has it. It writes only if there is something to do.
func (s *Store) ClaimNotices(
	ctx context.Context, owner string, now production.Instant, lease time.Duration, limit int,
) ([]production.Notice, error) {
	list, err := s.claimNotices(ctx, owner, now, lease, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	return list, nil
}

func (s *Store) claimNotices(
	ctx context.Context, owner string, now production.Instant, lease time.Duration, limit int,
) (list []production.Notice, err error) {
	waiting := false
	err = s.read(ctx, func(c *conn) error {
		return c.each(ctx, "SELECT 1 "+waitingNotices, []any{int64(now), owner, s.now(), 1}, func(*sql.Rows) error {
			waiting = true
			return nil
		})
	})
	if err != nil || !waiting {
		return nil, err
	}
	err = s.update(ctx, func(ctx context.Context, c *conn) error {
		clock := s.now()
		err := c.each(ctx, "SELECT tenant, id, alert, at, payload, attempts, next_try, last_error "+waitingNotices,
			[]any{int64(now), owner, clock, limit}, func(r *sql.Rows) error {
				var n production.Notice
				err := r.Scan(&n.Tenant, &n.ID, &n.AlertID, &n.At, &n.Payload, &n.Attempts, &n.NextTry, &n.LastError)
				list = append(list, n)
				return err
			})
		if err != nil {
			return err
		}
		for i := range list {
			_, err := c.exec(ctx, "UPDATE notices SET lease_owner = ?, lease_until = ? WHERE tenant = ? AND id = ?",
				owner, clock+lease.Milliseconds(), string(list[i].Tenant), list[i].ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// SettleNotice is as production.Timers has it.
func (s *Store) SettleNotice(ctx context.Context, owner string, n production.Notice, done bool) error {
	err := s.update(ctx, func(ctx context.Context, c *conn) error {
		changed, err := c.exec(ctx, `UPDATE notices SET
			done = ?, next_try = ?, attempts = ?, last_error = ?, lease_owner = '', lease_until = 0
			WHERE tenant = ? AND id = ? AND done = 0 AND lease_owner = ? AND lease_until > ?`,
			done, int64(n.NextTry), n.Attempts, n.LastError, string(n.Tenant), n.ID, owner, s.now())
		if err == nil && changed == 0 {
			err = fmt.Errorf("%s has no lease: %w", owner, production.ErrConflict)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("settle notice %.64q of %s: %w", n.ID, n.Tenant, err)
	}
	return nil
}
