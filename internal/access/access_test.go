package access_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"kentongan/internal/access"
)

func TestID(t *testing.T) {
	for id, taken := range map[string]bool{
		"abc-123": true, "4bf92f35.77b3:4da6/a+3=": true, strings.Repeat("x", 128): true,
		"": false, "two words": false, "a\nline": false, `"quoted"`: false, "é": false, strings.Repeat("x", 129): false,
	} {
		note := access.NewNote(http.Header{access.Header: {id}})
		if (note.ID == id) != taken {
			t.Errorf("the id %q becomes %q; taken as it is: want %v", id, note.ID, taken)
		}
	}
	two := http.Header{access.Header: {"one", "two"}}
	if a, b := access.NewNote(two).ID, access.NewNote(two).ID; a == "one" || a == "two" || a == b || a == "" {
		t.Errorf("of two ids in a request becomes %q and %q, want a new one each time", a, b)
	}
}

// line serves one request and returns what was written of it.
func line(t *testing.T, mode bool, method, target string, h http.HandlerFunc) (string, *httptest.ResponseRecorder) {
	t.Helper()
	var out bytes.Buffer
	log := &access.Log{Log: slog.New(slog.NewTextHandler(&out, nil)), ErrorsOnly: mode}
	mux := http.NewServeMux()
	mux.HandleFunc("/things/{id}", h)
	mux.HandleFunc("GET /healthz", h)
	answer := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }() // what net/http does
		r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
		access.Handler(log, access.Peer, mux).ServeHTTP(answer, r)
	}()
	return out.String(), answer
}

func TestHandler(t *testing.T) {
	for name, c := range map[string]struct {
		method, target string
		errors         bool
		do             http.HandlerFunc
		want           string // "": no line
	}{
		"NothingWritten": {"GET", "/things/of-kitchen-a?ticket=x", false, func(http.ResponseWriter, *http.Request) {},
			"method=GET route=/things/{id} status=200 bytes=0 "},
		"Body": {"POST", "/things/of-kitchen-a", false, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("12345"))
		}, "method=POST route=/things/{id} status=201 bytes=5 "},
		"Who": {"GET", "/things/of-kitchen-a", false, func(_ http.ResponseWriter, r *http.Request) {
			access.From(r.Context()).Identify(slog.String("user", "u1"))
		}, " user=u1"},
		"Unknown":    {"GET", "/other", true, http.NotFound, "route=none status=404 "},
		"Method":     {"BREW", "/things/1", false, func(http.ResponseWriter, *http.Request) {}, "method=other "},
		"Aborted":    {"GET", "/things/1", true, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "status=0 "},
		"Well":       {"GET", "/things/1", true, func(http.ResponseWriter, *http.Request) {}, ""},
		"Probe":      {"GET", "/healthz", false, func(http.ResponseWriter, *http.Request) {}, ""},
		"ProbeFails": {"GET", "/healthz", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "status=502 "},
		"Taken":      {"GET", "/things/1", false, func(_ http.ResponseWriter, r *http.Request) { access.From(r.Context()).Take() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, answer := line(t, c.errors, c.method, c.target, c.do)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("written: %q, want %q in it", got, c.want)
			}
			if id := answer.Header().Get(access.Header); id == "" || got != "" && !strings.Contains(got, "request="+id+" client=192.0.2.1") {
				t.Errorf("the answer has the id %q, the line is %q", id, got)
			}
			if strings.Contains(got, "of-kitchen-a") || strings.Contains(got, "ticket") {
				t.Errorf("a line has something of the address: %s", got)
			}
		})
	}
}

func TestWithoutLog(t *testing.T) {
	var seen string
	h := access.Handler(nil, func(*http.Request) netip.Addr { return netip.Addr{} }, http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { seen = access.From(r.Context()).ID }))
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if id := answer.Header().Get(access.Header); id == "" || id != seen {
		t.Errorf("the answer has the id %q, its handler saw %q", id, seen)
	}
	if note := access.From(context.Background()); note != nil {
		t.Errorf("a context without a request has a note: %+v", note)
	}
	var none *access.Note
	none.Identify(slog.String("user", "u1"))
	none.Take()
	if who := none.Who(); who != nil {
		t.Errorf("nobody is %v", who)
	}
}
