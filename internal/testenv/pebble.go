//go:build unix

package testenv

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"kentongan/internal/process"
)

// Pebble starts an ACME authority, Let's Encrypt's own for tests, that finds every domain on this machine and asks for proofs at these ports. It
// returns the URL of its directory. cert and key are those of its own TLS, for 127.0.0.1.
func Pebble(t testing.TB, cert, key string, httpPort, tlsPort int) (directory string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := t.TempDir()
	path := filepath.Join(dir, "pebble")
	build := exec.Command(program(t, "go"), "build", "-race", "-o", path, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = filepath.Join(filepath.Dir(here), "pebble") // a module of its own: nothing of it is in ours
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pebble: %v\n%s", err, out)
	}
	free := process.FreeAddresses(2)
	file := filepath.Join(dir, "pebble.json")
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": free[0], "managementListenAddress": free[1], "certificate": cert, "privateKey": key,
		"httpPort": httpPort, "tlsPort": tlsPort, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": 90 * 24 * 3600}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	Proxy(t, path, free[0], "-config", file, "-dnsserver", nameserver(t))
	return fmt.Sprintf("https://%s/dir", free[0])
}

// nameserver answers over TCP that every name is this machine, and returns where.
func nameserver(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				for err := error(nil); err == nil; {
					err = answer(conn)
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return l.Addr().String()
}

// answer reads one question with its length before it, and answers it.
func answer(conn net.Conn) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err //nolint:wrapcheck // the connection ends either way
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err //nolint:wrapcheck // as above
	}
	reply, err := here(question)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err //nolint:wrapcheck // as above
}

// here is the answer to a question for a name.
func here(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, fmt.Errorf("read a question: %w", err)
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("write an answer: %w", err)
	}
	return reply, nil
}

// Port returns the port of an address.
func Port(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
