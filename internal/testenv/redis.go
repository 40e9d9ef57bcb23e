//go:build unix

package testenv

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kentongan/internal/process"
)

// Redis starts a redis-server for this test alone and returns its address, "127.0.0.1:port". It keeps nothing on disk
// and ends with the test.
func Redis(t testing.TB) string {
	t.Helper()
	return StartRedis(t).Addr
}

// RedisServer is a redis-server that a test may ill-treat. Its methods are for the goroutine of the test.
type RedisServer struct {
	Addr string // "127.0.0.1:port"; stays the same over Restart

	t     testing.TB
	args  []string
	ready string    // what it logs once it can be used
	cmd   *exec.Cmd // nil while it does not run
	log   *logTail
}

// StartRedis starts a redis-server with args behind our own ("--appendonly", "yes"), and waits until it accepts
// connections. Without such args it keeps nothing, so that Restart gives an empty one.
func StartRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	return startRedis(t, func() []string { return args })
}

// startRedis is StartRedis with args that are made anew for each attempt, for ports in them may be taken too.
func startRedis(t testing.TB, args func() []string) *RedisServer {
	t.Helper()
	path := program(t, "redis-server", "valkey-server")
	dir := t.TempDir()
	s := &RedisServer{t: t, ready: "Ready to accept connections"}
	t.Cleanup(s.Kill)
	const attempts = 20 // another process may take the port between our look and the server's bind
	for range attempts {
		s.Addr = process.FreeAddresses(1)[0]
		_, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		s.args = append([]string{path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--daemonize", "no", "--loglevel", "notice", "--logfile", "", "--dir", dir}, args()...)
		if s.start() {
			return s
		}
	}
	t.Fatalf("redis-server does not start:\n%s", s.log)
	return nil
}

// start reports whether the server accepts connections; if not, it has ended.
func (s *RedisServer) start() bool {
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.SysProcAttr = dieWithUs()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.log = &logTail{}
	ready := make(chan bool, 1)
	go s.log.follow(out, s.ready, ready)
	if !<-ready {
		_ = cmd.Wait() // it says why in its log
		return false
	}
	s.cmd = cmd
	return true
}

// Kill ends the server at once (SIGKILL), as a crash does. Killing one that does not run changes nothing.
func (s *RedisServer) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // "signal: killed", as wanted
	s.cmd = nil
}

// Restart kills the server, if it still runs, and starts it again at the same address.
func (s *RedisServer) Restart() {
	s.t.Helper()
	s.Kill()
	if !s.start() {
		s.t.Fatalf("redis-server does not start again:\n%s", s.log)
	}
}

// Pause stops the server from running (SIGSTOP): connections stay open and nothing answers, as when a machine hangs. When it returns
// nothing of the server runs any more.
func (s *RedisServer) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	if err := awaitStopped(s.cmd.Process.Pid); err != nil {
		s.t.Fatal(err)
	}
}

// Resume lets a paused server run on.
func (s *RedisServer) Resume() { s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatalf("%v to a redis-server that does not run", sig)
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// logTail keeps the last lines that a program wrote.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

// follow reads r until it ends. It sends true once, when a line contains mark, or false at the end if none did.
func (l *logTail) follow(r io.Reader, mark string, found chan<- bool) {
	const keep = 30
	seen := false
	for scan := bufio.NewScanner(r); scan.Scan(); {
		l.mu.Lock()
		l.lines = append(l.lines, scan.Text())
		if len(l.lines) > keep {
			l.lines = l.lines[1:]
		}
		l.mu.Unlock()
		if !seen && strings.Contains(scan.Text(), mark) {
			seen = true
			found <- true
		}
	}
	if !seen {
		found <- false
	}
}

// String returns the lines.
func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
