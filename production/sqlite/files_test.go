package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/sqlite"
)

func TestOpenExplains(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	made := func(name string, statements ...string) string {
		p := filepath.Join(dir, name)
		db, err := sql.Open("sqlite", p)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	newer := filepath.Join(dir, "newer.db")
	if err := open(t, newer).Close(); err != nil {
		t.Fatal(err)
	}
	made("newer.db", "PRAGMA user_version = 99")
	for name, c := range map[string]struct{ path, want string }{
		"NoPath":         {"", "no path"},
		"NoFolder":       {filepath.Join(dir, "missing", "k.db"), "there is no folder " + filepath.Join(dir, "missing")},
		"FolderIsFile":   {filepath.Join(path("file", "x"), "k.db"), "not a directory"},
		"Folder":         {dir, "it is not a file"},
		"NoDatabase":     {path("text.db", strings.Repeat("this is no database\n", 100)), "is no SQLite database"},
		"Short":          {path("short.db", "x"), "is no SQLite database"},
		"OtherProgram":   {made("other.db", "CREATE TABLE t (x)"), "a database of another program"},
		"OtherMarked":    {made("marked.db", "PRAGMA application_id = 7"), "a database of another program"},
		"NewerSchema":    {newer, "its schema has version 99, and this program knows version 3"},
		"ReadOnlyFolder": {filepath.Join(readOnly(t), "k.db"), "cannot be made"},
		"ReadOnlyFile":   {filepath.Join(readOnly(t), "there.db"), "cannot be written"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sqlite.Open(t.Context(), sqlite.Options{Path: c.path})
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "open store ") {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
			if _, _, err := sqlite.Migrate(t.Context(), sqlite.Options{Path: c.path}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("migrate: got %v, want it to say %q", err, c.want)
			}
		})
	}
}

// mount mounts a file system in memory, as whoever runs the tests of this repository may, and returns its folder.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount %s: %v; the tests need root, as their installation does", options, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// readOnly returns a folder in which nobody, not even root, can write, with a database in it.
func readOnly(t *testing.T) string {
	t.Helper()
	dir := mount(t, "size=4m")
	if err := open(t, filepath.Join(dir, "there.db")).Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=4m"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := open(t, path)
	if _, err := s.Commit(t.Context(), newCommit(1)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} { // the hashes of PINs are in them
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%q has mode %o, want 600", suffix, mode)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end the log is still there: %v", err)
	}
}

// TestOpenTogether has many nodes open one new file at once.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Commit(t.Context(), newCommit(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if from, to, err := sqlite.Migrate(t.Context(), sqlite.Options{Path: path}); err != nil || from != 3 || to != 3 {
		t.Errorf("migrated from %d to %d, %v; want 3 to 3", from, to, err)
	}
}

func TestMigrateFromNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	if from, to, err := sqlite.Migrate(t.Context(), sqlite.Options{Path: path}); err != nil || from != 0 || to != 3 {
		t.Errorf("migrated from %d to %d, %v; want 0 to 3", from, to, err)
	}
	open(t, path)
}

// TestMigrateFromTheFirst: a file of the first schema keeps what it has, and takes photos from then on.
func TestMigrateFromTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := open(t, path)
	c := newCommit(1)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP TABLE photos; PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if from, to, err := sqlite.Migrate(t.Context(), sqlite.Options{Path: path}); err != nil || from != 1 || to != 3 {
		t.Fatalf("migrated from %d to %d, %v; want 1 to 3", from, to, err)
	}
	s = open(t, path)
	id := c.Batch.Production.ID
	b, err := s.Batch(t.Context(), c.Tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	b.Alerts = nil
	b.Revision++
	added := production.Commit{
		Tenant: c.Tenant, Batch: &b, Base: b.Revision - 1, Photos: []production.Photo{{ID: "p", ProductionID: id, Data: []byte("x")}},
	}
	if _, err := s.Commit(t.Context(), added); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Photo(t.Context(), c.Tenant, id, "p"); err != nil || string(p.Data) != "x" {
		t.Errorf("got %q, %v; want the photo", p.Data, err)
	}
}

// TestMigrateFromTheSecond: events and keys of a file whose tables did not lie in the order of instants are all there, in their order, and
// go when they are old.
func TestMigrateFromTheSecond(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "k.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	do := func(text string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(ctx, text, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"0001_begin.sql", "0002_photos.sql"} {
		text, err := os.ReadFile(filepath.Join("migrations", name))
		if err != nil {
			t.Fatal(err)
		}
		do(string(text))
	}
	const first, many = 1_795_669_200_123, 5
	do("INSERT INTO heads VALUES ('k', ?, 2, ?, '', 0, 0, zeroblob(32))", many, first+1)
	for i := range many { // two in each millisecond
		at := first + i/2
		do("INSERT INTO events VALUES ('k', ?, ?, 'production:updates', 'b', ?, ?, 1, ?)", i+1, fmt.Sprint("e", i+1), i+1, at, fmt.Append(nil, i+1))
		do("INSERT INTO keys VALUES ('k', ?, zeroblob(32), ?, ?)", fmt.Sprint("key", i), at, fmt.Append(nil, i))
	}
	do(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = 2", 0x4b74676e))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	c := newCommit(1)
	c.Tenant, c.Batch.Production.Tenant, c.Events[0].Tenant, c.Audit[0].Tenant = "k", "k", "k", "k"
	c.Events[0].At = first + 1
	if events, err := s.Commit(ctx, c); err != nil || events[0].Seq != many+1 {
		t.Fatalf("committed %v, %v; want event %d", events, err, many+1)
	}
	claim, err := s.Claim(ctx, "relay", time.Minute, 10)
	if err != nil || len(claim.Events) != 4 {
		t.Fatalf("claimed %v, %v; want 4 events", claim.Events, err)
	}
	for i, e := range claim.Events[:3] {
		if n := i + 3; e.Seq != int64(n) || e.At != production.Instant(first+(n-1)/2) || string(e.Payload) != fmt.Sprint(n) || !e.Money {
			t.Errorf("claimed %+v in place %d, want event %d", e, i, n)
		}
	}
	remembered := func() (n int) {
		for i := range many {
			l, err := s.Load(ctx, "k", production.Want{Key: fmt.Sprint("key", i)})
			if err != nil {
				t.Fatal(err)
			}
			if r := l.Remembered; r != nil && string(r.Result) == fmt.Sprint(i) && r.At == production.Instant(first+i/2) {
				n++
			}
		}
		return n
	}
	if n := remembered(); n != many {
		t.Errorf("%d keys are remembered, want %d", n, many)
	}
	gone, err := s.Forget(ctx, production.Before{Events: first + 2, Keys: first + 1}, 100)
	if err != nil || gone != 4 { // the two events that are sent, and two keys
		t.Errorf("%d rows went, %v; want 4", gone, err)
	}
	if n := remembered(); n != many-2 {
		t.Errorf("%d keys are remembered, want %d", n, many-2)
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "k.db"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, commit := s.Commit(t.Context(), newCommit(1))
	_, load := s.Load(t.Context(), "k", production.Want{})
	for _, err := range []error{commit, load} {
		if !errors.Is(err, production.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %v, want ErrUnavailable that says closed", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// TestCloseAnswersEverybody closes while many commit: each gets an answer, and what was acknowledged is there.
func TestCloseAnswersEverybody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := open(t, path)
	var all sync.WaitGroup
	var mu sync.Mutex
	stored := map[int]bool{}
	started := make(chan struct{}, 1)
	for i := range 30 {
		all.Go(func() {
			for j := 0; ; j++ {
				n := i*10_000 + j
				_, err := s.Commit(t.Context(), newCommit(n))
				if err != nil {
					if !errors.Is(err, production.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				stored[n] = true
				mu.Unlock()
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	<-started
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	again := open(t, path)
	for n := range stored {
		c := newCommit(n)
		if _, err := again.Batch(t.Context(), c.Tenant, c.Batch.Production.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// holder is another process that holds the file at path, until its ROLLBACK.
func holder(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestLockedForTooLong has another process hold the file.
func TestLockedForTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, BusyTimeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := holder(t, path)
	c := newCommit(1)
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, production.ErrUnavailable) {
		t.Errorf("commit to a locked file: %v, want ErrUnavailable", err)
	}
	if _, err := s.Load(t.Context(), c.Tenant, production.Want{}); err != nil {
		t.Errorf("read of a locked file: %v", err) // readers do not care
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Errorf("commit after the lock is gone: %v", err)
	}
}

// TestLoneCommitIsGivenUp has another process write, and a commit that nobody else of this one is in the way of.
func TestLoneCommitIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, BusyTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := holder(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // it ends while the file is locked, whenever that is
	defer cancel()
	if _, err := s.Commit(ctx, newCommit(1)); !errors.Is(err, production.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the commit that was given up: %v, want ErrUnavailable and DeadlineExceeded", err)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), newCommit(2)); err != nil {
		t.Error(err)
	}
	for n, want := range map[int]bool{1: false, 2: true} {
		c := newCommit(n)
		if _, err := s.Batch(t.Context(), c.Tenant, c.Batch.Production.ID); (err == nil) != want {
			t.Errorf("batch %d: %v, want it stored: %v", n, err, want)
		}
	}
}

// TestContextEndsWhileItWaits has the writer wait for another process. A commit that waits behind it can be given up, and is not carried
// out later; one that waits on is.
func TestContextEndsWhileItWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, BusyTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := holder(t, path)
	first := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), newCommit(1))
		first <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // it ends while the file is locked, whenever that is
	defer cancel()
	if _, err := s.Commit(ctx, newCommit(2)); !errors.Is(err, production.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the commit that was given up: %v, want ErrUnavailable and DeadlineExceeded", err)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Errorf("the commit that waited on: %v", err)
	}
	if _, err := s.Commit(t.Context(), newCommit(3)); err != nil {
		t.Error(err)
	}
	for n, want := range map[int]bool{1: true, 2: false, 3: true} {
		c := newCommit(n)
		if _, err := s.Batch(t.Context(), c.Tenant, c.Batch.Production.ID); (err == nil) != want {
			t.Errorf("batch %d: %v, want it stored: %v", n, err, want)
		}
	}
}
