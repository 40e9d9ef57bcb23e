package postgres_test

import (
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production/postgres"
)

func TestExamine(t *testing.T) {
	server := testenv.StartPostgres(t)
	url := server.Database(t)
	e, err := postgres.Examine(t.Context(), postgres.Options{URL: url})
	if err != nil || e.Version != 0 || e.Known == 0 || !e.MayCreate || e.ReadOnly || e.FsyncOff || e.MaxConnections < 10 || e.Connections < 1 ||
		e.Number < 120000 || e.RoundTrip <= 0 || e.Skew.Abs() > 100*time.Millisecond {
		t.Errorf("empty: got %+v, %v", e, err)
	}
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: url}); err != nil {
		t.Fatal(err)
	}
	if e, err = postgres.Examine(t.Context(), postgres.Options{URL: url}); err != nil || e.Version != e.Known {
		t.Errorf("migrated: got %+v, %v", e, err)
	}
	server.Exec("ALTER DATABASE test1 SET default_transaction_read_only = on")
	if e, err = postgres.Examine(t.Context(), postgres.Options{URL: url}); err != nil || !e.ReadOnly {
		t.Errorf("read only: got %+v, %v", e, err)
	}
	password := "not-the-password"
	if _, err := postgres.Examine(t.Context(), postgres.Options{URL: "postgres://tester:" + password + "@" + server.Addr + "/test1"}); err == nil ||
		strings.Contains(err.Error(), password) {
		t.Errorf("a wrong password: %v", err)
	}
}
