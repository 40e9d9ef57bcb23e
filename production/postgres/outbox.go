package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production"
	"kentongan/tenant"
)

// relaxed lets the transaction that evaluates it commit without waiting for the disk. Leases and marks do: one that is lost in
// a crash of the server brings events once more, as a relay that crashes does.
const relaxed = "set_config('synchronous_commit', 'off', true)"

// Claim is as production.Outbox has it. Who locks a tenant's row is waited for and not passed over: it may be a commit, and then
// there is something to do.
func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (production.Claim, error) {
	const claim = `UPDATE kentongan.heads SET lease_owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
		WHERE tenant = (SELECT tenant FROM kentongan.heads
			WHERE waiting IS NOT NULL AND (lease_owner = $1 OR lease_owner IS NULL OR lease_until <= clock_timestamp())
			ORDER BY waiting, tenant LIMIT 1 FOR UPDATE)
		RETURNING tenant, sent_seq, ` + relaxed
	const events = `SELECT id, seq, channel, batch, version, at, money, payload FROM kentongan.events
		WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3`
	limit = max(limit, 0)
	var found production.Claim
	err := s.call(ctx, "claim of events", func(ctx context.Context, c *conn) error {
		var (
			t    tenant.ID
			sent int64
		)
		err := c.QueryRow(ctx, claim, owner, lease.Seconds()).Scan((*string)(&t), &sent, nil)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("no event waits: %w", production.ErrNotFound)
		}
		if err != nil {
			return err
		}
		r, err := c.Query(ctx, events, t, sent, limit+1)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(r, func(r pgx.CollectableRow) (e production.Event, err error) {
			e.Tenant = t
			err = r.Scan(&e.ID, &e.Seq, &e.Channel, &e.ProductionID, &e.Version, (*int64)(&e.At), &e.Money, &e.Payload)
			return e, err
		})
		found = production.Claim{Tenant: t, Events: list[:min(limit, len(list))], More: len(list) > limit}
		return err
	})
	if err != nil {
		return production.Claim{}, err
	}
	return found, nil
}

// MarkSent is as production.Outbox has it.
func (s *Store) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	places := map[string]production.Sent{} // the last of each channel
	for _, p := range at {
		places[p.Channel] = p
	}
	// The row is locked by a statement of its own: only one that begins after it sees the events of a commit that it waited for.
	const lock = "SELECT event_seq, lease_owner IS NOT DISTINCT FROM $2 AND lease_until > clock_timestamp(), " + relaxed +
		" FROM kentongan.heads WHERE tenant = $1 FOR UPDATE"
	const mark = `UPDATE kentongan.heads AS h SET lease_owner = NULL, lease_until = NULL, sent_seq = greatest(sent_seq, $2),
			waiting = (SELECT at FROM kentongan.events AS e WHERE e.tenant = $1 AND e.seq = greatest(h.sent_seq, $2) + 1)
		WHERE tenant = $1`
	const place = `INSERT INTO kentongan.positions (tenant, channel, epoch, "offset") VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant, channel) DO UPDATE SET (epoch, "offset") = (excluded.epoch, excluded."offset")`
	return s.call(ctx, "mark of events of "+string(t), func(ctx context.Context, c *conn) error {
		b := &pgx.Batch{}
		b.Queue("BEGIN")
		b.Queue(lock, t, owner).QueryRow(func(r pgx.Row) error {
			var (
				newest int64
				held   bool
			)
			switch err := r.Scan(&newest, &held, nil); {
			case errors.Is(err, pgx.ErrNoRows) || err == nil && !held:
				return fmt.Errorf("%q has no lease: %w", owner, production.ErrConflict)
			case err == nil && seq > newest:
				return fmt.Errorf("there is no event %d yet: %w", seq, production.ErrInvalid)
			default:
				return err
			}
		})
		if err := c.send(ctx, b); err != nil {
			rollback(ctx, c)
			return err
		}
		b = &pgx.Batch{}
		b.Queue(mark, t, seq)
		for _, p := range places {
			b.Queue(place, t, p.Channel, p.Epoch, int64(p.Offset)) //nolint:gosec // its bits; scanSent has the way back
		}
		b.Queue("COMMIT")
		err := written(c.send(ctx, b))
		if err != nil {
			rollback(ctx, c)
		}
		return err
	})
}

// Release is as production.Outbox has it.
func (s *Store) Release(ctx context.Context, owner string, t tenant.ID) error {
	return s.call(ctx, "release of events of "+string(t), func(ctx context.Context, c *conn) error {
		_, err := c.Exec(ctx, `UPDATE kentongan.heads SET lease_owner = NULL, lease_until = NULL
			WHERE tenant = $1 AND lease_owner = $2`, t, owner)
		return err
	})
}

// Backlog is as production.Outbox has it. It costs a look at each tenant for which events wait.
func (s *Store) Backlog(ctx context.Context) (n int64, oldest production.Instant, err error) {
	err = s.call(ctx, "backlog", func(ctx context.Context, c *conn) error {
		const waiting = `SELECT coalesce(sum(event_seq - sent_seq), 0)::bigint, coalesce(min(waiting), 0)
			FROM kentongan.heads WHERE waiting IS NOT NULL`
		return c.QueryRow(ctx, waiting).Scan(&n, (*int64)(&oldest))
	})
	return n, oldest, err
}

// Forget is as production.Outbox has it: one round trip.
func (s *Store) Forget(ctx context.Context, before production.Before, limit int) (int, error) {
	const events = `DELETE FROM kentongan.events WHERE (tenant, seq) IN (
		SELECT e.tenant, e.seq FROM kentongan.events AS e JOIN kentongan.heads AS h ON h.tenant = e.tenant
		WHERE e.at < $1 AND e.seq <= h.sent_seq AND e.seq < h.event_seq ORDER BY e.at LIMIT $2)`
	const notices = `DELETE FROM kentongan.notices WHERE (tenant, id) IN (
		SELECT tenant, id FROM kentongan.notices WHERE done AND at < $1 ORDER BY at LIMIT $2)`
	const keys = `DELETE FROM kentongan.keys WHERE (tenant, key) IN (
		SELECT tenant, key FROM kentongan.keys WHERE at < $1 ORDER BY at LIMIT $2)`
	const observations = `DELETE FROM kentongan.observations WHERE (tenant, id) IN (
		SELECT tenant, id FROM kentongan.observations WHERE at < $1 ORDER BY at LIMIT $2)`
	gone := 0
	err := s.call(ctx, "forget", func(ctx context.Context, c *conn) error {
		gone = 0
		b := &pgx.Batch{}
		for _, part := range []struct {
			sql    string
			before production.Instant
		}{{events, before.Events}, {notices, before.Events}, {keys, before.Keys}, {observations, before.Observations}} {
			if part.before.Known() {
				b.Queue(part.sql, int64(part.before), max(limit, 0)).Exec(func(tag pgconn.CommandTag) error {
					gone += int(tag.RowsAffected())
					return nil
				})
			}
		}
		return c.send(ctx, b)
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}
