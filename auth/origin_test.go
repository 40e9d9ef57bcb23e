package auth

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// lookAlikes are origins that are not https://app.example.id, though a careless comparison might think so.
var lookAlikes = []string{
	"null", "", "https://", "http://app.example.id", "https://app.example.id.evil.example", "https://evilapp.example.id", "https://example.id",
	"https://app.example.id:8443", "https://app.example.id:443", "https://app.example.id.", "https://app.example.id/", "https://app.example.id?",
	"https://app.example.id#", "https://user@app.example.id", "https://app.example.id@evil.example", "https://evil.example/https://app.example.id",
	"https://app.example.id\\.evil.example", "https://app.example.id%2eevil.example", "HTTPS://app.example.id", "https://APP.example.id", "wss://app.example.id",
	"https:app.example.id", "//app.example.id", "app.example.id", " https://app.example.id", "https://app.example.id https://evil.example", "https://app.example.id,https://evil.example",
	"https://app-example.id", "https://аpp.example.id", "https://app.example.id:0443", "https://app.example.id:", "https://app.example.id:99999", "https://app.example.id\x00",
	"chrome-extension://app.example.id", "file://", "https://*", "https://*.example.id",
}

func TestAllowedOriginsAreExact(t *testing.T) {
	a := newAuth(t, Options{AllowedOrigins: []string{"https://app.example.id", "http://localhost:3000", "https://Dapur.Example.id:443", "http://[::1]:3000"}})
	for _, o := range []string{"https://app.example.id", "http://localhost:3000", "https://dapur.example.id", "http://[::1]:3000"} {
		if err := a.CheckOrigin(get("/api/ws", "Origin: "+o), KindSession); err != nil {
			t.Errorf("%q: %v, want none", o, err)
		}
	}
	for _, o := range append(lookAlikes, "http://example.com", "https://localhost:3000", "http://localhost", "http://[0:0:0:0:0:0:0:1]:3000", "http://[::1%25eth0]:3000") {
		for _, kind := range []Kind{KindSession, KindBearer, KindAPIKey, KindTicket, KindSocketToken} {
			r := get("/api/ws", "Sec-Fetch-Site: same-origin")
			r.Header["Origin"] = []string{o}
			if err := a.CheckOrigin(r, kind); !errors.Is(err, ErrOrigin) {
				t.Errorf("%q with %s: %v, want ErrOrigin", o, kind, err)
			}
		}
	}
	r := get("/")
	r.Header["Origin"] = []string{"https://app.example.id", "https://app.example.id"}
	if err := a.CheckOrigin(r, KindSession); !errors.Is(err, ErrOrigin) {
		t.Errorf("two Origins: %v, want ErrOrigin", err)
	}
}

func TestSameHostOrigin(t *testing.T) {
	a := newAuth(t, Options{})
	for _, c := range []struct {
		origin, host string
		tls, good    bool
	}{
		{"https://app.example.id", "app.example.id", false, true}, // TLS ends at a proxy
		{"https://app.example.id", "app.example.id", true, true},
		{"https://app.example.id", "app.example.id:443", false, true},
		{"https://app.example.id", "APP.example.id", false, true},
		{"http://app.example.id", "app.example.id", false, true},
		{"http://app.example.id", "app.example.id:80", false, true},
		{"http://localhost:3001", "localhost:3001", false, true},
		{"http://[::1]:3001", "[::1]:3001", false, true},
		{"http://app.example.id", "app.example.id", true, false}, // a page without TLS before our own TLS
		{"http://app.example.id", "app.example.id:443", false, false},
		{"https://app.example.id", "app.example.id:80", false, false},
		{"http://localhost:3000", "localhost:3001", false, false},
		{"http://localhost", "127.0.0.1", false, false},
		{"https://app.example.id", "rt.example.id", false, false},
		{"https://app.example.id", "app.example.id.", false, false},
		{"https://app.example.id", "", false, false},
		{"https://app.example.id", "app.example.id:x", false, false},
		{"null", "null", false, false},
	} {
		r := get("/", "Origin: "+c.origin, "X-Forwarded-Proto: https", "X-Forwarded-Host: "+strings.TrimPrefix(c.origin, "https://"))
		r.Host = c.host
		if c.tls {
			r.TLS = new(tls.ConnectionState)
		}
		if err := a.CheckOrigin(r, KindSession); (err == nil) != c.good || err != nil && !errors.Is(err, ErrOrigin) {
			t.Errorf("origin %q, host %q, TLS %v: %v, want good %v", c.origin, c.host, c.tls, err, c.good)
		}
	}
	for _, o := range lookAlikes {
		r := get("/")
		r.Header["Origin"], r.Host, r.TLS = []string{o}, "app.example.id", new(tls.ConnectionState)
		if err := a.CheckOrigin(r, KindSession); !errors.Is(err, ErrOrigin) {
			t.Errorf("%q: %v, want ErrOrigin", o, err)
		}
	}
}

func TestMissingOrigin(t *testing.T) {
	a := newAuth(t, Options{})
	for _, c := range []struct {
		name   string
		method string
		kind   Kind
		lines  []string
		good   bool
	}{
		{"ReadBySameOriginFetch", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: same-origin"}, true},
		{"HeadBySameOriginFetch", http.MethodHead, KindSession, []string{"Sec-Fetch-Site: same-origin"}, true},
		{"EventSourceWithTicket", http.MethodGet, KindTicket, []string{"Sec-Fetch-Site: same-origin"}, true},
		{"ReadOnPlainHTTPByAddress", http.MethodGet, KindSession, nil, true},
		{"EventSourceOnPlainHTTPByAddress", http.MethodGet, KindTicket, nil, true},
		{"WriteWithoutAny", http.MethodPost, KindSession, nil, false},
		{"UpgradeWithoutAny", http.MethodGet, KindSession, []string{"Upgrade: websocket"}, false},
		{"SameSite", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: same-site"}, false},
		{"CrossSite", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: cross-site"}, false},
		{"TypedAddress", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: none"}, true},
		{"WriteFromTypedAddress", http.MethodPost, KindSession, []string{"Sec-Fetch-Site: none"}, false},
		{"UpgradeFromTypedAddress", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: none", "Upgrade: websocket"}, false},
		{"TwoSites", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
		{"Write", http.MethodPost, KindSession, []string{"Sec-Fetch-Site: same-origin"}, false},
		{"Upgrade", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: same-origin", "Upgrade: websocket"}, false},
		{"HalfAnUpgrade", http.MethodGet, KindSession, []string{"Sec-Fetch-Site: same-origin", "Sec-WebSocket-Key: x"}, false},
		{"Bearer", http.MethodPost, KindBearer, nil, true},
		{"APIKey", http.MethodPost, KindAPIKey, nil, true},
		{"SocketToken", http.MethodGet, KindSocketToken, []string{"Upgrade: websocket"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := a.CheckOrigin(request(c.method, "/", c.lines...), c.kind); (err == nil) != c.good {
				t.Errorf("%v, want good %v", err, c.good)
			}
		})
	}
}

func TestForeignPageUsesUpNoTicket(t *testing.T) {
	a := newAuth(t, Options{})
	ticket := buyTicket(t, a, kepala())
	if _, err := a.Admit(t.Context(), get("/?ticket="+ticket, "Origin: https://evil.example")); !errors.Is(err, ErrOrigin) {
		t.Fatalf("foreign page: %v, want ErrOrigin", err)
	}
	if _, err := a.Admit(t.Context(), get("/?ticket="+ticket, ownOrigin)); err != nil {
		t.Fatalf("own page afterwards: %v", err)
	}
}

func TestAllowedOriginsOption(t *testing.T) {
	for _, o := range []string{"*", "https://*.example.id", "app.example.id", "https://app.example.id/", "https://app.example.id/path", "null", "", "ftp://x", "https://user:geheim@x", "https://x:0", "https://x y"} {
		if _, err := New(Options{AllowedOrigins: []string{o}}); err == nil {
			t.Errorf("%q was accepted", o)
		}
	}
}

func TestCORS(t *testing.T) {
	const listed = "https://app.example.id"
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	a := newAuth(t, Options{AllowedOrigins: []string{listed}}).CORS(next)
	none := newAuth(t, Options{}).CORS(next)
	for _, c := range []struct {
		name           string
		h              http.Handler
		method, origin string
		preflight      bool
		status         int
		allow          string
	}{
		{"Listed", a, http.MethodGet, listed, false, 418, listed},
		{"ListedPreflight", a, http.MethodOptions, listed, true, 204, listed},
		{"OptionsWithoutPreflight", a, http.MethodOptions, listed, false, 418, listed},
		{"Unlisted", a, http.MethodGet, "https://evil.example", false, 418, ""},
		{"UnlistedPreflight", a, http.MethodOptions, "https://evil.example", true, 403, ""},
		{"Null", a, http.MethodGet, "null", false, 418, ""},
		{"NoOrigin", a, http.MethodGet, "", false, 418, ""},
		{"NoList", none, http.MethodGet, "http://example.com", false, 418, ""},
		{"NoListPreflight", none, http.MethodOptions, "http://example.com", true, 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(c.method, "/api/history")
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			if c.preflight {
				r.Header.Set("Access-Control-Request-Method", "POST")
			}
			w := serve(c.h, r)
			if w.Code != c.status || w.Header().Get("Access-Control-Allow-Origin") != c.allow || w.Header().Get("Vary") != "Origin" {
				t.Errorf("%d %v, want %d with %q", w.Code, w.Header(), c.status, c.allow)
			}
			if c.allow == "" && len(w.Header().Values("Access-Control-Allow-Credentials")) > 0 {
				t.Errorf("credentials are allowed: %v", w.Header())
			}
		})
	}
	for _, o := range lookAlikes {
		r := get("/")
		r.Header["Origin"] = []string{o}
		if w := serve(a, r); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q is reflected", o)
		}
	}
}

// TestOriginEqualsItsPage compares with what a browser would send for the page that was asked for.
func TestOriginEqualsItsPage(t *testing.T) {
	a := newAuth(t, Options{})
	host := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{2,4}){0,2}`)
	port := rapid.SampledFrom([]string{"", ":3001", ":8443"})
	rapid.Check(t, func(t *rapid.T) {
		page, asked := host.Draw(t, "page")+port.Draw(t, "page port"), host.Draw(t, "asked")+port.Draw(t, "asked port")
		if rapid.Bool().Draw(t, "same") {
			asked = page
		}
		r := get("/", "Origin: "+rapid.SampledFrom([]string{"http", "https"}).Draw(t, "scheme")+"://"+page)
		r.Host = asked
		if good := a.CheckOrigin(r, KindSession) == nil; good != (page == asked) {
			t.Fatalf("page of %q, request to %q: good %v", page, asked, good)
		}
	})
}

func FuzzOrigin(f *testing.F) {
	for _, o := range lookAlikes {
		f.Add(o, "app.example.id")
	}
	f.Add("https://[::1]:3001", "[::1]:3001")
	a, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, host string) {
		o, ok := parseOrigin(text)
		r := get("/")
		r.Header["Origin"], r.Host = []string{text}, host
		allowed := a.CheckOrigin(r, KindSession) == nil
		if allowed && !ok {
			t.Fatalf("%q is no origin and allowed for %q", text, host)
		}
		if !ok {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != o.scheme || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q was read as %v, and by net/url as %+v, %v", text, o, u, err)
		}
		if got := strings.Trim(o.host, "[]"); u.Hostname() != got || u.Port() != "" && u.Port() != o.port {
			t.Fatalf("%q was read as %v, and by net/url as %q %q", text, o, u.Hostname(), u.Port())
		}
		if allowed && !strings.EqualFold(strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80"), u.Host) {
			t.Fatalf("%q is allowed for %q", text, host)
		}
	})
}
