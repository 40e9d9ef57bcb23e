package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kentongan/production/sqlite"
	"kentongan/production/storetest"
)

func TestStore(t *testing.T) {
	used := map[string]bool{} // all statements
	note := func(text string) { used[text] = true }
	databases := func(t testing.TB) storetest.Database {
		path := filepath.Join(t.TempDir(), "a file's name%20?#.db")
		nodes := 0
		return storetest.Database{Open: func(t testing.TB) storetest.Store {
			s := open(t, path)
			if nodes++; nodes%2 == 0 {
				s.Crowd() // its commits go through the queue, those of the first node do not
			}
			return noting{s, note}
		}}
	}
	storetest.Run(t, databases)
	t.Run("Way", func(t *testing.T) { storetest.RunWay(t, databases, 64) })
	t.Run("Recall", func(t *testing.T) { storetest.RunRecall(t, databases) })
	t.Run("EveryStatementHasItsIndex", func(t *testing.T) { plans(t, used) })
}

// noting is a Store that notes its statements when it is closed.
type noting struct {
	*sqlite.Store
	note func(string)
}

func (s noting) Close() error {
	if s.Closed() {
		return nil
	}
	s.Read(s.note)
	defer s.Written(s.note)
	return s.Store.Close()
}

// plans fails for statements that read a whole table, or sort what an index could give in order. A kitchen's tables hold years.
func plans(t *testing.T, used map[string]bool) {
	path := filepath.Join(t.TempDir(), "k.db")
	open(t, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if len(used) < 50 {
		t.Fatalf("%d statements were used: these are not all", len(used))
	}
	for text := range used {
		switch strings.Fields(text)[0] {
		case "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA":
			continue
		}
		for _, step := range plan(t, db, text) {
			switch {
			case strings.HasPrefix(step, "SCAN CONSTANT"), strings.HasPrefix(step, "SCAN json_each"), strings.HasPrefix(step, "SCAN (subquery"):
			case strings.HasPrefix(step, "SCAN") && (strings.HasSuffix(step, "_waiting") || strings.HasSuffix(step, "_due")): // of what waits
			case step == "SCAN page": // as many kitchens as were asked for
			case step == "SCAN found", strings.HasPrefix(step, "USE TEMP B-TREE") && strings.Contains(text, "AS found"): // the kitchens that a filter lets through: a search looks at the name of each
			case strings.HasPrefix(text, "SELECT count(*) FROM (SELECT"): // of kitchens, a row for each or for what is open or active
				if strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN heads") && !strings.Contains(step, "INDEX productions_open") && !strings.Contains(step, "INDEX alerts_active") {
					t.Errorf("%s\nin %s", step, text)
				}
			case strings.HasPrefix(step, "SCAN"),
				strings.HasPrefix(step, "USE TEMP B-TREE") && !strings.Contains(text, "active = 1"): // active alerts are a handful
				t.Errorf("%s\nin %s", step, text)
			}
		}
	}
}

func plan(t *testing.T, db *sql.DB, text string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(text, "?"))
	r, err := db.Query("EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer r.Close()
	for r.Next() {
		var id, parent, unused int
		var step string
		if err := r.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, WatchEvery: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
