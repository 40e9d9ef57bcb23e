package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// event is what an EventSource makes of a stream, by the rules of the HTML standard.
type event struct{ name, id, data string }

// events reads an event stream as browsers do: a line ends with CR LF, LF or CR.
type events struct {
	r    *bufio.Reader
	skip bool // the last line ended with CR: a LF belongs to it
}

func (e *events) line() (string, error) {
	var line strings.Builder
	for {
		b, err := e.r.ReadByte()
		if err != nil {
			return "", err
		}
		if b == '\n' && e.skip {
			e.skip = false
			continue
		}
		e.skip = b == '\r'
		if b == '\r' || b == '\n' {
			return line.String(), nil
		}
		line.WriteByte(b)
	}
}

func (e *events) next() (event, error) {
	var ev event
	var data []string
	for {
		line, err := e.line()
		if err != nil {
			return ev, err
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			ev.data = strings.Join(data, "\n")
			return ev, nil
		case field == "event":
			ev.name = value
		case field == "id":
			ev.id = value
		case field == "data":
			data = append(data, value)
		}
	}
}

// stream opens an event stream, and returns a function that closes it.
func (a *arena) stream(t *testing.T, query string, header http.Header) (*events, func()) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.public+"/api/sse"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := a.client.Do(req) //nolint:bodyclose // the caller closes it
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		t.Fatalf("the stream was answered with %s", resp.Status)
	}
	return &events{r: bufio.NewReader(resp.Body)}, func() { _ = resp.Body.Close() }
}

func TestHostileStreams(t *testing.T) {
	a := newArena(t)
	header := func(pairs ...string) http.Header {
		h := a.cookie("attacker", "a", "SPPG_KEPALA")
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, c := range []struct {
		name   string
		method string
		header http.Header
		want   int
	}{
		{"Post", http.MethodPost, header(), 405},
		{"Delete", http.MethodDelete, header(), 405},
		{"Head", http.MethodHead, header(), 405},
		{"WantsJSON", http.MethodGet, header("Accept", "application/json"), 406},
		{"WantsHTML", http.MethodGet, header("Accept", "text/html, image/*"), 406},
		{"ForeignOrigin", http.MethodGet, header("Origin", "https://evil.example"), 403},
		{"NullOrigin", http.MethodGet, header("Origin", "null"), 403},
		{"CrossSite", http.MethodGet, http.Header{"Cookie": header()["Cookie"], "Sec-Fetch-Site": {"cross-site"}}, 403},
		{"NoCredential", http.MethodGet, http.Header{}, 401},
		{"LastEventIDOf1MB", http.MethodGet, header("Last-Event-ID", strings.Repeat("A", 1<<20)), 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+a.public+"/api/sse", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Header = c.header
				resp, err := a.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != c.want {
					t.Errorf("answered %s, want %d", resp.Status, c.want)
				}
				for name := range resp.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("a page that is not allowed is answered with %s", name)
					}
				}
			})
		})
	}

	a.put(t, "updates:a", `"history"`)
	for _, id := range []string{
		"garbage", "0", "-1", "18446744073709551616", strings.Repeat("A", 8<<10), strings.Repeat("A", 9<<10), "AQ", "AQxrM3Y5eDJtN3E0YWIBAwdxZxiG",
		"a\r\nevent: forged\r\ndata: x", "\x00", "\u2028", "%0d%0a", "null", "{}",
	} {
		t.Run(fmt.Sprintf("Cursor%.20q", id), func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				if !strings.ContainsAny(id, "\r\n\x00") { // no header may hold them
					gapThenLive(t, a, "", header("Last-Event-ID", id))
				}
				gapThenLive(t, a, "?cursor="+url.QueryEscape(id), header())
			})
		})
	}

	for _, data := range []string{
		`"\n\ndata: forged\n\nid: forged\nevent: forged\n"`, "{\r\n\"a\":\r1,\n\n\"b\":\r\r2\r\n}", "[1,\n\nid: 2]", "\"\u2028\u2029\u0085\"", `"data: x"`, `"id: x"`,
		"\r\n\r\n1\r\n\r\n", `"\u0000\u000d\u000a"`, "[\n:\n1]", `{"event":"forged","id":"forged","retry":1}`,
	} {
		t.Run(fmt.Sprintf("Data%.30q", data), func(t *testing.T) {
			a.against(t, func(t *testing.T) { arrivesUnchanged(t, a, data, header()) })
		})
	}
}

// gapThenLive resumes from what is no cursor, and wants at least one gap and then only what is live.
func gapThenLive(t *testing.T, a *arena, query string, header http.Header) {
	t.Helper()
	stream, hangUp := a.stream(t, query, header)
	defer hangUp()
	gaps, published := 0, false
	for {
		ev, err := stream.next()
		if err != nil {
			t.Fatal(err)
		}
		switch ev.name {
		case "welcome", "heartbeat":
		case "gap":
			if gaps++; published {
				continue
			}
			published = true
			if status, body := a.put(t, "updates:a", `"live"`); status != http.StatusOK {
				t.Fatalf("publish was answered with %d %s", status, body)
			}
		case "":
			if gaps == 0 || !strings.Contains(ev.data, `"live"`) {
				t.Errorf("after %d gaps comes %+v, want a gap and then what is live", gaps, ev)
			}
			return
		default:
			t.Fatalf("forged event %+v", ev)
		}
	}
}

// arrivesUnchanged publishes data, which may be no JSON, and wants just that on a stream and a bare socket, or nothing if it was
// refused.
func arrivesUnchanged(t *testing.T, a *arena, data string, header http.Header) {
	t.Helper()
	stream, hangUp := a.stream(t, "", header)
	defer hangUp()
	bare := a.upgrade(t, "")
	defer bare.hangUp()
	if ev, err := stream.next(); err != nil || ev.name != "welcome" {
		t.Fatalf("the stream begins with %+v (%v)", ev, err)
	}
	want := []string{data, `"end"`}
	if !json.Valid([]byte(data)) {
		want = want[1:]
		if status, body := a.put(t, "updates:a", data); status != http.StatusBadRequest {
			t.Errorf("publish was answered with %d %s, want 400", status, body)
		}
	} else if status, body := a.put(t, "updates:a", data); status != http.StatusOK {
		t.Errorf("publish was answered with %d %s", status, body)
	}
	if status, body := a.put(t, "updates:a", `"end"`); status != http.StatusOK {
		t.Errorf("publish was answered with %d %s", status, body)
	}
	for _, w := range want {
		ev, err := stream.next()
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Data any }
		var sent any
		if err := json.Unmarshal([]byte(ev.data), &got); err != nil || json.Unmarshal([]byte(w), &sent) != nil {
			t.Errorf("event %+v: %v", ev, err)
		}
		if ev.name != "" || ev.id == "" || ev.id == "forged" || !reflect.DeepEqual(got.Data, sent) {
			t.Errorf("the stream has %+v, want a message with %q", ev, w)
		}
		if got := bare.text(); got != strings.Trim(w, " \t\r\n") {
			t.Errorf("the bare socket reads %q, want %q", got, w)
		}
	}
}

// TestHostilePaths asks the public port for what is not public.
func TestHostilePaths(t *testing.T) {
	a := newArena(t)
	for _, path := range []string{
		"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics", "/connections", "/channels/unmatched", "/.git/config", "/.git/HEAD", "/.env", "/.well-known/x",
		"/.htaccess", "/dist/", "/api/", "/api/v1", "/admin", "/index.php", "/api/publish/", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/a%00b",
		"/embed.go", "/kitchen.js/../embed.go", `/..\..\etc\passwd`, "/api/sse/", "//evil.example/", "/%2f/evil.example",
	} {
		t.Run(path, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.connect(t)
				defer conn.hangUp()
				conn.send(a.fill("GET " + path + " HTTP/1.1\r\nHost: {host}\r\n{cookie}Origin: http://{host}\r\nConnection: close\r\n\r\n"))
				if status, _, body := conn.answer(); status != http.StatusNotFound {
					t.Errorf("answered %d %.200s, want 404", status, body)
				}
			})
		})
	}
	for _, method := range []string{"TRACE", "TRACK", "DEBUG", "PROPFIND", "CONNECT", "PUT", "DELETE", "get"} {
		for _, path := range []string{"/", "/api/ws", "/api/publish", "/api/history", "/healthz"} {
			t.Run(method+path, func(t *testing.T) {
				a.against(t, func(t *testing.T) {
					conn := a.connect(t)
					defer conn.hangUp()
					conn.send(a.fill(method + " " + path + " HTTP/1.1\r\nHost: {host}\r\n{cookie}Origin: http://{host}\r\nX-Mark: sent back\r\nConnection: close\r\n\r\n"))
					status, header, body := conn.answer()
					if status < 400 || status >= 500 || strings.Contains(body, "sent back") {
						t.Errorf("answered %d %.200s, want a refusal", status, body)
					}
					if status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
						t.Error("a 405 does not say what is allowed")
					}
				})
			})
		}
	}
}
