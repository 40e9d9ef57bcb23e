package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"kentongan/internal/answer"
)

// The limits of a request's head. 16 KiB holds a session cookie in four chunks beside what browsers and proxies add;
// most proxies stop at 8 KiB.
const (
	MaxHeadBytes       = 16 << 10
	maxHeadLines       = 100
	defaultHeadTimeout = 5 * time.Second
)

// NewServer returns an http.Server with the limits that a public listener needs, for HTTP/1.1. Serve it on the listener of
// [Gateway.Listen]; for TLS there is [NewTLSServer].
func NewServer(h http.Handler) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           limitLines(refuseCrookedPaths(h)),
		ReadHeaderTimeout: defaultHeadTimeout,
		ReadTimeout:       time.Minute, // of a whole request; a session's connection is taken over long before
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    MaxHeadBytes - 4<<10, // net/http adds 4 KiB to it
		Protocols:         protocols,
	}
}

// limitLines refuses a request with too many header lines: each costs memory far beyond its bytes.
func limitLines(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if countLines(r.Header) > maxHeadLines {
			w.Header().Set("Connection", "close")
			answer.Error(w, http.StatusRequestHeaderFieldsTooLarge, "TOO_MANY_HEADERS", "a request may have 100 header lines at most")
			return
		}
		h.ServeHTTP(w, r)
	})
}

func countLines(h http.Header) (lines int) {
	for _, values := range h {
		lines += len(values)
	}
	return lines
}

// refuseCrookedPaths answers 404 to a path with "//", "." or ".." in it. The mux would redirect to the path that it takes
// it for, which no WebSocket follows, and which a proxy that checks paths may take for another one.
func refuseCrookedPaths(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/") {
			answer.Error(w, http.StatusNotFound, "NOT_FOUND", "there is nothing at this path")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Listen wraps l so that the head of the first request of each connection is read strictly: net/http takes bare line
// feeds and folded header lines, which other servers on the way may read otherwise. That difference is what request smuggling is made
// of. Later requests of a connection come from a client that has been read in the same way by both.
func Listen(l net.Listener) net.Listener { return &headListener{l} }

type headListener struct{ net.Listener }

func (l *headListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http compares it
	}
	return &headConn{Conn: conn}, nil
}

// headConn looks at the bytes of the first head as they pass.
type headConn struct {
	net.Conn
	last    byte // the byte before; a line feed must follow a carriage return
	line    int  // bytes of the current line so far
	started bool // the first line has ended: the lines that follow are header fields
	done    bool
}

// tlsHeadConn is a headConn over TLS. By its method net/http knows that, and sets Request.TLS.
type tlsHeadConn struct {
	*headConn
	tls *tls.Conn
}

// ConnectionState returns the state before the handshake if net/http asks before the first read.
func (c *tlsHeadConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// unwrap returns the connection itself, once its head has been checked.
func (c *headConn) unwrap() net.Conn {
	if passed, ok := c.Conn.(*prefixedConn); ok && len(passed.prefix) == 0 {
		return passed.Conn
	}
	return c.Conn
}

var errBadHead = errors.New("bad line end in the request head")

const badHeadAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n\r\n" +
	`{"success":false,"error":{"code":"BAD_REQUEST","message":` +
	`"header lines end with CR LF, are not folded and hold no control characters"}}` + "\n"

func (c *headConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.done || n == 0 {
		return n, err //nolint:wrapcheck // net/http compares it
	}
	if !c.check(p[:n]) {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c.Conn, badHeadAnswer) // the connection ends either way
		_ = c.Close()
		return 0, errBadHead
	}
	return n, err //nolint:wrapcheck // as above
}

// CloseWrite lets net/http end its answer to a request that it stopped reading, before it resets the connection.
func (c *headConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // net/http ignores it
	}
	return errors.ErrUnsupported
}

// check returns false if the head breaks a rule; it stops looking at the head's end.
func (c *headConn) check(p []byte) bool {
	for _, b := range p {
		switch {
		case b == '\n':
			if c.last != '\r' {
				return false
			}
			if c.started && c.line == 1 { // the line was only a carriage return
				c.done = true
				return true
			}
			c.started = c.started || c.line > 1
			c.line = 0
		case c.last == '\r', b < ' ' && b != '\t' && b != '\r', b == 0x7f:
			return false
		case c.started && c.line == 0 && (b == ' ' || b == '\t'):
			return false // a folded line
		default:
			c.line++
		}
		c.last = b
	}
	return true
}
