package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
)

// sql runs statements in the database at url and scans the last one's only value, if it has one.
func sql(t testing.TB, url string, statements ...string) (answer string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range statements {
		results, err := conn.PgConn().Exec(t.Context(), statement).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if rows := results[len(results)-1].Rows; len(rows) > 0 && len(rows[0]) > 0 {
			answer = string(rows[0][0])
		}
	}
	return answer
}

func TestOpen(t *testing.T) {
	server := testenv.StartPostgres(t)

	t.Run("ManyNodesAtOnceMigrateOnce", func(t *testing.T) {
		db := server.Database(t)
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				s, err := postgres.Open(t.Context(), postgres.Options{URL: db})
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		all.Wait()
		from, to, err := postgres.Migrate(t.Context(), postgres.Options{URL: db})
		if err != nil || from != to || to < 1 {
			t.Errorf("a second migration went from %d to %d, %v; want nothing to do", from, to, err)
		}
	})

	t.Run("MigrateTellsWhatItDid", func(t *testing.T) {
		from, to, err := postgres.Migrate(t.Context(), postgres.Options{URL: server.Database(t)})
		if err != nil || from != 0 || to < 1 {
			t.Errorf("went from %d to %d, %v; want from 0", from, to, err)
		}
	})

	t.Run("FirstSchemaTakesPhotos", func(t *testing.T) {
		db := server.Database(t)
		s := open(t, db)
		if _, err := s.Commit(t.Context(), plan(kitchen, "b", 1)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		sql(t, db, "DROP TABLE kentongan.photos; ALTER TABLE kentongan.heads DROP COLUMN moves; DELETE FROM kentongan.migrations WHERE version >= 2")
		s = open(t, db)
		defer s.Close()
		b, err := s.Batch(t.Context(), kitchen, "b")
		if err != nil {
			t.Fatal(err)
		}
		b.Alerts = nil
		b.Revision++
		added := production.Commit{
			Tenant: kitchen, Batch: &b, Base: b.Revision - 1, Photos: []production.Photo{{ID: "p", ProductionID: "b", Data: []byte("x")}},
		}
		if _, err := s.Commit(t.Context(), added); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Photo(t.Context(), kitchen, "b", "p"); err != nil || string(p.Data) != "x" {
			t.Errorf("got %q, %v; want the photo", p.Data, err)
		}
	})

	t.Run("NewerSchemaIsRefused", func(t *testing.T) {
		db := server.Database(t)
		open(t, db).Close()
		sql(t, db, "INSERT INTO kentongan.migrations (version, name) VALUES (99, '0099_of_next_year')")
		_, err := postgres.Open(t.Context(), postgres.Options{URL: db})
		if err == nil || errors.Is(err, production.ErrUnavailable) {
			t.Fatalf("got %v, want that it does not know the schema", err)
		}
		for _, word := range []string{"version 99", "up to 3", "newer program"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
	})

	t.Run("FailedMigrationLeavesNothing", func(t *testing.T) {
		db := server.Database(t)
		sql(t, db, "CREATE SCHEMA kentongan; CREATE TABLE kentongan.notices ()") // in the way of the last table
		if _, err := postgres.Open(t.Context(), postgres.Options{URL: db}); err == nil || !strings.Contains(err.Error(), "0001_records") {
			t.Fatalf("got %v, want the name of the migration", err)
		}
		if got := sql(t, db, "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'kentongan'"); got != "notices" {
			t.Errorf("there are tables %s, want only the one from before", got)
		}
		sql(t, db, "DROP TABLE kentongan.notices")
		open(t, db).Close()
	})

	t.Run("TablesOfTheAppAreLeftAlone", func(t *testing.T) {
		db := server.Database(t)
		sql(t, db, "CREATE TABLE batches (app integer); INSERT INTO batches VALUES (7)")
		s := open(t, db+"&schema=public&connection_limit=5&pgbouncer=true") // as in the app's DATABASE_URL
		defer s.Close()
		if _, err := s.Commit(t.Context(), plan(kitchen, "b", 1)); err != nil {
			t.Fatal(err)
		}
		if got := sql(t, db, "SELECT app FROM batches"); got != "7" {
			t.Errorf("the app reads %s, want 7", got)
		}
	})

	t.Run("NoRightsToTheSchemaAreNeeded", func(t *testing.T) {
		t.Cleanup(func() { server.Exec("DROP ROLE worker") }) // once the database is gone
		db := server.Database(t)
		open(t, db).Close()
		sql(t, db, "CREATE ROLE worker LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA kentongan TO worker",
			"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kentongan TO worker")
		s := open(t, as(t, db, url.UserPassword("worker", "secret")))
		defer s.Close()
		if _, err := s.Commit(t.Context(), plan(kitchen, "b", 1)); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("WrongPassword", func(t *testing.T) {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: as(t, server.Database(t), url.UserPassword("tester", "gu3ss"))})
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "gu3ss") {
			t.Errorf("got %v, want that the password is wrong, and not the password", err)
		}
	})
}

// TestSimpleProtocolIsRefused: values never become part of the text of a command, whatever stands in the URL.
func TestSimpleProtocolIsRefused(t *testing.T) {
	for _, address := range []string{
		"postgres://u:s3cret@127.0.0.1:1/db?default_query_exec_mode=simple_protocol",
		"host=127.0.0.1 port=1 user=u password=s3cret default_query_exec_mode=simple_protocol",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: address})
		if err == nil || !strings.Contains(err.Error(), "simple_protocol writes values into the text") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v; want it to be refused", err)
		}
	}
}

// as returns the URL of the same database for another user.
func as(t testing.TB, db string, who *url.Userinfo) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	u.User = who
	return u.String()
}

func TestOpenWithoutAServer(t *testing.T) {
	for _, c := range []struct{ name, url, want string }{
		{"NobodyListens", "postgres://u:s3cret@127.0.0.1:1/db?sslmode=disable", "connection refused"},
		{"NoURL", "", "want postgres://user"},
		{"OtherScheme", "mysql://u:s3cret@127.0.0.1/db", "want postgres://user"},
		{"NotAURL", "postgres://u:s3cret@127.0.0.1:port/db", "want postgres://user"},
		{"WrongSSLMode", "postgres://u:s3cret@127.0.0.1/db?sslmode=perhaps", "sslmode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), postgres.Options{URL: c.url, Timeout: 5 * time.Second})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q and no password", err, c.want)
			}
			if unreachable := c.name == "NobodyListens"; errors.Is(err, production.ErrUnavailable) != unreachable {
				t.Errorf("%v: is it ErrUnavailable? want %v", err, unreachable)
			}
		})
	}
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: "postgres://u@127.0.0.1:1/db", MaxConns: -1}); err == nil ||
		!strings.Contains(err.Error(), "want 1 to 10000") {
		t.Errorf("minus one connection: got %v", err)
	}
}
