package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/internal/rows"
	"kentongan/production/relay"
	"kentongan/production/sqlite"
	"kentongan/production/storetest"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

// BenchmarkCommit compares commits of a batch with one event and one audit entry with the least that anybody could do with the
// same driver and the same durability: a transaction that inserts the row and an outbox row. One commit in twelve plans a batch, the others
// change it. Both take turns in one run, each on a file of its own, with the same number of clients. The figure to look at is "×bare".
func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 8, 50} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			bare := newBare(b)
			store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "store.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			var n atomic.Int64
			open := make(chan production.Commit, clients) // batches that are under way, at their newest
			commit := func() error {
				var c production.Commit
				select {
				case c = <-open:
				default:
					c = newCommit(int(n.Add(1)))
				}
				if _, err := store.Commit(b.Context(), c); err != nil {
					return err
				}
				if c.Base < 11 {
					open <- changed(c)
				}
				return nil
			}
			var bares, stores, ratios []float64
			var waits []time.Duration
			for range 5 {
				x, _ := rate(b, clients, func() error { return bare.insert(int(n.Add(1))) })
				y, took := rate(b, clients, commit)
				bares, stores, ratios, waits = append(bares, x), append(stores, y), append(ratios, y/x), append(waits, took...)
			}
			slices.Sort(waits)
			b.ReportMetric(median(bares), "bare/s")
			b.ReportMetric(median(stores), "commits/s")
			b.ReportMetric(median(ratios), "×bare")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkChanges is storetest.BenchmarkChanges: what is around a commit, too, with events out.
func BenchmarkChanges(b *testing.B) {
	for _, clients := range []int{1, 8, 50} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "store.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			defer relayed(b, store)()
			bare := newBare(b)
			var n atomic.Int64
			storetest.BenchmarkChanges(b, store, clients, nil, func(int) error { return bare.insert(int(n.Add(1))) })
		})
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

// rate returns how often f runs in a second with so many clients, and how long each run took.
func rate(b *testing.B, clients int, f func() error) (perSecond float64, took []time.Duration) {
	b.Helper()
	const turn = time.Second
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for range clients {
		all.Go(func() {
			var mine []time.Duration
			for time.Since(begin) < turn {
				start := time.Now()
				if err := f(); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	all.Wait()
	return float64(len(took)) / time.Since(begin).Seconds(), took
}

func median(list []float64) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

// bare is what anybody would write first.
type bare struct {
	db       *sql.DB
	row, out *sql.Stmt
	doc      string
	payload  []byte
}

func newBare(b *testing.B) *bare {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1) // without this, 50 clients get SQLITE_BUSY
	if _, err := db.Exec("CREATE TABLE row (id TEXT PRIMARY KEY, doc TEXT); CREATE TABLE outbox (n INTEGER PRIMARY KEY, payload BLOB)"); err != nil {
		b.Fatal(err)
	}
	c := newCommit(1)
	doc, err := rows.Encode(&c.Batch.Production)
	if err != nil {
		b.Fatal(err)
	}
	s := &bare{db: db, doc: string(doc), payload: c.Events[0].Payload}
	if s.row, err = db.Prepare("INSERT INTO row VALUES (?, ?)"); err != nil {
		b.Fatal(err)
	}
	if s.out, err = db.Prepare("INSERT INTO outbox (payload) VALUES (?)"); err != nil {
		b.Fatal(err)
	}
	return s
}

func (s *bare) insert(n int) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Stmt(s.row).Exec(fmt.Sprintf("%036d", n), s.doc); err != nil {
		return err
	}
	if _, err := tx.Stmt(s.out).Exec(s.payload); err != nil {
		return err
	}
	return tx.Commit()
}

// changed returns the commit that follows c.
func changed(c production.Commit) production.Commit {
	next := *c.Batch
	next.Revision++
	next.Production.Version++
	next.Production.Progress = int(next.Revision)
	event, entry := c.Events[0], c.Audit[0]
	event.Version, entry.Version, entry.Action = next.Revision, next.Revision, "work"
	return production.Commit{
		Tenant: c.Tenant, Batch: &next, Base: c.Batch.Revision, Events: []production.Event{event}, Audit: []production.AuditEntry{entry},
	}
}

// newCommit plans batch n, of one of a hundred kitchens, and of the size that they have.
func newCommit(n int) production.Commit {
	k, id := tenant.ID(fmt.Sprintf("clx0k1tchen%014d", n%100)), fmt.Sprintf("%036d", n)
	at := production.Instant(1_795_669_200_123) + production.Instant(n)
	day := production.DayOf(at.Add(time.Duration(n/600)*24*time.Hour), production.WIB) // six a day
	p := production.Production{
		ID: id, Tenant: k, ProgrammeID: "clx0programme0000000000001", MenuID: "clx0menu00000000000000001", MenuName: "Nasi Ayam Bakar", Source: production.OwnRecord,
		BatchNumber: fmt.Sprintf("BATCH-%s-%04d", day, n), Day: day, PlannedPortions: 1000, Status: production.Planned, StatusSince: at, Wave: 1,
		ControlMode: production.ControlTime, Dishes: []production.Dish{{Name: "Nasi"}, {Name: "Ayam"}, {Name: "Tumis buncis"}, {Name: "Pisang", Cold: true}},
		PlannedStart: at, PlannedEnd: at.Add(4 * time.Hour), TargetTemperature: 750, HeadCook: "clx0cook00000000000000001", Version: 1, CreatedAt: at,
		CreatedBy: "clx0user00000000000000001", UpdatedAt: at,
	}
	payload, err := rows.Encode(&p)
	if err != nil {
		panic(err)
	}
	return production.Commit{
		Tenant: k, Batch: &production.Batch{Production: p, Revision: 1, NextLook: at.Add(time.Hour)},
		Events: []production.Event{{ID: id + ".1.0", Tenant: k, Channel: production.UpdatesChannel, ProductionID: id, Version: 1, At: at, Payload: payload, Money: true}},
		Audit:  []production.AuditEntry{{Tenant: k, At: at, User: "clx0user00000000000000001", Role: production.Head, Action: "create", ProductionID: id, Version: 1, Detail: payload[:300]}},
	}
}

// BenchmarkDue asks what is due of 10,000 open batches: nothing, a hundred, and all.
func BenchmarkDue(b *testing.B) {
	const open = 10_000
	store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "k.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	var n atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for i := int(n.Add(1)); i <= open; i = int(n.Add(1)) {
				if _, err := store.Commit(b.Context(), newCommit(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	first, last := newCommit(1).Batch.NextLook, newCommit(open).Batch.NextLook
	for name, c := range map[string]struct {
		now         production.Instant
		limit, want int
	}{"none": {first - 1, 100, 0}, "hundred": {last, 100, 100}, "all": {last, open, open}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if due, err := store.DueBatches(b.Context(), c.now, c.limit); err != nil || len(due) != c.want {
					b.Fatalf("%d are due, %v; want %d", len(due), err, c.want)
				}
			}
		})
	}
}

// BenchmarkDay reads what a kitchen has on one day, six batches out of a million. For comparison it reads one of them by Batch, and with
// bare SQL the same six by their keys, and one of them.
func BenchmarkDay(b *testing.B) {
	const batches = 1_000_000
	path := filepath.Join(b.TempDir(), "k.db")
	store, err := sqlite.Open(b.Context(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	fill(b, path, batches)
	var n int
	place := func() (tenant.ID, production.Day, []string) { // of six batches that are of one kitchen and day
		n = (n + 7919*600) % (batches - 600)
		c := newCommit(n - n%600 + n%100 + 600)
		var ids []string
		for i := range 6 {
			ids = append(ids, newCommit(n-n%600+n%100+i*100).Batch.Production.ID)
		}
		return c.Tenant, newCommit(n - n%600 + n%100).Batch.Production.Day, ids
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	byKey, err := db.Prepare("SELECT doc FROM productions WHERE tenant = ? AND id = ?")
	if err != nil {
		b.Fatal(err)
	}
	var six, one, day, batch time.Duration
	for b.Loop() {
		t, d, ids := place()
		begin := time.Now()
		for i, id := range ids {
			var doc sql.RawBytes
			rows6, err := byKey.Query(string(t), id)
			if err != nil || !rows6.Next() || rows6.Scan(&doc) != nil {
				b.Fatalf("no batch %s: %v", id, err)
			}
			var p production.Production
			if err := rows.Decode(doc, &p); err != nil {
				b.Fatal(err)
			}
			rows6.Close()
			if i == 0 {
				one += time.Since(begin)
			}
		}
		six += time.Since(begin)
		begin = time.Now()
		list, err := store.Batches(b.Context(), t, production.BatchFilter{From: d, To: d}, nil, 100)
		day += time.Since(begin)
		if err != nil || len(list) != 6 {
			b.Fatalf("%d batches of %s on %s, %v; want 6", len(list), t, d, err)
		}
		begin = time.Now()
		if _, err := store.Batch(b.Context(), t, ids[0]); err != nil {
			b.Fatal(err)
		}
		batch += time.Since(begin)
	}
	b.ReportMetric(float64(day.Microseconds())/float64(b.N), "day-µs")
	b.ReportMetric(float64(one.Microseconds())/float64(b.N), "key-µs")
	b.ReportMetric(float64(day)/float64(batch), "×Batch")
	b.ReportMetric(float64(day)/float64(six), "×six-keys")
	b.ReportMetric(float64(day)/float64(one), "×one-key")
	b.ReportMetric(0, "ns/op")
}

// fill writes n batches at once, as commits would have written them.
func fill(b *testing.B, path string, n int) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for i := 0; i < n; {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		insert, err := tx.Prepare(`INSERT INTO productions (tenant, id, revision, day, planned_start, status, open, deleted, next_look, menu, portions, batch_number, number,
			search, doc, facts) VALUES (?, ?, 1, ?, ?, 'COMPLETED', 0, 0, 0, ?, ?, ?, 0, '', ?, '{}')`)
		if err != nil {
			b.Fatal(err)
		}
		for end := min(i+50_000, n); i < end; i++ {
			c := newCommit(i)
			p := &c.Batch.Production
			if _, err := insert.Exec(string(p.Tenant), p.ID, string(p.Day), int64(p.PlannedStart), p.MenuID, p.PlannedPortions, p.BatchNumber, string(c.Events[0].Payload)); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
