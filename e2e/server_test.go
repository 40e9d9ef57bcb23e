//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	secret = "an-e2e-secret-of-more-than-32-bytes"
	apiKey = "an-e2e-key-of-more-than-16-bytes"
)

// patience bounds every wait of these tests. It is far more than anything takes, since tests of other packages run beside.
const patience = time.Minute

// server is a child process, `kentongan serve` or another command.
type server struct {
	Addr string // host:port of the public listener
	Door string // host:port of the Redis door; empty: it is off

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
	dead  bool // killed by the test
	mu    sync.Mutex
	text  bytes.Buffer // all that it wrote
}

// serve starts `kentongan serve` with the session secret, one API key for all kitchens, and env besides ("REDIS_URL=…").
// At the end of the test it must stop cleanly.
func serve(t testing.TB, env ...string) *server {
	t.Helper()
	s := start(t, append([]string{"AUTH_SECRET=" + secret, "KENTONGAN_API_KEYS=e2e:" + apiKey}, env...), "serve")
	return s
}

// start starts the binary with args and env, and waits until it listens.
func start(t testing.TB, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{})}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=127.0.0.1:0",
		"KENTONGAN_LOG_FORMAT=json", "KENTONGAN_LOG_LEVEL=debug", "KENTONGAN_DRAIN_TIME=2s",
	}, env...)
	r, w := io.Pipe()
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan started, 1)
	go s.read(r, listening)
	go func() {
		_ = s.cmd.Wait() // stop looks at the code
		_ = w.Close()
		close(s.ended)
	}()
	t.Cleanup(s.stop)
	select {
	case at := <-listening:
		s.Addr, s.Door = at.Listen, at.Door
	case <-s.ended:
		t.Fatalf("kentongan %s ended: %v\n%s", args[0], s.cmd.ProcessState, s.output())
	case <-time.After(patience):
		t.Fatalf("kentongan %s does not listen\n%s", args[0], s.output())
	}
	return s
}

// started is the log line that tells the addresses.
type started struct {
	Msg, Listen string
	Door        string `json:"redis_door"`
}

// read keeps what the server writes, and sends the log line that tells the addresses.
func (s *server) read(r io.Reader, listening chan<- started) {
	for scan := bufio.NewScanner(r); scan.Scan(); {
		s.mu.Lock()
		s.text.Write(scan.Bytes())
		s.text.WriteByte('\n')
		s.mu.Unlock()
		var line started
		if json.Unmarshal(scan.Bytes(), &line) == nil && line.Msg == "server started" {
			listening <- line
		}
	}
}

func (s *server) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// kill ends the server at once (SIGKILL), as a crash does.
func (s *server) kill() {
	s.dead = true
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// anyToken is how every JWT and JWE begins, whoever made it: the base64 of {".
var anyToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)

// keepsSecrets fails if the server has written a secret or a token, at the level debug: every test of this package is a test of that.
// Links to sign in, which the demo prints for people, are no JWE.
func (s *server) keepsSecrets() {
	s.t.Helper()
	text := s.output()
	for _, hidden := range []string{secret, apiKey} {
		if strings.Contains(text, hidden) {
			s.t.Errorf("the server has written a secret: %q", hidden)
		}
	}
	if token := anyToken.FindString(text); token != "" {
		s.t.Errorf("the server has written a token: %s", token)
	}
}

// stop sends SIGTERM and expects an orderly end: code 0, within the drain time and a margin.
func (s *server) stop() {
	s.t.Helper()
	defer s.keepsSecrets()
	if s.dead {
		if s.t.Failed() {
			s.t.Logf("the server that was killed wrote:\n%s", s.output())
		}
		return
	}
	select {
	case <-s.ended:
	default:
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Errorf("the server does not end after SIGTERM")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("the server ended with %v; want exit code 0", s.cmd.ProcessState)
	}
	if s.t.Failed() {
		s.t.Logf("the server wrote:\n%s", s.output())
	}
}

// publish sends one publication to POST /api/publish and returns the answered offset.
func (s *server) publish(channel, data string) uint64 {
	s.t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, data)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.Addr+"/api/publish", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+apiKey)
	status, text := do(s.t, req)
	var position struct {
		Epoch  string
		Offset uint64
	}
	if err := json.Unmarshal([]byte(text), &position); status != http.StatusOK || err != nil || position.Epoch == "" {
		s.t.Fatalf("publish to %s: status %d, %s", channel, status, text)
	}
	return position.Offset
}

// get fetches path and returns status and body.
func (s *server) get(path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.Addr+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	return do(s.t, req)
}

// do sends req on a connection of its own, so that no idle one is left for the server to wait for.
func do(t testing.TB, req *http.Request) (int, string) {
	t.Helper()
	req.Close = true
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// eventually waits until check returns true. Waiting for another process has no event to wait on.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for this in vain: %s", patience, what)
		}
	}
}
