package postgres

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/tenant"
)

// Load is as production.Changes has it: one round trip.
func (s *Store) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	var l production.Loaded
	err := s.call(ctx, "load of "+string(t), func(ctx context.Context, c *conn) error {
		l = production.Loaded{} // anew, should this be a second attempt
		return c.moment(ctx, func(b *pgx.Batch) {
			queueKitchen(b, t, &l.Kitchen)
			if w.Production != "" {
				queueBatch(b, t, w.Production, &l.Batch)
				const itsDay = "(SELECT day FROM kentongan.batches WHERE tenant = $1 AND id = $2)"
				b.Queue(selectDay+itsDay, t, key(w.Production)).QueryRow(scanDay(&l.Day))
			} else if w.Day != "" {
				b.Queue(selectDay+"$2", t, key(string(w.Day))).QueryRow(scanDay(&l.Day))
			}
			if w.Key != "" {
				first(b.Queue("SELECT key, fingerprint, at, result FROM kentongan.keys WHERE tenant = $1 AND key = $2", t, []byte(w.Key)),
					&l.Remembered, scanRemembered)
			}
			queueListed(b, t, w, &l)
			if w.Alert != "" {
				first(b.Queue("SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND id = $2", t, key(w.Alert)),
					&l.Alert, decoded[production.Alert])
			}
			if w.Reading != "" && w.Production != "" {
				first(b.Queue("SELECT doc FROM kentongan.entries WHERE tenant = $1 AND batch = $2 AND kind = $3 AND id = $4",
					t, key(w.Production), string(rows.Reading), key(w.Reading)), &l.Reading, decoded[production.Reading])
			}
			if w.Observed != "" {
				b.Queue("SELECT EXISTS (SELECT FROM kentongan.observations WHERE tenant = $1 AND id = $2)", t, []byte(w.Observed)).
					QueryRow(func(r pgx.Row) error { return r.Scan(&l.Observed) })
			}
		})
	})
	if err != nil {
		return production.Loaded{}, err
	}
	return l, nil
}

// queueKitchen queues what reads a kitchen with its alerts. One that was never set has the defaults.
func queueKitchen(b *pgx.Batch, t tenant.ID, k *production.KitchenState) {
	b.Queue("SELECT "+kitchenColumns+" FROM kentongan.kitchens WHERE tenant = $1", t).Query(func(r pgx.Rows) error {
		k.Kitchen.ID = t
		for r.Next() {
			var err error
			if *k, err = scanKitchen(r); err != nil {
				return err
			}
		}
		return r.Err()
	})
	into(b.Queue("SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND batch = '' AND active ORDER BY raised_at, id", t),
		&k.Alerts, decoded[production.Alert])
}

// kitchenColumns are what scanKitchen reads.
const kitchenColumns = "doc, settled, revision, next_look"

func scanKitchen(r pgx.CollectableRow) (k production.KitchenState, err error) {
	var doc, settled []byte
	if err := r.Scan(&doc, &settled, &k.Revision, (*int64)(&k.NextLook)); err != nil {
		return k, err
	}
	err = cmp.Or(decode(doc, &k.Kitchen), decode(settled, &k.Settled))
	return k, err
}

// batchColumns are what scanBatch reads. Alerts are read apart.
const batchColumns = "doc, facts, revision, next_look"

func scanBatch(r pgx.CollectableRow) (b production.Batch, err error) {
	var doc, facts []byte
	if err := r.Scan(&doc, &facts, &b.Revision, (*int64)(&b.NextLook)); err != nil {
		return b, err
	}
	if err := decode(doc, &b.Production); err != nil {
		return b, err
	}
	err = decode(facts, &b.Facts)
	return b, err
}

// queueBatch queues what reads a batch with its facts and active alerts, or ErrNotFound.
func queueBatch(b *pgx.Batch, t tenant.ID, id string, to *production.Batch) {
	b.Queue("SELECT "+batchColumns+" FROM kentongan.batches WHERE tenant = $1 AND id = $2 AND deleted_at = 0", t, key(id)).
		Query(func(r pgx.Rows) error {
			found, err := pgx.CollectRows(r, scanBatch)
			if err == nil && len(found) == 0 {
				return fmt.Errorf("production %.100q: %w", id, production.ErrNotFound)
			}
			if err == nil {
				*to = found[0]
			}
			return err
		})
	into(b.Queue("SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND batch = $2 AND active ORDER BY raised_at, id", t, key(id)),
		&to.Alerts, decoded[production.Alert])
}

// selectDay reads the load of a day; the day comes behind it.
const selectDay = "SELECT " + dayLoad + " FROM kentongan.batches WHERE tenant = $1 AND day = "

const dayLoad = `coalesce(sum(portions) FILTER (WHERE status <> 'CANCELLED' AND deleted_at = 0), 0)::bigint,
	coalesce(max(number_of_day), 0)`

func scanDay(d *production.DayLoad) func(r pgx.Row) error {
	return func(r pgx.Row) error { return r.Scan(&d.Portions, &d.LastNumber) }
}

func scanRemembered(r pgx.CollectableRow) (production.Remembered, error) {
	var (
		m                production.Remembered
		key, fingerprint []byte
	)
	err := r.Scan(&key, &fingerprint, (*int64)(&m.At), &m.Result)
	m.Key = string(key)
	copy(m.Fingerprint[:], fingerprint)
	return m, err
}

// queueListed queues what reads the menu, the programme and the people of w.
func queueListed(b *pgx.Batch, t tenant.ID, w production.Want, l *production.Loaded) {
	const one = "SELECT doc FROM kentongan.listed WHERE tenant = $1 AND kind = $2 AND id = $3"
	if w.Menu != "" {
		first(b.Queue(one, t, kindMenu, key(w.Menu)), &l.Menu, decoded[production.Menu])
	}
	if w.Programme != "" {
		first(b.Queue(one, t, kindProgramme, key(w.Programme)), &l.Programme, decoded[production.Programme])
	}
	if len(w.People) == 0 {
		return
	}
	ids := words(w.People) // an id that cannot be stored becomes one that nobody asked for, and is left out below
	b.Queue("SELECT doc, pin FROM kentongan.listed WHERE tenant = $1 AND kind = $2 AND id = ANY ($3)", t, kindPerson, ids).
		Query(func(r pgx.Rows) error {
			people, err := pgx.CollectRows(r, scanPerson)
			for _, p := range people {
				if l.People == nil {
					l.People = make(map[string]production.Person, len(people))
				}
				l.People[p.ID] = p
			}
			return err
		})
}

func scanPerson(r pgx.CollectableRow) (p production.Person, err error) {
	var doc []byte
	if err := r.Scan(&doc, (*string)(&p.PIN)); err != nil {
		return p, err
	}
	pin := p.PIN
	err = decode(doc, &p)
	p.PIN = pin
	return p, err
}
