package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"kentongan/production/sqlite"
	"kentongan/production/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Database {
		path := filepath.Join(t.TempDir(), "a file's name%20?#.db")
		return storetest.Database{Open: func(t testing.TB) storetest.Store { return open(t, path) }}
	})
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
