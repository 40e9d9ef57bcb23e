//go:build unix

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// appHost stands for the host of the existing app: it serves the app's pages and hands /api/ on to the server at addr by a
// path rule, as a reverse proxy in front of both does. With an empty addr it only has pages. It returns its own address.
func appHost(t testing.TB, addr string) string {
	t.Helper()
	srv := httptest.NewServer(appHandler(addr))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// appHandler is what appHost serves.
func appHandler(addr string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addr})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		FlushInterval: -1, // events go on at once
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	pages := http.FileServer(http.Dir("testdata"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			proxy.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// line is a TCP line to a host that can be cut, as a bad network does.
type line struct {
	Addr string

	t  testing.TB
	l  net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex
	target string
	down   bool
	calls  map[*call]bool

	delay   atomic.Int64 // of each direction, in ns
	blocked atomic.Bool  // WebSockets do not get through
	narrow  atomic.Bool  // photos do not
}

// call is one connection through a line.
type call struct {
	in, out net.Conn
	dead    atomic.Bool // swallows everything, and tells nobody
}

// newLine starts a line to target, host:port.
func newLine(t testing.TB, target string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{Addr: l.Addr().String(), t: t, l: l, target: target, calls: map[*call]bool{}}
	n.wg.Go(n.accept)
	t.Cleanup(func() {
		_ = l.Close()
		n.Cut()
		n.wg.Wait()
	})
	return n
}

func (n *line) accept() {
	for {
		in, err := n.l.Accept()
		if err != nil {
			return
		}
		c := n.connect(in)
		if c == nil {
			_ = in.Close()
			continue
		}
		n.wg.Go(func() { n.pump(c, in, c.out) })
		n.wg.Go(func() { n.pump(c, c.out, in) })
	}
}

// connect returns nil if the line is down, or its other end does not answer.
func (n *line) connect(in net.Conn) *call {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil
	}
	out, err := net.Dial("tcp", n.target)
	if err != nil {
		return nil
	}
	c := &call{in: in, out: out}
	n.calls[c] = true
	return c
}

// pump copies from one end to the other until one of them ends, and closes both. Of a dead call it closes only the end that it reads
// from.
func (n *line) pump(c *call, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		m, err := from.Read(buf)
		if m > 0 && from == c.in && n.blocks(buf[:m]) {
			_, _ = io.WriteString(from, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") // as a proxy that knows no WebSocket
			break
		}
		if n.narrow.Load() && from == c.in && bytes.Contains(buf[:m], []byte("/photos HTTP/1.1\r\n")) {
			c.dead.Store(true)
		}
		time.Sleep(time.Duration(n.delay.Load()))
		if m > 0 && !c.dead.Load() {
			if _, failed := to.Write(buf[:m]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	_ = from.Close()
	if c.dead.Load() {
		return // Cut, at the latest, closes the other one
	}
	_ = to.Close()
	n.mu.Lock()
	delete(n.calls, c)
	n.mu.Unlock()
}

// Delay lets everything take so long in each direction.
func (n *line) Delay(d time.Duration) { n.delay.Store(int64(d)) }

// Narrow lets photos be on their way for ever; what is small gets through.
func (n *line) Narrow(on bool) { n.narrow.Store(on) }

// BlockSockets refuses WebSockets from now on; plain HTTP goes through.
func (n *line) BlockSockets() { n.blocked.Store(true) }

// blocks reports whether p begins an upgrade that is refused.
func (n *line) blocks(p []byte) bool {
	return n.blocked.Load() && bytes.HasPrefix(p, []byte("GET ")) && bytes.Contains(bytes.ToLower(p), []byte("\r\nupgrade: websocket\r\n"))
}

// Cut breaks all connections and refuses new ones.
func (n *line) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for c := range n.calls {
		reset(c.in)
		reset(c.out)
	}
}

// Vanish lets all connections die without a word to the server: what either end sends from now on arrives nowhere.
func (n *line) Vanish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.calls {
		c.dead.Store(true)
	}
}

// HangUp resets the client's end of the connections that have vanished, as its system does when nothing is acknowledged any more.
func (n *line) HangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.calls {
		if c.dead.Load() {
			reset(c.in)
		}
	}
}

// reset closes c without a goodbye.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Mend lets connections through again.
func (n *line) Mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// LeadTo lets new connections end at another host:port.
func (n *line) LeadTo(target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = target
}
