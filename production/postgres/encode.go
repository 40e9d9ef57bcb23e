package postgres

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"kentongan/production"
	"kentongan/production/internal/rows"
)

// encode makes the statements of c that do not depend on what is stored. The error is for what cannot be stored.
func encode(c *production.Commit) (*writing, error) {
	w := &writing{tenant: c.Tenant, events: slices.Clone(c.Events), audit: slices.Clone(c.Audit)}
	for i := range w.events {
		w.events[i].Payload = bytes.Clone(w.events[i].Payload)
	}
	for i := range w.audit {
		w.audit[i].Detail = bytes.Clone(w.audit[i].Detail)
	}
	for _, part := range []func(*production.Commit) error{w.addBatch, w.addKitchen, w.addAlerts, w.addEntries, w.addListed} {
		if err := part(c); err != nil {
			return nil, err
		}
	}
	for _, o := range c.Observations {
		flags, err := rows.Encode(o.Flags)
		if err != nil {
			return nil, fmt.Errorf("flags of observation %q: %w", o.ID, err)
		}
		w.add(`INSERT INTO kentongan.observations (tenant, id, at, batch, payload, flags, flagged) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			c.Tenant, []byte(o.ID), int64(o.At), []byte(o.ProductionID), bytesOf(bytes.Clone(o.Payload)), flags, len(o.Flags) > 0)
	}
	for i := range c.Notices {
		n := &c.Notices[i]
		w.add(`INSERT INTO kentongan.notices (tenant, id, alert, at, payload, attempts, next_try, last_error)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			n.Tenant, n.ID, n.AlertID, int64(n.At), bytesOf(bytes.Clone(n.Payload)), n.Attempts, int64(n.NextTry), []byte(n.LastError))
	}
	if r := c.Remember; r != nil {
		w.add("INSERT INTO kentongan.keys (tenant, key, fingerprint, at, result) VALUES ($1, $2, $3, $4, $5)",
			c.Tenant, []byte(r.Key), bytes.Clone(r.Fingerprint[:]), int64(r.At), bytesOf(bytes.Clone(r.Result)))
	}
	return w, nil
}

func (w *writing) addBatch(c *production.Commit) error {
	if c.Batch == nil {
		return nil
	}
	p := &c.Batch.Production
	w.batch = &based{p.ID, c.Base}
	doc, err := rows.Encode(p)
	if err != nil {
		return fmt.Errorf("batch %s: %w", p.ID, err)
	}
	facts, err := rows.Encode(c.Batch.Facts)
	if err != nil {
		return fmt.Errorf("facts of batch %s: %w", p.ID, err)
	}
	const insert = `INSERT INTO kentongan.batches (tenant, id, revision, day, planned_start, status, menu, number, number_of_day, portions,
			search, next_look, deleted_at, doc, facts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
	const update = `UPDATE kentongan.batches SET (revision, day, planned_start, status, menu, number, number_of_day, portions,
			search, next_look, deleted_at, doc, facts) = ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		WHERE tenant = $1 AND id = $2`
	sql := update
	if c.Base == 0 {
		sql = insert
	}
	w.add(sql, c.Tenant, p.ID, c.Batch.Revision, word(string(p.Day)), int64(p.PlannedStart), word(string(p.Status)), word(p.MenuID),
		word(p.BatchNumber), rows.Number(p), p.PlannedPortions, word(rows.Search(p)), int64(c.Batch.NextLook), int64(p.DeletedAt),
		doc, facts)
	return nil
}

func (w *writing) addKitchen(c *production.Commit) error {
	if c.Kitchen == nil {
		return nil
	}
	w.kitchen = &based{base: c.KitchenBase}
	doc, err := rows.Encode(c.Kitchen.Kitchen)
	if err != nil {
		return fmt.Errorf("the kitchen: %w", err)
	}
	w.add(`INSERT INTO kentongan.kitchens (tenant, revision, next_look, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant) DO UPDATE SET (revision, next_look, doc) = (excluded.revision, excluded.next_look, excluded.doc)`,
		c.Tenant, c.Kitchen.Revision, int64(c.Kitchen.NextLook), doc)
	return nil
}

func (w *writing) addAlerts(c *production.Commit) error {
	for i := range c.Alerts {
		a := &c.Alerts[i]
		doc, err := rows.Encode(a)
		if err != nil {
			return fmt.Errorf("alert %s: %w", a.ID, err)
		}
		w.add(`INSERT INTO kentongan.alerts (tenant, id, batch, code, severity, active, raised_at, doc)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (tenant, id) DO UPDATE SET (batch, code, severity, active, raised_at, doc) =
				(excluded.batch, excluded.code, excluded.severity, excluded.active, excluded.raised_at, excluded.doc)`,
			c.Tenant, a.ID, a.ProductionID, string(a.Code), a.Severity.Rank(), a.Active(), int64(a.RaisedAt), doc)
	}
	return nil
}

func (w *writing) addEntries(c *production.Commit) error {
	for _, e := range rows.Entries(c) {
		doc, err := rows.Encode(e.Value)
		if err != nil {
			return fmt.Errorf("%s %s: %w", e.Kind, e.ID, err)
		}
		w.add("INSERT INTO kentongan.entries (tenant, batch, kind, id, doc) VALUES ($1, $2, $3, $4, $5)",
			c.Tenant, e.ProductionID, string(e.Kind), e.ID, doc)
	}
	return nil
}

// The kinds of what is listed.
const (
	kindPerson    = "person"
	kindMenu      = "menu"
	kindProgramme = "programme"
)

func (w *writing) addListed(c *production.Commit) error {
	put := func(kind, id, name string, pin production.PINHash, v any) error {
		doc, err := rows.Encode(v)
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
		w.add(`INSERT INTO kentongan.listed AS old (tenant, kind, id, name, pin, doc) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant, kind, id) DO UPDATE SET (name, pin, doc) =
				(excluded.name, CASE excluded.pin WHEN '' THEN old.pin ELSE excluded.pin END, excluded.doc)`,
			c.Tenant, kind, id, word(name), string(pin), doc)
		return nil
	}
	var err error
	for i := range c.Put.People {
		p := &c.Put.People[i]
		err = cmp.Or(err, put(kindPerson, p.ID, p.Name, p.PIN, p))
	}
	for i := range c.Put.Menus {
		m := &c.Put.Menus[i]
		err = cmp.Or(err, put(kindMenu, m.ID, m.Name, "", m))
	}
	for i := range c.Put.Programmes {
		p := &c.Put.Programmes[i]
		err = cmp.Or(err, put(kindProgramme, p.ID, p.Name, "", p))
	}
	return err
}

// words returns list as an argument.
func words[T ~string](list []T) []string {
	texts := make([]string, 0, len(list))
	for _, s := range list {
		texts = append(texts, word(string(s)))
	}
	return texts
}
