package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"kentongan/app"
	"kentongan/auth"
	"kentongan/config"
	"kentongan/internal/testenv"
)

func TestMain(m *testing.M) {
	// What certmagic leaves running by itself, one for each account and for some seconds behind each lock; it has no way to end it.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

const (
	patience = time.Minute
	secret   = "a-session-secret-of-32-bytes-here"
	apiKey   = "an-api-key-that-nobody-can-guess"
)

// server is a whole app, started from its environment as an operator would.
type server struct {
	t        *testing.T
	public   string
	admin    string
	redis    string // the Redis door
	redirect string
	logs     *logs
	stop     func() error

	mu      sync.Mutex
	secrets []string // what must not be logged
}

// logs keeps what was logged, to be looked at by tests.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// load makes a configuration of environ and what all servers here have.
func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	environ = append([]string{
		"KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=127.0.0.1:0", "AUTH_SECRET=" + secret,
		"KENTONGAN_API_KEYS=app:" + apiKey, "KENTONGAN_DRAIN_TIME=1s",
	}, environ...)
	cfg, err := config.Load(config.Input{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func start(t *testing.T, environ ...string) *server {
	t.Helper()
	return startAt(t, slog.LevelDebug, environ...)
}

// startAt is start with a log of that level.
func startAt(t *testing.T, level slog.Level, environ ...string) *server {
	t.Helper()
	cfg := load(t, environ...)
	s := &server{t: t, logs: &logs{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan app.Addresses, 1), make(chan error, 1)
	go func() {
		done <- app.Run(ctx, cfg, app.Options{
			Log: slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: level})), Version: "test",
			ShareEvery: 200 * time.Millisecond,
			Ready:      func(a app.Addresses) { ready <- a },
		})
	}()
	select {
	case a := <-ready:
		s.public, s.admin, s.redis, s.redirect = a.Public, a.Admin, a.Redis, a.Redirect
	case err := <-done:
		t.Fatalf("the server ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the server did not start")
	}
	s.stop = sync.OnceValue(func() error {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			t.Error("the server did not stop")
			return context.DeadlineExceeded
		}
	})
	s.secrets = secretsOf(environ)
	t.Cleanup(func() {
		_ = s.stop()
		s.keepsSecrets()
	})
	return s
}

// secretsOf returns the values that are secret of the settings in environ.
func secretsOf(environ []string) []string {
	var out []string
	for _, e := range environ {
		key, value, _ := strings.Cut(e, "=")
		switch {
		case key == "KENTONGAN_API_KEYS":
			for k := range strings.SplitSeq(value, ",") {
				_, k, _ = strings.Cut(k, ":")
				out = append(out, k)
			}
		case strings.Contains(key, "SECRET"), strings.Contains(key, "PASSWORD"), strings.Contains(key, "TOKEN"):
			out = append(out, value)
		}
	}
	return out
}

// keepsSecrets fails if anything that is secret was logged, at the level debug: every test of this package is a test of that.
func (s *server) keepsSecrets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.logs.String()
	for _, secret := range s.secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.t.Errorf("a secret was logged: %q", secret)
		}
	}
	if token := anyToken.FindString(text); token != "" {
		s.t.Errorf("a token was logged: %s", token)
	}
}

// anyToken is how every JWT and JWE begins, whoever made it: the base64 of {".
var anyToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)

func (s *server) cookie(user, kitchen, role string) http.Header {
	s.t.Helper()
	return s.cookieFor(user, kitchen, role, time.Hour)
}

// cookieFor is that of a session which lives so long.
func (s *server) cookieFor(user, kitchen, role string, life time.Duration) http.Header {
	s.t.Helper()
	claims := map[string]any{"sub": user, "userRole": role}
	if kitchen != "" { // somebody of the platform has none
		claims["sppgId"] = kitchen
	}
	token, err := auth.MintSession(secret, "authjs.session-token", claims, life)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.secrets = append(s.secrets, token)
	s.mu.Unlock()
	return http.Header{"Cookie": {"authjs.session-token=" + token}, "Origin": {"http://" + s.public}}
}

// do answers with the status and the body.
func (s *server) do(method, address, body string, header http.Header) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+address, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (s *server) publish(channel, data string) {
	s.t.Helper()
	status, body := s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"`+channel+`","data":`+data+`}`,
		http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}})
	if status != http.StatusOK {
		s.t.Fatalf("publish was answered with %d %s", status, body)
	}
}

func (s *server) dial(header http.Header) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+s.public+"/api/ws", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func closeCode(conn *websocket.Conn) websocket.StatusCode {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// eventually waits for what another goroutine or process does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

func engines(t *testing.T, run func(t *testing.T, s *server)) {
	t.Run("memory", func(t *testing.T) { run(t, start(t)) })
	t.Run("redis", func(t *testing.T) {
		s := start(t, "REDIS_URL=redis://"+testenv.Redis(t))
		eventually(t, "readiness", func() bool {
			status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
			return status == http.StatusOK
		})
		run(t, s)
	})
}

func TestServer(t *testing.T) {
	engines(t, func(t *testing.T, s *server) {
		mine, other := s.dial(s.cookie("u1", "a", "SPPG_KEPALA")), s.dial(s.cookie("u2", "b", "SPPG_KEPALA"))
		s.publish("production:updates:a", `{"kitchen":"a"}`)
		s.publish("production:updates:b", `{"kitchen":"b"}`)
		if got := read(t, mine); got != `{"kitchen":"a"}` {
			t.Errorf("a reads %s", got)
		}
		if got := read(t, other); got != `{"kitchen":"b"}` {
			t.Errorf("b reads %s", got)
		}

		status, body := s.do(http.MethodGet, s.public+"/api/ws", "", s.cookie("u1", "a", "SPPG_KEPALA"))
		var info struct {
			Success bool
			Data    struct {
				WSURL    string `json:"wsUrl"`
				TenantID string `json:"sppgId"`
				Channels []string
				Token    string
			}
		}
		if err := json.Unmarshal([]byte(body), &info); err != nil || status != http.StatusOK || info.Data.TenantID != "a" || len(info.Data.Channels) < 10 {
			t.Errorf("connection info: %d %s (%v)", status, body, err)
		}
		// The token of the connection info is a ticket: good once, also without the cookie.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for i, want := range []bool{true, false} {
			conn, _, err := websocket.Dial(ctx, info.Data.WSURL+"?ticket="+info.Data.Token, &websocket.DialOptions{
				HTTPHeader: http.Header{"Origin": {"http://" + s.public}},
			})
			if (err == nil) != want {
				t.Errorf("use %d of a ticket: %v", i+1, err)
			}
			if conn != nil {
				_ = conn.CloseNow()
			}
		}

		status, body = s.do(http.MethodPost, s.public+"/api/revoke", fmt.Sprintf(`{"sub":"u1","issuedBefore":%d}`, time.Now().Add(time.Second).UnixMilli()), http.Header{
			"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"},
		})
		if status != http.StatusOK {
			t.Errorf("revoke was answered with %d %s", status, body)
		}
		if code := closeCode(mine); code != 4500 {
			t.Errorf("the revoked session was closed with %d, want 4500", code)
		}
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if code := closeCode(other); code != 4000 {
			t.Errorf("the drained session was closed with %d, want 4000", code)
		}
		for _, hidden := range []string{secret, apiKey, info.Data.Token} {
			if strings.Contains(s.logs.String(), hidden) {
				t.Errorf("the log holds a secret: %q", hidden)
			}
		}
	})
}

func TestRoutes(t *testing.T) {
	s := start(t)
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/": 200, "/api/ws": 401, "/api/history": 401, "/api/presence": 401, "/api/sse": 401,
		"/api/nothing": 404, "/metrics": 404, "/debug/pprof/": 404, "/connections": 404, "/.git/config": 404, "/signin": 404,
	} {
		if status, body := s.do(http.MethodGet, s.public+path, "", nil); status != want {
			t.Errorf("GET %s was answered with %d %s, want %d", path, status, body, want)
		}
	}
	if status, _ := s.do("TRACE", s.public+"/", "", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("TRACE was answered with %d, want 405", status)
	}
	for path, want := range map[string]int{"/metrics": 200, "/connections": 200, "/channels/unmatched": 200, "/debug/pprof/goroutine?debug=1": 200, "/x": 404} {
		if status, body := s.do(http.MethodGet, s.admin+path, "", nil); status != want {
			t.Errorf("admin GET %s was answered with %d %s, want %d", path, status, body, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	engines(t, func(t *testing.T, s *server) {
		conn := s.dial(s.cookie("u1", "kitchen_seven", "SPPG_KEPALA"))
		s.publish("production:updates:kitchen_seven", `1`)
		read(t, conn)
		_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"kentongan_connections", "kentongan_delivery_seconds", "kentongan_engine_up", "kentongan_intake_total"} {
			if families[name] == nil {
				t.Errorf("no metric %s", name)
			}
		}
		if strings.Contains(body, "kitchen_seven") {
			t.Error("a tenant id stands in the metrics")
		}
		eventually(t, "the count of the delivery", func() bool {
			_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
			return strings.Contains(body, `kentongan_messages_out_total{dialect="bare"} 1`) && strings.Contains(body, "kentongan_delivery_seconds_count 1")
		})
		if _, list := s.do(http.MethodGet, s.admin+"/connections", "", nil); !strings.Contains(list, `"tenant":"kitchen_seven"`) {
			t.Errorf("/connections answers %s", list)
		}
	})
}

func TestReadyzWithoutRedis(t *testing.T) {
	r := testenv.StartRedis(t)
	s := start(t, "REDIS_URL=redis://"+r.Addr)
	ready := func() (int, string) { return s.do(http.MethodGet, s.public+"/readyz", "", nil) }
	eventually(t, "readiness", func() bool { status, _ := ready(); return status == http.StatusOK })
	r.Kill()
	eventually(t, "unreadiness", func() bool {
		status, body := ready()
		return status == http.StatusServiceUnavailable && strings.Contains(body, "redis")
	})
	if status, _ := s.do(http.MethodGet, s.public+"/healthz", "", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d while Redis is out", status)
	}
	r.Restart()
	eventually(t, "readiness again", func() bool { status, _ := ready(); return status == http.StatusOK })
}
