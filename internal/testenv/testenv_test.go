//go:build unix

package testenv_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one inline command to the Redis at addr and returns the first line of its answer.
func ask(addr, command string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func want(t *testing.T, addr, command, answer string) {
	t.Helper()
	if got, err := ask(addr, command); got != answer {
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
	if got, err := ask(s.Addr, "PING"); err == nil {
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
	if got, err := ask(s.Addr, "PING"); err == nil {
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
