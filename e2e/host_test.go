//go:build unix

package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// appHost stands for the host of the existing app: it serves the app's pages and hands /api/ on to the server at addr by a
// path rule, as a reverse proxy in front of both does. With an empty addr it only has pages. It returns its own address.
func appHost(t testing.TB, addr string) string {
	t.Helper()
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
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			proxy.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// line is a TCP line to a host that can be cut, as a bad network does.
type line struct {
	Addr string

	t      testing.TB
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

// newLine starts a line to target, host:port.
func newLine(t testing.TB, target string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{Addr: l.Addr().String(), t: t, l: l, target: target, conns: map[net.Conn]bool{}}
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
		out, err := net.Dial("tcp", n.target)
		if err != nil || !n.add(in, out) {
			_ = in.Close()
			if err == nil {
				_ = out.Close()
			}
			continue
		}
		n.wg.Go(func() { n.pump(in, out) })
		n.wg.Go(func() { n.pump(out, in) })
	}
}

// add reports whether the line is up, and keeps the two ends for Cut.
func (n *line) add(in, out net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return false
	}
	n.conns[in], n.conns[out] = true, true
	return true
}

// pump copies from one end to the other until one of them ends, and closes both.
func (n *line) pump(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	for _, c := range []net.Conn{from, to} {
		_ = c.Close()
	}
	n.mu.Lock()
	delete(n.conns, from)
	delete(n.conns, to)
	n.mu.Unlock()
}

// Cut breaks all connections and refuses new ones.
func (n *line) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for c := range n.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not a goodbye
		}
		_ = c.Close()
	}
}

// Mend lets connections through again.
func (n *line) Mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}
