package postgres

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kentongan/production"
	"kentongan/tenant"
)

// loading answers everything that a Want can ask for, in one row: half of what a small statement costs is that it is one. What is not
// wanted is null, which nothing equals.
const loading = `SELECT ` + loadingFirst + `,
		(SELECT doc FROM kentongan.listed WHERE tenant = $1 AND kind = 'menu' AND id = $5),
		(SELECT doc FROM kentongan.listed WHERE tenant = $1 AND kind = 'programme' AND id = $6),
		ARRAY (SELECT doc::text FROM kentongan.listed WHERE tenant = $1 AND kind = 'person' AND id = ANY ($7::text[]) ORDER BY id),
		ARRAY (SELECT pin FROM kentongan.listed WHERE tenant = $1 AND kind = 'person' AND id = ANY ($7::text[]) ORDER BY id),
		(SELECT doc FROM kentongan.alerts WHERE tenant = $1 AND id = $8),
		(SELECT doc FROM kentongan.entries WHERE tenant = $1 AND batch = $2 AND kind = 'reading' AND id = $9),
		EXISTS (SELECT FROM kentongan.observations WHERE tenant = $1 AND id = $10)` + loadingFrom

// loadingShort is loading of what most changes want, a batch and a key: tables that are not asked cost, too.
const loadingShort = "SELECT " + loadingFirst + loadingFrom

const loadingFirst = `k.doc, k.settled, k.revision, k.next_look,
		ARRAY (SELECT doc::text FROM kentongan.alerts WHERE tenant = $1 AND batch = '' AND active ORDER BY raised_at, id),
		b.doc, b.facts, b.revision, b.next_look,
		ARRAY (SELECT doc::text FROM kentongan.alerts WHERE tenant = $1 AND batch = $2 AND active ORDER BY raised_at, id),
		d.portions, d.last, r.fingerprint, r.at, r.result`

const loadingFrom = `
	FROM (VALUES (1)) AS one
	LEFT JOIN kentongan.kitchens AS k ON k.tenant = $1
	LEFT JOIN kentongan.batches AS b ON b.tenant = $1 AND b.id = $2 AND b.deleted_at = 0
	LEFT JOIN kentongan.keys AS r ON r.tenant = $1 AND r.key = $4
	CROSS JOIN LATERAL (SELECT coalesce(sum(portions) FILTER (WHERE status <> 'CANCELLED' AND deleted_at = 0), 0)::bigint AS portions,
		coalesce(max(number_of_day), 0) AS last
		FROM kentongan.batches WHERE tenant = $1 AND day = coalesce(b.day, $3)) AS d`

// Recall is as production.Recaller has it.
func (s *Store) Recall(t tenant.ID, w production.Want) (production.Loaded, bool) {
	return s.memory.Recall(t, w)
}

// Load is as production.Changes has it: one statement.
func (s *Store) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	wanted := func(id string) any {
		if id == "" {
			return nil
		}
		return key(id)
	}
	bytesOf := func(id string) any {
		if id == "" {
			return nil
		}
		return []byte(id)
	}
	day := wanted(string(w.Day))
	if w.Production != "" {
		day = nil
	}
	var l production.Loaded
	stamp, count := s.memory.Chain(t)
	err := s.call(ctx, "load of "+string(t), func(ctx context.Context, c *conn) error {
		var r loadRow
		statement := loadingShort
		args := []any{t, wanted(w.Production), day, bytesOf(w.Key)}
		into := []any{
			&r.kitchen, &r.settled, &r.kitchenRevision, &r.kitchenLook, &r.kitchenAlerts,
			&r.batch, &r.facts, &r.batchRevision, &r.batchLook, &r.batchAlerts,
			&r.day.Portions, &r.day.LastNumber, &r.fingerprint, &r.at, &r.result,
		}
		if w.Menu != "" || w.Programme != "" || len(w.People) > 0 || w.Alert != "" || w.Reading != "" || w.Observed != "" {
			statement = loading
			args = append(args, wanted(w.Menu), wanted(w.Programme), words(w.People),
				wanted(w.Alert), wanted(w.Reading), bytesOf(w.Observed))
			into = append(into, &r.menu, &r.programme, &r.people, &r.pins, &r.alert, &r.reading, &r.observed)
		}
		err := c.QueryRow(ctx, statement, args...).Scan(into...)
		if err != nil {
			return err
		}
		l, err = r.loaded(t, w)
		return err
	})
	if err != nil {
		return production.Loaded{}, err
	}
	if w.Production != "" {
		s.memory.Learn(t, stamp, count, &l)
	}
	return l, nil
}

// loadRow is the row of loading.
type loadRow struct {
	kitchen, settled []byte
	batch, facts     []byte

	kitchenRevision, kitchenLook, batchRevision, batchLook *int64

	kitchenAlerts, batchAlerts []string

	day                 production.DayLoad
	fingerprint, result []byte
	at                  *int64
	menu, programme     []byte
	people, pins        []string
	alert, reading      []byte
	observed            bool
}

func (r *loadRow) loaded(t tenant.ID, w production.Want) (l production.Loaded, err error) {
	l.Kitchen.Kitchen.ID = t // also of one that was never set
	if r.kitchenRevision != nil {
		l.Kitchen.Revision, l.Kitchen.NextLook = *r.kitchenRevision, production.Instant(*r.kitchenLook)
		err = cmp.Or(decode(r.kitchen, &l.Kitchen.Kitchen), decode(r.settled, &l.Kitchen.Settled))
	}
	l.Kitchen.Alerts = decodeAll[production.Alert](r.kitchenAlerts, &err)
	if w.Production != "" {
		if r.batchRevision == nil {
			return l, fmt.Errorf("production %.100q: %w", w.Production, production.ErrNotFound)
		}
		l.Batch.Revision, l.Batch.NextLook = *r.batchRevision, production.Instant(*r.batchLook)
		err = cmp.Or(err, decode(r.batch, &l.Batch.Production), decode(r.facts, &l.Batch.Facts))
		l.Batch.Alerts = decodeAll[production.Alert](r.batchAlerts, &err)
	}
	l.Day, l.Observed = r.day, r.observed
	if r.at != nil {
		l.Remembered = &production.Remembered{Key: w.Key, At: production.Instant(*r.at), Result: r.result}
		copy(l.Remembered.Fingerprint[:], r.fingerprint)
	}
	l.Menu, l.Programme = decodeOne[production.Menu](r.menu, &err), decodeOne[production.Programme](r.programme, &err)
	l.Alert, l.Reading = decodeOne[production.Alert](r.alert, &err), decodeOne[production.Reading](r.reading, &err)
	for i, p := range decodeAll[production.Person](r.people, &err) {
		if l.People == nil {
			l.People = make(map[string]production.Person, len(r.people))
		}
		p.PIN = production.PINHash(r.pins[i])
		l.People[p.ID] = p
	}
	return l, err
}

// decodeOne returns nil for a record that is not there. It keeps the first error.
func decodeOne[T any](doc []byte, failed *error) *T { //nolint:gocritic // the error is what it fills in
	if doc == nil {
		return nil
	}
	v := new(T)
	*failed = cmp.Or(*failed, decode(doc, v))
	return v
}

func decodeAll[T any](docs []string, failed *error) (list []T) { //nolint:gocritic // as above
	for _, doc := range docs {
		list = append(list, *decodeOne[T]([]byte(doc), failed))
	}
	return list
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

const dayLoad = `coalesce(sum(portions) FILTER (WHERE status <> 'CANCELLED' AND deleted_at = 0), 0)::bigint,
	coalesce(max(number_of_day), 0)`

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
