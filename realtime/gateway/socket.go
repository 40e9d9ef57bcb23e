package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// socket is the connection of one session: reads that lend a buffer only while there is something to read, and
// writes that never wait. It has no queue and no goroutine of its own.
//
// A plain TCP or Unix socket is written to directly, with one system call; what wraps one (TLS, the pipes of tests) can only be
// written to by somebody who may block.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn // nil: conn is no plain socket
	fd   int             // of raw; used only between open and close, which the session's lock orders
}

func newSocket(conn net.Conn) socket {
	s := socket{conn: conn}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return s
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s
	}
	if err := raw.Control(func(fd uintptr) { s.fd = int(fd) }); err == nil {
		s.raw = raw
	}
	return s
}

// direct reports whether tryWrite can write.
func (s *socket) direct() bool { return s.raw != nil }

// tryWrite writes as much of p as the socket's buffer takes, and returns how much that was. The socket of Go's net
// package never blocks, so the call is made without telling the scheduler's network poller.
func (s *socket) tryWrite(p []byte) (int, error) {
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

// writeAll writes all of p and waits for the peer to make room, until the write deadline of conn.
func (s *socket) writeAll(p []byte) error {
	_, err := s.conn.Write(p)
	return err
}

// read waits until there is something to read and returns it in a buffer that is lent: r.putBack must be called
// before the next read. A plain socket waits without any buffer.
func (s *socket) read(r *reading) ([]byte, error) {
	if s.raw == nil {
		r.buf = lend()
		n, err := s.conn.Read(r.buf[:])
		return r.buf[:n], err //nolint:wrapcheck // the session looks at it and nobody else
	}
	r.buf, r.n, r.err = nil, 0, nil
	if err := s.raw.Read(r.step); err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	if r.buf == nil {
		return nil, r.err
	}
	return r.buf[:r.n], r.err
}

// hangUp ends the connection at once: the peer gets a reset instead of what still waits in the kernel.
func (s *socket) hangUp() {
	conn := belowTLS(s.conn) // there would be no room for its farewell, and Close would wait for it
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a connection that is gone already needs no reset
	}
	_ = conn.Close()
}

// belowTLS returns what a TLS connection runs over, and any other as it is.
func belowTLS(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

// wake makes a read that waits return with a time-out, so that the session's goroutine ends it.
func (s *socket) wake() {
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection, whose reader is awake
}
