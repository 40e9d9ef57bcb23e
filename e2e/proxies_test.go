//go:build unix

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/internal/process"
	"kentongan/internal/testenv"
)

// front is a proxy before two servers and an app, with its recipe out of deploy/.
type front struct {
	t       *testing.T
	address string    // of the proxy
	nodes   [2]string // of the servers
	admins  [2]string // of their admin listeners
	env     []string
	servers [2]*server
	client  *http.Client
	files   files
}

// files are a certificate for 127.0.0.1 and its key.
type files struct {
	cert, key, both string
	pool            *x509.CertPool
}

func certificate(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	c, cert, key := testenv.CertificateFiles(t, dir, time.Now().Add(time.Hour), "127.0.0.1")
	f := files{cert, key, filepath.Join(dir, "tls.pem"), c.Pool}
	if err := os.WriteFile(f.both, append(c.Key, c.Cert...), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// fromElsewhere is where clients connect from: another address of this machine, so that theirs and the proxy's are not the same.
const fromElsewhere = "127.0.0.77"

func newFront(t *testing.T, env ...string) *front {
	t.Helper()
	free := process.FreeAddresses(5)
	f := &front{
		t: t, address: free[0], nodes: [2]string(free[1:3]), admins: [2]string(free[3:5]), files: certificate(t),
		env: append([]string{"REDIS_URL=redis://" + testenv.Redis(t), "KENTONGAN_PING_INTERVAL=1s", "KENTONGAN_DRAIN_TIME=1s", "KENTONGAN_LOG_LEVEL=info"}, env...),
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fromElsewhere)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: f.files.pool, MinVersion: tls.VersionTLS12}, DialContext: dialer.DialContext, DisableKeepAlives: true,
	}
	f.client = &http.Client{Transport: transport}
	for i := range f.servers {
		f.start(i)
	}
	return f
}

// start starts one of the servers, at the address where it was before.
func (f *front) start(i int) {
	f.t.Helper()
	f.servers[i] = serve(f.t, append([]string{"KENTONGAN_LISTEN=" + f.nodes[i], "KENTONGAN_ADMIN_LISTEN=" + f.admins[i]}, f.env...)...)
	eventually(f.t, "readiness", func() bool { status, _ := f.servers[i].get("/readyz"); return status == http.StatusOK })
}

// recipe writes a file of deploy/ to a place of its own, with what has to be another value here. Each must be there.
func (f *front) recipe(path string, changes ...string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", path))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(string(text), changes[i]) {
			f.t.Fatalf("deploy/%s does not have %q", path, changes[i])
		}
	}
	changed := strings.NewReplacer(changes...).Replace(string(text)) // all at once: 127.0.0.1:3000 may begin an address that is put in
	out := filepath.Join(f.t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(out, []byte(changed), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return out
}

// next is an app on the same host, which answers every path as Next.js would.
func next(t *testing.T) (address string) {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "the app at %s", r.URL.Path)
	}))
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

func (f *front) request(ctx context.Context, method, path, body string) *http.Request {
	f.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+f.address+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", "6.6.6.6") // a client that lies
	return req
}

func (f *front) get(path string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	resp, err := f.client.Do(f.request(ctx, http.MethodGet, path, ""))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// publish publishes n through the proxy, with its number as the id, as often as it takes.
func (f *front) publish(n int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for {
		resp, err := f.client.Do(f.request(ctx, http.MethodPost, "/api/publish", fmt.Sprintf(`{"channel":"updates:e2e","data":%d,"id":"number-%d"}`, n, n)))
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if ctx.Err() != nil {
			f.t.Errorf("%d cannot be published: %v", n, err)
			return
		}
		time.Sleep(20 * time.Millisecond) // no server is there to wait for
	}
}

// reader follows a channel through the proxy with kentongan.v1, and comes back with its position when the line ends.
type reader struct {
	f    *front
	news chan int // the numbers that came, in order
	done sync.WaitGroup

	mu    sync.Mutex
	epoch string
	at    uint64
	lines int // connections that were had
	gaps  []string
}

func (f *front) follow() *reader {
	f.t.Helper()
	r := &reader{f: f, news: make(chan int, 10_000)}
	ctx, cancel := context.WithCancel(context.Background())
	r.done.Go(func() {
		for ctx.Err() == nil {
			r.line(ctx)
			time.Sleep(20 * time.Millisecond) // as above
		}
	})
	f.t.Cleanup(func() { cancel(); r.done.Wait() })
	eventually(f.t, "a connection through the proxy", func() bool { lines, _ := r.state(); return lines > 0 })
	return r
}

func (r *reader) state() (lines int, gaps []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines, append([]string(nil), r.gaps...)
}

// line reads one connection to its end.
func (r *reader) line(ctx context.Context) {
	query := "updates:e2e"
	r.mu.Lock()
	if r.epoch != "" {
		query += fmt.Sprintf("@%s/%d", r.epoch, r.at)
	}
	r.mu.Unlock()
	conn, _, err := websocket.Dial(ctx, "wss://"+r.f.address+"/api/ws?channels="+url.QueryEscape(query), &websocket.DialOptions{
		HTTPClient: r.f.client, Subprotocols: []string{"kentongan.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + apiKey}, "X-Forwarded-For": {"6.6.6.6"}},
	})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var push struct {
			Subscribed *struct {
				Epoch  string
				Offset uint64
			}
			Message *struct {
				Offset uint64
				Data   int
			}
			Gap json.RawMessage
		}
		if err := json.Unmarshal(text, &push); err != nil {
			r.f.t.Errorf("%q: %v", text, err)
			return
		}
		r.mu.Lock()
		switch {
		case push.Subscribed != nil:
			r.lines++
			if r.epoch == "" {
				r.epoch, r.at = push.Subscribed.Epoch, push.Subscribed.Offset
			}
			r.epoch = push.Subscribed.Epoch
		case push.Message != nil:
			r.at = push.Message.Offset
			r.news <- push.Message.Data
		case push.Gap != nil:
			r.gaps = append(r.gaps, string(text))
		}
		r.mu.Unlock()
	}
}

// want reads the next numbers, each of which must come once and in order.
func (r *reader) want(from, to int) {
	r.f.t.Helper()
	for n := from; n <= to; n++ {
		select {
		case got := <-r.news:
			if got != n {
				r.f.t.Fatalf("reads %d, want %d", got, n)
			}
		case <-time.After(patience):
			_, gaps := r.state()
			r.f.t.Fatalf("%d does not come (gaps: %v)", n, gaps)
		}
	}
}

// remotes are the addresses of who is connected to either server.
func (f *front) remotes() (all []string) {
	f.t.Helper()
	for _, admin := range f.admins {
		req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+admin+"/connections", http.NoBody)
		if err != nil {
			f.t.Fatal(err)
		}
		_, text := do(f.t, req)
		var list struct{ Connections []struct{ Remote string } }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			f.t.Fatalf("%s: %v", text, err)
		}
		for _, c := range list.Connections {
			all = append(all, c.Remote)
		}
	}
	return all
}

// longerThanIdle is more than the idle time that the recipes are given here.
const longerThanIdle = 4 * time.Second

// check does all that has to work through a proxy. Recipes are given 2 s for what is 75 s in them, and pings come every second.
func (f *front) check() {
	t := f.t
	t.Helper()
	for _, path := range []string{"/", "/api/hello", "/api/wsx", "/dashboard"} {
		if got := f.get(path); got != "the app at "+path {
			t.Errorf("%s is answered %q, not by the app", path, got)
		}
	}
	if got := f.get("/api/history?channel=updates:e2e"); !strings.Contains(got, `"messages":[]`) {
		t.Errorf("the history is answered with %q", got)
	}

	r := f.follow()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := f.client.Do(f.request(ctx, http.MethodGet, "/api/sse?tenant=e2e&channels=updates:e2e", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if stream.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(stream.Body)
		t.Fatalf("the event stream is answered %s: %s", stream.Status, text)
	}
	events := bufio.NewReader(stream.Body)
	event := func(text string) {
		t.Helper()
		stop := time.AfterFunc(patience, cancel)
		defer stop.Stop()
		for {
			line, err := events.ReadString('\n')
			if err != nil {
				t.Fatalf("the event stream ends before %s: %v", text, err)
			}
			if strings.HasPrefix(line, "data: ") && strings.Contains(line, text) {
				return
			}
		}
	}
	event(`"session"`) // the welcome, while the stream is open
	f.publish(1)
	r.want(1, 1)
	event(`"data":1`)

	remotes := f.remotes()
	for _, remote := range remotes {
		if remote != fromElsewhere {
			t.Errorf("somebody is connected from %s, want %s", remote, fromElsewhere)
		}
	}
	if len(remotes) != 2 {
		t.Errorf("%d are connected, want 2", len(remotes))
	}

	before, _ := r.state()
	time.Sleep(longerThanIdle) // nothing is published; that the pings keep both alive is what is tried
	f.publish(2)
	r.want(2, 2)
	event(`"data":2`)
	if after, _ := r.state(); after != before {
		t.Errorf("the proxy ended an idle WebSocket: %d connections were had, want %d", after, before)
	}
}

// roll replaces one server after the other, while numbers are published.
func (f *front) roll() {
	t := f.t
	t.Helper()
	r := f.follow()
	const first, last = 3, 200
	published := make(chan int, last)
	var publisher sync.WaitGroup
	publisher.Go(func() {
		defer close(published)
		for n := first; n <= last; n++ {
			f.publish(n)
			published <- n
			time.Sleep(5 * time.Millisecond) // the restarts take seconds, and shall not find all published
		}
	})
	for i := range f.servers {
		for range 20 {
			<-published
		}
		f.servers[i].stop()
		f.start(i)
	}
	for range published { // the rest
	}
	publisher.Wait()
	r.want(first, last)
	if lines, gaps := r.state(); lines < 2 || len(gaps) > 0 {
		t.Errorf("%d connections were had, and gaps told: %v; want more than one, and none", lines, gaps)
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	const trusted = "KENTONGAN_TRUSTED_PROXIES=127.0.0.1"
	t.Run("Nginx", func(t *testing.T) {
		t.Parallel()
		f := newFront(t, trusted)
		server := f.recipe("nginx/kentongan.conf", "listen 443 ssl", "listen "+f.address+" ssl", "127.0.0.1:3001", f.nodes[0], "127.0.0.1:3011", f.nodes[1],
			"127.0.0.1:3000", next(t), "/etc/nginx/tls.crt", f.files.cert, "/etc/nginx/tls.key", f.files.key, "75s", "2s")
		dir := t.TempDir()
		main := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr; events {}\nhttp { access_log off; client_body_temp_path %s/a; "+
			"proxy_temp_path %s/b; fastcgi_temp_path %s/c; uwsgi_temp_path %s/d; scgi_temp_path %s/e; include %s; }\n", dir, dir, dir, dir, dir, dir, server)
		if err := os.WriteFile(main, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		testenv.Proxy(t, "nginx", f.address, "-e", "stderr", "-p", dir, "-c", main)
		f.check()
		f.roll()
	})
	t.Run("HAProxy", func(t *testing.T) {
		t.Parallel()
		f := newFront(t, trusted)
		file := f.recipe("haproxy/haproxy.cfg", "bind :443", "bind "+f.address, "127.0.0.1:3001", f.nodes[0], "127.0.0.1:3011", f.nodes[1],
			"127.0.0.1:3000", next(t), "/etc/haproxy/tls.pem", f.files.both, "75s", "2s", "maxconn 20000", "maxconn 200")
		testenv.Proxy(t, "haproxy", f.address, "-db", "-f", file)
		f.check()
		f.roll()
	})
	t.Run("HAProxyWithPROXY", func(t *testing.T) {
		t.Parallel()
		// From an address of its own, so that only its connections begin with a header, and not those of this test.
		f := newFront(t, "KENTONGAN_PROXY_PROTOCOL=127.0.0.2")
		const check = "check inter 1s fall 1 rise 1"
		file := f.recipe("haproxy/haproxy.cfg", "bind :443", "bind "+f.address, "127.0.0.1:3001", f.nodes[0], "127.0.0.1:3011", f.nodes[1],
			"127.0.0.1:3000", next(t), "/etc/haproxy/tls.pem", f.files.both, "75s", "2s", "maxconn 20000", "maxconn 200",
			check, "source 127.0.0.2 send-proxy-v2 check-send-proxy "+check)
		testenv.Proxy(t, "haproxy", f.address, "-db", "-f", file)
		f.check()
	})
	t.Run("Caddy", func(t *testing.T) {
		t.Parallel()
		f := newFront(t, trusted)
		file := f.recipe("caddy/Caddyfile", "dapur.example.id {", "{\n\tadmin off\n\tauto_https disable_redirects\n}\nhttps://"+f.address+" {\n\ttls "+
			f.files.cert+" "+f.files.key, "127.0.0.1:3001", f.nodes[0], "127.0.0.1:3011", f.nodes[1], "127.0.0.1:3000", next(t))
		testenv.Proxy(t, "caddy", f.address, "run", "--adapter", "caddyfile", "--config", file)
		f.check()
		f.roll()
	})
}
