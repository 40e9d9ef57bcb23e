package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// NewTLSServer is NewServer for the listener of [Gateway.ListenTLS]: it speaks HTTP/2 as well.
//
// net/http gives the preface of HTTP/2 10 s, whatever is set, and frames no time of their own: a client that sends one byte by byte is kept
// until it has answered no ping. And of a connection over TLS it wants the [tls.Conn] itself, over which nobody can look at what passes. So
// it is told that these connections are without TLS, which the listener has taken off, see [headWatch]; each request is told again.
func NewTLSServer(h http.Handler) *http.Server {
	s := NewServer(tellTLS(h))
	s.Protocols.SetUnencryptedHTTP2(true)
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if w, ok := conn.(*headWatch); ok {
			state := w.below.ConnectionState()
			return context.WithValue(ctx, overTLS{}, &state)
		}
		return ctx
	}
	// Event streams over HTTP/2 have no socket whose kernel would find out that their client is gone.
	s.HTTP2 = &http.HTTP2Config{SendPingTimeout: sseInterval, PingTimeout: unackedTimeout}
	return s
}

// overTLS is where the context of a connection of HTTP/2 has its state.
type overTLS struct{}

func tellTLS(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(overTLS{}).(*tls.ConnectionState); ok {
			r.TLS = state
		}
		h.ServeHTTP(w, r)
	})
}

// headWatch is a connection of HTTP/2 whose client does not take its time: the head of its first request has to be there within a limit
// from when the connection is, and what it begins later within the same limit from its first byte: every head, with all the frames
// that it is continued in, and every other frame. Only the data of requests may take longer: net/http's ReadTimeout is for them. A
// connection between two requests may rest until net/http's IdleTimeout.
//
// As for HTTP/1.1, what is late ends the connection without a word, and so does what is no HTTP/2: it was agreed on.
type headWatch struct {
	net.Conn // below; what more that can do is not to be found here
	below    *tls.Conn
	limit    time.Duration
	late     *time.Timer // hangs up
	runs     bool        // whether late does; it is for Read alone
	heads    headFrames
}

func watchHeads(conn *tls.Conn, limit time.Duration) *headWatch {
	// Not by conn.Close, which says farewell, and would wait for a client that does not read.
	hangUp := func() { _ = conn.NetConn().Close() }
	return &headWatch{Conn: conn, below: conn, limit: limit, late: time.AfterFunc(limit, hangUp), runs: true}
}

var errNoHTTP2 = errors.New("HTTP/2 was agreed on, and something else came")

// Read implements net.Conn. It is for one goroutine at a time.
func (w *headWatch) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	ended, ok := w.heads.pass(p[:n])
	if !ok {
		_ = w.below.NetConn().Close()
		return 0, errNoHTTP2
	}
	if ended || w.heads.due() != w.runs {
		w.runs = w.heads.due()
		if w.runs {
			w.late.Reset(w.limit)
		} else {
			w.late.Stop()
		}
	}
	return n, err //nolint:wrapcheck // it stands for the connection
}

// Close implements net.Conn.
func (w *headWatch) Close() error {
	w.late.Stop()
	return w.Conn.Close() //nolint:wrapcheck // as above
}

// What HTTP/2 begins with, and those of its types of frames, and of their flags, that matter here: RFC 9113, 3.4, 6.1, 6.2 and 6.10.
const (
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameData         = 0
	frameHeaders      = 1
	frameContinuation = 9

	flagEndHeaders = 4 // of frameHeaders and frameContinuation
)

// headFrames follows where in its frames a client of HTTP/2 is. What is wrong with them is for others to find.
type headFrames struct {
	begun int     // bytes of the preface that are there
	asked bool    // the head of a request has ended
	open  bool    // a head has begun and is continued in the next frame
	head  [9]byte // of the current frame: length (3 bytes), type, flags, stream (4 bytes)
	got   int     // bytes of it that are there
	left  int     // bytes of the frame's payload that are to come
}

// pass takes the next bytes, and reports whether something ended in them for which there is a limit; ok is false if they do not belong to
// the preface where they should.
func (f *headFrames) pass(p []byte) (ended, ok bool) {
	for len(p) > 0 {
		switch {
		case f.begun < len(http2Preface):
			n := min(len(http2Preface)-f.begun, len(p))
			if !strings.HasPrefix(http2Preface[f.begun:], string(p[:n])) {
				return false, false
			}
			f.begun += n
			p = p[n:]
		case f.got < len(f.head):
			n := copy(f.head[f.got:], p)
			f.got += n
			p = p[n:]
			if f.got == len(f.head) {
				f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
				ended = f.end() || ended
			}
		default:
			n := min(f.left, len(p))
			f.left -= n
			p = p[n:]
			ended = f.end() || ended
		}
	}
	return ended, true
}

// end looks whether the frame has ended, and returns whether with it something has for which there is a limit.
func (f *headFrames) end() bool {
	if f.left > 0 {
		return false
	}
	f.got = 0
	if kind := f.head[3]; kind == frameHeaders || kind == frameContinuation {
		f.open = f.head[4]&flagEndHeaders == 0
		f.asked = f.asked || !f.open
	}
	return f.asked && !f.open
}

// due reports whether something has begun that has to end in time.
func (f *headFrames) due() bool {
	data := f.got == len(f.head) && f.head[3] == frameData
	return !f.asked || f.open || f.got > 0 && !data
}
