package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"time"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/tenant"
)

var _ production.Direct = (*Store)(nil)

// Direct is as production.Direct has it.
func (s *Store) Direct(owner string, lease time.Duration) production.Way {
	return s.hands.Open(owner, lease, s.stopped)
}

// head is the row of a tenant: its newest event and audit entry, and who publishes.
type head struct {
	seq, sent int64
	waiting   sql.NullInt64
	owner     string
	until     int64
	audit     production.AuditEntry // its number and hash
}

// maxHeads are how many are kept: more than there are kitchens in the programme; 10 MB.
const maxHeads = 50_000

// head returns the row of the tenant, which is made with the first commit.
func (w *commit) head(ctx context.Context, c *conn) (h head, err error) {
	if h, ok := w.store.heads[w.Tenant]; ok {
		return h, nil
	}
	var hash []byte
	err = c.one(ctx, "SELECT seq, sent, waiting, lease_owner, lease_until, audit_seq, audit_hash FROM heads WHERE tenant = ?",
		[]any{string(w.Tenant)}, &h.seq, &h.sent, &h.waiting, &h.owner, &h.until, &h.audit.Seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = c.exec(ctx, `INSERT INTO heads (tenant, seq, sent, lease_owner, lease_until, audit_seq, audit_hash)
			VALUES (?, 0, 0, '', 0, 0, zeroblob(32))`, string(w.Tenant))
	}
	copy(h.audit.Hash[:], hash)
	return h, err
}

// grant does with the row what the way wishes, before events are added behind base, its newest one: if all up to it was published by
// who has the lease, that is marked. If nothing waits then, and nobody else has the lease, the owner of the way gets it; if
// something waits that is on the way already, he may keep it. ours says that the lease is his now and the new events may go on the way.
func (h *head) grant(wish hands.Wish, base, now int64, events []production.Event) (marked, ours bool) {
	held := wish.Owner != "" && h.owner == wish.Owner && h.until > now
	if marked = held && wish.Mark != nil; marked {
		h.sent, h.waiting, h.owner, h.until = base, sql.NullInt64{}, "", 0
	}
	if len(events) == 0 {
		return marked, false
	}
	clean, free := !h.waiting.Valid, h.owner == "" || h.owner == wish.Owner || h.until <= now
	if clean {
		h.waiting = sql.NullInt64{Int64: int64(events[0].At), Valid: true}
	}
	switch {
	case wish.Owner != "" && clean && free, held && wish.Keep:
		h.owner, h.until = wish.Owner, now+wish.Lease.Milliseconds()
	case !held:
		return marked, false
	}
	return marked, wish.Keep || h.sent == base
}

// move writes the row of the tenant behind what the commit has added to it; base was its newest event before.
func (w *commit) move(ctx context.Context, c *conn, h head, base int64) error {
	now, before := w.store.now(), h.waiting
	wish, later := hands.Wish{}, false
	if h.until > now {
		wish, later = w.way.Carry(w.Tenant, base, h.sent)
	}
	if !later {
		wish = w.way.Of(w.Tenant, base)
	}
	marked, ours := h.grant(wish, base, now, w.events)
	if marked {
		if err := place(ctx, c, w.Tenant, maps.Values(wish.Mark.Places)); err != nil {
			return err
		}
	}
	text := "UPDATE heads SET seq = ?, sent = ?, lease_owner = ?, lease_until = ?, audit_seq = ?, audit_hash = ?"
	values := []any{h.seq, h.sent, h.owner, h.until, h.audit.Seq, h.audit.Hash[:]}
	if h.waiting != before { // else its index need not be touched
		text += ", waiting = ?"
		values = append(values, h.waiting)
	}
	if _, err := c.exec(ctx, text+" WHERE tenant = ?", append(values, string(w.Tenant))...); err != nil {
		return err
	}
	if ours {
		w.way.Got(w.Tenant, h.sent)
	}
	h.audit = production.AuditEntry{Seq: h.audit.Seq, Hash: h.audit.Hash} // the next one is sealed behind no more of it
	if len(w.store.heads) >= maxHeads {
		clear(w.store.heads)
	}
	w.store.heads[w.Tenant] = h
	return nil
}

func tenantsOf(group []*job) (list []tenant.ID) {
	for _, j := range group {
		if j.commit != nil {
			list = append(list, j.commit.Tenant)
		}
	}
	return list
}

// handOn puts the events of commits that were written in one transaction on the way, and reports whether there is anything that waits for
// the relay to ask.
func handOn(way *hands.Handing, done []*commit) (waits bool) {
	events := map[tenant.ID][]production.Event{}
	for _, w := range done {
		if len(w.events) > 0 {
			events[w.Tenant] = append(events[w.Tenant], w.events...)
		}
		waits = waits || len(w.Notices) > 0
	}
	took := way.Committed(events)
	for t := range events {
		waits = waits || !took[t]
	}
	return waits
}

// settle marks what was published and gives back leases. What cannot be written is tried again until the lease has ended by itself. The
// caller has the turn.
func (s *Store) settle() {
	list, owner := s.hands.Ripened()
	if len(list) == 0 {
		return
	}
	waits := false
	ctx := context.Background()
	err := s.transaction(s.opts.BusyTimeout, func() error {
		for t, it := range list {
			delete(s.heads, t)
			left, err := settled(ctx, s.writer, t, it, owner, s.now())
			if err != nil {
				return err
			}
			waits = waits || left
		}
		return nil
	})
	if err != nil {
		s.hands.Unsettled(list)
		return
	}
	if waits {
		s.signal()
	}
}

// settled does that for one tenant, if the lease is still ours, and reports whether events of it wait.
func settled(ctx context.Context, c *conn, t tenant.ID, it *hands.Settled, owner string, now int64) (waits bool, err error) {
	n, err := c.exec(ctx, `UPDATE heads SET lease_owner = '', lease_until = 0, sent = max(sent, ?1),
		waiting = (SELECT at FROM events WHERE events.tenant = heads.tenant AND events.seq = max(heads.sent, ?1) + 1)
		WHERE tenant = ?2 AND lease_owner = ?3 AND lease_until > ?4 AND seq >= ?1`, it.Seq, string(t), owner, now)
	if err != nil || n == 0 {
		return false, err
	}
	if err := place(ctx, c, t, maps.Values(it.Places)); err != nil {
		return false, err
	}
	err = c.one(ctx, "SELECT waiting IS NOT NULL FROM heads WHERE tenant = ?", []any{string(t)}, &waits)
	return waits, err
}
