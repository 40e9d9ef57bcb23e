package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kentongan/production/sqlite"
	"kentongan/production/storetest"
)

func TestBackup(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "k.db"), filepath.Join(dir, "copy.db")
	s := open(t, path)
	storetest.Backup(t, s, func() storetest.Store {
		size, err := sqlite.Backup(t.Context(), sqlite.Options{Path: path}, to)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(to)
		if err != nil || info.Size() != size || info.Mode().Perm() != 0o600 {
			t.Fatalf("the copy is %+v, %v; %d bytes were told, and only its owner may read it", info, err, size)
		}
		return open(t, to)
	})
}

func TestBackup_Refusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k.db")
	open(t, path)
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx            context.Context
		from, to, want string
	}{
		"CopyIsThere":  {t.Context(), path, text, "is there already"},
		"NoFolder":     {t.Context(), path, filepath.Join(dir, "no", "c.db"), "cannot be made"},
		"NoFile":       {t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "c.db"), "no such file to copy"},
		"NoDatabase":   {t.Context(), text, filepath.Join(dir, "c.db"), "no SQLite database"},
		"ContextEnded": {ended, path, filepath.Join(dir, "c.db"), "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := sqlite.Backup(c.ctx, sqlite.Options{Path: c.from}, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "c.db")); err == nil {
				t.Error("something was left behind")
			}
			if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
				t.Error("a database was made")
			}
		})
	}
}
