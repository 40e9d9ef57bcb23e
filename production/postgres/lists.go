package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// filter is a WHERE clause that is put together of conditions, so that PostgreSQL plans for those that are there only.
type filter struct {
	where strings.Builder
	args  []any
}

// and adds a condition, in which each ? stands for the next of args.
func (f *filter) and(condition string, args ...any) {
	if f.where.Len() == 0 {
		f.where.WriteString(" WHERE ")
	} else {
		f.where.WriteString(" AND ")
	}
	for _, arg := range args {
		before, after, _ := strings.Cut(condition, "?")
		f.args = append(f.args, arg)
		f.where.WriteString(before + "$" + strconv.Itoa(len(f.args)))
		condition = after
	}
	f.where.WriteString(condition)
}

// Batches is as production.Lists has it.
func (s *Store) Batches(
	ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int,
) ([]production.Production, error) {
	const columns = "SELECT doc FROM kentongan.batches"
	return list(ctx, s, "batches", columns, batchFilter(t, f, after), batchOrder(f), limit, decoded[production.Production])
}

// Facts is as production.Lists has it.
func (s *Store) Facts(
	ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int,
) ([]production.Batch, error) {
	const columns = "SELECT " + batchColumns + " FROM kentongan.batches"
	return list(ctx, s, "facts", columns, batchFilter(t, f, after), batchOrder(f), limit, scanBatch)
}

func batchFilter(t tenant.ID, f production.BatchFilter, after *production.BatchPlace) *filter {
	w := &filter{}
	w.and("tenant = ?", t)
	w.and("deleted_at = 0")
	if f.From != "" {
		w.and("day >= ?", word(string(f.From)))
	}
	if f.To != "" {
		w.and("day <= ?", word(string(f.To)))
	}
	if f.Statuses != nil {
		w.and("status = ANY (?)", words(f.Statuses))
	}
	if f.MenuID != "" {
		w.and("menu = ?", word(f.MenuID))
	}
	if f.Text != "" {
		w.and("strpos(search, ?) > 0", word(rows.Fold(f.Text)))
	}
	if after != nil {
		beyond := ">"
		if f.Backwards {
			beyond = "<"
		}
		w.and("(day, planned_start, id) "+beyond+" (?, ?, ?)", word(string(after.Day)), int64(after.PlannedStart), word(after.ID))
	}
	return w
}

func batchOrder(f production.BatchFilter) string {
	if f.Backwards {
		return " ORDER BY day DESC, planned_start DESC, id DESC"
	}
	return " ORDER BY day, planned_start, id"
}

// list reads the first rows, at most limit, of one statement.
func list[T any](
	ctx context.Context, s *Store, what, columns string, f *filter, order string, limit int, scan func(pgx.CollectableRow) (T, error),
) (found []T, err error) {
	sql := columns + f.where.String() + order + " LIMIT $" + strconv.Itoa(len(f.args)+1)
	args := append(slices.Clip(f.args), max(limit, 0))
	err = s.call(ctx, what, func(ctx context.Context, c *conn) error {
		r, err := c.Query(ctx, sql, args...)
		if err == nil {
			found, err = pgx.AppendRows(found[:0], r, scan)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Batch is as production.Lists has it.
func (s *Store) Batch(ctx context.Context, t tenant.ID, id string) (production.Batch, error) {
	var found production.Batch
	err := s.call(ctx, "batch", func(ctx context.Context, c *conn) error {
		return c.moment(ctx, func(b *pgx.Batch) { queueBatch(b, t, id, &found) })
	})
	if err != nil {
		return production.Batch{}, err
	}
	return found, nil
}

// Rows is as production.Lists has it.
func (s *Store) Rows(ctx context.Context, t tenant.ID, id, after string, limit int) (production.Rows, error) {
	var found production.Rows
	err := s.call(ctx, "rows", func(ctx context.Context, c *conn) error {
		found = production.Rows{}
		return c.moment(ctx, func(b *pgx.Batch) {
			b.Queue("SELECT FROM kentongan.batches WHERE tenant = $1 AND id = $2 AND deleted_at = 0", t, key(id)).
				Query(orNotFound("production", id))
			from := int64(0)
			const reading = "tenant = $1 AND batch = $2 AND kind = $3"
			if after != "" {
				b.Queue("SELECT FROM kentongan.entries WHERE "+reading+" AND id = $4", t, key(id), string(rows.Reading), key(after)).
					Query(orNotFound("reading", after))
			}
			b.Queue("SELECT kind, doc FROM kentongan.entries WHERE "+reading+
				" AND n > coalesce((SELECT n FROM kentongan.entries WHERE "+reading+" AND id = $4), $5) ORDER BY n LIMIT $6",
				t, key(id), string(rows.Reading), key(after), from, max(limit, 0)).Query(addEntries(&found))
			b.Queue("SELECT kind, doc FROM kentongan.entries WHERE tenant = $1 AND batch = $2 AND kind <> $3 ORDER BY n",
				t, key(id), string(rows.Reading)).Query(addEntries(&found))
			into(b.Queue("SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND batch = $2 ORDER BY raised_at, id", t, key(id)),
				&found.Alerts, decoded[production.Alert])
		})
	})
	if err != nil {
		return production.Rows{}, err
	}
	return found, nil
}

// Photo is as production.Lists has it.
func (s *Store) Photo(ctx context.Context, t tenant.ID, id, photo string) (production.Photo, error) {
	var found production.Photo
	err := s.call(ctx, "photo", func(ctx context.Context, c *conn) error {
		found = production.Photo{}
		var doc []byte
		err := c.QueryRow(ctx, `SELECT e.doc, p.data FROM kentongan.batches b
			JOIN kentongan.entries e ON e.tenant = b.tenant AND e.batch = b.id AND e.kind = $3 AND e.id = $4
			JOIN kentongan.photos p ON p.tenant = b.tenant AND p.batch = b.id AND p.id = e.id
			WHERE b.tenant = $1 AND b.id = $2 AND b.deleted_at = 0`, t, key(id), string(rows.Photo), key(photo)).Scan(&doc, &found.Data)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("photo %.100q: %w", photo, production.ErrNotFound)
		}
		return cmp.Or(err, decode(doc, &found))
	})
	if err != nil {
		return production.Photo{}, err
	}
	return found, nil
}

// orNotFound returns what makes an answer without a row ErrNotFound.
func orNotFound(what, id string) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		found := r.Next()
		r.Close()
		if r.Err() == nil && !found {
			return fmt.Errorf("%s %.100q: %w", what, id, production.ErrNotFound)
		}
		return r.Err()
	}
}

func addEntries(to *production.Rows) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		for r.Next() {
			var (
				kind rows.Kind
				doc  []byte
			)
			if err := r.Scan(&kind, &doc); err != nil {
				return err
			}
			if err := rows.Add(to, kind, doc); err != nil {
				return recordError{err}
			}
		}
		return r.Err()
	}
}

// Snapshot is as production.Lists has it: one round trip.
func (s *Store) Snapshot(ctx context.Context, t tenant.ID, since production.Day) (production.Snapshot, error) {
	var found production.Snapshot
	err := s.call(ctx, "snapshot", func(ctx context.Context, c *conn) error {
		found = production.Snapshot{}
		return c.moment(ctx, func(b *pgx.Batch) {
			// Two ranges, each by an index: a kitchen has few open batches among years of final ones.
			into(b.Queue(`SELECT `+batchColumns+` FROM (
					SELECT * FROM kentongan.batches WHERE tenant = $1 AND day >= $2 AND deleted_at = 0
					UNION ALL
					SELECT * FROM kentongan.batches WHERE tenant = $1 AND day < $2 AND deleted_at = 0
						AND status NOT IN ('COMPLETED', 'CANCELLED')
				) AS wanted ORDER BY day, planned_start, id`, t, word(string(since))), &found.Batches, scanBatch)
			into(b.Queue("SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND active ORDER BY raised_at, id", t),
				&found.Alerts, decoded[production.Alert])
			b.Queue("SELECT coalesce(max(event_seq), 0) FROM kentongan.heads WHERE tenant = $1", t).
				QueryRow(func(r pgx.Row) error { return r.Scan(&found.Seq) })
			into(b.Queue(`SELECT channel, epoch, "offset" FROM kentongan.positions WHERE tenant = $1 ORDER BY channel`, t),
				&found.Positions, scanSent)
		})
	})
	if err != nil {
		return production.Snapshot{}, err
	}
	byBatch := map[string][]production.Alert{}
	for _, a := range found.Alerts {
		byBatch[a.ProductionID] = append(byBatch[a.ProductionID], a)
	}
	for i := range found.Batches {
		b := &found.Batches[i]
		b.Alerts = byBatch[b.Production.ID]
	}
	return found, nil
}

func scanSent(r pgx.CollectableRow) (p production.Sent, err error) {
	var offset int64
	err = r.Scan(&p.Channel, &p.Epoch, &offset)
	p.Offset = uint64(offset) //nolint:gosec // its bits, as MarkSent wrote them
	return p, err
}

// Alerts is as production.Lists has it.
func (s *Store) Alerts(
	ctx context.Context, t tenant.ID, f production.AlertFilter, after *production.AlertPlace, limit int,
) ([]production.Alert, error) {
	w := &filter{}
	w.and("tenant = ?", t)
	if f.ProductionID != "" {
		w.and("batch = ?", key(f.ProductionID))
	}
	if f.Active {
		w.and("active")
	}
	if r := f.MinSeverity.Rank(); r > 0 {
		w.and("severity >= ?", r)
	}
	if f.Codes != nil {
		w.and("code = ANY (?)", words(f.Codes))
	}
	if f.From.Known() {
		w.and("raised_at >= ?", int64(f.From))
	}
	if f.To.Known() {
		w.and("raised_at < ?", int64(f.To))
	}
	if after != nil {
		w.and("(raised_at, id) < (?, ?)", int64(after.RaisedAt), word(after.ID))
	}
	const columns, order = "SELECT doc FROM kentongan.alerts", " ORDER BY raised_at DESC, id DESC"
	return list(ctx, s, "alerts", columns, w, order, limit, decoded[production.Alert])
}

// References is as production.Lists has it.
func (s *Store) References(ctx context.Context, t tenant.ID) (production.References, error) {
	var found production.References
	err := s.call(ctx, "references", func(ctx context.Context, c *conn) error {
		const all = " FROM kentongan.listed WHERE tenant = $1 AND kind = $2 ORDER BY name, id"
		return c.moment(ctx, func(b *pgx.Batch) {
			into(b.Queue("SELECT doc, pin"+all, t, kindPerson), &found.People, scanPerson)
			into(b.Queue("SELECT doc"+all, t, kindMenu), &found.Menus, decoded[production.Menu])
			into(b.Queue("SELECT doc"+all, t, kindProgramme), &found.Programmes, decoded[production.Programme])
		})
	})
	if err != nil {
		return production.References{}, err
	}
	return found, nil
}

// Observations is as production.Lists has it.
func (s *Store) Observations(ctx context.Context, t tenant.ID, flagged bool, after string, limit int) ([]production.Observation, error) {
	w := &filter{}
	w.and("tenant = ?", t)
	if flagged {
		w.and("flagged")
	}
	if after != "" {
		w.and("(at, id) < (SELECT at, id FROM kentongan.observations WHERE tenant = ? AND id = ?)", t, []byte(after))
	}
	const columns, order = "SELECT id, at, batch, payload, flags FROM kentongan.observations", " ORDER BY at DESC, id DESC"
	found, err := list(ctx, s, "observations", columns, w, order, limit, scanObservation)
	if err != nil || len(found) > 0 || after == "" {
		return found, err
	}
	// Nothing comes after it, or it is not there.
	err = s.call(ctx, "observations", func(ctx context.Context, c *conn) error {
		r, err := c.Query(ctx, "SELECT FROM kentongan.observations WHERE tenant = $1 AND id = $2", t, []byte(after))
		if err != nil {
			return err
		}
		return orNotFound("observation", after)(r)
	})
	return nil, err
}

func scanObservation(r pgx.CollectableRow) (o production.Observation, err error) {
	var id, batch, flags []byte
	if err := r.Scan(&id, (*int64)(&o.At), &batch, &o.Payload, &flags); err != nil {
		return o, err
	}
	o.ID, o.ProductionID = string(id), string(batch)
	err = decode(flags, &o.Flags)
	return o, err
}

// Audit is as production.Lists has it.
func (s *Store) Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[production.AuditEntry, error] {
	const page = 500 // some 200 KB
	return func(yield func(production.AuditEntry, error) bool) {
		for {
			w := &filter{}
			w.and("tenant = ?", t)
			w.and("seq >= ?", from)
			entries, err := list(ctx, s, "audit trail", "SELECT doc, detail FROM kentongan.audit", w, " ORDER BY seq", page, scanAudit)
			if err != nil {
				yield(production.AuditEntry{}, err)
				return
			}
			for i := range entries {
				if !yield(entries[i], nil) {
					return
				}
			}
			if len(entries) < page {
				return
			}
			from = entries[page-1].Seq + 1
		}
	}
}

func scanAudit(r pgx.CollectableRow) (e production.AuditEntry, err error) {
	var doc, detail []byte
	if err := r.Scan(&doc, &detail); err != nil {
		return e, err
	}
	err = decode(doc, &e)
	e.Detail = detail
	return e, err
}

// Kitchens is as production.Lists has it.
func (s *Store) Kitchens(ctx context.Context, after tenant.ID, limit int) ([]production.Kitchen, error) {
	w := &filter{}
	w.and("tenant > ?", after)
	const columns = "SELECT tenant, doc FROM kentongan.heads LEFT JOIN kentongan.kitchens USING (tenant)"
	return list(ctx, s, "kitchens", columns, w, " ORDER BY tenant", limit, func(r pgx.CollectableRow) (k production.Kitchen, err error) {
		var doc []byte
		if err := r.Scan((*string)(&k.ID), &doc); err != nil || doc == nil {
			return k, err
		}
		err = decode(doc, &k)
		return k, err
	})
}
