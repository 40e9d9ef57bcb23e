package socket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// stream is the driver of one connection on the portable engine. Its goroutine reads; another one writes as long as
// there is a queue.
type stream struct {
	engine *Engine
	conn   net.Conn
	raw    syscall.RawConn // nil: conn is no plain socket, and writing may block
	fd     int             // of raw; used only until the reader has ended, which the Conn's lock orders
	goOn   chan struct{}   // has something after Resume
}

// flushPiece is how much one blocking write takes out of the queue: enough to fill a socket's buffer, and little enough that
// the queue's size tells how far behind the reader is.
const flushPiece = 64 << 10

// readPiece is what one read takes at most: commands are some 100 bytes; this also empties in few reads what a client
// sends in a burst.
const readPiece = 8 << 10

var readBuffers = sync.Pool{New: func() any { return new([readPiece]byte) }}

func lend() *[readPiece]byte {
	return readBuffers.Get().(*[readPiece]byte) //nolint:forcetypeassert,errcheck // the pool makes nothing else
}

// stream serves conn with a goroutine of its own.
func (e *Engine) stream(conn net.Conn, h Handler, pause bool) *Conn {
	s := &stream{engine: e, conn: conn, goOn: make(chan struct{}, 1)}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil && raw.Control(func(fd uintptr) { s.fd = int(fd) }) == nil {
			s.raw = raw
		}
	}
	c := &Conn{driver: s, handler: h, fd: -1}
	if pause {
		c.pauses = 1
	}
	e.conns.Go(func() { s.serve(c) })
	return c
}

func (e *Engine) acceptPortably(ctx context.Context, l net.Listener, fresh Fresh) error {
	for fails := 0; ; fails++ {
		conn, err := l.Accept()
		if err == nil {
			fails = -1
			c := e.stream(conn, nil, true)
			c.SetHandler(fresh(c, peerOf(conn)))
			c.Resume()
			continue
		}
		if !passes(err) {
			return err //nolint:wrapcheck // Accept does
		}
		e.rest(ctx, err, fails)
	}
}

// passes reports whether an error of accept is about the moment: the process has too many files open, or the peer has gone.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// serve reads until the connection ends.
func (s *stream) serve(c *Conn) {
	r := reading{stream: s}
	r.step = r.tryRead
	for {
		s.awaitResume(c)
		p, err := r.next()
		if len(p) > 0 && !c.now(finishing) {
			s.engine.bytes(c, p)
		}
		r.putBack()
		if c.now(over) {
			return // detached
		}
		if err != nil {
			break
		}
	}
	s.awaitResume(c) // a callback may have paused it at the end
	s.close(c)
}

// close ends c and the connection.
func (s *stream) close(c *Conn) {
	h, unsent, first := c.end()
	if !first {
		return
	}
	s.engine.ended(h, unsent)
	below := s.conn
	if c.now(reset) {
		below = innermost(below) // TLS would wait for room to say farewell
		if tcp, ok := below.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a connection that is gone already needs no reset
		}
	}
	_ = below.Close() // its end is all that we want of it
}

// innermost is what conn runs on in the end, below TLS and the like.
func innermost(conn net.Conn) net.Conn {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = outer.NetConn()
	}
}

func (s *stream) awaitResume(c *Conn) {
	for {
		c.mu.Lock()
		waits := c.pauses > 0
		c.mu.Unlock()
		if !waits {
			return
		}
		<-s.goOn
	}
}

func (s *stream) write(_ *Conn, p []byte) (int, error) {
	if s.raw == nil {
		return 0, nil
	}
	written := 0
	for written < len(p) {
		n, err := syscall.Write(s.fd, p[written:])
		switch {
		case err == nil:
			written += n
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return written, nil
		default:
			return written, err
		}
	}
	return written, nil
}

// gather has nothing to wait for: each connection has a goroutine of its own.
func (s *stream) gather(*Conn) bool { return false }

func (s *stream) await(c *Conn) { s.engine.conns.Go(func() { s.writeQueue(c) }) }

// writeQueue is the only place where the portable engine waits for a peer.
func (s *stream) writeQueue(c *Conn) {
	for {
		c.mu.Lock()
		b := c.backlog
		if b == nil || c.is(over) || b.bytes == 0 {
			c.mu.Unlock()
			return
		}
		before := b.bytes
		piece := b.take(flushPiece)
		c.mu.Unlock()
		_, err := s.conn.Write(piece)
		c.mu.Lock()
		if c.backlog == nil { // it ended meanwhile
			c.mu.Unlock()
			return
		}
		b.bytes -= len(piece)
		if err != nil {
			c.fail()
		}
		done := c.backlog == nil || b.bytes == 0
		c.settle(before)
		if done {
			return
		}
	}
}

// take removes frames from the head of the queue, joined for one write. They still count until they are written.
func (b *backlog) take(limit int) []byte {
	n, bytes := 0, 0
	for n < len(b.frames) && (n == 0 || bytes+len(b.frames[n]) <= limit) {
		bytes += len(b.frames[n])
		n++
	}
	piece := b.frames[0]
	if n > 1 {
		piece = make([]byte, 0, bytes)
		for _, f := range b.frames[:n] {
			piece = append(piece, f...)
		}
	}
	clear(b.frames[:n])
	b.frames, b.started = b.frames[n:], false
	return piece
}

func (s *stream) resume(*Conn) {
	select {
	case s.goOn <- struct{}{}:
	default: // it was told already
	}
}

func (s *stream) shutWrite(c *Conn) {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		s.shut(c) // nobody can be told
	}
}

// shut makes the reader return, who then closes the connection, and with that wakes a writer that waits.
func (s *stream) shut(*Conn) {
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection, whose reader is awake
}

func (s *stream) detach(*Conn) (net.Conn, error) { return s.conn, nil }

func (s *stream) socket(_ *Conn, do func(fd int)) {
	if sc, ok := innermost(s.conn).(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { do(int(fd)) }) // closed already: the first read says so
		}
	}
}

func peerOf(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// reading waits for bytes. A plain socket waits without any buffer: step is called by the network poller's loop, first at
// once and then whenever the socket became readable.
type reading struct {
	stream *stream
	buf    *[readPiece]byte
	n      int
	err    error
	step   func(fd uintptr) bool
}

// next returns what came, in a buffer that putBack gives back.
func (r *reading) next() ([]byte, error) {
	if r.stream.raw == nil {
		r.buf = lend()
		n, err := r.stream.conn.Read(r.buf[:])
		return r.buf[:n], err //nolint:wrapcheck // nobody looks at it but for nil
	}
	r.buf, r.n, r.err = nil, 0, nil
	if err := r.stream.raw.Read(r.step); err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	if r.buf == nil {
		return nil, r.err
	}
	return r.buf[:r.n], r.err
}

// tryRead reads once without waiting and reports whether that gave something: bytes, the end, or an error. It must
// not process what it read: the connection cannot be closed while it runs.
func (r *reading) tryRead(fd uintptr) bool {
	r.buf = lend()
	for {
		n, err := syscall.Read(int(fd), r.buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			r.putBack()
			return false
		case err != nil:
			r.n, r.err = 0, err
		case n == 0:
			r.n, r.err = 0, io.EOF
		default:
			r.n, r.err = n, nil
		}
		return true
	}
}

func (r *reading) putBack() {
	if r.buf != nil {
		readBuffers.Put(r.buf)
		r.buf = nil
	}
}
