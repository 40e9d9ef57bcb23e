package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/sqlite"
	"kentongan/tenant"
)

// faults is how many faults of each sort a test makes; KENTONGAN_FAULTS=N asks for more than fits into every run.
func faults(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("KENTONGAN_FAULTS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("KENTONGAN_FAULTS=%q: want a number of faults", text)
	}
	return n
}

// acknowledged is the revision to which commits of each batch were answered with success.
type acknowledged map[string]int64

// work has clients commit until one of their commits fails or ctx ends. Each has batches of its own, which it takes to revision 12. A commit has a
// row, an event, an audit entry and a reading. first tells runs on one file apart.
func work(ctx context.Context, s *sqlite.Store, first, clients int, ack func(id string, revision int64)) error {
	var all sync.WaitGroup
	failed := make([]error, clients)
	for i := range clients {
		all.Go(func() {
			for n := 0; ctx.Err() == nil && failed[i] == nil; n++ {
				c := newCommit(first + i + n*clients)
				c.Batch.Production.BatchNumber = ""
				for revision := int64(1); revision <= 12 && ctx.Err() == nil; revision++ {
					p := &c.Batch.Production
					c.Base, c.Batch.Revision, p.Version, p.Progress = revision-1, revision, revision, int(revision)
					c.Events[0].Version, c.Audit[0].Version = revision, revision
					c.Readings = []production.Reading{{ID: fmt.Sprint(revision), ProductionID: p.ID, Kind: production.Core, Celsius: 755}}
					if _, failed[i] = s.Commit(ctx, c); failed[i] != nil {
						return
					}
					ack(p.ID, revision)
				}
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// verify opens the file as it was left, and checks that every acknowledged commit is in it, and every commit wholly or not at all.
func verify(t *testing.T, path string, acked acknowledged) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatalf("reopen: %v", err)
	}
	defer s.Close()
	for after := tenant.ID(""); ; {
		list, err := s.Kitchens(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, k := range list {
			if _, _, err := production.VerifyAudit(s.Audit(t.Context(), k.ID, 1)); err != nil {
				t.Errorf("%s: %v", k.ID, err)
			}
			after = k.ID
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(query string, f func(scan func(...any) error) error) {
		t.Helper()
		r, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for r.Next() {
			if err := f(r.Scan); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
	}
	ask("PRAGMA integrity_check", func(scan func(...any) error) error {
		var said string
		err := scan(&said)
		if said != "ok" {
			t.Errorf("integrity: %s", said)
		}
		return err
	})
	ask("PRAGMA foreign_key_check", func(func(...any) error) error { return errors.New("an entry without its batch") })
	stored := acknowledged{}
	ask(`SELECT id, revision, json_extract(doc, '$.progress'),
			(SELECT count(*) FROM entries WHERE entries.production = p.n), (SELECT count(*) FROM events e WHERE e.tenant = p.tenant AND e.production = p.id),
			(SELECT count(*) FROM audit a WHERE a.tenant = p.tenant AND a.production = p.id) FROM productions p`, func(scan func(...any) error) error {
		var id string
		var revision, progress, entries, events, audit int64
		err := scan(&id, &revision, &progress, &entries, &events, &audit)
		if progress != revision || entries != revision || events != revision || audit != revision {
			t.Errorf("batch %s at revision %d: progress %d, %d entries, %d events, %d audit entries", id, revision, progress, entries, events, audit)
		}
		stored[id] = revision
		return err
	})
	ask(`SELECT h.tenant, h.seq, h.audit_seq, (SELECT count(*) FROM events e WHERE e.tenant = h.tenant), (SELECT max(seq) FROM events e WHERE e.tenant = h.tenant),
			(SELECT max(seq) FROM audit a WHERE a.tenant = h.tenant) FROM heads h`, func(scan func(...any) error) error {
		var k string
		var seq, auditSeq, events, last, audit int64
		err := scan(&k, &seq, &auditSeq, &events, &last, &audit)
		if seq != events || seq != last || auditSeq != audit {
			t.Errorf("kitchen %s: event %d of %d (%d), audit %d of %d", k, seq, events, last, auditSeq, audit)
		}
		return err
	})
	for id, revision := range acked {
		if stored[id] < revision {
			t.Errorf("batch %s: revision %d was acknowledged, %d is stored", id, revision, stored[id])
		}
	}
}

// TestMain is also the process that is killed: see TestKilled.
func TestMain(m *testing.M) {
	path, first := os.Getenv("KENTONGAN_TEST_WRITE"), os.Getenv("KENTONGAN_TEST_FIRST")
	if path == "" {
		os.Exit(m.Run())
	}
	err := func() error {
		n, err := strconv.Atoi(first)
		if err != nil {
			return err
		}
		s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
		if err != nil {
			return err
		}
		var mu sync.Mutex
		return work(context.Background(), s, n, 6, func(id string, revision int64) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(id, revision) // one write each: what was said is in the pipe
		})
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled kills a process that writes, at random moments, on one file again and again.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	acked := acknowledged{}
	for i := range faults(t, 4) {
		writer := exec.Command(os.Args[0], "-test.run=^$")
		writer.Env = append(os.Environ(), "KENTONGAN_TEST_WRITE="+path, "KENTONGAN_TEST_FIRST="+strconv.Itoa((i+1)*1_000_000))
		writer.Stderr = os.Stderr
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		enough, begin := rand.IntN(150), len(acked)
		for n := 0; ; n++ {
			if n == enough {
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // anywhere in a commit
				if err := writer.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			var id string
			var revision int64
			if _, scan := fmt.Sscan(line, &id, &revision); err != nil || scan != nil {
				t.Fatalf("writer said %q: %v, %v", line, err, scan)
			}
			acked[id] = max(acked[id], revision)
		}
		var killed *exec.ExitError
		if err := writer.Wait(); !errors.As(err, &killed) || killed.ExitCode() != -1 {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		if enough > 0 && len(acked) == begin {
			t.Fatal("the writer wrote nothing")
		}
		verify(t, path, acked)
	}
}

// TestNoRoom fills a disk while clients write, and makes room again.
func TestNoRoom(t *testing.T) {
	dir := mount(t, "size=48m")
	path, other := filepath.Join(dir, "k.db"), filepath.Join(dir, "other")
	s := open(t, path)
	acked := acknowledged{}
	var mu sync.Mutex
	for i := range faults(t, 2) {
		filled := make(chan error, 1)
		go func() {
			time.Sleep(10 * time.Millisecond) // so that some have begun
			f, err := os.Create(other)
			if err == nil {
				_, err = io.Copy(f, zeros{})
				f.Close()
			}
			filled <- err
		}()
		err := work(t.Context(), s, (i+1)*1_000_000, 6, func(id string, revision int64) {
			mu.Lock()
			defer mu.Unlock()
			acked[id] = max(acked[id], revision)
		})
		if !errors.Is(err, production.ErrUnavailable) {
			t.Fatalf("on a full disk: %v, want ErrUnavailable", err)
		}
		if err := <-filled; !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk was not filled: %v", err)
		}
		var again production.Commit
		for n := 0; ; n++ { // one alone may still fit
			again = newCommit((i+1)*1_000_000 + 500_000 + n)
			again.Batch.Production.Progress = 1
			again.Readings = []production.Reading{{ID: "1", ProductionID: again.Batch.Production.ID}}
			_, err := s.Commit(t.Context(), again)
			if errors.Is(err, production.ErrUnavailable) {
				break
			}
			if err != nil {
				t.Fatalf("on a full disk: %v, want ErrUnavailable", err)
			}
		}
		if _, err := s.Load(t.Context(), again.Tenant, production.Want{}); err != nil {
			t.Errorf("read on a full disk: %v", err)
		}
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), again); err != nil { // the same one
			t.Fatalf("with room again: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, path, acked)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
