package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/production/internal/rows"
)

// Commit is as production.Changes has it.
func (s *Store) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	if err := rows.Check(&c); err != nil {
		return nil, err
	}
	w, err := encode(&c)
	if err != nil {
		return nil, fmt.Errorf("commit of %s: %w: %w", c.Tenant, production.ErrInvalid, err)
	}
	if err := s.call(ctx, "commit of "+string(c.Tenant), w.run); err != nil {
		return nil, err
	}
	if len(c.Events) > 0 || len(c.Notices) > 0 {
		s.committed()
	}
	return w.events, nil
}

// writing is a commit on its way into the database.
type writing struct {
	*production.Commit
	statements []statement
	events     []production.Event // with their numbers, once it has run
}

type statement struct {
	sql  string
	args []any
}

func (w *writing) add(sql string, args ...any) {
	w.statements = append(w.statements, statement{sql, args})
}

// head is what the commits of a tenant follow each other by.
type head struct {
	event int64
	audit production.AuditEntry // number and hash of the newest
}

// run is one attempt to commit. Nothing is written before the tenant is locked and the revisions are those that the commit is
// based on; what unique keys and the constraint of alerts find out ends the second round trip before its COMMIT.
func (w *writing) run(ctx context.Context, c *conn) error {
	h, err := w.lock(ctx, c)
	if err != nil {
		rollback(ctx, c)
		return err
	}
	b := &pgx.Batch{}
	for _, st := range w.statements {
		b.Queue(st.sql, st.args...)
	}
	if err := w.number(b, h); err != nil {
		rollback(ctx, c)
		return err
	}
	b.Queue("COMMIT")
	if err := written(c.send(ctx, b)); err != nil {
		rollback(ctx, c)
		return err
	}
	return nil
}

// rollback ends the transaction, so that the connection can be used again; one that is dead is not worth a word.
func rollback(ctx context.Context, c *conn) {
	if raw := c.Conn.Conn(); !raw.IsClosed() && raw.PgConn().TxStatus() != 'I' {
		_, _ = c.Exec(ctx, "ROLLBACK")
	}
}

// lock begins the transaction, and returns when no other commit of the tenant can come between.
func (w *writing) lock(ctx context.Context, c *conn) (h head, err error) {
	const lock = "SELECT event_seq, audit_seq, audit_hash FROM kentongan.heads WHERE tenant = $1 FOR UPDATE"
	there := false
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(lock, w.Tenant).Query(func(r pgx.Rows) error {
		var hash []byte
		for r.Next() {
			there = true
			if err := r.Scan(&h.event, &h.audit.Seq, &hash); err != nil {
				return err
			}
		}
		copy(h.audit.Hash[:], hash)
		return r.Err()
	})
	w.compare(b)
	if err := c.send(ctx, b); err != nil || there {
		return h, err
	}
	// The first commit of this tenant; another one may be the first, too, and then this waits for it.
	if _, err := c.Exec(ctx, "INSERT INTO kentongan.heads (tenant) VALUES ($1) ON CONFLICT DO NOTHING", w.Tenant); err != nil {
		return h, err
	}
	b = &pgx.Batch{}
	b.Queue(lock, w.Tenant).QueryRow(func(r pgx.Row) error {
		var hash []byte
		err := r.Scan(&h.event, &h.audit.Seq, &hash)
		copy(h.audit.Hash[:], hash)
		return err
	})
	w.compare(b)
	return h, c.send(ctx, b)
}

// compare queues what finds out whether the commit is based on what is stored.
func (w *writing) compare(b *pgx.Batch) {
	if w.Batch != nil {
		id := w.Batch.Production.ID
		const stored = "SELECT revision, deleted_at FROM kentongan.batches WHERE tenant = $1 AND id = $2"
		b.Queue(stored, w.Tenant, id).Query(func(r pgx.Rows) error {
			var revision, deleted int64
			for r.Next() {
				if err := r.Scan(&revision, &deleted); err != nil {
					return err
				}
			}
			switch {
			case r.Err() != nil:
				return r.Err()
			case deleted != 0:
				return fmt.Errorf("batch %s is deleted: %w", id, production.ErrConflict)
			case revision != w.Base:
				return fmt.Errorf("batch %s has revision %d, not %d: %w", id, revision, w.Base, production.ErrConflict)
			}
			return nil
		})
	}
	if w.Kitchen != nil {
		b.Queue("SELECT revision FROM kentongan.kitchens WHERE tenant = $1", w.Tenant).Query(func(r pgx.Rows) error {
			var revision int64
			for r.Next() {
				if err := r.Scan(&revision); err != nil {
					return err
				}
			}
			if r.Err() == nil && revision != w.KitchenBase {
				return fmt.Errorf("the kitchen has revision %d, not %d: %w", revision, w.KitchenBase, production.ErrConflict)
			}
			return r.Err()
		})
	}
}

// number queues events and audit entries, which follow what the tenant has, and the tenant's new head.
func (w *writing) number(b *pgx.Batch, h head) error {
	w.events = slices.Clone(w.Events) // anew, should this be a second attempt
	for i := range w.events {
		e := &w.events[i]
		h.event++
		e.Seq = h.event
		b.Queue(`INSERT INTO kentongan.events (tenant, seq, id, channel, batch, version, at, money, payload)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			e.Tenant, e.Seq, e.ID, e.Channel, e.ProductionID, e.Version, int64(e.At), e.Money, bytesOf(e.Payload))
	}
	for _, e := range w.Audit {
		h.audit = e.Sealed(h.audit)
		record := h.audit
		record.Detail = nil // beside it, for JSON that is stored in JSON may lose a blank, and is hashed
		doc, err := rows.Encode(record)
		if err != nil {
			return fmt.Errorf("audit entry %q: %w: %w", e.Action, production.ErrInvalid, err)
		}
		b.Queue("INSERT INTO kentongan.audit (tenant, seq, detail, doc) VALUES ($1, $2, $3, $4)",
			w.Tenant, h.audit.Seq, []byte(h.audit.Detail), doc)
	}
	if len(w.Events)+len(w.Audit) == 0 {
		return nil
	}
	var waiting *int64
	if len(w.events) > 0 {
		at := int64(w.events[0].At)
		waiting = &at
	}
	b.Queue(`UPDATE kentongan.heads SET event_seq = $2, audit_seq = $3, audit_hash = $4, waiting = coalesce(waiting, $5) WHERE tenant = $1`,
		w.Tenant, h.event, h.audit.Seq, h.audit.Hash[:], waiting)
	return nil
}

// bytesOf returns b as a value that is not null.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
