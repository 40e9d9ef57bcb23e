package relay_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads what a store has written

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/production/relay"
	"kentongan/production/sqlite"
	"kentongan/production/storetest"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/redis"
	"kentongan/tenant"
)

// The steps between a request and its mark at which the process is killed.
var steps = []string{
	"before commit", "in commit", "after commit", "before claim", "after claim", "before publish", "after publish", "before mark", "after mark",
}

// Those of the direct way, which PostgreSQL has.
var directSteps = []string{
	"before commit", "in commit", "after commit", "after hand", "before publish", "after publish", "before done", "after done",
}

// dying is an outbox and a publisher that kill their process at the n-th time that it comes to a step. Nothing is cleaned up: that is
// what kill -9 is.
type dying struct {
	production.Outbox
	relay.Publisher
	step string

	mu   sync.Mutex
	left int
}

func (d *dying) at(step string) {
	if d.step != step {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal comes
	}
}

func (d *dying) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (production.Claim, error) {
	d.at("before claim")
	c, err := d.Outbox.Claim(ctx, owner, lease, limit)
	if err == nil {
		d.at("after claim")
	}
	return c, err //nolint:wrapcheck // it stands for the store
}

func (d *dying) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	d.at("before mark")
	err := d.Outbox.MarkSent(ctx, owner, t, seq, at)
	d.at("after mark")
	return err //nolint:wrapcheck // it stands for the store
}

func (d *dying) Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error) {
	d.at("before publish")
	p, err := d.Publisher.Publish(ctx, ch, data, key)
	d.at("after publish")
	return p, err //nolint:wrapcheck // it stands for the engine
}

// directly is a dying outbox with the direct way.
type directly struct {
	*dying
	store production.Direct
}

func (d directly) Direct(owner string, lease time.Duration) production.Way { //nolint:ireturn // as the interface has it
	return dyingWay{d.store.Direct(owner, lease), d.dying}
}

type dyingWay struct {
	production.Way
	*dying
}

func (w dyingWay) Next(ctx context.Context) (production.Handed, error) {
	h, err := w.Way.Next(ctx)
	if err != nil {
		return h, err //nolint:wrapcheck // it stands for the store
	}
	w.at("after hand")
	done := h.Done
	h.Done = func(seq int64, at []production.Sent) {
		w.at("before done")
		done(seq, at)
		w.at("after done")
	}
	return h, nil
}

// TestKilledAtEveryStep commits and relays in a process that is killed at every step, and started again at once: each event is in its
// channel once and in order, also while a second relay works on the same database.
func TestKilledAtEveryStep(t *testing.T) {
	if os.Getenv("RELAY_TEST_DATABASE") != "" {
		victim(t)
		return
	}
	t.Run("sqlite", func(t *testing.T) { killedAtEveryStep(t, filepath.Join(t.TempDir(), "k.db"), steps, "") })
	t.Run("postgres", func(t *testing.T) { killedAtEveryStep(t, testenv.Postgres(t), steps, "") })
	t.Run("postgres, direct", func(t *testing.T) { killedAtEveryStep(t, testenv.Postgres(t), directSteps, "yes") })
}

func killedAtEveryStep(t *testing.T, db string, steps []string, direct string) {
	const rounds = 2 // the first and a later time that a process comes to the step
	addr := testenv.Redis(t)
	log := filepath.Join(t.TempDir(), "acknowledged")
	for round := range rounds {
		for _, step := range steps {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAtEveryStep$", "-test.v")
			cmd.Env = append(os.Environ(), "RELAY_TEST_DATABASE="+db, "RELAY_TEST_REDIS="+addr, "RELAY_TEST_LOG="+log, "RELAY_TEST_STEP="+step,
				"RELAY_TEST_DIRECT="+direct,
				fmt.Sprint("RELAY_TEST_TIMES=", 1+3*round))
			out, err := cmd.CombinedOutput()
			if state := cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || !state.Signaled() || state.Signal() != syscall.SIGKILL {
				t.Fatalf("the process was not killed %s: %v\n%s", step, err, out)
			}
		}
	}
	store, broker := openReal(t, db, addr)
	stop := run(t, relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{}))
	drained(t, store)
	stop()
	for _, id := range []tenant.ID{"k1", "k2"} {
		got, _ := held(t, broker, realtime.Channel{Tenant: id, Name: production.UpdatesChannel})
		want := stored(t, db, id)
		if len(want) < len(steps) || !slices.Equal(got, want) {
			t.Errorf("the channel of %s has %d events, want the %d that were committed:\n%s\n%s", id, len(got), len(want),
				strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, payload := range committed(t, log, id) {
			if !slices.Contains(want, payload) {
				t.Errorf("an acknowledged event of %s is not in the database: %s", id, payload)
			}
		}
	}
}

// isPostgres tells URLs of PostgreSQL from paths of SQLite.
func isPostgres(db string) bool { return strings.HasPrefix(db, "postgres://") }

func openReal(t *testing.T, db, addr string) (storetest.Store, *redis.Broker) {
	t.Helper()
	var store storetest.Store
	var err error
	if isPostgres(db) {
		store, err = postgres.Open(t.Context(), postgres.Options{URL: db})
	} else {
		store, err = sqlite.Open(t.Context(), sqlite.Options{Path: db})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keep := realtime.Retention{Size: 100_000, Age: time.Hour}
	all, err := realtime.NewNames([]realtime.Pattern{{Spelling: production.UpdatesChannel + ":{tenant}", Retention: keep}})
	if err != nil {
		t.Fatal(err)
	}
	broker, err := redis.New(redis.Options{Address: addr, Names: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return store, broker
}

// victim commits events of two kitchens, and relays, until it is killed. What Commit has answered it writes down beside the database.
func victim(t *testing.T) {
	store, broker := openReal(t, os.Getenv("RELAY_TEST_DATABASE"), os.Getenv("RELAY_TEST_REDIS"))
	times, err := strconv.Atoi(os.Getenv("RELAY_TEST_TIMES"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(os.Getenv("RELAY_TEST_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	door := intake.NewRelay(names(t), broker, 0)
	d := &dying{Outbox: store, Publisher: door, step: os.Getenv("RELAY_TEST_STEP"), left: times}
	go func() { // it dies with the process
		for n := 0; ; n++ {
			for _, id := range []tenant.ID{"k1", "k2"} {
				e := event(id, n+1, production.UpdatesChannel)
				e.ID = fmt.Sprintf("%d.%d", os.Getpid(), n)
				e.Payload = fmt.Appendf(nil, `{"pid":%d,"n":%d,"t":%d}`, os.Getpid(), n, time.Now().UnixNano())
				d.at("before commit")
				if d.step == "in commit" { // at any moment of it
					time.AfterFunc(time.Duration(rand.Int64N(int64(2*time.Millisecond))), func() { d.at("in commit") })
				}
				_, err := store.Commit(context.Background(), production.Commit{Tenant: id, Events: []production.Event{e}})
				d.at("after commit")
				if err == nil {
					_, _ = fmt.Fprintf(log, "%s %s\n", id, e.Payload) // a line that is missing is one check less
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	// A short lease, so that what the dead have leased is free again soon. A second relay takes what it can get meanwhile.
	opts := relay.Options{Workers: 1, Batch: 2, Lease: 300 * time.Millisecond, PollEvery: 20 * time.Millisecond}
	usual := struct{ production.Outbox }{store}                                       // without the direct way
	go func() { _ = relay.New(usual, slowly{door}, broker, opts).Run(t.Context()) }() // it dies with the process
	var outbox production.Outbox = d
	if way, ok := store.(production.Direct); ok && os.Getenv("RELAY_TEST_DIRECT") != "" {
		outbox = directly{d, way}
	}
	_ = relay.New(outbox, d, broker, opts).Run(t.Context())
}

// slowly leaves something to the other one.
type slowly struct{ relay.Publisher }

func (s slowly) Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error) {
	time.Sleep(50 * time.Millisecond)
	return s.Publisher.Publish(ctx, ch, data, key) //nolint:wrapcheck // it stands for the engine
}

// stored is what the database has, in the order of one kitchen.
func stored(t *testing.T, at string, id tenant.ID) (payloads []string) {
	t.Helper()
	driver, query := "sqlite", "SELECT payload FROM events WHERE tenant = $1 ORDER BY seq"
	if isPostgres(at) {
		driver, query = "pgx", "SELECT payload FROM kentongan.events WHERE tenant = $1 ORDER BY seq"
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), query, string(id))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var payload []byte
		if err := rows.Scan(&payload); err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, string(payload))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return payloads
}

// committed is what the victims have written down of one kitchen.
func committed(t *testing.T, log string, id tenant.ID) (payloads []string) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if of, payload, _ := strings.Cut(lines.Text(), " "); of == string(id) {
			payloads = append(payloads, payload)
		}
	}
	return payloads
}
