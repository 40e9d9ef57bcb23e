package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/production/internal/recall"
	"kentongan/production/internal/rows"
)

// Commit is as production.Changes has it. Commits that come at the same time share a flush.
func (s *Store) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	fail := func(err error) ([]production.Event, error) {
		return nil, fmt.Errorf("store commit of %s: %w", c.Tenant, err)
	}
	if err := rows.Check(&c); err != nil {
		return fail(err)
	}
	w, err := s.encode(&c)
	if err != nil {
		return fail(err)
	}
	if err := s.carryOut(ctx, &job{do: w.write, commit: w}); err != nil {
		return fail(err)
	}
	return w.events, nil
}

// commit is a production.Commit with its JSON, which is made before the writer has it: the writer is what all wait for.
type commit struct {
	*production.Commit
	batch, facts     string
	kitchen, settled string
	alerts           []string
	entries          []entry
	people           []string
	menus            []string
	programmes       []string
	flags            []sql.NullString
	events           []production.Event // numbered, once it is written
	way              *hands.Handing     // of the transaction
	store            *Store
	written          recall.Written
}

type entry struct {
	rows.Entry
	doc string
}

func (s *Store) encode(c *production.Commit) (*commit, error) {
	w := &commit{Commit: c, store: s}
	w.written = recall.Written{Tenant: c.Tenant, Recalled: c.Recalled, Kitchen: c.Kitchen != nil, Base: c.Base}
	var failed error
	doc := func(v any) string {
		text, err := rows.Encode(v)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%w: %w", production.ErrInvalid, err)
		}
		return string(text)
	}
	if c.Batch != nil {
		w.batch, w.facts = doc(&c.Batch.Production), doc(&c.Batch.Facts)
		after := c.Batch.Clone()
		w.written.Batch, w.written.Alerts = &after, slices.Clone(c.Alerts)
	}
	if c.Remember != nil {
		w.written.Key = c.Remember.Key
	}
	if c.Kitchen != nil {
		w.kitchen, w.settled = doc(&c.Kitchen.Kitchen), doc(c.Kitchen.Settled)
	}
	for i := range c.Alerts {
		w.alerts = append(w.alerts, doc(&c.Alerts[i]))
	}
	for _, e := range rows.Entries(c) {
		w.entries = append(w.entries, entry{e, doc(e.Value)})
	}
	for i := range c.Put.People {
		w.people = append(w.people, doc(&c.Put.People[i]))
	}
	for i := range c.Put.Menus {
		w.menus = append(w.menus, doc(&c.Put.Menus[i]))
	}
	for i := range c.Put.Programmes {
		w.programmes = append(w.programmes, doc(&c.Put.Programmes[i]))
	}
	for i := range c.Observations {
		flags := c.Observations[i].Flags
		w.flags = append(w.flags, sql.NullString{String: doc(flags), Valid: len(flags) > 0})
	}
	return w, failed
}

// write runs inside of a transaction. It begins with what can conflict.
func (w *commit) write(ctx context.Context, c *conn) error {
	for _, part := range []func(context.Context, *conn) error{
		w.trust, w.writeBatch, w.writeKitchen, w.remember, w.writeAlerts, w.writeEntries, w.lookAgain, w.observe, w.put, w.notify, w.tell,
	} {
		if err := part(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// trust refuses what was decided on what is not so any more.
func (w *commit) trust(context.Context, *conn) error {
	if w.store.memory.Trusts(w.Tenant, w.Recalled) {
		return nil
	}
	return fmt.Errorf("what was recalled is outdated: %w", production.ErrConflict)
}

func (w *commit) writeBatch(ctx context.Context, c *conn) error {
	b := w.Batch
	if b == nil {
		return nil
	}
	p := &b.Production
	deleted, open, look := p.DeletedAt, p.Open() && !p.DeletedAt.Known(), b.NextLook
	if deleted.Known() {
		look = 0
	}
	values := []any{
		b.Revision, string(p.Day), int64(p.PlannedStart), string(p.Status), open, int64(deleted), int64(look), p.MenuID, p.PlannedPortions,
		p.BatchNumber, rows.Number(p), rows.Search(p), w.batch, w.facts, string(w.Tenant), p.ID,
	}
	if w.Base == 0 {
		_, err := c.exec(ctx, `INSERT INTO productions
			(revision, day, planned_start, status, open, deleted, next_look, menu, portions, batch_number, number,
			search, doc, facts, tenant, id)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...)
		if taken(err) {
			return fmt.Errorf("production %s or its number %s is there: %w", p.ID, p.BatchNumber, production.ErrConflict)
		}
		return err
	}
	stays, err := w.keepPlace(ctx, c, open, look)
	if err != nil || stays {
		return err
	}
	n, err := c.exec(ctx, `UPDATE productions SET revision = ?, day = ?, planned_start = ?, status = ?, open = ?, deleted = ?,
		next_look = ?, menu = ?, portions = ?, batch_number = ?, number = ?, search = ?, doc = ?, facts = ?
		WHERE tenant = ? AND id = ? AND revision = ? AND deleted = 0`, append(values, w.Base)...)
	if err == nil && n == 0 {
		err = fmt.Errorf("production %s is not at revision %d: %w", p.ID, w.Base, production.ErrConflict)
	}
	return err
}

// Most changes leave the batch where it is in the lists, and its next look at its time. Then four of its indexes need not be touched, or
// three, which SQLite knows by the columns that a statement names, not by their values.
const (
	changeInPlace = "UPDATE productions SET revision = ?, status = ?, menu = ?, portions = ?, number = ?, search = ?, doc = ?, facts = ?"
	wherePlaced   = ` WHERE tenant = ? AND id = ? AND revision = ? AND deleted = 0
		AND day = ? AND planned_start = ? AND open = ? AND batch_number = ?`
)

// keepPlace writes the batch if its place stays. It reports whether that was so; if not, nothing was written.
func (w *commit) keepPlace(ctx context.Context, c *conn, open bool, look production.Instant) (bool, error) {
	p := &w.Batch.Production
	if p.DeletedAt.Known() {
		return false, nil
	}
	set := []any{
		w.Batch.Revision, string(p.Status), p.MenuID, p.PlannedPortions, rows.Number(p), rows.Search(p), w.batch, w.facts,
	}
	where := []any{string(w.Tenant), p.ID, w.Base, string(p.Day), int64(p.PlannedStart), open, p.BatchNumber}
	n, err := c.exec(ctx, changeInPlace+wherePlaced+" AND next_look = ?", slices.Concat(set, where, []any{int64(look)})...)
	if err == nil && n == 0 {
		n, err = c.exec(ctx, changeInPlace+", next_look = ?"+wherePlaced, slices.Concat(set, []any{int64(look)}, where)...)
	}
	return n == 1, err
}

func (w *commit) writeKitchen(ctx context.Context, c *conn) error {
	k := w.Kitchen
	if k == nil {
		return nil
	}
	values := []any{k.Revision, int64(k.NextLook), w.kitchen, w.settled, string(w.Tenant)}
	text := "UPDATE kitchens SET revision = ?, next_look = ?, doc = ?, settled = ? WHERE tenant = ? AND revision = ?"
	if w.KitchenBase == 0 {
		text = "INSERT INTO kitchens (revision, next_look, doc, settled, tenant) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
	} else {
		values = append(values, w.KitchenBase)
	}
	n, err := c.exec(ctx, text, values...)
	if err == nil && n == 0 {
		err = fmt.Errorf("the kitchen is not at revision %d: %w", w.KitchenBase, production.ErrConflict)
	}
	return err
}

// lookAgain goes through the batches that are open or have a look before them: both indexes hold no others.
func (w *commit) lookAgain(ctx context.Context, c *conn) error {
	if !w.LookAgain.Known() {
		return nil
	}
	for _, text := range []string{
		"UPDATE productions INDEXED BY productions_open SET next_look = ? WHERE tenant = ? AND open = 1",
		"UPDATE productions INDEXED BY productions_due SET next_look = ? WHERE tenant = ? AND next_look <> 0",
	} {
		if _, err := c.exec(ctx, text, int64(w.LookAgain), string(w.Tenant)); err != nil {
			return err
		}
	}
	return nil
}

func (w *commit) remember(ctx context.Context, c *conn) error {
	r := w.Remember
	if r == nil {
		return nil
	}
	from, to := numbersOf(r.At)
	_, err := c.exec(ctx, `INSERT INTO keys (n, tenant, key, fingerprint, at, result)
		VALUES ((SELECT coalesce(max(n) + 1, ?) FROM keys WHERE n >= ? AND n < ?), ?, ?, ?, ?, ?)`,
		from, from, to, string(w.Tenant), r.Key, r.Fingerprint[:], int64(r.At), r.Result)
	return err
}

// writeAlerts writes those that have ended first: a new one of the same code may take their place.
func (w *commit) writeAlerts(ctx context.Context, c *conn) error {
	for _, active := range []bool{false, true} {
		for i := range w.Alerts {
			a := &w.Alerts[i]
			if a.Active() != active {
				continue
			}
			_, err := c.exec(ctx, `INSERT INTO alerts (tenant, id, production, code, severity, active, raised, doc)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (tenant, id) DO UPDATE SET production = excluded.production, code = excluded.code, severity = excluded.severity,
				active = excluded.active, raised = excluded.raised, doc = excluded.doc`,
				string(w.Tenant), a.ID, a.ProductionID, string(a.Code), a.Severity.Rank(), active, int64(a.RaisedAt), w.alerts[i])
			if taken(err) {
				return fmt.Errorf("alert %s: another one of %s is active: %w", a.ID, a.Code, production.ErrConflict)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *commit) writeEntries(ctx context.Context, c *conn) error {
	for i := range w.entries {
		e := &w.entries[i]
		_, err := c.exec(ctx, `INSERT INTO entries (production, kind, revision, place, id, doc)
			SELECT n, ?, ?, ?, ?, ? FROM productions WHERE tenant = ? AND id = ?`,
			string(e.Kind), w.Batch.Revision, i, e.ID, e.doc, string(w.Tenant), w.Batch.Production.ID)
		if err != nil {
			return err
		}
	}
	for i := range w.Photos {
		p := &w.Photos[i]
		_, err := c.exec(ctx, "INSERT INTO photos (production, id, data) SELECT n, ?, ? FROM productions WHERE tenant = ? AND id = ?",
			p.ID, p.Data, string(w.Tenant), w.Batch.Production.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *commit) observe(ctx context.Context, c *conn) error {
	for i := range w.Observations {
		o := &w.Observations[i]
		_, err := c.exec(ctx, "INSERT INTO observations (tenant, id, at, production, payload, flags) VALUES (?, ?, ?, ?, ?, ?)",
			string(w.Tenant), o.ID, int64(o.At), o.ProductionID, o.Payload, w.flags[i])
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *commit) put(ctx context.Context, c *conn) error {
	put := func(kind, id, name string, pin production.PINHash, doc string) error {
		_, err := c.exec(ctx, `INSERT INTO lists (tenant, kind, id, name, pin, doc) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, kind, id) DO UPDATE SET name = excluded.name, doc = excluded.doc,
			pin = CASE excluded.pin WHEN '' THEN pin ELSE excluded.pin END`, string(w.Tenant), kind, id, name, string(pin), doc)
		return err
	}
	for i, v := range w.Put.People {
		if err := put(person, v.ID, v.Name, v.PIN, w.people[i]); err != nil {
			return err
		}
	}
	for i, v := range w.Put.Menus {
		if err := put(menu, v.ID, v.Name, "", w.menus[i]); err != nil {
			return err
		}
	}
	for i, v := range w.Put.Programmes {
		if err := put(programme, v.ID, v.Name, "", w.programmes[i]); err != nil {
			return err
		}
	}
	return nil
}

// The kinds of lists.
const (
	person    = "person"
	menu      = "menu"
	programme = "programme"
)

func (w *commit) notify(ctx context.Context, c *conn) error {
	for i := range w.Notices {
		n := &w.Notices[i]
		_, err := c.exec(ctx, `INSERT INTO notices
			(tenant, id, alert, at, payload, attempts, next_try, last_error, done, lease_owner, lease_until)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '', 0)`,
			string(w.Tenant), n.ID, n.AlertID, int64(n.At), n.Payload, n.Attempts, int64(n.NextTry), n.LastError)
		if err != nil {
			return err
		}
	}
	return nil
}

// numbersOf returns the first of the numbers that are for rows of an instant, in tables that lie in the order of instants, and the first
// one behind them.
func numbersOf(at production.Instant) (from, to int64) {
	const rows = 1 << 20 // of one millisecond
	const last = production.Instant(math.MaxInt64/rows - 1)
	from = int64(max(-last, min(at, last))) * rows
	return from, from + rows
}

// tell numbers the events and seals the audit entries behind the newest of the tenant.
func (w *commit) tell(ctx context.Context, c *conn) error {
	h, err := w.head(ctx, c)
	if err != nil {
		return err
	}
	base := h.seq
	w.events = slices.Clone(w.Events)
	for i := range w.events {
		e := &w.events[i]
		h.seq++
		e.Seq = h.seq
		from, to := numbersOf(e.At)
		_, err := c.exec(ctx, `INSERT INTO events (n, tenant, seq, id, channel, production, version, at, money, payload)
			VALUES ((SELECT coalesce(max(n) + 1, ?) FROM events WHERE n >= ? AND n < ?), ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			from, from, to, string(w.Tenant), h.seq, e.ID, e.Channel, e.ProductionID, e.Version, int64(e.At), e.Money, e.Payload)
		if err != nil {
			return err
		}
	}
	for i := range w.Audit {
		h.audit = w.Audit[i].Sealed(h.audit)
		if err := writeAudit(ctx, c, &h.audit); err != nil {
			return err
		}
	}
	if len(w.events)+len(w.Audit) == 0 {
		return nil
	}
	return w.move(ctx, c, h, base)
}

func writeAudit(ctx context.Context, c *conn, e *production.AuditEntry) error {
	_, err := c.exec(ctx, `INSERT INTO audit
		(tenant, seq, at, taken_at, user, role, person, action, production, version, reason, detail, prev, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(e.Tenant), e.Seq, int64(e.At), int64(e.TakenAt), e.User, string(e.Role), e.Person, e.Action, e.ProductionID,
		e.Version, e.Reason, []byte(e.Detail), e.Prev[:], e.Hash[:])
	return err
}
