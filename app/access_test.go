package app_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"kentongan/internal/testenv"
)

// logPair is one key and its value, as slog writes them.
var logPair = regexp.MustCompile(`([a-z_.]+)=("(?:[^"\\]|\\.)*"|\S*)`)

// accessLine is a line of the access log, as text.
type accessLine map[string]string

// lines returns what the access log has, of which each pair in want is true.
func (s *server) lines(want accessLine) (found []accessLine) {
	for text := range strings.SplitSeq(s.logs.String(), "\n") {
		if !strings.Contains(text, " msg=request ") {
			continue
		}
		line := accessLine{}
		for _, pair := range logPair.FindAllStringSubmatch(text, -1) {
			value := pair[2]
			if strings.HasPrefix(value, `"`) {
				_ = json.Unmarshal([]byte(value), &value) // what slog quotes is JSON's in all that is looked for here
			}
			line[pair[1]] = value
		}
		fits := true
		for key, value := range want {
			fits = fits && line[key] == value
		}
		if fits {
			found = append(found, line)
		}
	}
	return found
}

// one waits for exactly one line that has all of want.
func (s *server) one(t *testing.T, want accessLine) accessLine {
	t.Helper()
	var found []accessLine
	eventually(t, "a line of the access log", func() bool { found = s.lines(want); return len(found) > 0 })
	if len(found) != 1 {
		t.Errorf("%d lines have %v, want 1: %v", len(found), want, found)
	}
	for _, key := range []string{"method", "route", "status", "bytes", "took_ms", "request", "client"} {
		if found[0][key] == "" {
			t.Errorf("a line has no %s: %v", key, found[0])
		}
	}
	return found[0]
}

func with(header http.Header, more ...string) http.Header {
	header = maps.Clone(header)
	if header == nil {
		header = http.Header{}
	}
	for i := 0; i < len(more); i += 2 {
		header.Set(more[i], more[i+1])
	}
	return header
}

func TestAccessLog(t *testing.T) {
	for name, more := range map[string][]string{
		"Plain": nil, "Portable": {"KENTONGAN_SOCKETS=portable"}, "Redis": {"REDIS_URL=redis://" + testenv.Redis(t)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, append(more, "KENTONGAN_ACCESS_LOG=on", "KENTONGAN_TRUSTED_PROXIES=private", "KENTONGAN_MAX_USER_CONNECTIONS=1")...)
			eventually(t, "readiness", func() bool {
				status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
				return status == http.StatusOK
			})
			cook := s.cookie("u1", "k1", "SPPG_KEPALA")

			// A request; a query with what nobody may read; one that is refused.
			s.do(http.MethodGet, s.public+"/api/history?channel=production:updates:k1&limit=5", "",
				with(cook, "X-Request-Id", "from-a-proxy", "X-Forwarded-For", "203.0.113.9"))
			line := s.one(t, accessLine{"request": "from-a-proxy"})
			for key, want := range map[string]string{
				"method": "GET", "route": "GET /api/history", "status": "200", "tenant": "k1", "user": "u1", "client": "203.0.113.9",
			} {
				if line[key] != want {
					t.Errorf("the line of a request has %s=%q, want %q", key, line[key], want)
				}
			}
			s.do(http.MethodGet, s.public+"/api/productions/batch-of-somebody?ticket=a-ticket-that-is-none", "",
				http.Header{"X-Request-Id": {"refused-1"}})
			if line := s.one(t, accessLine{"request": "refused-1"}); line["status"] != "404" || line["route"] != "/api/" {
				t.Errorf("the line of a request for nothing is %v", line)
			}
			s.do(http.MethodGet, s.public+"/a//b", "", http.Header{"X-Request-Id": {"crooked-1"}})
			if line := s.one(t, accessLine{"request": "crooked-1"}); line["status"] != "404" || line["route"] != "none" {
				t.Errorf("the line of a crooked path is %v", line)
			}

			// A WebSocket is one line, at its end, with the code; one that is refused has its own.
			conn, response, err := websocket.Dial(t.Context(), "ws://"+s.public+"/api/ws", &websocket.DialOptions{
				HTTPHeader: with(cook, "X-Request-Id", "socket-1", "X-Forwarded-For", "203.0.113.9"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if id := response.Header.Get("X-Request-Id"); id != "socket-1" {
				t.Errorf("the upgrade is answered with the id %q, want that of the request", id)
			}
			if _, _, err := websocket.Dial(t.Context(), "ws://"+s.public+"/api/ws", &websocket.DialOptions{
				HTTPHeader: with(cook, "X-Request-Id", "socket-2"),
			}); err == nil {
				t.Error("a second connection of the user was let in")
			}
			if line := s.one(t, accessLine{"request": "socket-2"}); line["status"] != "429" || line["user"] != "u1" || line["route"] != "/api/ws" {
				t.Errorf("the line of a refused upgrade is %v", line)
			}
			s.publish("production:updates:k1", `{"n":1}`)
			read(t, conn)
			if n := len(s.lines(accessLine{"request": "socket-1"})); n != 0 {
				t.Errorf("a connection that is open has %d lines already", n)
			}
			_ = conn.Close(websocket.StatusCode(1000), "")
			line = s.one(t, accessLine{"request": "socket-1"})
			for key, want := range map[string]string{
				"route": "/api/ws", "status": "101", "tenant": "k1", "user": "u1", "client": "203.0.113.9", "dialect": "bare", "code": "1000",
			} {
				if line[key] != want {
					t.Errorf("the line of a WebSocket has %s=%q, want %q", key, line[key], want)
				}
			}
			if line["bytes"] < "1" || line["bytes"] == "0" {
				t.Errorf("a WebSocket that was sent a message has %s bytes", line["bytes"])
			}

			// An event stream.
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.public+"/api/sse", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = with(cook, "X-Request-Id", "stream-1")
			events, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if id := events.Header.Get("X-Request-Id"); id != "stream-1" {
				t.Errorf("an event stream is answered with the id %q", id)
			}
			leave()
			_ = events.Body.Close()
			if line := s.one(t, accessLine{"request": "stream-1"}); line["status"] != "200" || line["dialect"] != "sse" {
				t.Errorf("the line of an event stream is %v", line)
			}
			for _, hidden := range []string{"batch-of-somebody", "a-ticket-that-is-none", "production:updates:k1&"} {
				if strings.Contains(s.logs.String(), hidden) {
					t.Errorf("the log has %q of an address", hidden)
				}
			}
		})
	}
}

// TestAccessLogOverHTTP2 has an event stream that shares its connection, and a route with a name in its path.
func TestAccessLogOverHTTP2(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key, "KENTONGAN_ACCESS_LOG=on", "KENTONGAN_PRODUCTION=on",
		"DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "k.db"))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ask := func(path, id string) int {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = with(s.cookie("u1", "k1", "SPPG_KEPALA"), "X-Request-Id", id, "Origin", "https://"+s.public)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.ProtoMajor != 2 || resp.Header.Get("X-Request-Id") != id {
			t.Errorf("%s is answered over %s with the id %q", path, resp.Proto, resp.Header.Get("X-Request-Id"))
		}
		return resp.StatusCode
	}
	ask("/api/sse", "stream-2")
	if line := s.one(t, accessLine{"request": "stream-2"}); line["status"] != "200" || line["dialect"] != "sse" || line["user"] != "u1" {
		t.Errorf("the line of an event stream is %v", line)
	}
	tries := 0
	eventually(t, "an answer of the production service", func() bool {
		tries++
		return ask("/api/productions/batch-of-somebody", fmt.Sprint("batch-", tries)) != http.StatusServiceUnavailable // it migrates
	})
	if line := s.one(t, accessLine{"request": fmt.Sprint("batch-", tries)}); line["status"] != "404" || line["route"] != "GET /api/productions/{id}" ||
		line["tenant"] != "k1" {
		t.Errorf("the line of a request for a batch is %v", line)
	}
}

// TestAccessLogOfErrors writes no line for what went well, and none at all by default.
func TestAccessLogOfErrors(t *testing.T) {
	for mode, want := range map[string]int{"errors": 1, "off": 0} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, "KENTONGAN_ACCESS_LOG="+mode)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.public+"/api/ws", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.Header.Get("X-Request-Id") == "" {
				t.Error("an answer without an id")
			}
			s.do(http.MethodGet, s.public+"/api/ws", "", s.cookie("u1", "k1", "SPPG_KEPALA"))
			conn := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
			_ = conn.Close(websocket.StatusCode(1000), "")
			eventually(t, "the end of the connection", func() bool { return strings.Contains(s.logs.String(), `msg="session closed"`) })
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if found := s.lines(nil); len(found) != want {
				t.Errorf("%d lines, want %d: %v", len(found), want, found)
			}
		})
	}
}
