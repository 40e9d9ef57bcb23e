package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// now is the clock of leases, in milliseconds.
func (s *Store) now() int64 { return s.opts.Now().UnixMilli() }

// Claim is as production.Outbox has it. It writes only if there is something to do.
func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (production.Claim, error) {
	claim, err := s.claim(ctx, owner, lease, limit)
	if err != nil {
		return production.Claim{}, fmt.Errorf("claim events: %w", err)
	}
	return claim, nil
}

// waitingTenant is the one whose event waits longest, of those that the owner may lease.
const waitingTenant = `SELECT tenant FROM heads WHERE waiting IS NOT NULL AND (lease_owner = ? OR lease_until <= ?)
	ORDER BY waiting, tenant LIMIT 1`

func (s *Store) claim(ctx context.Context, owner string, lease time.Duration, limit int) (claim production.Claim, err error) {
	find := func(ctx context.Context, c *conn, now int64) error {
		err := c.one(ctx, waitingTenant, []any{owner, now}, &claim.Tenant)
		if isNone(err) {
			return fmt.Errorf("none waits: %w", production.ErrNotFound)
		}
		return err
	}
	if err := s.read(ctx, func(c *conn) error { return find(ctx, c, s.now()) }); err != nil {
		return claim, err
	}
	err = s.update(ctx, func(ctx context.Context, c *conn) error {
		now := s.now()
		if err := find(ctx, c, now); err != nil { // it may be another one by now
			return err
		}
		_, err := c.exec(ctx, "UPDATE heads SET lease_owner = ?, lease_until = ? WHERE tenant = ?",
			owner, now+lease.Milliseconds(), string(claim.Tenant))
		return err
	})
	if err != nil {
		return claim, err
	}
	// The lease is committed, so nobody else marks any more: the events can be read beside the writer.
	err = s.read(ctx, func(c *conn) error {
		claim.Events, err = unsent(ctx, c, claim.Tenant, limit+1)
		return err
	})
	if len(claim.Events) > limit {
		claim.Events, claim.More = claim.Events[:limit], true
	}
	return claim, err
}

func unsent(ctx context.Context, c *conn, t tenant.ID, limit int) (list []production.Event, err error) {
	err = c.each(ctx, `SELECT seq, id, channel, production, version, at, money, payload FROM events
		WHERE tenant = ? AND seq > (SELECT sent FROM heads WHERE tenant = ?) ORDER BY seq LIMIT ?`,
		[]any{string(t), string(t), max(limit, 0)}, func(r *sql.Rows) error {
			e := production.Event{Tenant: t}
			err := r.Scan(&e.Seq, &e.ID, &e.Channel, &e.ProductionID, &e.Version, &e.At, &e.Money, &e.Payload)
			list = append(list, e)
			return err
		})
	return list, err
}

// MarkSent is as production.Outbox has it. A number that no event has is ErrInvalid.
func (s *Store) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	err := s.update(ctx, func(ctx context.Context, c *conn) error { return markSent(ctx, c, owner, s.now(), t, seq, at) })
	if err != nil {
		return fmt.Errorf("mark events of %s as sent: %w", t, err)
	}
	return nil
}

func markSent(ctx context.Context, c *conn, owner string, now int64, t tenant.ID, seq int64, at []production.Sent) error {
	var last, sent, until int64
	var holder string
	err := c.one(ctx, "SELECT seq, sent, lease_owner, lease_until FROM heads WHERE tenant = ?", []any{string(t)},
		&last, &sent, &holder, &until)
	switch {
	case isNone(err) || err == nil && (holder != owner || until <= now):
		return fmt.Errorf("%s has no lease: %w", owner, production.ErrConflict)
	case err != nil:
		return err
	case seq > last:
		return fmt.Errorf("there is no event %d yet: %w", seq, production.ErrInvalid)
	}
	sent = max(sent, seq)
	_, err = c.exec(ctx, `UPDATE heads SET sent = ?, lease_owner = '', lease_until = 0,
		waiting = (SELECT at FROM events WHERE events.tenant = heads.tenant AND events.seq = ?) WHERE tenant = ?`, sent, sent+1, string(t))
	if err != nil {
		return err
	}
	return place(ctx, c, t, slices.Values(at))
}

// place writes where the newest event of each channel stands.
func place(ctx context.Context, c *conn, t tenant.ID, at iter.Seq[production.Sent]) error {
	for p := range at {
		_, err := c.exec(ctx, `INSERT INTO positions (tenant, channel, epoch, offset) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, channel) DO UPDATE SET epoch = excluded.epoch, offset = excluded.offset`,
			string(t), p.Channel, p.Epoch, int64(p.Offset)) //nolint:gosec // the same 64 bits
		if err != nil {
			return err
		}
	}
	return nil
}

// Release is as production.Outbox has it.
func (s *Store) Release(ctx context.Context, owner string, t tenant.ID) error {
	err := s.update(ctx, func(ctx context.Context, c *conn) error {
		_, err := c.exec(ctx, "UPDATE heads SET lease_owner = '', lease_until = 0 WHERE tenant = ? AND lease_owner = ?",
			string(t), owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("release events of %s: %w", t, err)
	}
	return nil
}

// Backlog is as production.Outbox has it.
func (s *Store) Backlog(ctx context.Context) (n int64, oldest production.Instant, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.one(ctx, "SELECT coalesce(sum(seq - sent), 0), coalesce(min(waiting), 0) FROM heads WHERE waiting IS NOT NULL", nil,
			&n, &oldest)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count unsent events: %w", err)
	}
	return n, oldest, nil
}

// Forget is as production.Outbox has it.
func (s *Store) Forget(ctx context.Context, b production.Before, limit int) (int, error) {
	gone := int64(0)
	err := s.update(ctx, func(ctx context.Context, c *conn) error {
		for _, sort := range []struct {
			before  production.Instant
			numbers bool // the rows lie in the order of instants
			text    string
		}{
			{b.Events, true, `DELETE FROM events WHERE n IN (SELECT e.n FROM events e CROSS JOIN heads h
				WHERE e.n < ? AND h.tenant = e.tenant
				AND e.seq <= h.sent AND e.seq < h.seq ORDER BY e.n LIMIT ?)`},
			{b.Events, false, `DELETE FROM notices WHERE rowid IN (
				SELECT rowid FROM notices WHERE done = 1 AND at < ? ORDER BY at LIMIT ?)`},
			{b.Keys, true, "DELETE FROM keys WHERE n IN (SELECT n FROM keys WHERE n < ? ORDER BY n LIMIT ?)"},
			{b.Observations, false, `DELETE FROM observations WHERE rowid IN (
				SELECT rowid FROM observations WHERE at < ? ORDER BY at LIMIT ?)`},
		} {
			if !sort.before.Known() {
				continue
			}
			before := int64(sort.before)
			if sort.numbers {
				before, _ = numbersOf(sort.before)
			}
			n, err := c.exec(ctx, sort.text, before, max(limit, 0))
			if err != nil {
				return err
			}
			gone += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget old rows: %w", err)
	}
	return int(gone), nil
}
