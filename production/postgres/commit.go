package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/production/internal/recall"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
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
	if err := s.together(ctx, w); err != nil {
		return nil, fmt.Errorf("commit of %s: %w", c.Tenant, err)
	}
	if w.waits || len(c.Notices) > 0 {
		s.committed()
	}
	return w.numbered, nil
}

// writing is a commit on its way into the database. It shares nothing with the argument of Commit, whose caller may have left.
type writing struct {
	tenant tenant.ID
	rows   []row
	events []production.Event // without numbers
	audit  []production.AuditEntry

	batch, kitchen *based // nil: not concerned
	lookAgain      production.Instant

	recalled uint64             // what it was decided on; 0: on what was read
	after    *production.Batch  // the batch as it shall be, without its alerts
	alerts   []production.Alert // that are written
	key      string             // of idempotency

	numbered []production.Event // once it has run
	waits    bool               // its events wait for Claim
	err      error              // of this one alone; the others of its group are not concerned
}

// written returns what is remembered of w.
func (w *writing) written() *recall.Written {
	m := recall.Written{Tenant: w.tenant, Recalled: w.recalled, Kitchen: w.kitchen != nil, Batch: w.after, Alerts: w.alerts, Key: w.key}
	if w.batch != nil {
		m.Base = w.batch.base
	}
	return &m
}

// based is what a commit was decided on.
type based struct {
	id   string // of the batch
	base int64
}

// transaction is some commits that are made in one transaction, in their order.
type transaction struct {
	writes  []*writing
	patient bool   // waits for who has locked a tenant, as long as the call may take; else only for a moment
	known   *known // nil: nothing is known
	handing *hands.Handing

	heads    map[tenant.ID]*head
	batches  map[place]int64 // revisions, as the writes before leave them
	kitchens map[tenant.ID]int64
}

// head is what the commits of a tenant follow each other by.
type head struct {
	moves, event, audit int64
	hash                production.Hash // of the newest audit entry
	waiting             *int64          // instant of the first new event
	base                struct {        // what is stored
		moves, event, audit int64
		hash                []byte
	}
}

// deleted stands for the revision of a batch that is deleted: nothing is based on it.
const deleted = -1

// run is one attempt: one statement if the tenants stand where they stood after their last commits of this node, else two round trips.
// Nothing is written before the tenants are locked and the revisions are those that the commits are based on; a commit that is not
// leaves with its err. What unique keys and the constraint of alerts find out takes back everything, and is the error of all.
func (x *transaction) run(ctx context.Context, c *conn) error {
	if x.recall() {
		err := x.writeAll(ctx, c)
		if err == nil {
			x.known.fails = 0
			x.known.keep(x)
			return nil
		}
		if !outdated(err) {
			x.known.drop(x)
			return err
		}
		x.known.missed()
	}
	return x.lookFirst(ctx, c)
}

// lookFirst locks the tenants and reads where they stand, and writes then.
func (x *transaction) lookFirst(ctx context.Context, c *conn) error {
	err := x.lock(ctx, c)
	if err == nil {
		x.known.check(x.heads)
		b := &pgx.Batch{}
		if x.queue(b) == 0 {
			rollback(ctx, c)
			return nil // every one has its err
		}
		b.Queue("COMMIT")
		err = written(c.send(ctx, b))
	}
	if err != nil {
		x.known.drop(x)
		rollback(ctx, c)
		return err
	}
	x.known.keep(x)
	return nil
}

// rollback ends the transaction, so that the connection can be used again; one that is dead is not worth a word.
func rollback(ctx context.Context, c *conn) {
	if raw := c.Conn.Conn(); !raw.IsClosed() && raw.PgConn().TxStatus() != 'I' {
		_, _ = c.Exec(ctx, "ROLLBACK")
	}
}

// lock begins the transaction, and returns when no other commit of the tenants can come between. Rows are locked in the order
// of tenants, so that no two transactions wait for each other.
func (x *transaction) lock(ctx context.Context, c *conn) error {
	x.heads, x.batches, x.kitchens = map[tenant.ID]*head{}, map[place]int64{}, map[tenant.ID]int64{}
	tenants := make([]string, 0, len(x.writes))
	for _, w := range x.writes {
		tenants = append(tenants, string(w.tenant))
	}
	slices.Sort(tenants)
	tenants = slices.Compact(tenants)
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	if x.patient {
		b.Queue("SET LOCAL lock_timeout = 0")
	}
	x.queueLook(b, tenants)
	if err := c.send(ctx, b); err != nil || len(x.heads) == len(tenants) {
		return err
	}
	// The first commit of a tenant; one of another node may be the first, too, and then this waits for it.
	b = &pgx.Batch{}
	b.Queue("INSERT INTO kentongan.heads (tenant) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT DO NOTHING", tenants)
	x.queueLook(b, tenants)
	return c.send(ctx, b)
}

// queueLook queues what locks the tenants and then finds out what is stored. Each statement sees what was committed before it
// began: those after the first one all that was there when the locks were had.
func (x *transaction) queueLook(b *pgx.Batch, tenants []string) {
	const lock = `SELECT tenant, moves, event_seq, audit_seq, audit_hash FROM kentongan.heads
		WHERE tenant = ANY ($1) ORDER BY tenant FOR UPDATE`
	b.Queue(lock, tenants).Query(func(r pgx.Rows) error {
		for r.Next() {
			var (
				t tenant.ID
				h head
			)
			if err := r.Scan((*string)(&t), &h.moves, &h.event, &h.audit, &h.base.hash); err != nil {
				return err
			}
			copy(h.hash[:], h.base.hash)
			h.base.moves, h.base.event, h.base.audit = h.moves, h.event, h.audit
			x.heads[t] = &h
		}
		return r.Err()
	})
	var in, ids, of []string
	for _, w := range x.writes {
		if w.batch != nil {
			in, ids = append(in, string(w.tenant)), append(ids, w.batch.id)
		}
		if w.kitchen != nil {
			of = append(of, string(w.tenant))
		}
	}
	if len(ids) > 0 {
		const revisions = `SELECT b.tenant, id, CASE deleted_at WHEN 0 THEN revision ELSE -1 END
			FROM unnest($1::text[], $2::text[]) AS wanted (t, i) JOIN kentongan.batches AS b ON b.tenant = t AND id = i`
		b.Queue(revisions, in, ids).Query(func(r pgx.Rows) error {
			for r.Next() {
				var (
					p        place
					revision int64
				)
				if err := r.Scan((*string)(&p.tenant), &p.of, &revision); err != nil {
					return err
				}
				x.batches[p] = revision
			}
			return r.Err()
		})
	}
	if len(of) > 0 {
		b.Queue("SELECT tenant, revision FROM kentongan.kitchens WHERE tenant = ANY ($1)", of).Query(func(r pgx.Rows) error {
			for r.Next() {
				var (
					t        tenant.ID
					revision int64
				)
				if err := r.Scan((*string)(&t), &revision); err != nil {
					return err
				}
				x.kitchens[t] = revision
			}
			return r.Err()
		})
	}
}

// queue queues all commits that are based on what is stored, with the tenants' new heads, and returns of how many tenants they are.
func (x *transaction) queue(b *pgx.Batch) int {
	tenants, list := x.collect()
	if len(tenants) > 0 {
		sql, args := whole(x.headParts(tenants), false)
		b.Queue(sql, args...).QueryRow(x.moved)
	}
	queueRows(b, list)
	n := 0
	for _, w := range x.writes {
		if w.err != nil {
			continue
		}
		n++
		if w.lookAgain.Known() { // it is alone: see Store.together
			b.Queue(`UPDATE kentongan.batches SET next_look = $2 WHERE tenant = $1 AND deleted_at = 0
				AND (status NOT IN ('COMPLETED', 'CANCELLED') OR next_look <> 0)`, w.tenant, int64(w.lookAgain))
		}
	}
	return n
}

// collect returns the rows of all commits that are based on what is stored, and the tenants that they move, in the order in which they
// are locked: no two transactions wait for each other.
func (x *transaction) collect() (tenants []tenant.ID, list []row) {
	moved := map[tenant.ID]bool{}
	for _, w := range x.writes {
		if w.err = x.compare(w); w.err != nil {
			continue
		}
		h := *x.heads[w.tenant]
		var numbered []row
		if numbered, w.err = w.number(&h); w.err != nil {
			continue
		}
		if w.batch != nil {
			x.batches[place{w.tenant, w.batch.id}]++
		}
		if w.kitchen != nil {
			x.kitchens[w.tenant]++
		}
		if len(w.rows)+len(numbered) > 0 {
			h.moves++
			moved[w.tenant] = true
		}
		list = append(append(list, w.rows...), numbered...)
		x.heads[w.tenant] = &h
	}
	return slices.Sorted(maps.Keys(moved)), list
}

// compare returns ErrConflict if w is not based on what is stored.
func (x *transaction) compare(w *writing) error {
	if !x.known.trusts(w) {
		return fmt.Errorf("what batch %s was remembered as is outdated: %w", w.batch.id, production.ErrConflict)
	}
	if w.batch != nil {
		switch revision := x.batches[place{w.tenant, w.batch.id}]; {
		case revision == deleted:
			return fmt.Errorf("batch %s is deleted: %w", w.batch.id, production.ErrConflict)
		case revision != w.batch.base:
			return fmt.Errorf("batch %s has revision %d, not %d: %w", w.batch.id, revision, w.batch.base, production.ErrConflict)
		}
	}
	if w.kitchen != nil && x.kitchens[w.tenant] != w.kitchen.base {
		return fmt.Errorf("the kitchen has revision %d, not %d: %w", x.kitchens[w.tenant], w.kitchen.base, production.ErrConflict)
	}
	return nil
}

// number makes the rows of events and audit entries, which follow what the tenant has, and moves h behind them.
func (w *writing) number(h *head) (list []row, err error) {
	w.numbered = slices.Clone(w.events)
	for i := range w.numbered {
		e := &w.numbered[i]
		h.event++
		e.Seq = h.event
		if h.waiting == nil {
			h.waiting = (*int64)(&e.At)
		}
		list = append(list, row{eventSheet, []any{
			string(w.tenant), e.Seq, e.ID, e.Channel, e.ProductionID, e.Version, int64(e.At), e.Money, e.Payload,
		}})
	}
	for _, e := range w.audit {
		record := e.Sealed(production.AuditEntry{Seq: h.audit, Hash: h.hash})
		h.audit, h.hash = record.Seq, record.Hash
		detail := record.Detail
		record.Detail = nil // beside it, for JSON that is stored in JSON may lose a blank, and is hashed
		doc, err := rows.Encode(record)
		if err != nil {
			return nil, fmt.Errorf("audit entry %q: %w: %w", e.Action, production.ErrInvalid, err)
		}
		list = append(list, row{auditSheet, []any{string(w.tenant), h.audit, []byte(detail), doc}})
	}
	return list, nil
}
