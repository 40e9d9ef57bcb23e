//go:build unix

package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kentongan/internal/process"
)

// Postgres starts a PostgreSQL for this test alone and returns the URL of an empty database in it.
func Postgres(t testing.TB) string {
	t.Helper()
	return StartPostgres(t).Database(t)
}

// PostgresServer is a PostgreSQL cluster that a test may ill-treat. It writes to the disk as one in use does (fsync is on).
// Its methods are for the goroutine of the test.
type PostgresServer struct {
	Addr string // "127.0.0.1:port"; stays the same over Restart

	t         testing.TB
	dir       string
	ca        string // file of the certificate that clients have to trust; empty: no TLS
	password  string // of the superuser: others on this machine cannot come in
	settings  []string
	databases int
	cmd       *exec.Cmd // nil while it does not run
	log       *logTail
}

// superuser is who owns everything in the cluster.
const superuser = "tester"

// StartPostgres makes an empty cluster and starts it, with settings in the form of "max_connections=20" behind our own. It
// takes most of a second: tests that only need to be apart share one, and take a Database each.
func StartPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	return startPostgres(t, false, settings)
}

// StartPostgresTLS is StartPostgres of a server that takes connections with TLS only. URLs of its databases name the certificate, and
// have it checked.
func StartPostgresTLS(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	return startPostgres(t, true, settings)
}

func startPostgres(t testing.TB, tls bool, settings []string) *PostgresServer {
	t.Helper()
	s := &PostgresServer{t: t, password: rand.Text(), settings: settings}
	t.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(s.dir)
	})
	s.initialize()
	if tls {
		s.certify()
	}
	const attempts = 20 // another process may take the port between our look and the server's bind
	for range attempts {
		s.Addr = process.FreeAddresses(1)[0]
		if s.start() {
			return s
		}
	}
	t.Fatalf("postgres does not start:\n%s", s.log)
	return nil
}

// Database makes an empty database and returns its URL. It is gone after t, with whoever is still connected. Its texts are
// ordered as an Indonesian reads them and not by their bytes, as in a database in use.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	s.databases++
	name := "test" + strconv.Itoa(s.databases)
	s.Exec("CREATE DATABASE " + name + " TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'id'")
	t.Cleanup(func() {
		if s.cmd != nil {
			s.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		}
	})
	return s.url(name)
}

// Exec runs one statement as superuser in no database of a test.
func (s *PostgresServer) Exec(statement string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // a cleanup, too, has this time
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

func (s *PostgresServer) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Host: s.Addr, Path: database}
	if s.ca == "" {
		return u.String() + "?sslmode=disable"
	}
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.ca}}.Encode()
	return u.String()
}

// initialize makes the cluster's files. The server refuses to run as root, so root gives them to the user of the package.
func (s *PostgresServer) initialize() {
	s.t.Helper()
	var err error
	if s.dir, err = os.MkdirTemp("", "kentongan-postgres-"); err != nil { // t.TempDir is closed to all other users
		s.t.Fatal(err)
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		s.t.Fatal(err)
	}
	attr := s.attributes()
	if attr != nil && attr.Credential != nil {
		c := attr.Credential
		for _, path := range []string{s.dir, secret} {
			if err := os.Chown(path, int(c.Uid), int(c.Gid)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	cmd := exec.Command(PostgresProgram(s.t, "initdb"), "--pgdata", s.data(), "--username", superuser, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = s.dir, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("initdb: %v\n%s", err, out)
	}
}

// certify gives the server a certificate of its own, and takes away all ways in but those with TLS.
func (s *PostgresServer) certify() {
	s.t.Helper()
	c, err := NewCertificate(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), "127.0.0.1")
	if err != nil {
		s.t.Fatal(err)
	}
	s.ca = filepath.Join(s.dir, "cert.pem")
	files := map[string][]byte{
		s.ca:                                   c.Cert,
		filepath.Join(s.dir, "key.pem"):        c.Key,
		filepath.Join(s.data(), "pg_hba.conf"): []byte("hostssl all " + superuser + " 127.0.0.1/32 scram-sha-256\n"),
	}
	attr := s.attributes()
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
		if attr != nil && attr.Credential != nil {
			if err := os.Chown(path, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.settings = append(s.settings, "ssl=on", "ssl_cert_file="+s.ca, "ssl_key_file="+filepath.Join(s.dir, "key.pem"))
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *PostgresServer) attributes() *syscall.SysProcAttr {
	s.t.Helper()
	attr := dieWithUs()
	if os.Getuid() != 0 {
		return attr
	}
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	const name = "postgres"
	u, err := user.Lookup(name)
	if err != nil {
		s.t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr
}

// start reports whether the server accepts connections; if not, it has ended.
func (s *PostgresServer) start() bool {
	s.t.Helper()
	host, port, _ := strings.Cut(s.Addr, ":")
	args := []string{"-D", s.data(), "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "max_wal_size=512MB"}
	if runtime.GOOS == "linux" {
		args = append(args, "-c", "recovery_init_sync_method=syncfs") // one call instead of one a file, after each Kill
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(PostgresProgram(s.t, "postgres"), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.attributes()
	out, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.log = &logTail{}
	ready := make(chan bool, 1)
	go s.log.follow(out, "database system is ready to accept connections", ready)
	if !<-ready {
		_ = cmd.Wait() // it says why in its log
		return false
	}
	s.cmd = cmd
	return true
}

// Kill ends all of the server's processes at once (SIGKILL), as when the machine fails. Killing one that does not run
// changes nothing.
func (s *PostgresServer) Kill() {
	if s.cmd == nil {
		return
	}
	// The first process must go first: it would start the others anew. One that it starts in this moment finds itself
	// without a parent and ends, too.
	others := childrenOf(s.cmd.Process.Pid)
	_ = s.cmd.Process.Kill()
	for _, pid := range others {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Wait() // "signal: killed", as wanted
	s.cmd = nil
}

// CPU returns the processor time of the server and of those of its processes that run.
func (s *PostgresServer) CPU() time.Duration {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("the CPU time of a postgres that does not run")
	}
	var sum time.Duration
	for _, pid := range append([]int{s.cmd.Process.Pid}, childrenOf(s.cmd.Process.Pid)...) {
		if used, err := process.CPU(pid); err == nil { // else it has ended meanwhile
			sum += used
		}
	}
	return sum
}

// Pause stops the server from running (SIGSTOP): connections stay open and nothing answers, as when a machine hangs. New
// connections are taken by the kernel, and nothing answers on them either. When it returns nothing of the server runs any more.
func (s *PostgresServer) Pause() {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("a postgres that does not run cannot pause")
	}
	first := s.cmd.Process.Pid
	s.stop(first) // until it stands, it starts others
	for _, pid := range childrenOf(first) {
		s.stop(pid)
	}
}

// stop returns when a process has stopped, or is gone.
func (s *PostgresServer) stop(pid int) {
	s.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
		s.t.Fatal(err)
	}
	if err := awaitStopped(pid); err != nil {
		s.t.Fatal(err)
	}
}

// Resume lets a paused server run on.
func (s *PostgresServer) Resume() {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("a postgres that does not run cannot resume")
	}
	first := s.cmd.Process.Pid
	for _, pid := range append(childrenOf(first), first) {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && err != syscall.ESRCH {
			s.t.Fatal(err)
		}
	}
}

// Stop ends the server in order, without waiting for its clients, as an upgrade of the package does.
func (s *PostgresServer) Stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Restart kills the server, if it still runs, and starts it again at the same address. It returns when the server has
// recovered.
func (s *PostgresServer) Restart() {
	s.t.Helper()
	s.Kill()
	const patience = 10 * time.Second // a process that was killed may hold the shared memory for a moment
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		if s.start() {
			return
		}
	}
	s.t.Fatalf("postgres does not start again:\n%s", s.log)
}

// childrenOf returns the processes that pid started, where /proc tells (Linux), else nil.
func childrenOf(pid int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent …", and the name may have anything in it
		fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
		if len(fields) > 1 && string(fields[1]) == fmt.Sprint(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// PostgresProgram returns the path of a program of the newest PostgreSQL that is installed: Debian keeps those of servers out
// of PATH.
func PostgresProgram(t testing.TB, name string) string {
	t.Helper()
	newest, found := 0, ""
	for _, path := range must(filepath.Glob("/usr/lib/postgresql/*/bin/" + name)) {
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil && version > newest {
			newest, found = version, path
		}
	}
	if found != "" {
		return found
	}
	return program(t, name)
}

func must(paths []string, err error) []string {
	if err != nil {
		panic("testenv: " + err.Error()) // only a pattern that is wrong
	}
	return paths
}
