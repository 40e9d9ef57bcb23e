package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Listen wraps l for the http.Server of the public listener, as [Listen] does, and takes the WebSocket handshakes out: they do
// not pass through net/http. Its buffers, its goroutine that watches for a hang-up and its hand-over cost more than all
// that we do for a connection; when a server comes back, thousands of screens connect within seconds.
//
// Only a handshake without any flaw takes the short way. Whatever else comes goes to net/http, with every byte that was
// read, so there is one place where requests are refused for their form. l must be plain TCP or the like, not TLS. It
// begins to accept at once and ends with Close, which must come before the end of g.Run. A handshake may take headTimeout;
// zero means 5 s.
func (g *Gateway) Listen(l net.Listener, headTimeout time.Duration) net.Listener {
	if headTimeout <= 0 {
		headTimeout = defaultHeadTimeout
	}
	s := &shortcut{
		Listener: l, gateway: g, headTimeout: headTimeout,
		rest: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}), heads: map[net.Conn]struct{}{},
	}
	g.goroutines.Go(s.accept)
	return s
}

// shortcut is a listener that gives away only what is no handshake.
type shortcut struct {
	net.Listener
	gateway     *Gateway
	headTimeout time.Duration
	rest        chan net.Conn // to net/http
	failed      chan error
	done        chan struct{}

	mu     sync.Mutex
	heads  map[net.Conn]struct{} // whose request is not complete
	closed bool
}

// Accept implements net.Listener.
func (s *shortcut) Accept() (net.Conn, error) {
	select {
	case conn := <-s.rest:
		return &headConn{Conn: conn}, nil
	case err := <-s.failed:
		return nil, err
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It also hangs up on those whose request is not complete.
func (s *shortcut) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for conn := range s.heads {
			_ = conn.Close() // its goroutine sees it
		}
	}
	s.mu.Unlock()
	return s.Listener.Close() //nolint:wrapcheck // it is the listener's own
}

// accept takes connections until the listener is closed. Errors go to net/http, which waits a little after those that
// pass, such as too many open files.
func (s *shortcut) accept() {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			select {
			case s.failed <- err:
				continue
			case <-s.done:
				return
			}
		}
		s.gateway.goroutines.Go(func() { s.meet(conn) })
	}
}

// meet reads the head of a request and takes a handshake, or passes the connection on.
func (s *shortcut) meet(conn net.Conn) {
	if !s.expect(conn) {
		_ = conn.Close() // the listener is closed
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(s.headTimeout)) // a connection that is closed already fails in the read
	buf := lend()
	defer readBuffers.Put(buf)
	n, end := 0, -1
	for end < 0 && n < len(buf) && promising(buf[:n]) {
		m, err := conn.Read(buf[n:])
		n += m
		end = bytes.Index(buf[:n], headEnd)
		if err != nil && end < 0 {
			s.arrived(conn)
			if n == 0 || !errors.Is(err, io.EOF) {
				_ = conn.Close() // said nothing in time, or broke off
				return
			}
			break // half a request: net/http says what is wrong with it
		}
	}
	s.arrived(conn)
	if end >= 0 {
		head := buf[:end+len(headEnd)]
		if r := handshakeRequest(head); r != nil {
			s.gateway.shake(conn, r, bytes.Clone(buf[len(head):n]))
			return
		}
	}
	_ = conn.SetReadDeadline(time.Time{}) // net/http sets its own
	select {
	case s.rest <- &prefixedConn{Conn: conn, prefix: bytes.Clone(buf[:n])}:
	case <-s.done:
		_ = conn.Close() // nobody is there to answer
	}
}

// expect notes a connection whose request is not complete; false: the listener is closed.
func (s *shortcut) expect(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.heads[conn] = struct{}{}
	}
	return !s.closed
}

func (s *shortcut) arrived(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.heads, conn)
}

var headEnd = []byte("\r\n\r\n")

// promising reports whether p may still become a handshake.
func promising(p []byte) bool {
	const get = "GET /"
	return len(p) < len(get) && string(p) == get[:len(p)] || bytes.HasPrefix(p, []byte(get))
}

var headReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<10) }}

// handshakeRequest returns the request in head if it is a handshake that may take the short way, else nil.
func handshakeRequest(head []byte) *http.Request {
	path, ok := handshakePath(head)
	if !ok || !(&headConn{}).check(head) || !flawless(head) {
		return nil
	}
	br := headReaders.Get().(*bufio.Reader) //nolint:forcetypeassert,errcheck // the pool makes nothing else
	defer headReaders.Put(br)
	br.Reset(bytes.NewReader(head))
	r, err := http.ReadRequest(br)
	if err != nil || r.URL.Path != path || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil
	}
	if len(r.Header["Content-Length"]) > 0 || len(r.Header["Expect"]) > 0 || countLines(r.Header) > maxHeadLines {
		return nil
	}
	return r
}

// flawless checks what http.ReadRequest leaves to the server: names of plain letters, exactly one Host of plain letters;
// and that an upgrade to WebSocket is asked for.
func flawless(head []byte) bool {
	_, lines, _ := bytes.Cut(head, []byte("\r\n"))
	hosts, upgrades := 0, 0
	for {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		if len(line) == 0 {
			return hosts == 1 && upgrades == 1
		}
		lines = rest
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !only(name, "-_") {
			return false
		}
		value = bytes.Trim(value, " \t")
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
			if !only(value, "-._:[]") {
				return false
			}
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrades++
			if !bytes.EqualFold(value, []byte("websocket")) {
				return false
			}
		}
	}
}

// only reports whether p has at least one byte, and no others than letters, digits and those in more.
func only(p []byte, more string) bool {
	for _, b := range p {
		if letter := b | 0x20; (letter < 'a' || letter > 'z') && (b < '0' || b > '9') && strings.IndexByte(more, b) < 0 {
			return false
		}
	}
	return len(p) > 0
}

// handshakePath returns the path of a request line that asks for one of our endpoints over HTTP/1.1.
func handshakePath(head []byte) (path string, ok bool) {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	target, version, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("GET ")), []byte(" "))
	name, _, _ := bytes.Cut(target, []byte("?"))
	for _, path := range []string{endpoint, "/"} {
		if string(name) == path {
			return path, string(version) == "HTTP/1.1"
		}
	}
	return "", false
}

// shake makes a session of a handshake, or answers why not and hangs up.
func (g *Gateway) shake(conn net.Conn, r *http.Request, early []byte) {
	w := &handshake{conn: conn, early: early}
	defer func() {
		// As net/http does it: a mistake of ours over one request must not end the process with all its screens.
		if mistake := recover(); mistake != nil {
			_ = conn.Close()
			g.opts.Log.Error("panic over a handshake", "panic", mistake, "stack", string(debug.Stack()))
		}
	}()
	g.serveWebSocket(w, r)
	if !w.taken {
		w.finish()
	}
}

// handshake is the http.ResponseWriter of a request that took the short way.
type handshake struct {
	conn   net.Conn
	early  []byte // what came behind the request
	header http.Header
	status int
	body   bytes.Buffer
	taken  bool
}

// Header implements http.ResponseWriter.
func (w *handshake) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *handshake) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *handshake) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p) //nolint:wrapcheck // never fails
}

// take hands the connection over to a session.
func (w *handshake) take() (net.Conn, []byte) {
	w.taken = true
	return w.conn, w.early
}

// finish sends the refusal and ends the connection.
func (w *handshake) finish() {
	w.WriteHeader(http.StatusOK)
	w.Header().Set("Connection", "close")
	w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " " + http.StatusText(w.status) + "\r\n")
	_ = w.header.Write(&out) // into memory
	out.WriteString("\r\n")
	out.Write(w.body.Bytes())
	_ = w.conn.SetDeadline(time.Now().Add(lingerTime))
	_, _ = w.conn.Write(out.Bytes()) // the connection ends either way
	_ = w.conn.Close()
}

// prefixedConn gives what was read of a connection before it goes on.
type prefixedConn struct {
	net.Conn
	prefix []byte
}

// Read implements net.Conn.
func (c *prefixedConn) Read(p []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.Conn.Read(p) //nolint:wrapcheck // it is the connection's own
	}
	n := copy(p, c.prefix)
	if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
		c.prefix = nil
	}
	return n, nil
}

// CloseWrite lets net/http end its answer before it resets the connection.
func (c *prefixedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // net/http ignores it
	}
	return errors.ErrUnsupported
}
