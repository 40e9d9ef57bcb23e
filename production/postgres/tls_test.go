package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/tenant"
)

// TestTLS has a server that takes connections with TLS only, and is restarted, in order and by force: all connections are encrypted, and
// commits go on.
func TestTLS(t *testing.T) {
	server := testenv.StartPostgresTLS(t)
	db := server.Database(t)
	for name, change := range map[string]func(q url.Values){
		"WithoutTLS":        func(q url.Values) { q.Set("sslmode", "disable"); q.Del("sslrootcert") },
		"UnknownAuthority":  func(q url.Values) { q.Del("sslrootcert") },
		"NoSuchCertificate": func(q url.Values) { q.Set("sslrootcert", "/no/such/file") },
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(db)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			change(q)
			u.RawQuery = q.Encode()
			s, err := postgres.Open(t.Context(), postgres.Options{URL: u.String()})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if password, _ := u.User.Password(); strings.Contains(err.Error(), password) {
				t.Error("the error has the password")
			}
		})
	}
	s := open(t, db)
	defer s.Close()
	c := plan(kitchen, "b", 1)
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for name, restart := range map[string]func(){
		"killed":  server.Restart,
		"stopped": func() { server.Stop(); server.Restart() },
	} {
		restart()
		eventually(t, "a commit after the server was "+name, func() error {
			_, err := s.Commit(t.Context(), next(*c.Batch))
			if errors.Is(err, production.ErrConflict) {
				return nil // it was stored, and the answer lost
			}
			return err
		})
		c = next(*c.Batch)
	}
	const plain = `SELECT (count(*) FILTER (WHERE NOT ssl))::text || ' of ' || (count(*) > 0)::text
		FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = current_database() AND application_name = 'kentongan'`
	if got := sql(t, db, plain); got != "0 of true" {
		t.Errorf("connections without TLS: %s", got)
	}
	wholeTrail(t, s, kitchen, 3)
	wholeOutbox(t, s, map[tenant.ID]int64{kitchen: 3})
}
