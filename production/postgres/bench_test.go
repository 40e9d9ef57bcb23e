package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/production/postgres"
	"kentongan/production/relay"
	"kentongan/production/storetest"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

// BenchmarkCommit compares a commit of a changed batch with an event, an audit entry and a key with the least that could be
// durable: a row and a row of the outbox, inserted by one transaction in one round trip, which is more than anybody takes the trouble to
// write (BenchmarkChanges has what they write). Both run in turns, on the same server with the same number of clients. What it reports is
// the store's share of the bare commits a second, and both p99.
func BenchmarkCommit(b *testing.B) {
	server := testenv.StartPostgres(b)
	for _, clients := range []int{1, 8, 50} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { compareCommits(b, server.Database(b), clients, clients) })
	}
	b.Run("clients=50,kitchens=1", func(b *testing.B) { compareCommits(b, server.Database(b), 50, 1) })
}

func compareCommits(b *testing.B, db string, clients, kitchens int) {
	s, err := postgres.Open(b.Context(), postgres.Options{URL: db, MaxConns: 50})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	bare := newBare(b, db)
	batches := make([]production.Batch, clients)
	for i := range batches {
		c := plan(tenant.ID(fmt.Sprint("k", i%kitchens)), fmt.Sprint("b", i), i+1)
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		batches[i] = *c.Batch
	}
	ours := func(client int) error {
		c := next(batches[client])
		_, err := s.Commit(b.Context(), c)
		batches[client] = *c.Batch
		return err
	}
	theirs := func(int) error { return bare.insert(b.Context()) }
	var our, their timing
	const turns = 5
	n := max(b.N/turns/clients, 1)
	their.run(b, clients, n, theirs) // both have their connections and statements ready
	our.run(b, clients, n, ours)
	our, their = timing{}, timing{}
	b.ResetTimer()
	for range turns {
		their.run(b, clients, n, theirs)
		our.run(b, clients, n, ours)
	}
	b.ReportMetric(our.perSecond(), "commits/s")
	b.ReportMetric(their.perSecond(), "bare/s")
	b.ReportMetric(our.perSecond()/their.perSecond(), "×bare")
	b.ReportMetric(our.p99(), "p99-ms")
	b.ReportMetric(their.p99(), "bare-p99-ms")
	b.ReportMetric(0, "ns/op") // it would be of both
}

// BenchmarkChanges is storetest.BenchmarkChanges: what is around a commit, too, with events out. Bare is once what anybody would write
// with the driver, a transaction of two inserts (tx), and once the least there can be, all of it in one round trip (pipelined).
func BenchmarkChanges(b *testing.B) {
	server := testenv.StartPostgres(b)
	for _, clients := range []int{1, 8, 50} {
		for name, insert := range map[string]func(*bare, context.Context) error{"tx": (*bare).insertAsUsual, "pipelined": (*bare).insert} {
			b.Run(fmt.Sprintf("clients=%d/bare=%s", clients, name), func(b *testing.B) {
				db := server.Database(b)
				s, err := postgres.Open(b.Context(), postgres.Options{URL: db})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				defer relayed(b, s)()
				bare := newBare(b, db)
				storetest.BenchmarkChanges(b, s, clients, server.CPU, func(int) error { return insert(bare, b.Context()) })
			})
		}
	}
}

// relayed has what store commits published in memory, until stop.
func relayed(b *testing.B, store production.Outbox) (stop func()) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		b.Fatal(err)
	}
	broker, err := memory.New(memory.Options{Names: names})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- relay.New(store, intake.NewRelay(names, broker, 0), broker, relay.Options{}).Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// timing is how long operations took.
type timing struct {
	each []time.Duration
	all  time.Duration
}

func (m *timing) run(b *testing.B, clients, n int, f func(client int) error) {
	times := make([][]time.Duration, clients)
	begin := time.Now()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for range n {
				t := time.Now()
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
				times[i] = append(times[i], time.Since(t))
			}
		})
	}
	running.Wait()
	m.all += time.Since(begin)
	m.each = append(m.each, slices.Concat(times...)...)
}

func (m *timing) perSecond() float64 { return float64(len(m.each)) / m.all.Seconds() }

func (m *timing) p99() float64 {
	slices.Sort(m.each)
	return float64(m.each[(len(m.each)-1)*99/100].Microseconds()) / 1000
}

// bare inserts rows of the size of ours.
type bare struct {
	pool    *pgxpool.Pool
	doc     []byte
	payload []byte
}

func newBare(b *testing.B, db string) *bare {
	sql(b, db, "CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc json NOT NULL)",
		"CREATE TABLE bare_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL)")
	config, err := pgxpool.ParseConfig(db)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = 50
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	c := plan(kitchen, "b", 1)
	doc, err := rows.Encode(c.Batch.Production)
	if err != nil {
		b.Fatal(err)
	}
	return &bare{pool, doc, c.Events[0].Payload}
}

func (s *bare) insert(ctx context.Context) error {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue("INSERT INTO bare (doc) VALUES ($1)", s.doc)
	batch.Queue("INSERT INTO bare_outbox (payload) VALUES ($1)", s.payload)
	batch.Queue("COMMIT")
	return s.pool.SendBatch(ctx, batch).Close()
}

// insertAsUsual is insert as one writes it: four round trips.
func (s *bare) insertAsUsual(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO bare (doc) VALUES ($1)", s.doc); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO bare_outbox (payload) VALUES ($1)", s.payload)
		return err
	})
}

// BenchmarkDueBatches reads the batches that are due among 10,000 open ones.
func BenchmarkDueBatches(b *testing.B) {
	db := testenv.Postgres(b)
	s := open(b, db)
	defer s.Close()
	fill(b, db, 10_000, 1000) // ten to a kitchen
	sql(b, db, "UPDATE kentongan.batches SET next_look = 1 + hashtext(id) & 1048575", "VACUUM ANALYZE kentongan.batches")
	for _, limit := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("due=%d", limit), func(b *testing.B) {
			for b.Loop() {
				due, err := s.DueBatches(b.Context(), noon, limit)
				if err != nil || len(due) != limit {
					b.Fatalf("%d due, %v; want %d", len(due), err, limit)
				}
			}
		})
	}
	b.Run("due=none", func(b *testing.B) {
		for b.Loop() {
			if due, err := s.DueBatches(b.Context(), 0, 100); err != nil || len(due) > 0 {
				b.Fatalf("%d due, %v", len(due), err)
			}
		}
	})
}

// BenchmarkDay reads a kitchen's day, six batches, among 1,000,000 rows, in turns with the read of one row by its primary key.
func BenchmarkDay(b *testing.B) {
	db := testenv.Postgres(b)
	s := open(b, db)
	defer s.Close()
	fill(b, db, 1_000_000, 300)
	pool, err := pgxpool.New(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	day := production.BatchFilter{From: "2026-03-05", To: "2026-03-05"}
	var days, keys time.Duration
	n := 0
	for b.Loop() {
		k := tenant.ID(fmt.Sprintf("k%d", n%300))
		began := time.Now()
		list, err := s.Batches(b.Context(), k, day, nil, 100)
		if err != nil || len(list) != 6 {
			b.Fatalf("%d batches, %v", len(list), err)
		}
		between := time.Now()
		var doc []byte
		const one = "SELECT doc FROM kentongan.batches WHERE tenant = $1 AND id = $2"
		if err := pool.QueryRow(b.Context(), one, string(k), list[n%6].ID).Scan(&doc); err != nil {
			b.Fatal(err)
		}
		days, keys, n = days+between.Sub(began), keys+time.Since(between), n+1
	}
	b.ReportMetric(float64(days.Microseconds())/float64(n), "day-µs")
	b.ReportMetric(float64(keys.Microseconds())/float64(n), "key-µs")
	b.ReportMetric(float64(days)/float64(keys), "×one-key")
	b.ReportMetric(0, "ns/op") // it would be of both
}

// fill inserts n batches of kitchens kitchens, six a day and kitchen, as Commit would.
func fill(b *testing.B, db string, n, kitchens int) {
	doc, err := rows.Encode(plan(kitchen, "ID", 1).Batch.Production)
	if err != nil {
		b.Fatal(err)
	}
	sql(b, db, fmt.Sprintf(`INSERT INTO kentongan.batches (tenant, id, revision, day, planned_start, status, menu, number, number_of_day, portions,
			search, next_look, deleted_at, doc, facts)
		SELECT 'k' || k, id, 1, day, n, 'PLANNED', 'm', '', 0, 1500, 'nasi', 0, 0,
			replace(replace('%s', '"ID"', to_json(id)::text), '"%s"', to_json('k' || k)::text)::json, '{}'
		FROM (SELECT n, n %% %d AS k, 'b' || n AS id, to_char(date '2026-01-01' + n / %d / 6, 'YYYY-MM-DD') AS day FROM generate_series(0, %d) AS n) AS made`,
		doc, kitchen, kitchens, kitchens, n-1), "VACUUM ANALYZE kentongan.batches")
}
