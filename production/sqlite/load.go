package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// Recall is as production.Recaller has it.
func (s *Store) Recall(t tenant.ID, w production.Want) (production.Loaded, bool) {
	return s.memory.Recall(t, w)
}

// Load is as production.Changes has it.
func (s *Store) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	l := production.Loaded{}
	stamp, count := s.memory.Chain(t)
	err := s.read(ctx, func(c *conn) error { return load(ctx, c, t, w, &l) })
	if err != nil {
		return production.Loaded{}, fmt.Errorf("load of %s: %w", t, err)
	}
	if w.Production != "" {
		s.memory.Learn(t, stamp, count, &l)
	}
	return l, nil
}

func load(ctx context.Context, c *conn, t tenant.ID, w production.Want, l *production.Loaded) (err error) {
	if l.Kitchen, err = kitchen(ctx, c, t); err != nil {
		return err
	}
	day := w.Day
	if w.Production != "" {
		if l.Batch, err = batch(ctx, c, t, w.Production); err != nil {
			return err
		}
		day = l.Batch.Production.Day
	}
	if day != "" {
		if l.Day, err = dayLoad(ctx, c, t, day); err != nil {
			return err
		}
	}
	if l.Remembered, err = remembered(ctx, c, t, w.Key); err != nil {
		return err
	}
	if l.Menu, err = listed[production.Menu](ctx, c, t, menu, w.Menu); err != nil {
		return err
	}
	if l.Programme, err = listed[production.Programme](ctx, c, t, programme, w.Programme); err != nil {
		return err
	}
	for _, id := range w.People {
		if err := loadPerson(ctx, c, t, id, l); err != nil {
			return err
		}
	}
	if w.Alert != "" {
		l.Alert, err = document[production.Alert](ctx, c, "SELECT doc FROM alerts WHERE tenant = ? AND id = ?", string(t), w.Alert)
		if err != nil {
			return err
		}
	}
	if w.Reading != "" && w.Production != "" {
		l.Reading, err = document[production.Reading](ctx, c, `SELECT e.doc FROM entries e JOIN productions p ON p.n = e.production
			WHERE p.tenant = ? AND p.id = ? AND e.kind = 'reading' AND e.id = ?`, string(t), w.Production, w.Reading)
		if err != nil {
			return err
		}
	}
	if w.Observed != "" {
		return c.one(ctx, "SELECT EXISTS (SELECT 1 FROM observations WHERE tenant = ? AND id = ?)", []any{string(t), w.Observed},
			&l.Observed)
	}
	return nil
}

// kitchen returns the kitchen as it is stored, or as it is before anything was set.
func kitchen(ctx context.Context, c *conn, t tenant.ID) (k production.KitchenState, err error) {
	found := false
	err = c.each(ctx, "SELECT revision, next_look, doc, settled FROM kitchens WHERE tenant = ?", []any{string(t)}, func(r *sql.Rows) error {
		found = true
		var doc, settled sql.RawBytes
		if err := r.Scan(&k.Revision, &k.NextLook, &doc, &settled); err != nil {
			return err
		}
		return errors.Join(rows.Decode(doc, &k.Kitchen), rows.Decode(settled, &k.Settled))
	})
	if err != nil || !found {
		k.Kitchen.ID = t
		return k, err // its alerts need a kitchen that is stored
	}
	k.Alerts, err = activeAlerts(ctx, c, t, "")
	return k, err
}

func activeAlerts(ctx context.Context, c *conn, t tenant.ID, id string) ([]production.Alert, error) {
	return documents[production.Alert](ctx, c,
		"SELECT doc FROM alerts WHERE tenant = ? AND production = ? AND active = 1 ORDER BY raised, id", string(t), id)
}

// batchColumns are what scanBatch reads.
const batchColumns = "doc, facts, revision, next_look"

func scanBatch(r *sql.Rows, b *production.Batch, before ...any) error {
	var doc, facts sql.RawBytes
	if err := r.Scan(append(before, &doc, &facts, &b.Revision, &b.NextLook)...); err != nil {
		return err
	}
	return errors.Join(rows.Decode(doc, &b.Production), rows.Decode(facts, &b.Facts))
}

func batch(ctx context.Context, c *conn, t tenant.ID, id string) (b production.Batch, err error) {
	found := false
	text := "SELECT " + batchColumns + " FROM productions WHERE tenant = ? AND id = ? AND deleted = 0"
	err = c.each(ctx, text, []any{string(t), id}, func(r *sql.Rows) error {
		found = true
		return scanBatch(r, &b)
	})
	if err == nil && !found {
		err = fmt.Errorf("production %.64q: %w", id, production.ErrNotFound)
	}
	if err != nil {
		return production.Batch{}, err
	}
	b.Alerts, err = activeAlerts(ctx, c, t, id)
	return b, err
}

func dayLoad(ctx context.Context, c *conn, t tenant.ID, day production.Day) (l production.DayLoad, err error) {
	err = c.one(ctx, `SELECT coalesce(sum(portions) FILTER (WHERE status <> 'CANCELLED' AND deleted = 0), 0), coalesce(max(number), 0)
		FROM productions WHERE tenant = ? AND day = ?`, []any{string(t), string(day)}, &l.Portions, &l.LastNumber)
	return l, err
}

func remembered(ctx context.Context, c *conn, t tenant.ID, key string) (*production.Remembered, error) {
	r := production.Remembered{Key: key}
	var fingerprint []byte
	if key == "" {
		return none[production.Remembered]()
	}
	err := c.one(ctx, "SELECT fingerprint, at, result FROM keys WHERE tenant = ? AND key = ?", []any{string(t), key},
		&fingerprint, &r.At, &r.Result)
	if errors.Is(err, sql.ErrNoRows) {
		return none[production.Remembered]()
	}
	copy(r.Fingerprint[:], fingerprint)
	return &r, err
}

// none is the answer for what does not exist and need not: see production.Loaded.
func none[T any]() (*T, error) { return nil, nil } //nolint:nilnil // the contract has nil for it

func listed[T any](ctx context.Context, c *conn, t tenant.ID, kind, id string) (*T, error) {
	if id == "" {
		return none[T]()
	}
	return document[T](ctx, c, "SELECT doc FROM lists WHERE tenant = ? AND kind = ? AND id = ?", string(t), kind, id)
}

func loadPerson(ctx context.Context, c *conn, t tenant.ID, id string, l *production.Loaded) error {
	p, err := listed[production.Person](ctx, c, t, person, id)
	if err != nil || p == nil {
		return err
	}
	err = c.one(ctx, "SELECT pin FROM lists WHERE tenant = ? AND kind = ? AND id = ?", []any{string(t), person, id}, &p.PIN)
	if l.People == nil {
		l.People = map[string]production.Person{}
	}
	l.People[id] = *p
	return err
}

// documents returns what a query of JSON answers.
func documents[T any](ctx context.Context, c *conn, text string, args ...any) (list []T, err error) {
	err = c.each(ctx, text, args, func(r *sql.Rows) error {
		var doc sql.RawBytes
		var v T
		if err := r.Scan(&doc); err != nil {
			return err
		}
		if err := rows.Decode(doc, &v); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	})
	return list, err
}

// document returns the first of documents, or nil.
func document[T any](ctx context.Context, c *conn, text string, args ...any) (*T, error) {
	list, err := documents[T](ctx, c, text, args...)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
