package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// budgets say how much each page may weigh over the line, all its files together. A bad 2G line of 50 kbit/s carries the live view in
// seven seconds. The board is loaded once for each build, and then lives on the device; what is left to its 100 KiB is for growth.
var budgets = map[string]struct {
	board bool
	files []string
	bytes int
}{
	"live":  {false, []string{"/", "/live.js", "/live.css", "/icon.svg"}, 40 << 10},
	"board": {true, []string{"/", "/board.js", "/board.css", "/board.webmanifest", "/board-worker.js", "/icon.svg"}, 100 << 10},
}

// reply is an answer of the handler.
type reply struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, h http.Handler, method, target string, header ...string) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

func TestFilesHaveTheirTypesAndTheSecurityHeaders(t *testing.T) {
	h := Handler(Options{Board: true})
	for target, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/live": "text/html; charset=utf-8", "/board.js": "text/javascript; charset=utf-8",
		"/board.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml", "/board.webmanifest": "application/manifest+json",
	} {
		r := get(t, h, http.MethodGet, target)
		if r.status != http.StatusOK || r.header.Get("Content-Type") != kind || r.body == "" {
			t.Errorf("%s: got %d, %q; want 200, %q and a body", target, r.status, r.header.Get("Content-Type"), kind)
		}
		if got := r.header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control is %q; want no-cache", target, got)
		}
		wantSecure(t, target, r)
	}
}

func wantSecure(t *testing.T, target string, r reply) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy":      contentSecurityPolicy,
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %s is %q; want %q", target, name, got, want)
		}
	}
}

func TestPolicyAllowsNothingInline(t *testing.T) {
	for _, word := range []string{"unsafe", "*", "data:", "blob:", "http:"} {
		if strings.Contains(contentSecurityPolicy, word) {
			t.Errorf("the policy has %q in it: %s", word, contentSecurityPolicy)
		}
	}
	for _, path := range []string{"/", "/live"} {
		wantNothingInline(t, path, get(t, Handler(Options{Board: true}), http.MethodGet, path).body)
	}
}

func wantNothingInline(t *testing.T, path, page string) {
	t.Helper()
	for _, mark := range []string{" style=", " onclick=", " onload=", "<style", "javascript:"} {
		if strings.Contains(page, mark) {
			t.Errorf("%s has %q in it, which the policy blocks", path, mark)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	h := Handler(Options{Board: true})
	for _, target := range []string{"/x", "/dist/", "/.keep", "/board.js/", "/live/", "//", "/../embed.go", "/%2e%2e/embed.go", "/board.js%00", "/BOARD.JS"} {
		r := get(t, h, http.MethodGet, target)
		if text := r.body; r.status != http.StatusNotFound || !strings.Contains(text, "There is no such page") {
			t.Errorf("%s: got %d %q; want 404 in words", target, r.status, text)
		}
		wantSecure(t, target, r)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := Handler(Options{Board: true})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		r := get(t, h, method, "/")
		if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d, Allow %q; want 405, %q", method, r.status, r.header.Get("Allow"), "GET, HEAD")
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	srv := httptest.NewServer(Handler(Options{Board: true}))
	defer srv.Close()
	for _, target := range []string{"/", "/board.js", "/none"} {
		r, err := srv.Client().Head(srv.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || len(text) > 0 || r.Header.Get("Content-Type") == "" {
			t.Errorf("HEAD %s: got %q, %v, type %q; want no body, and a type", target, text, err, r.Header.Get("Content-Type"))
		}
	}
}

func TestWhatTheBrowserHasIsNotSentAgain(t *testing.T) {
	h := Handler(Options{Board: true})
	for _, coding := range []string{"identity", "gzip"} {
		tag := get(t, h, http.MethodGet, "/board.js", "Accept-Encoding", coding).header.Get("ETag")
		if len(tag) < 10 || strings.HasPrefix(tag, "W/") {
			t.Fatalf("%s: ETag is %q; want a strong one", coding, tag)
		}
		r := get(t, h, http.MethodGet, "/board.js", "Accept-Encoding", coding, "If-None-Match", tag)
		if r.status != http.StatusNotModified || r.body != "" {
			t.Errorf("%s: got %d; want 304", coding, r.status)
		}
		if r := get(t, h, http.MethodGet, "/board.js", "Accept-Encoding", coding, "If-None-Match", `"older"`); r.status != http.StatusOK {
			t.Errorf("%s with an older tag: got %d; want 200", coding, r.status)
		}
	}
}

func TestTagFollowsTheContent(t *testing.T) {
	tag := func(content string) string {
		h := newHandler(fstest.MapFS{"live.html": {Data: []byte(content)}}, Options{})
		return get(t, h, http.MethodGet, "/").header.Get("ETag")
	}
	first, again, other := tag("a"), tag("a"), tag("b")
	if first != again || first == other {
		t.Errorf("the tags are %s, again %s, and %s of another file; want the same twice, and another one", first, again, other)
	}
}

func TestPagesKeepToTheirBudgetsZipped(t *testing.T) {
	for name, b := range budgets {
		t.Run(name, func(t *testing.T) { keepsToItsBudget(t, Handler(Options{Board: b.board}), b.files, b.bytes) })
	}
}

func keepsToItsBudget(t *testing.T, h http.Handler, files []string, budget int) {
	total := 0
	for _, target := range files {
		plain := get(t, h, http.MethodGet, target).body
		r := get(t, h, http.MethodGet, target, "Accept-Encoding", "br, gzip")
		sent := r.body
		total += len(sent)
		if r.header.Get("Content-Encoding") != "gzip" {
			continue // so small that it does not pay
		}
		if r.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary is %q", target, r.header.Get("Vary"))
		}
		z, err := gzip.NewReader(strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		unzipped, err := io.ReadAll(z)
		if err != nil || string(unzipped) != plain {
			t.Errorf("%s: %d bytes after unzipping (%v); want the %d of the file", target, len(unzipped), err, len(plain))
		}
	}
	t.Logf("the page weighs %d bytes", total)
	if total > budget {
		t.Errorf("the page weighs %d bytes; want %d at most", total, budget)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "*": true, "gzip;q=1.0, *;q=0": true, "deflate, * ; q=0.1": true,
		"": false, "br": false, "gzip;q=0": false, "*;q=0": false, "gzip;q=0, *": false, "*, gzip;q=0.000": false, "gzip;q=x": false, "xgzip": false,
	} {
		if got := acceptsGzip([]string{header}); got != want {
			t.Errorf("acceptsGzip(%q) = %v; want %v", header, got, want)
		}
	}
	if !acceptsGzip([]string{"br", "gzip"}) {
		t.Error("gzip in a second header line is not seen")
	}
}

func TestWithoutFilesItSaysHowToBuildThem(t *testing.T) {
	h := newHandler(fstest.MapFS{".keep": {}, ".hidden.html": {Data: []byte("x")}, "notes.txt": {Data: []byte("x")}}, Options{})
	r := get(t, h, http.MethodGet, "/")
	if text := r.body; r.status != http.StatusServiceUnavailable || !strings.Contains(text, "make web") {
		t.Errorf("got %d %q; want 503 and how to build the page", r.status, text)
	}
	for _, target := range []string{"/.keep", "/.hidden.html", "/notes.txt"} {
		if r := get(t, h, http.MethodGet, target); r.status != http.StatusNotFound {
			t.Errorf("%s: got %d; want 404", target, r.status)
		}
	}
}

func TestOptionsSayWhatComesFirst(t *testing.T) {
	for board, want := range map[bool]string{false: "/live.js", true: "/board.js"} {
		h := Handler(Options{Board: board})
		if page := get(t, h, http.MethodGet, "/").body; !strings.Contains(page, want) {
			t.Errorf("Board %t: / does not load %s", board, want)
		}
		if page := get(t, h, http.MethodGet, "/live").body; !strings.Contains(page, "/live.js") {
			t.Errorf("Board %t: /live is not the live view", board)
		}
	}
}

// The board of the demo knows what it is, and a browser that has kept another one's fetches it: its worker is not the same.
func TestDemoIsToldToTheBoard(t *testing.T) {
	plain, demo := Handler(Options{Board: true}), Handler(Options{Board: true, Demo: true})
	for _, path := range []string{"/", "/board.html"} {
		if page := get(t, demo, http.MethodGet, path).body; !strings.Contains(page, `<html data-demo lang="id">`) {
			t.Errorf("%s of the demo begins with %.60q", path, page)
		}
		if page := get(t, plain, http.MethodGet, path).body; strings.Contains(page, "data-demo") {
			t.Errorf("%s is that of a demo, and there is none", path)
		}
	}
	if get(t, plain, http.MethodGet, "/board-worker.js").body == get(t, demo, http.MethodGet, "/board-worker.js").body {
		t.Error("the worker of the demo is that of every board")
	}
	if get(t, plain, http.MethodGet, "/board.js").body != get(t, demo, http.MethodGet, "/board.js").body {
		t.Error("the demo has another script")
	}
}
