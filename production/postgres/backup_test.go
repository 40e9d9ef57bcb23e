package postgres_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/production/storetest"
)

// TestBackup copies the records as docs/operations.md says it, while the store writes, and restores them into another database.
func TestBackup(t *testing.T) {
	server := testenv.StartPostgres(t)
	db, empty := server.Database(t), server.Database(t)
	s := open(t, db)
	defer s.Close()
	storetest.Backup(t, s, func() storetest.Store {
		file := filepath.Join(t.TempDir(), "kentongan.dump")
		for _, command := range [][]string{
			{"pg_dump", "--schema=kentongan", "--format=custom", "--file=" + file, db},
			{"pg_restore", "--exit-on-error", "--no-owner", "--dbname=" + empty, file},
		} {
			out, err := exec.CommandContext(t.Context(), testenv.PostgresProgram(t, command[0]), command[1:]...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", command[0], err, out)
			}
		}
		return open(t, empty)
	})
}
