//go:build unix

package testenv_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"kentongan/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one inline command to the Redis at addr and returns the first line of its answer, if that comes within patience.
func ask(addr, command string, patience time.Duration) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func want(t *testing.T, addr, command, answer string) {
	t.Helper()
	if got, err := ask(addr, command, 30*time.Second); got != answer {
		t.Fatalf("%s: got %q, %v; want %q", command, got, err, answer)
	}
}

func TestRedisIsPrivateToTheTest(t *testing.T) {
	a, b := testenv.Redis(t), testenv.Redis(t)
	want(t, a, "SET k 1", "+OK")
	want(t, b, "EXISTS k", ":0")
	want(t, a, "EXISTS k", ":1")
}

func TestRestartKeepsTheAddressAndForgetsTheData(t *testing.T) {
	s := testenv.StartRedis(t)
	want(t, s.Addr, "SET k 1", "+OK")
	s.Kill()
	if got, err := ask(s.Addr, "PING", 500*time.Millisecond); err == nil {
		t.Fatalf("a killed server answers %q", got)
	}
	s.Kill() // changes nothing
	s.Restart()
	want(t, s.Addr, "EXISTS k", ":0")
}

func TestRestartKeepsTheDataIfToldSo(t *testing.T) {
	s := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	want(t, s.Addr, "SET k 1", "+OK")
	s.Restart()
	want(t, s.Addr, "EXISTS k", ":1")
}

func TestPausedServerAnswersOnlyAfterResume(t *testing.T) {
	s := testenv.StartRedis(t)
	s.Pause()
	if got, err := ask(s.Addr, "PING", 500*time.Millisecond); err == nil {
		t.Fatalf("a paused server answers %q", got)
	}
	s.Resume()
	want(t, s.Addr, "PING", "+PONG")
	s.Pause() // and the cleanup ends a paused server, too
}

func TestNodeResolvesThePackagesOfTheApp(t *testing.T) {
	p := testenv.StartNode(t, "testdata/echo.mjs", "a b", "--c")
	for _, line := range []string{"one", "två \U0001F958"} {
		if got, want := p.Ask(line), fmt.Sprintf(`{"found":true,"args":["a b","--c"],"line":%q}`, line); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

// askPostgres runs statements in the database at url and returns the last one's first column as text, or why it cannot.
func askPostgres(t *testing.T, url string, statements ...string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close(context.Background()) }()
	answer := ""
	for _, statement := range statements {
		results, err := conn.PgConn().Exec(t.Context(), statement).ReadAll()
		if err != nil {
			return err.Error()
		}
		if rows := results[len(results)-1].Rows; len(rows) > 0 {
			answer = string(rows[0][0])
		}
	}
	return answer
}

func wantPostgres(t *testing.T, url, answer string, statements ...string) {
	t.Helper()
	if got := askPostgres(t, url, statements...); got != answer {
		t.Fatalf("%q: got %q; want %q", statements, got, answer)
	}
}

func TestPostgresDatabasesAreApart(t *testing.T) {
	s := testenv.StartPostgres(t)
	a, b := s.Database(t), s.Database(t)
	const tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'x'"
	wantPostgres(t, a, "1", "CREATE TABLE x ()", tables)
	wantPostgres(t, b, "0", tables)
}

func TestPostgresLetsNobodyInWithoutItsPassword(t *testing.T) {
	address, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	wantPostgres(t, address.String(), "in", "SELECT 'in'")
	address.User = url.UserPassword(address.User.Username(), "guessed")
	if got := askPostgres(t, address.String(), "SELECT 'in'"); !strings.Contains(got, "password authentication failed") {
		t.Fatalf("with a wrong password: got %q", got)
	}
}

func TestPostgresKeepsWhatWasCommitted(t *testing.T) {
	s := testenv.StartPostgres(t)
	db := s.Database(t)
	wantPostgres(t, db, "", "CREATE TABLE x AS SELECT 'kept' AS word")
	s.Kill()
	if got := askPostgres(t, db, "SELECT 'up'"); !strings.Contains(got, "connect") {
		t.Fatalf("a killed server answers %q", got)
	}
	s.Kill() // changes nothing
	s.Restart()
	s.Pause()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if conn, err := pgx.Connect(short, db); err == nil {
		t.Fatalf("a paused server lets in %v", conn)
	}
	s.Resume()
	wantPostgres(t, db, "kept", "SELECT word FROM x")
	s.Stop()
	s.Restart()
	wantPostgres(t, db, "kept", "SELECT word FROM x")
}
