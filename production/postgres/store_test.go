package postgres_test

import (
	"testing"

	"go.uber.org/goleak"

	"kentongan/internal/testenv"
	"kentongan/production/postgres"
	"kentongan/production/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) { storetest.Run(t, databases(t)) }

func TestRecall(t *testing.T) { storetest.RunRecall(t, databases(t)) }

func TestWay(t *testing.T) { storetest.RunWay(t, databases(t), 0) }

// databases returns what makes databases on one server.
func databases(t *testing.T) func(t testing.TB) storetest.Database {
	t.Helper()
	server := testenv.StartPostgres(t)
	return func(t testing.TB) storetest.Database {
		url := server.Database(t)
		return storetest.Database{Open: func(t testing.TB) storetest.Store { return open(t, url) }}
	}
}
