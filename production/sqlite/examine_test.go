package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kentongan/production/sqlite"
)

func TestExamine(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "k.db")
	e, err := sqlite.Examine(t.Context(), sqlite.Options{Path: path})
	if err != nil || e.Exists || e.Known == 0 {
		t.Errorf("none yet: got %+v, %v", e, err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("it has left %v behind", left)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if e, err = sqlite.Examine(t.Context(), sqlite.Options{Path: path}); err != nil || !e.Exists || e.Version != e.Known { // in use
		t.Errorf("in use: got %+v, %v", e, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "text.db"), []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"text.db": "no SQLite database", "none/k.db": "there is no folder", ".": "not a file",
	} {
		if _, err := sqlite.Examine(t.Context(), sqlite.Options{Path: filepath.Join(folder, name)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}
