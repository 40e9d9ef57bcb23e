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

// budget is how much the page may weigh over the line: a bad 2G line of 50 kbit/s carries it in seven seconds.
const budget = 40 << 10

func get(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesHaveTheirTypesAndTheSecurityHeaders(t *testing.T) {
	h := Handler()
	for target, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8",
		"/app.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		r := get(t, h, http.MethodGet, target)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != kind || body(t, r) == "" {
			t.Errorf("%s: got %d, %q; want 200, %q and a body", target, r.StatusCode, r.Header.Get("Content-Type"), kind)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control is %q; want no-cache", target, got)
		}
		wantSecure(t, target, r)
	}
}

func wantSecure(t *testing.T, target string, r *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy":      contentSecurityPolicy,
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := r.Header.Get(name); got != want {
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
	page := body(t, get(t, Handler(), http.MethodGet, "/"))
	for _, mark := range []string{" style=", " onclick=", " onload=", "<style", "javascript:"} {
		if strings.Contains(page, mark) {
			t.Errorf("index.html has %q in it, which the policy blocks", mark)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	h := Handler()
	for _, target := range []string{"/x", "/dist/", "/.keep", "/app.js/", "/index.html/", "//", "/../embed.go", "/%2e%2e/embed.go", "/app.js%00", "/APP.JS"} {
		r := get(t, h, http.MethodGet, target)
		if text := body(t, r); r.StatusCode != http.StatusNotFound || !strings.Contains(text, "There is no such page") {
			t.Errorf("%s: got %d %q; want 404 in words", target, r.StatusCode, text)
		}
		wantSecure(t, target, r)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := Handler()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		r := get(t, h, method, "/")
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d, Allow %q; want 405, %q", method, r.StatusCode, r.Header.Get("Allow"), "GET, HEAD")
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	srv := httptest.NewServer(Handler())
	defer srv.Close()
	for _, target := range []string{"/", "/app.js", "/none"} {
		r, err := http.Head(srv.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		text := body(t, r)
		_ = r.Body.Close()
		if text != "" || r.Header.Get("Content-Type") == "" {
			t.Errorf("HEAD %s: got %q, type %q; want no body, and a type", target, text, r.Header.Get("Content-Type"))
		}
	}
}

func TestWhatTheBrowserHasIsNotSentAgain(t *testing.T) {
	h := Handler()
	for _, coding := range []string{"identity", "gzip"} {
		tag := get(t, h, http.MethodGet, "/app.js", "Accept-Encoding", coding).Header.Get("ETag")
		if len(tag) < 10 || strings.HasPrefix(tag, "W/") {
			t.Fatalf("%s: ETag is %q; want a strong one", coding, tag)
		}
		r := get(t, h, http.MethodGet, "/app.js", "Accept-Encoding", coding, "If-None-Match", tag)
		if r.StatusCode != http.StatusNotModified || body(t, r) != "" {
			t.Errorf("%s: got %d; want 304", coding, r.StatusCode)
		}
		if r := get(t, h, http.MethodGet, "/app.js", "Accept-Encoding", coding, "If-None-Match", `"older"`); r.StatusCode != http.StatusOK {
			t.Errorf("%s with an older tag: got %d; want 200", coding, r.StatusCode)
		}
	}
}

func TestTagFollowsTheContent(t *testing.T) {
	tag := func(content string) string {
		h := newHandler(fstest.MapFS{"index.html": {Data: []byte(content)}})
		return get(t, h, http.MethodGet, "/").Header.Get("ETag")
	}
	if tag("a") != tag("a") || tag("a") == tag("b") {
		t.Errorf("tags of a, a, b: %s %s %s; want the same, the same, another", tag("a"), tag("a"), tag("b"))
	}
}

func TestPageKeepsToItsBudgetZipped(t *testing.T) {
	h := Handler()
	total := 0
	for _, target := range []string{"/", "/app.js", "/app.css", "/icon.svg"} {
		plain := body(t, get(t, h, http.MethodGet, target))
		r := get(t, h, http.MethodGet, target, "Accept-Encoding", "br, gzip")
		sent := body(t, r)
		total += len(sent)
		if r.Header.Get("Content-Encoding") != "gzip" {
			continue // so small that it does not pay
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary is %q", target, r.Header.Get("Vary"))
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
	h := newHandler(fstest.MapFS{".keep": {}, ".hidden.html": {Data: []byte("x")}, "notes.txt": {Data: []byte("x")}})
	r := get(t, h, http.MethodGet, "/")
	if text := body(t, r); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "make web") {
		t.Errorf("got %d %q; want 503 and how to build the page", r.StatusCode, text)
	}
	for _, target := range []string{"/.keep", "/.hidden.html", "/notes.txt"} {
		if r := get(t, h, http.MethodGet, target); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d; want 404", target, r.StatusCode)
		}
	}
}
