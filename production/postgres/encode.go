package postgres

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// encode makes the rows of c that do not depend on what is stored. The error is for what cannot be stored.
func encode(c *production.Commit) (*writing, error) {
	w := &writing{
		tenant: c.Tenant, lookAgain: c.LookAgain, recalled: c.Recalled,
		alerts: slices.Clone(c.Alerts), events: slices.Clone(c.Events), audit: slices.Clone(c.Audit),
	}
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
		w.put(observationSheet, c.Tenant, []byte(o.ID), int64(o.At), []byte(o.ProductionID), bytes.Clone(o.Payload),
			flags, len(o.Flags) > 0)
	}
	for i := range c.Notices {
		n := &c.Notices[i]
		w.put(noticeSheet, c.Tenant, n.ID, n.AlertID, int64(n.At), bytes.Clone(n.Payload), n.Attempts, int64(n.NextTry),
			[]byte(n.LastError))
	}
	if r := c.Remember; r != nil {
		w.key = r.Key
		w.put(keySheet, c.Tenant, []byte(r.Key), bytes.Clone(r.Fingerprint[:]), int64(r.At), bytes.Clone(r.Result))
	}
	return w, nil
}

// put adds a row, which begins with the tenant, to what is written.
func (w *writing) put(s *sheet, t tenant.ID, values ...any) {
	w.rows = append(w.rows, row{s, append([]any{string(t)}, values...)})
}

func (w *writing) addBatch(c *production.Commit) error {
	if c.Batch == nil {
		return nil
	}
	p := &c.Batch.Production
	w.batch = &based{p.ID, c.Base}
	after := c.Batch.Clone()
	w.after = &after
	doc, err := rows.Encode(p)
	if err != nil {
		return fmt.Errorf("batch %s: %w", p.ID, err)
	}
	facts, err := rows.Encode(c.Batch.Facts)
	if err != nil {
		return fmt.Errorf("facts of batch %s: %w", p.ID, err)
	}
	values := []any{
		p.ID, c.Batch.Revision, word(string(p.Day)), int64(p.PlannedStart), word(string(p.Status)), word(p.MenuID),
		word(p.BatchNumber), rows.Number(p), p.PlannedPortions, word(rows.Search(p)), int64(c.Batch.NextLook), int64(p.DeletedAt),
		doc, facts,
	}
	if c.Base == 0 {
		w.put(batchInserts, c.Tenant, values...)
	} else {
		w.put(batchUpdates, c.Tenant, append(values, c.Base)...)
	}
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
	settled, err := rows.Encode(c.Kitchen.Settled)
	if err != nil {
		return fmt.Errorf("what is settled in the kitchen: %w", err)
	}
	w.put(kitchenSheet, c.Tenant, c.Kitchen.Revision, int64(c.Kitchen.NextLook), doc, settled)
	return nil
}

func (w *writing) addAlerts(c *production.Commit) error {
	for i := range c.Alerts {
		a := &c.Alerts[i]
		doc, err := rows.Encode(a)
		if err != nil {
			return fmt.Errorf("alert %s: %w", a.ID, err)
		}
		w.put(alertSheet, c.Tenant, a.ID, a.ProductionID, string(a.Code), a.Severity.Rank(), a.Active(), int64(a.RaisedAt), doc)
	}
	return nil
}

func (w *writing) addEntries(c *production.Commit) error {
	for _, e := range rows.Entries(c) {
		doc, err := rows.Encode(e.Value)
		if err != nil {
			return fmt.Errorf("%s %s: %w", e.Kind, e.ID, err)
		}
		w.put(entrySheet, c.Tenant, e.ProductionID, string(e.Kind), e.ID, doc)
	}
	for i := range c.Photos {
		p := &c.Photos[i]
		w.put(photoSheet, c.Tenant, p.ProductionID, p.ID, bytes.Clone(p.Data))
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
	list := func(kind, id, name string, pin production.PINHash, v any) error {
		doc, err := rows.Encode(v)
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind, id, err)
		}
		w.put(listedSheet, c.Tenant, kind, id, word(name), string(pin), doc)
		return nil
	}
	var err error
	for i := range c.Put.People {
		p := &c.Put.People[i]
		err = cmp.Or(err, list(kindPerson, p.ID, p.Name, p.PIN, p))
	}
	for i := range c.Put.Menus {
		m := &c.Put.Menus[i]
		err = cmp.Or(err, list(kindMenu, m.ID, m.Name, "", m))
	}
	for i := range c.Put.Programmes {
		p := &c.Put.Programmes[i]
		err = cmp.Or(err, list(kindProgramme, p.ID, p.Name, "", p))
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
