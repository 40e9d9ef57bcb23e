//go:build unix

package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kentongan/internal/process"
)

// Replicated is a primary with a replica and three Sentinels that watch them.
type Replicated struct {
	Servers   [2]*RedisServer // the first is the primary at the start
	Sentinels []string        // addresses
	Name      string          // of the primary at the sentinels

	SentinelServers [3]*RedisServer
}

// StartReplicated starts them with args for both servers, and waits until every sentinel knows all others: a failover that begins
// before would fail. A primary that does not answer for downAfter is taken for down.
func StartReplicated(t testing.TB, downAfter time.Duration, args ...string) *Replicated {
	t.Helper()
	r := &Replicated{Name: "mymaster"}
	r.Servers[0] = StartRedis(t, args...)
	_, port, err := net.SplitHostPort(r.Servers[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	// Without a delay the replica is there at once, and not after the five seconds that a primary waits for more of them.
	r.Servers[1] = StartRedis(t, append([]string{"--replicaof", "127.0.0.1 " + port, "--repl-diskless-sync-delay", "0"}, args...)...)
	for i := range r.SentinelServers {
		r.SentinelServers[i] = startSentinel(t, r.Name, port, downAfter)
		r.Sentinels = append(r.Sentinels, r.SentinelServers[i].Addr)
	}
	r.await(t, r.Servers[1].Addr, "INFO replication", "master_link_status:up")
	for _, addr := range r.Sentinels {
		// Sentinels introduce themselves to each other every two seconds, through the primary.
		r.await(t, addr, "SENTINEL MASTER "+r.Name, "num-slaves\n1\nnum-other-sentinels\n2\n")
		r.await(t, addr, "SENTINEL REPLICAS "+r.Name, "master-link-status\nok\n")
	}
	return r
}

func startSentinel(t testing.TB, name, primaryPort string, downAfter time.Duration) *RedisServer {
	t.Helper()
	path := program(t, "redis-server", "valkey-server")
	dir := t.TempDir()
	s := &RedisServer{t: t, ready: "+monitor master"}
	t.Cleanup(s.Kill)
	const attempts = 20 // as for StartRedis
	for range attempts {
		s.Addr = process.FreeAddresses(1)[0]
		_, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(dir, "sentinel-"+port+".conf") // a sentinel writes into it
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nlogfile \"\"\nsentinel monitor %s 127.0.0.1 %s 2\n"+
			"sentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 6000\n",
			port, dir, name, primaryPort, name, downAfter.Milliseconds(), name)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = []string{path, conf, "--sentinel"}
		if s.start() {
			return s
		}
	}
	t.Fatalf("sentinel does not start:\n%s", s.log)
	return nil
}

// await asks until the answer contains want.
func (r *Replicated) await(t testing.TB, addr, command, want string) {
	t.Helper()
	var answer string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer = inline(addr, command); strings.Contains(answer, want) {
			return
		}
	}
	t.Fatalf("%s: %s is answered with\n%s\nwant %q in it", addr, command, answer, want)
}

// inline sends one command and returns what is answered, a line for each part, without the lengths of RESP. A server that does not
// answer is waited for: a busy machine may need a second for what takes a millisecond, and none of this is asked twice by all callers.
func inline(addr, command string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // of a new connection: what fails shows in the answer
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err.Error()
	}
	var out strings.Builder
	if err := readAnswer(bufio.NewReader(conn), &out); err != nil {
		return out.String() + err.Error()
	}
	return out.String()
}

// readAnswer reads one answer, with all that is in it.
func readAnswer(r *bufio.Reader, out *strings.Builder) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "*"):
		parts, err := strconv.Atoi(line[1:])
		for ; err == nil && parts > 0; parts-- {
			err = readAnswer(r, out)
		}
		return err
	case strings.HasPrefix(line, "$"):
		size, err := strconv.Atoi(line[1:])
		if err != nil {
			return fmt.Errorf("read the length of an answer: %w", err)
		}
		if size < 0 { // nothing
			return nil
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		out.WriteString(strings.ReplaceAll(string(text), "\r\n", "\n"))
	default:
		out.WriteString(line + "\n")
	}
	return nil
}

// Primary returns the address that the first of the sentinels names.
func (r *Replicated) Primary(t testing.TB) string {
	t.Helper()
	for _, addr := range r.Sentinels {
		if host, port, ok := strings.Cut(strings.TrimSpace(inline(addr, "SENTINEL GET-MASTER-ADDR-BY-NAME "+r.Name)), "\n"); ok {
			return net.JoinHostPort(host, port)
		}
	}
	t.Fatal("no sentinel names a primary")
	return ""
}

// patience is for what sentinels do. A first election may fail, and the next one comes after twice their failover timeout; and a sentinel
// that a busy machine does not let run for two seconds looks on for half a minute.
const patience = 2 * time.Minute

// AwaitFailover waits until the sentinels name another primary than old.
func (r *Replicated) AwaitFailover(t testing.TB, old string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r.Primary(t) != old {
			return
		}
	}
	t.Fatalf("the sentinels still name %s", old)
}

// AwaitReplica waits until the sentinels have made a replica of the server at addr, which was a primary when it came back. They do that
// when neither it nor the new primary has been out for eight seconds.
func (r *Replicated) AwaitReplica(t testing.TB, addr string) {
	t.Helper()
	role := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if role = inline(addr, "ROLE"); strings.HasPrefix(role, "slave\n") {
			return
		}
	}
	t.Fatalf("%s is no replica; its role is %q, and the sentinels name %s", addr, role, r.Primary(t))
}
