package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production"
	"kentongan/tenant"
)

// relaxed lets the transaction that evaluates it commit without waiting for the disk. Leases and marks do: one that is lost in
// a crash of the server brings events once more, as a relay that crashes does.
const relaxed = "set_config('synchronous_commit', 'off', true)"

// Claim is as production.Outbox has it: one statement. A tenant whose row is locked is passed over; if there is no other one it is waited
// for, since that may be a commit, and then there is something to do. Nobody waits for one row while he holds another one: a commit of
// several tenants would wait for him.
func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (production.Claim, error) {
	const mine = ` FROM kentongan.heads
		WHERE waiting IS NOT NULL AND (lease_owner = $1 OR lease_owner IS NULL OR lease_until <= clock_timestamp())`
	const oldest = " ORDER BY waiting, tenant LIMIT 1"
	limit = max(limit, 0)
	var found production.Claim
	err := s.call(ctx, "claim of events", func(ctx context.Context, c *conn) (err error) {
		found, err = claim(ctx, c, "SELECT tenant"+mine+oldest+" FOR UPDATE SKIP LOCKED", owner, lease.Seconds(), limit+1)
		for err == nil && found.Tenant == "" {
			var locked string
			switch err := c.QueryRow(ctx, "SELECT tenant"+mine+oldest, owner).Scan(&locked); {
			case errors.Is(err, pgx.ErrNoRows):
				return fmt.Errorf("no event waits: %w", production.ErrNotFound)
			case err != nil:
				return err
			}
			found, err = claim(ctx, c, "SELECT tenant"+mine+" AND tenant = $4 FOR UPDATE", owner, lease.Seconds(), limit+1, locked)
		}
		if len(found.Events) > limit {
			found.Events, found.More = found.Events[:limit], true
		}
		return err
	})
	if err != nil {
		return production.Claim{}, err
	}
	return found, nil
}

// claim leases the tenant that which answers, for an owner, and reads at most some of its events. It returns no tenant if there is none.
func claim(ctx context.Context, c *conn, which string, args ...any) (found production.Claim, err error) {
	const unsent = `SELECT tenant, id, seq, channel, batch, version, at, money, payload FROM kentongan.events WHERE `
	var sent int64
	r, err := c.Query(ctx, `WITH claimed AS MATERIALIZED (
			UPDATE kentongan.heads SET lease_owner = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
			WHERE tenant = (`+which+`) RETURNING tenant, sent_seq, `+relaxed+`)
		SELECT c.tenant, c.sent_seq, e.* FROM claimed AS c LEFT JOIN LATERAL (
			`+unsent+`tenant = c.tenant AND seq > c.sent_seq ORDER BY seq LIMIT $3) AS e ON true`, args...)
	if err != nil {
		return found, err
	}
	if found.Events, err = scanEvents(r, (*string)(&found.Tenant), &sent); err != nil || found.Tenant == "" || len(found.Events) > 0 {
		return found, err
	}
	// It has waited for a commit, and did not see that one's events.
	if r, err = c.Query(ctx, unsent+"tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3", found.Tenant, sent, args[2]); err != nil {
		return found, err
	}
	found.Events, err = scanEvents(r)
	return found, err
}

// scanEvents scans rows that begin with before. A row without an event has nulls.
func scanEvents(r pgx.Rows, before ...any) (list []production.Event, err error) {
	defer r.Close()
	for r.Next() {
		var (
			t, id, channel, batch *string
			seq, version, at      *int64
			money                 *bool
			payload               []byte
		)
		into := append(slices.Clone(before), &t, &id, &seq, &channel, &batch, &version, &at, &money, &payload)
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		if id != nil {
			list = append(list, production.Event{
				Tenant: tenant.ID(*t), ID: *id, Seq: *seq, Channel: *channel, ProductionID: *batch, Version: *version,
				At: production.Instant(*at), Money: *money, Payload: payload,
			})
		}
	}
	return list, r.Err()
}

// MarkSent is as production.Outbox has it: one statement, so that commits of the tenant wait for it as short as can be.
func (s *Store) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	places := map[string]production.Sent{} // the last of each channel
	for _, p := range at {
		places[p.Channel] = p
	}
	var channels, epochs []string
	var offsets []int64
	for _, p := range places {
		channels, epochs = append(channels, p.Channel), append(epochs, p.Epoch)
		offsets = append(offsets, int64(p.Offset)) //nolint:gosec // its bits; scanSent has the way back
	}
	// If this has waited for a commit it sees the new numbers of the row, and not the commit's events: when the first of them was is then
	// not known, and it was a moment ago.
	const mark = `WITH marked AS (
			UPDATE kentongan.heads AS h SET lease_owner = NULL, lease_until = NULL, sent_seq = greatest(sent_seq, $3),
				waiting = CASE WHEN h.event_seq > greatest(h.sent_seq, $3) THEN coalesce(
					(SELECT at FROM kentongan.events AS e WHERE e.tenant = $1 AND e.seq = greatest(h.sent_seq, $3) + 1),
					(extract(epoch FROM clock_timestamp()) * 1000)::bigint) END
			WHERE tenant = $1 AND lease_owner = $2 AND lease_until > clock_timestamp() AND event_seq >= $3
			RETURNING tenant, ` + relaxed + `), placed AS (
			INSERT INTO kentongan.positions (tenant, channel, epoch, "offset")
			SELECT tenant, p.channel, p.epoch, p.o FROM marked, unnest($4::text[], $5::text[], $6::bigint[]) AS p (channel, epoch, o)
			ON CONFLICT (tenant, channel) DO UPDATE SET (epoch, "offset") = (excluded.epoch, excluded."offset"))
		SELECT count(*) FROM marked`
	return s.call(ctx, "mark of events of "+string(t), func(ctx context.Context, c *conn) error {
		var n int
		if err := c.QueryRow(ctx, mark, t, owner, seq, channels, epochs, offsets).Scan(&n); err != nil {
			return written(err)
		}
		if n == 1 {
			return nil
		}
		var newest int64
		var held bool
		err := c.QueryRow(ctx, `SELECT event_seq, lease_owner IS NOT DISTINCT FROM $2 AND lease_until > clock_timestamp()
			FROM kentongan.heads WHERE tenant = $1`, t, owner).Scan(&newest, &held)
		switch {
		case err == nil && held && seq > newest:
			return fmt.Errorf("there is no event %d yet: %w", seq, production.ErrInvalid)
		case err == nil || errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("%q has no lease: %w", owner, production.ErrConflict)
		default:
			return err
		}
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
