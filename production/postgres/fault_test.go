package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/tenant"
)

// patience is how long a test waits for what must come. Only a store that hangs uses it up.
const patience = 30 * time.Second

// TestFaults breaks what a store depends on: the server, the line, other clients of the database.
func TestFaults(t *testing.T) {
	server := testenv.StartPostgres(t, "deadlock_timeout=500ms")
	for _, c := range []struct {
		name string
		test func(*testing.T, *testenv.PostgresServer)
	}{
		{"KilledServer", killedServer},
		{"CutCommit", cutCommit},
		{"PausedServer", pausedServer},
		{"EndedConnections", endedConnections},
		{"Standby", standby},
		{"Deadlock", deadlock},
		{"LockedForTooLong", lockedForTooLong},
		{"WakeAfterARestart", wakeAfterARestart},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, server) })
	}
}

// writer changes one batch again and again. What it does not know about a commit it finds out by the same commit.
type writer struct {
	batch   production.Batch // the newest that is known to be stored
	stored  bool
	unknown int // commits whose outcome it had to find out
	found   int // of these, how many were stored
	done    *atomic.Int64
}

// write makes n commits, or goes on until ctx ends. The store may be unavailable in between.
func (w *writer) write(ctx context.Context, s *postgres.Store, first production.Commit) error {
	for ctx.Err() == nil {
		c := first
		if w.stored {
			c = next(w.batch)
		}
		asked := false // the store did not say what became of c
		for {
			_, err := s.Commit(context.Background(), c)
			if err == nil {
				break
			}
			if errors.Is(err, production.ErrConflict) && asked {
				w.found++
				break
			}
			if !errors.Is(err, production.ErrUnavailable) {
				return fmt.Errorf("batch %s, revision %d: %w", c.Batch.Production.ID, c.Batch.Revision, err)
			}
			if !asked {
				w.unknown++
			}
			asked = true
		}
		w.batch, w.stored = *c.Batch, true
		w.done.Add(1)
	}
	return nil
}

// killedServer kills the server while many write, and starts it again. Each writer gets to know what became of each of its
// commits, and in the end everything is there once and whole: row, event and audit entry.
func killedServer(t *testing.T, server *testenv.PostgresServer) {
	const kitchens, each, rounds = 4, 3, 4
	db := server.Database(t)
	s := open(t, db)
	defer s.Close()
	other := open(t, db)
	defer other.Close()

	ctx, stop := context.WithCancel(t.Context())
	writers := make([]writer, kitchens*each)
	var writing sync.WaitGroup
	var done atomic.Int64
	for i := range writers {
		writers[i].done = &done
		writing.Go(func() {
			first := plan(tenant.ID(fmt.Sprint("k", i%kitchens)), fmt.Sprint("b", i), i+1)
			if err := writers[i].write(ctx, s, first); err != nil {
				t.Error(err)
				stop()
			}
		})
	}
	for range rounds {
		for enough := done.Load() + 20 + rand.Int64N(200); done.Load() < enough && ctx.Err() == nil; {
			time.Sleep(time.Duration(rand.Int64N(2_000_000))) // at any moment of a commit
		}
		server.Restart()
	}
	stop()
	writing.Wait()
	server.Restart() // what was acknowledged after the last kill, too

	total, unknown, found := int64(0), 0, 0
	revisions := map[tenant.ID]int64{}
	for i := range writers {
		w := &writers[i]
		p := &w.batch.Production
		got, err := other.Batch(t.Context(), p.Tenant, p.ID)
		if err != nil || got.Revision != w.batch.Revision || got.Production.Version != p.Version {
			t.Errorf("batch %s has revision %d, %v; %d was acknowledged", p.ID, got.Revision, err, w.batch.Revision)
		}
		revisions[p.Tenant] += w.batch.Revision
		total, unknown, found = total+w.batch.Revision, unknown+w.unknown, found+w.found
	}
	for k, commits := range revisions {
		wholeTrail(t, other, k, commits)
	}
	wholeOutbox(t, other, revisions)
	t.Logf("%d commits over %d kills; the outcome of %d was unknown at first, %d of these were stored", total, rounds+1, unknown, found)
	if unknown == 0 {
		t.Error("no kill met a commit")
	}
}

// wholeTrail checks that k has as many audit entries as there were commits, in one chain.
func wholeTrail(t *testing.T, s *postgres.Store, k tenant.ID, commits int64) {
	t.Helper()
	n, _, err := production.VerifyAudit(s.Audit(t.Context(), k, 1))
	if err != nil || n != commits {
		t.Errorf("%s has %d audit entries, %v; want %d", k, n, err, commits)
	}
}

// wholeOutbox takes everything out of the outbox and checks that each commit has its event, once, and that there is no hole.
func wholeOutbox(t *testing.T, s *postgres.Store, commits map[tenant.ID]int64) {
	t.Helper()
	newest, seen := map[tenant.ID]int64{}, map[string]bool{}
	for {
		c, err := s.Claim(t.Context(), "relay", patience, 100)
		if errors.Is(err, production.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			if e.Seq != newest[c.Tenant]+1 || seen[string(c.Tenant)+e.ID] {
				t.Fatalf("event %s of %s has number %d after %d; seen before: %v", e.ID, c.Tenant, e.Seq, newest[c.Tenant], seen[string(c.Tenant)+e.ID])
			}
			newest[c.Tenant], seen[string(c.Tenant)+e.ID] = e.Seq, true
		}
		if err := s.MarkSent(t.Context(), "relay", c.Tenant, newest[c.Tenant], nil); err != nil {
			t.Fatal(err)
		}
	}
	for k, n := range commits {
		if newest[k] != n {
			t.Errorf("%s has %d events, want %d", k, newest[k], n)
		}
	}
}

// cutCommit cuts the line after each stretch of bytes of a commit, on its way there and on its way back. Whatever the
// caller was told, the same commit again tells what became of it, and it is stored once.
func cutCommit(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	direct := open(t, db)
	defer direct.Close()
	line := newLine(t, server.Addr)
	s := open(t, line.url(t, db))
	defer s.Close()

	if _, err := s.Commit(t.Context(), plan(kitchen, "b", 1)); err != nil {
		t.Fatal(err)
	}
	b, err := direct.Batch(t.Context(), kitchen, "b")
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	commit := func(way direction, after int64) {
		c := next(b)
		line.cutAfter(way, after)
		_, err := s.Commit(t.Context(), c)
		reached := line.heal()
		switch {
		case err == nil && !reached:
			outcomes["not cut"]++
		case err == nil:
			outcomes["cut, and done in another attempt"]++
		case !errors.Is(err, production.ErrUnavailable):
			t.Fatalf("cut %v after %d bytes: %v, want ErrUnavailable", way, after, err)
		default:
			_, err = direct.Commit(t.Context(), c)
			switch {
			case err == nil:
				outcomes["cut, and not stored"]++
			case errors.Is(err, production.ErrConflict):
				outcomes["cut, and stored"]++
			default:
				t.Fatal(err)
			}
		}
		if b, err = direct.Batch(t.Context(), kitchen, "b"); err != nil || b.Revision != c.Batch.Revision {
			t.Fatalf("cut %v after %d bytes: revision %d, %v; want %d", way, after, b.Revision, err, c.Batch.Revision)
		}
	}
	for after := int64(0); after < 5000; after += 61 {
		commit(toServer, after)
	}
	for after := int64(0); after < 800; after += 11 { // answers are shorter
		commit(toClient, after)
	}
	for _, outcome := range []string{"not cut", "cut, and done in another attempt", "cut, and not stored", "cut, and stored"} {
		if outcomes[outcome] == 0 {
			t.Errorf("no commit was %s: %v", outcome, outcomes)
		}
	}
	t.Log(outcomes)
	wholeTrail(t, direct, kitchen, b.Revision)
	wholeOutbox(t, direct, map[tenant.ID]int64{kitchen: b.Revision})
}

// impatient returns a store that gives up after a moment, with one batch in it. What comes before is given its time: a busy machine does not
// make tables and the first commit within that moment.
func impatient(t *testing.T, db string, conns int) (*postgres.Store, production.Commit) {
	t.Helper()
	first := open(t, db)
	defer first.Close()
	c := plan(kitchen, "b", 1)
	if _, err := first.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var s *postgres.Store
	eventually(t, "a store", func() (err error) {
		s, err = postgres.Open(t.Context(), postgres.Options{URL: db, Timeout: 300 * time.Millisecond, MaxConns: conns})
		return err
	})
	return s, c
}

// pausedServer has a server that answers nothing: calls end, and go on when it answers again.
func pausedServer(t *testing.T, server *testenv.PostgresServer) {
	s, c := impatient(t, server.Database(t), 4)
	defer s.Close()
	server.Pause()
	var all sync.WaitGroup
	for range 20 { // more than there are connections
		all.Go(func() {
			if _, err := s.Load(t.Context(), kitchen, production.Want{}); !errors.Is(err, production.ErrUnavailable) {
				t.Errorf("load: got %v, want ErrUnavailable", err)
			}
			if _, err := s.Commit(t.Context(), next(*c.Batch)); !errors.Is(err, production.ErrUnavailable) {
				t.Errorf("commit: got %v, want ErrUnavailable", err)
			}
		})
	}
	all.Wait()
	server.Resume()
	eventually(t, "a commit after the pause", func() error {
		b, err := s.Batch(t.Context(), kitchen, "b")
		if err == nil {
			_, err = s.Commit(t.Context(), next(b))
		}
		return err
	})
}

// eventually tries f until it succeeds. Only ErrUnavailable may come before.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := f()
		switch {
		case err == nil:
			return
		case !errors.Is(err, production.ErrUnavailable) && !errors.Is(err, production.ErrConflict) || time.Since(begin) > patience:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// endedConnections has a server that ends all connections, as an administrator or a pooler does: nobody notices. They have ended when the
// statement returns, within 30 s: one that is still there might be ended in the midst of a commit, which is another matter.
func endedConnections(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	s := open(t, db)
	defer s.Close()
	c := plan(kitchen, "b", 1)
	for range 5 {
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatalf("revision %d: %v", c.Batch.Revision, err)
		}
		c = next(*c.Batch)
		sql(t, db, "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kentongan' AND query NOT LIKE 'LISTEN%'")
		if _, err := s.Batch(t.Context(), kitchen, "b"); err != nil {
			t.Fatalf("revision %d: %v", c.Base, err)
		}
		sql(t, db, "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kentongan'")
	}
}

// standby has a server that takes no writes any more, as one that was primary before a failover.
func standby(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	s := open(t, db)
	defer s.Close()
	c := plan(kitchen, "b", 1)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c = next(*c.Batch)
	setting := "ALTER DATABASE " + sql(t, db, "SELECT current_database()") + " SET default_transaction_read_only = "
	server.Exec(setting + "on")
	sql(t, db, "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kentongan'")
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, production.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if _, err := s.Batch(t.Context(), kitchen, "b"); err != nil {
		t.Fatalf("reading: %v", err)
	}
	server.Exec(setting + "off") // only new connections see it, as only they find the new primary
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// deadlock has somebody with psql who locks in another order. The commit is what the server ends, and it is made again.
func deadlock(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	s := open(t, db+"&deadlock_timeout=3s") // the server looks for one so long after somebody began to wait, once
	defer s.Close()
	c := plan(kitchen, "b", 1)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	other := session(t, db)
	other.exec("SET deadlock_timeout = '1min'; BEGIN; SELECT FROM kentongan.batches FOR UPDATE")
	done := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), next(*c.Batch))
		done <- err
	}()
	// Longer than a lane waits: the commit goes alone by now.
	waitFor(t, db, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
		AND clock_timestamp() - query_start > interval '150 ms'`)
	other.exec("SELECT FROM kentongan.heads FOR UPDATE; COMMIT") // it gets what the commit has only when that is taken back
	if err := <-done; err != nil {
		t.Fatalf("the commit that met a deadlock: %v", err)
	}
	wholeTrail(t, s, kitchen, 2)
}

// lockedForTooLong has somebody with psql who went to lunch.
func lockedForTooLong(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	s, c := impatient(t, db, 0)
	defer s.Close()
	other := session(t, db)
	other.exec("BEGIN; SELECT FROM kentongan.heads FOR UPDATE")
	if _, err := s.Commit(t.Context(), next(*c.Batch)); !errors.Is(err, production.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	eventually(t, "a reader, who need not wait", func() error {
		_, err := s.Snapshot(t.Context(), kitchen, "")
		return err
	})
	other.exec("COMMIT")
	eventually(t, "a commit after lunch", func() error {
		_, err := s.Commit(t.Context(), next(*c.Batch))
		return err
	})
}

// wakeAfterARestart has a node that listens to a server that is killed: it listens to the next one.
func wakeAfterARestart(t *testing.T, server *testenv.PostgresServer) {
	db := server.Database(t)
	writer, listener := open(t, db), open(t, db)
	defer writer.Close()
	defer listener.Close()
	server.Restart()
	c := plan(kitchen, "b", 1)
	var woken atomic.Int32
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for range 3 { // one for each time that it begins to listen, and then somebody tells
			select {
			case <-listener.Wake():
				woken.Add(1)
			case <-time.After(patience):
				return
			}
		}
	}()
	for {
		eventually(t, "a commit", func() error {
			_, err := writer.Commit(t.Context(), c)
			return err
		})
		c = next(*c.Batch)
		select {
		case <-heard:
			if woken.Load() < 3 {
				t.Errorf("woken %d times, want 3", woken.Load())
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
