package gateway

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"kentongan/internal/access"
	"kentongan/internal/clientip"
	"kentongan/realtime/socket"
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
		rest: make(chan net.Conn, restLength), failed: make(chan error, 1), done: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(g.ctx)
	s.cancel = cancel
	g.goroutines.Go(func() {
		if err := g.sockets.Accept(ctx, l, s.meet); err != nil {
			s.failed <- err
		}
	})
	return s
}

// restLength is how many connections may wait for net/http to take them; its loop does nothing else, so more is rare.
const restLength = 64

// shortcut is a listener that gives away only what is no handshake.
type shortcut struct {
	net.Listener
	gateway     *Gateway
	headTimeout time.Duration
	rest        chan net.Conn // to net/http
	failed      chan error    // why no more is accepted
	done        chan struct{}
	cancel      context.CancelFunc // ends accepting, and closes the listener

	mu          sync.Mutex
	first, last *head       // whose request is not complete, oldest first: they time out in this order
	timer       *time.Timer // for the first; nil: it does not run
	closed      bool
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
		if s.timer != nil {
			s.timer.Stop()
		}
		for h := s.first; h != nil; h = h.next {
			h.conn.Abort()
		}
	}
	s.mu.Unlock()
	s.cancel()
	_ = s.Listener.Close() // at once, so that its address is free when this returns
	for {
		select {
		case conn := <-s.rest:
			_ = conn.Close() // nobody is there to answer
		default:
			return nil
		}
	}
}

// head is a connection whose first request is not complete.
type head struct {
	listener   *shortcut
	conn       *socket.Conn
	got        []byte         // so far; nil before the first bytes, which are all of it nearly always
	client     netip.AddrPort // whom the connection is from; its port is known only if a proxy has told it
	stage      stage
	until      time.Time
	prev, next *head
	listed     bool
}

// meet takes a new connection in.
func (s *shortcut) meet(conn *socket.Conn, peer netip.Addr) socket.Handler {
	h := &head{listener: s, conn: conn, client: netip.AddrPortFrom(peer, 0), until: time.Now().Add(s.headTimeout)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Finish(false, lingerTime)
		return h
	}
	h.prev, h.listed = s.last, true
	if s.last != nil {
		s.last.next = h
	} else {
		s.first = h
	}
	s.last = h
	if s.timer == nil {
		s.timer = time.AfterFunc(s.headTimeout, s.expire)
	}
	return h
}

// arrived takes h out of the list.
func (s *shortcut) arrived(h *head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(h)
}

func (s *shortcut) remove(h *head) {
	if !h.listed {
		return
	}
	h.listed = false
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		s.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		s.last = h.prev
	}
	h.prev, h.next = nil, nil
}

// expire hangs up on those who said too little in time.
func (s *shortcut) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = nil
	if s.closed {
		return
	}
	now := time.Now()
	for n := 0; n < expireRound && s.first != nil && !s.first.until.After(now); n++ {
		h := s.first
		s.remove(h)
		h.conn.Abort()
	}
	if s.first != nil {
		s.timer = time.AfterFunc(max(s.first.until.Sub(now), expireRest), s.expire)
	}
}

// Thousands may have come together, and time out together. To hang up on one takes some microseconds, here and on its loop, so it is done
// to few at a time: what is live goes first in between.
const (
	expireRound = 16
	expireRest  = time.Millisecond
)

// stage is how far a connection has come.
type stage uint8

const (
	unknown  stage = iota // nothing has come
	announce              // its peer is a proxy, which has to say first for whom it speaks
	asking                // the request comes
)

// OnBytes implements socket.Handler: it takes a handshake, or passes the connection on.
func (h *head) OnBytes(p []byte) {
	if h.got != nil {
		h.got = append(h.got, p...)
		p = h.got
	}
	if h.stage != asking {
		if p = h.hearProxy(p); len(p) == 0 {
			return
		}
	}
	end := bytes.Index(p, headEnd)
	if end < 0 && len(p) < maxShortHead && promising(p) {
		if h.got == nil {
			h.got = bytes.Clone(p)
		}
		return
	}
	h.listener.arrived(h)
	if end >= 0 {
		w := handshakes.Get().(*handshake) //nolint:forcetypeassert,errcheck // New makes nothing else
		if r := w.asks.read(p[:end+len(headEnd)]); r != nil {
			w.gateway, w.conn, w.client, w.early, w.inLoop = h.listener.gateway, h.conn, h.client.Addr(), p[end+len(headEnd):], true
			w.shake(r)
			return
		}
		w.release()
	}
	h.passOn(bytes.Clone(p))
}

// hearProxy finds out whose connection it is, and returns what is left of p for the request.
func (h *head) hearProxy(p []byte) []byte {
	g := h.listener.gateway
	if h.stage == unknown {
		if !g.fromProxy(h.client.Addr()) {
			h.stage = asking
			return p
		}
		h.stage = announce
	}
	client, n, err := clientip.ParseHeader(p)
	switch {
	case err != nil:
		g.stats.deny(badProxy)
		g.opts.Log.Debug("connection refused", "peer", h.client.Addr(), "err", err)
		h.listener.arrived(h)
		h.conn.Abort()
		return nil
	case n == 0:
		if h.got == nil {
			h.got = bytes.Clone(p)
		}
		return nil
	}
	if client.IsValid() {
		h.client = client
	}
	h.got, h.stage = nil, asking
	return p[n:]
}

// passOn gives the connection to net/http.
func (h *head) passOn(prefix []byte) {
	conn, err := h.conn.Detach()
	if err != nil {
		h.listener.gateway.opts.Log.Warn("connection cannot be passed on", "err", err)
		h.conn.Abort()
		return
	}
	s := h.listener
	passed := &prefixedConn{Conn: conn, prefix: prefix}
	if h.client.Port() > 0 {
		passed.client = net.TCPAddrFromAddrPort(h.client)
	}
	s.mu.Lock() // orders it with Close, which empties the channel
	defer s.mu.Unlock()
	if !s.closed {
		select {
		case s.rest <- passed:
			return
		default:
			s.gateway.opts.Log.Warn("connection refused: net/http takes no more now")
		}
	}
	_ = conn.Close() // nobody is there to answer
}

// OnRoom implements socket.Handler.
func (h *head) OnRoom() {}

// OnEnd implements socket.Handler.
func (h *head) OnEnd(bool) { h.listener.arrived(h) }

// maxShortHead is the longest head that is read here: a session cookie of two chunks beside what browsers and proxies add.
const maxShortHead = 8 << 10

var headEnd = []byte("\r\n\r\n")

// handshake is the http.ResponseWriter of a request that took the short way. When it is over, the next one has its memory: thousands come
// together.
type handshake struct {
	asks  flawless
	lines [usualHead]byte // for those of our answer that are not in every one
	head  [usualHead]byte // for our answer

	gateway *Gateway
	client  netip.Addr // whom the connection is from; not valid: it has no address
	conn    *socket.Conn
	early   []byte // what came behind the request; lent while inLoop
	inLoop  bool   // it may not wait
	later   func() // what a goroutine has to go on with, for that may wait; nil: nothing
	header  http.Header
	status  int
	body    bytes.Buffer
	taken   bool // by a session

	// For the access log; without one, and without an id in the request, they are empty.
	noted *access.Note
	route string
	came  time.Duration // as Gateway.clock
	asker netip.Addr    // behind proxies that are trusted
}

var handshakes = sync.Pool{New: func() any { return new(handshake) }}

// release gives w to the next handshake. Nobody uses it any more, nor its request.
func (w *handshake) release() {
	w.asks.reset()
	*w = handshake{asks: w.asks}
	handshakes.Put(w)
}

// shake makes a session of a handshake, or answers why not and hangs up. It is called by the connection, and does not wait: what has
// to wait is done by a goroutine, and the connection is paused meanwhile.
func (w *handshake) shake(r *http.Request) {
	g, conn := w.gateway, w.conn
	if (len(r.Header["Authorization"]) > 0 || r.URL.RawQuery != "") && w.client.IsValid() {
		// Wrong keys and tickets are counted by it.
		r.RemoteAddr = netip.AddrPortFrom(w.client, 0).String()
	}
	r = w.note(r)
	if waiter, ok := g.opts.Auth.(Waiter); ok && waiter.MayWait(r) {
		w.later = func() { g.serveWebSocket(w, r) }
	} else {
		w.serve(func() { g.serveWebSocket(w, r) })
	}
	if w.later == nil {
		w.release()
		return
	}
	w.early, w.inLoop = bytes.Clone(w.early), false
	conn.Pause()
	g.goroutines.Go(func() {
		defer conn.Resume()
		do := w.later
		w.later = nil
		w.serve(do)
		w.release()
	})
}

// serve answers, unless what it does leaves that for later.
func (w *handshake) serve(do func()) {
	defer w.gateway.recoverOver("a handshake", w.conn)
	do()
	if w.later == nil && !w.taken {
		w.refuse()
	}
}

// recoverOver is deferred where what one client sent is looked at. As net/http does it: a mistake of ours over one request must not end
// the process with all its screens.
func (g *Gateway) recoverOver(what string, conn *socket.Conn) {
	if mistake := recover(); mistake != nil {
		conn.Abort()
		g.opts.Log.Error("panic over what a client asked for", "over", what, "panic", mistake, "stack", string(debug.Stack()))
	}
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

// refuse sends the refusal and ends the connection.
func (w *handshake) refuse() {
	w.WriteHeader(http.StatusOK)
	w.Header().Set("Connection", "close")
	w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " " + http.StatusText(w.status) + "\r\n")
	_ = w.header.Write(&out) // into memory
	out.WriteString("\r\n")
	out.Write(w.body.Bytes())
	w.conn.Send(out.Bytes())
	w.conn.Finish(true, lingerTime)
	w.tellRefusal()
}

// prefixedConn gives what was read of a connection before it goes on.
type prefixedConn struct {
	net.Conn
	prefix []byte
	client net.Addr // whom a proxy speaks for; nil: the peer itself
}

// RemoteAddr is the client's, if a proxy has said it.
func (c *prefixedConn) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// NetConn lets the socket engine find the socket below.
func (c *prefixedConn) NetConn() net.Conn { return c.Conn }

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
