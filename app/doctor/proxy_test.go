package doctor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/app/doctor"
)

// proxyOptions say what a reverse proxy does wrong.
type proxyOptions struct {
	eats     bool // takes the upgrade out, as a proxy that speaks HTTP/1.0 to the server does
	buffers  bool // collects answers until they end
	silent   bool // collects the head as well
	gzips    bool // compresses streams
	host     bool // asks for its own name of the server
	cookies  bool // drops them
	protocol bool // drops the subprotocol
	swallows bool // lets the upgrade through, and nothing that comes after it
}

// newProxy starts a reverse proxy in front of a server, and returns its address.
func newProxy(t *testing.T, server string, o proxyOptions) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: server}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if o.host {
				r.Out.Host = "upstream.internal"
			}
			if o.eats {
				r.Out.Header.Del("Upgrade")
				r.Out.Header.Del("Connection")
			}
			if o.cookies {
				r.Out.Header.Del("Cookie")
			}
			if o.protocol {
				r.Out.Header.Del("Sec-WebSocket-Protocol")
			}
		},
		Transport: &http.Transport{DisableKeepAlives: true}, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}
	if o.swallows {
		p.ModifyResponse = func(r *http.Response) error {
			if r.StatusCode == http.StatusSwitchingProtocols {
				inner, _ := r.Body.(io.ReadWriteCloser)
				r.Body = mute{inner}
			}
			return nil
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/sse" && (o.buffers || o.silent) {
			w = &collector{ResponseWriter: w, head: o.silent}
		}
		if r.URL.Path == "/api/sse" && o.gzips {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			w = &zipped{w, z}
		}
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// mute is a connection from which nothing is read.
type mute struct{ io.ReadWriteCloser }

func (m mute) Read(p []byte) (int, error) {
	for {
		if _, err := m.ReadWriteCloser.Read(p); err != nil {
			return 0, err
		}
	}
}

// collector keeps the body, and with head all, until the answer ends.
type collector struct {
	http.ResponseWriter
	head bool
	body bytes.Buffer
}

func (c *collector) WriteHeader(status int) {
	if !c.head {
		c.ResponseWriter.WriteHeader(status)
		_ = http.NewResponseController(c.ResponseWriter).Flush()
	}
}

func (c *collector) Write(p []byte) (int, error) { return c.body.Write(p) }

// Flush is what the proxy calls, in vain.
func (*collector) Flush() {}

// zipped compresses what is written.
type zipped struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w *zipped) Write(p []byte) (int, error) { return w.z.Write(p) }

// Flush sends the head, as a proxy does whose compressor waits for more.
func (w *zipped) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// newApp is a server that is none of ours.
func newApp(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/login")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestProxy puts a real reverse proxy in front of a real server, and lets it do one thing wrong.
func TestProxy(t *testing.T) {
	environ := base()
	a := start(t, environ)
	for name, c := range map[string]struct {
		o    proxyOptions
		what string
	}{
		"EatsUpgrades":   {proxyOptions{eats: true}, "the proxy takes the upgrade out"},
		"Buffers":        {proxyOptions{buffers: true}, "no event within {timeout}: the proxy collects them"},
		"BuffersAll":     {proxyOptions{silent: true}, "nothing comes within {timeout}: the proxy collects the stream"},
		"Compresses":     {proxyOptions{gzips: true}, "the proxy compresses it with gzip"},
		"OtherHost":      {proxyOptions{host: true}, "another Host than the browser's"},
		"DropsCookies":   {proxyOptions{cookies: true}, "passes the Cookie header on"},
		"DropsProtocol":  {proxyOptions{protocol: true}, "the subprotocol is lost on the way"},
		"SwallowsFrames": {proxyOptions{swallows: true}, "no frame comes through"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 300 * time.Millisecond
			r := examine(t, doctor.Options{Environ: environ, URL: newProxy(t, a.Public, c.o), Timeout: timeout})
			for len(r.Findings) != 1 && timeout < 10*time.Second { // on a machine that is busy, something else may time out first
				timeout *= 3
				r = examine(t, doctor.Options{Environ: environ, URL: newProxy(t, a.Public, c.o), Timeout: timeout})
			}
			want(t, &r, "proxy", doctor.Broken, strings.Replace(c.what, "{timeout}", timeout.String(), 1))
			if len(r.Findings) != 1 {
				t.Errorf("one thing is wrong, and it finds %+v", r.Findings)
			}
		})
	}
	for name, c := range map[string]struct{ url, what string }{
		"NoUpstream":  {newProxy(t, "127.0.0.1:1", proxyOptions{}), "the proxy answers 502"},
		"OnlyTheApp":  {newApp(t, http.StatusNotFound, "<html>not found</html>"), "answered with 404, and not by Kentongan"},
		"Redirects":   {newApp(t, http.StatusFound, ""), "sends elsewhere"},
		"Down":        {"http://127.0.0.1:1", "connection refused"},
		"UnknownHost": {"https://nowhere.invalid", "the host nowhere.invalid is not known"},
		"NoAddress":   {"dapur.example.id", "it is no address"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, doctor.Options{Environ: environ, URL: c.url})
			want(t, &r, "proxy", doctor.Broken, c.what)
		})
	}
	examineGood(t, doctor.Options{Environ: append(environ, "KENTONGAN_API_KEYS=app:"+another), URL: newProxy(t, a.Public, proxyOptions{})})
	r := examine(t, doctor.Options{Environ: append(base(), "AUTH_SECRET="+another), URL: newProxy(t, a.Public, proxyOptions{})})
	want(t, &r, "proxy", doctor.Broken, "does not know a session that was made with these settings")

	public := base("KENTONGAN_PUBLIC_URL=https://other.example.id")
	b := start(t, append(public, "KENTONGAN_ALLOWED_ORIGINS=http://"+addressOf(t, public)))
	r = examine(t, doctor.Options{Environ: public, URL: "http://" + b.Public})
	want(t, &r, "proxy", doctor.Warning, "it tells browsers to connect to wss://other.example.id")
}

// addressOf is KENTONGAN_LISTEN.
func addressOf(t *testing.T, environ []string) string {
	t.Helper()
	const name = "KENTONGAN_LISTEN="
	for _, e := range environ {
		if len(e) > len(name) && e[:len(name)] == name {
			return e[len(name):]
		}
	}
	t.Fatal("no address")
	return ""
}

// TestFollowedAndNeverPublished has a page follow a name that nothing is published to.
func TestFollowedAndNeverPublished(t *testing.T) {
	environ := base("KENTONGAN_API_KEYS=app:" + another)
	a := start(t, environ)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+a.Public+"/api/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + another}}, Subprotocols: []string{"kentongan.v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"id":1,"subscribe":{"channel":"hrd:updates:k1"}}`)); err != nil {
		t.Fatal(err)
	}
	for answered := false; !answered; {
		_, data, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		answered = bytes.Contains(data, []byte(`"subscribed"`))
	}
	r := examine(t, doctor.Options{Environ: environ})
	want(t, &r, "channels", doctor.Note, "hrd:updates:{tenant} | 1 of its channels are followed by name, and nothing was ever published")
	if r.Worst() != doctor.Note {
		t.Errorf("the worst is %q, want a note", r.Worst())
	}
}
