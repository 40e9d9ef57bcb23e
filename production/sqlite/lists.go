package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// where gathers the conditions of a query with their arguments.
type where struct {
	terms []string
	args  []any
}

func (w *where) and(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) String() string { return " WHERE " + strings.Join(w.terms, " AND ") }

// texts is a list as one argument, for IN (SELECT value FROM json_each(?)).
func texts[T ~string](list []T) string {
	data, err := json.Marshal(list)
	if err != nil {
		panic("sqlite: " + err.Error()) // texts always become JSON
	}
	return string(data)
}

// batchesQuery returns the query of Batches and Facts for columns.
func batchesQuery(
	columns string, t tenant.ID, f *production.BatchFilter, after *production.BatchPlace, limit int,
) (text string, args []any) {
	var w where
	w.and("tenant = ?", string(t))
	w.and("deleted = 0")
	if f.From != "" {
		w.and("day >= ?", string(f.From))
	}
	if f.To != "" {
		w.and("day <= ?", string(f.To))
	}
	if f.Statuses != nil {
		w.and("status IN (SELECT value FROM json_each(?))", texts(f.Statuses))
	}
	if f.MenuID != "" {
		w.and("menu = ?", f.MenuID)
	}
	if f.Text != "" {
		w.and("instr(search, ?) > 0", rows.Fold(f.Text))
	}
	sign, order := ">", " ORDER BY day, planned_start, id LIMIT ?"
	if f.Backwards {
		sign, order = "<", " ORDER BY day DESC, planned_start DESC, id DESC LIMIT ?"
	}
	if after != nil {
		w.and("(day, planned_start, id) "+sign+" (?, ?, ?)", string(after.Day), int64(after.PlannedStart), after.ID)
	}
	return "SELECT " + columns + " FROM productions" + w.String() + order, append(w.args, max(limit, 0))
}

// Batches is as production.Lists has it.
func (s *Store) Batches(
	ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int,
) ([]production.Production, error) {
	text, args := batchesQuery("doc", t, &f, after, limit)
	return collect[production.Production](ctx, s, t, text, args...)
}

// collect answers a query of JSON.
func collect[T any](ctx context.Context, s *Store, t tenant.ID, text string, args ...any) (list []T, err error) {
	err = s.ask(ctx, func(c *conn) error {
		list, err = documents[T](ctx, c, text, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read of %s: %w", t, err)
	}
	return list, nil
}

// Facts is as production.Lists has it.
func (s *Store) Facts(
	ctx context.Context, t tenant.ID, f production.BatchFilter, after *production.BatchPlace, limit int,
) (list []production.Batch, err error) {
	text, args := batchesQuery(batchColumns, t, &f, after, limit)
	err = s.ask(ctx, func(c *conn) error {
		list, err = batches(ctx, c, text, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read of %s: %w", t, err)
	}
	return list, nil
}

// batches answers a query of batchColumns, without alerts.
func batches(ctx context.Context, c *conn, text string, args ...any) (list []production.Batch, err error) {
	err = c.each(ctx, text, args, func(r *sql.Rows) error {
		var b production.Batch
		if err := scanBatch(r, &b); err != nil {
			return err
		}
		list = append(list, b)
		return nil
	})
	return list, err
}

// Batch is as production.Lists has it.
func (s *Store) Batch(ctx context.Context, t tenant.ID, id string) (b production.Batch, err error) {
	err = s.read(ctx, func(c *conn) error {
		b, err = batch(ctx, c, t, id)
		return err
	})
	if err != nil {
		return production.Batch{}, fmt.Errorf("read of %s: %w", t, err)
	}
	return b, nil
}

// Rows is as production.Lists has it.
func (s *Store) Rows(ctx context.Context, t tenant.ID, id, after string, limit int) (production.Rows, error) {
	var r production.Rows
	if err := s.read(ctx, func(c *conn) error { return readRows(ctx, c, t, id, after, limit, &r) }); err != nil {
		return production.Rows{}, fmt.Errorf("read rows of %s: %w", t, err)
	}
	return r, nil
}

func readRows(ctx context.Context, c *conn, t tenant.ID, id, after string, limit int, to *production.Rows) (err error) {
	var n int64
	switch err := c.one(ctx, "SELECT n FROM productions WHERE tenant = ? AND id = ? AND deleted = 0", []any{string(t), id}, &n); {
	case isNone(err):
		return fmt.Errorf("production %.64q: %w", id, production.ErrNotFound)
	case err != nil:
		return err
	}
	var revision, place int64
	if after != "" {
		err := c.one(ctx, "SELECT revision, place FROM entries WHERE production = ? AND kind = 'reading' AND id = ?", []any{n, after},
			&revision, &place)
		switch {
		case isNone(err):
			return fmt.Errorf("reading %.64q: %w", after, production.ErrNotFound)
		case err != nil:
			return err
		}
	} else {
		place = -1
	}
	to.Readings, err = documents[production.Reading](ctx, c, `SELECT doc FROM entries WHERE production = ? AND kind = 'reading'
		AND (revision, place) > (?, ?) ORDER BY revision, place LIMIT ?`, n, revision, place, max(limit, 0))
	if err != nil {
		return err
	}
	err = c.each(ctx, `SELECT kind, doc FROM entries WHERE production = ? AND kind IN ('check', 'sample', 'dispatch', 'correction', 'photo')
		ORDER BY kind, revision, place`, []any{n}, func(r *sql.Rows) error {
		var kind rows.Kind
		var doc sql.RawBytes
		if err := r.Scan(&kind, &doc); err != nil {
			return err
		}
		return rows.Add(to, kind, doc)
	})
	if err != nil {
		return err
	}
	to.Alerts, err = documents[production.Alert](ctx, c,
		"SELECT doc FROM alerts WHERE tenant = ? AND production = ? ORDER BY raised, id", string(t), id)
	return err
}

// Photo is as production.Lists has it.
func (s *Store) Photo(ctx context.Context, t tenant.ID, id, photo string) (production.Photo, error) {
	var found production.Photo
	err := s.read(ctx, func(c *conn) error {
		var doc []byte
		err := c.one(ctx, `SELECT e.doc, f.data FROM productions p JOIN entries e ON e.production = p.n
			JOIN photos f ON f.production = p.n AND f.id = e.id
			WHERE p.tenant = ? AND p.id = ? AND p.deleted = 0 AND e.kind = 'photo' AND e.id = ?`,
			[]any{string(t), id, photo}, &doc, &found.Data)
		if isNone(err) {
			return fmt.Errorf("photo %.64q: %w", photo, production.ErrNotFound)
		}
		return cmp.Or(err, rows.Decode(doc, &found))
	})
	if err != nil {
		return production.Photo{}, fmt.Errorf("read photo of %s: %w", t, err)
	}
	return found, nil
}

// Snapshot is as production.Lists has it.
func (s *Store) Snapshot(ctx context.Context, t tenant.ID, since production.Day) (production.Snapshot, error) {
	var snap production.Snapshot
	if err := s.read(ctx, func(c *conn) error { return snapshot(ctx, c, t, since, &snap) }); err != nil {
		return production.Snapshot{}, fmt.Errorf("snapshot of %s: %w", t, err)
	}
	return snap, nil
}

func snapshot(ctx context.Context, c *conn, t tenant.ID, since production.Day, to *production.Snapshot) error {
	// Two queries, each in the order of an index, and together in that order, too: older days, of which only open batches count,
	// come first.
	open, err := batches(ctx, c, "SELECT "+batchColumns+` FROM productions WHERE tenant = ? AND open = 1 AND day < ?
		ORDER BY day, planned_start, id`, string(t), string(since))
	if err != nil {
		return err
	}
	recent, err := batches(ctx, c, "SELECT "+batchColumns+` FROM productions WHERE tenant = ? AND deleted = 0 AND day >= ?
		ORDER BY day, planned_start, id`, string(t), string(since))
	if err != nil {
		return err
	}
	to.Batches = slices.Concat(open, recent)
	to.Alerts, err = documents[production.Alert](ctx, c,
		"SELECT doc FROM alerts WHERE tenant = ? AND active = 1 ORDER BY raised, id", string(t))
	if err != nil {
		return err
	}
	byBatch := map[string][]production.Alert{}
	for i := range to.Alerts {
		a := &to.Alerts[i]
		byBatch[a.ProductionID] = append(byBatch[a.ProductionID], *a)
	}
	for i := range to.Batches {
		to.Batches[i].Alerts = byBatch[to.Batches[i].Production.ID]
	}
	err = c.each(ctx, "SELECT seq FROM heads WHERE tenant = ?", []any{string(t)}, func(r *sql.Rows) error { return r.Scan(&to.Seq) })
	if err != nil {
		return err
	}
	positions := "SELECT channel, epoch, offset FROM positions WHERE tenant = ? ORDER BY channel"
	return c.each(ctx, positions, []any{string(t)}, func(r *sql.Rows) error {
		var p production.Sent
		var offset int64
		err := r.Scan(&p.Channel, &p.Epoch, &offset)
		p.Offset = uint64(offset) //nolint:gosec // the same 64 bits
		to.Positions = append(to.Positions, p)
		return err
	})
}

// Alerts is as production.Lists has it.
func (s *Store) Alerts(
	ctx context.Context, t tenant.ID, f production.AlertFilter, after *production.AlertPlace, limit int,
) ([]production.Alert, error) {
	text, args := alertsQuery(t, &f, after, limit)
	return collect[production.Alert](ctx, s, t, text, args...)
}

func alertsQuery(t tenant.ID, f *production.AlertFilter, after *production.AlertPlace, limit int) (text string, args []any) {
	var w where
	w.and("tenant = ?", string(t))
	if f.ProductionID != "" {
		w.and("production = ?", f.ProductionID)
	}
	if f.Active {
		w.and("active = 1")
	}
	if rank := f.MinSeverity.Rank(); rank > 0 {
		w.and("severity >= ?", rank)
	}
	if f.Codes != nil {
		w.and("code IN (SELECT value FROM json_each(?))", texts(f.Codes))
	}
	if f.From.Known() {
		w.and("raised >= ?", int64(f.From))
	}
	if f.To.Known() {
		w.and("raised < ?", int64(f.To))
	}
	if after != nil {
		w.and("(raised, id) < (?, ?)", int64(after.RaisedAt), after.ID)
	}
	return "SELECT doc FROM alerts" + w.String() + " ORDER BY raised DESC, id DESC LIMIT ?", append(w.args, max(limit, 0))
}

// References is as production.Lists has it.
func (s *Store) References(ctx context.Context, t tenant.ID) (lists production.References, err error) {
	err = s.read(ctx, func(c *conn) error {
		text := "SELECT kind, pin, doc FROM lists WHERE tenant = ? ORDER BY kind, name, id"
		return c.each(ctx, text, []any{string(t)}, func(r *sql.Rows) error {
			var kind string
			var pin production.PINHash
			var doc sql.RawBytes
			if err := r.Scan(&kind, &pin, &doc); err != nil {
				return err
			}
			return addListed(&lists, kind, pin, doc)
		})
	})
	if err != nil {
		return production.References{}, fmt.Errorf("read lists of %s: %w", t, err)
	}
	return lists, nil
}

func addListed(to *production.References, kind string, pin production.PINHash, doc []byte) error {
	switch kind {
	case person:
		p := production.Person{}
		err := rows.Decode(doc, &p)
		p.PIN = pin
		to.People = append(to.People, p)
		return err
	case menu:
		m := production.Menu{}
		err := rows.Decode(doc, &m)
		to.Menus = append(to.Menus, m)
		return err
	case programme:
		p := production.Programme{}
		err := rows.Decode(doc, &p)
		to.Programmes = append(to.Programmes, p)
		return err
	default:
		return fmt.Errorf("list of unknown kind %q", kind)
	}
}

// Observations is as production.Lists has it.
func (s *Store) Observations(
	ctx context.Context, t tenant.ID, flagged bool, after string, limit int,
) (list []production.Observation, err error) {
	err = s.read(ctx, func(c *conn) error {
		list, err = observations(ctx, c, t, flagged, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read observations of %s: %w", t, err)
	}
	return list, nil
}

func observations(
	ctx context.Context, c *conn, t tenant.ID, flagged bool, after string, limit int,
) (list []production.Observation, err error) {
	var w where
	w.and("tenant = ?", string(t))
	if flagged {
		w.and("flags IS NOT NULL")
	}
	if after != "" {
		var at int64
		switch err := c.one(ctx, "SELECT at FROM observations WHERE tenant = ? AND id = ?", []any{string(t), after}, &at); {
		case isNone(err):
			return nil, fmt.Errorf("observation %.128q: %w", after, production.ErrNotFound)
		case err != nil:
			return nil, err
		}
		w.and("(at, id) < (?, ?)", at, after)
	}
	text := "SELECT id, at, production, payload, flags FROM observations" + w.String() + " ORDER BY at DESC, id DESC LIMIT ?"
	err = c.each(ctx, text, append(w.args, max(limit, 0)), func(r *sql.Rows) error {
		var o production.Observation
		var flags sql.NullString
		if err := r.Scan(&o.ID, &o.At, &o.ProductionID, &o.Payload, &flags); err != nil {
			return err
		}
		if flags.Valid {
			if err := rows.Decode([]byte(flags.String), &o.Flags); err != nil {
				return err
			}
		}
		list = append(list, o)
		return nil
	})
	return list, err
}

// auditPage is how many entries are read at once: some hundred kilobytes.
const auditPage = 500

// Audit is as production.Lists has it.
func (s *Store) Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[production.AuditEntry, error] {
	return func(yield func(production.AuditEntry, error) bool) {
		for {
			page, err := s.auditPage(ctx, t, from)
			if err != nil {
				yield(production.AuditEntry{}, fmt.Errorf("read audit of %s: %w", t, err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(page) < auditPage {
				return
			}
			from = page[len(page)-1].Seq + 1
		}
	}
}

func (s *Store) auditPage(ctx context.Context, t tenant.ID, from int64) (page []production.AuditEntry, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(ctx, `SELECT seq, at, taken_at, user, role, person, action, production, version, reason, detail, prev, hash FROM audit
			WHERE tenant = ? AND seq >= ? ORDER BY seq LIMIT ?`, []any{string(t), from, auditPage}, func(r *sql.Rows) error {
			e := production.AuditEntry{Tenant: t}
			var detail []byte
			var prev, hash sql.RawBytes
			err := r.Scan(&e.Seq, &e.At, &e.TakenAt, &e.User, &e.Role, &e.Person, &e.Action, &e.ProductionID, &e.Version, &e.Reason,
				&detail, &prev, &hash)
			e.Detail = detail
			copy(e.Prev[:], prev)
			copy(e.Hash[:], hash)
			page = append(page, e)
			return err
		})
	})
	return page, err
}

// Kitchens is as production.Lists has it.
func (s *Store) Kitchens(ctx context.Context, after tenant.ID, limit int) (list []production.Kitchen, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.each(ctx, `SELECT h.tenant, k.doc FROM heads h LEFT JOIN kitchens k ON k.tenant = h.tenant
			WHERE h.tenant > ? ORDER BY h.tenant LIMIT ?`, []any{string(after), max(limit, 0)}, func(r *sql.Rows) error {
			var k production.Kitchen
			var doc sql.RawBytes
			if err := r.Scan(&k.ID, &doc); err != nil {
				return err
			}
			if doc != nil {
				if err := rows.Decode(doc, &k); err != nil {
					return err
				}
			}
			list = append(list, k)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read kitchens: %w", err)
	}
	return list, nil
}
