package quickconn

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"kentongan/internal/rawsys"
)

// Wrap returns conn with quick reads and writes, if it is a plain socket; else conn itself.
func Wrap(conn net.Conn) net.Conn {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return conn
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return conn // closed already: its next read says so
	}
	q := &quick{Conn: conn, raw: raw}
	q.in.step, q.out.step = q.in.read, q.out.write
	return q
}

type quick struct {
	net.Conn
	raw syscall.RawConn
	in  half
	out half
}

// half is one direction. step is a method value made once, so that a call allocates nothing.
type half struct {
	mu   sync.Mutex // of the call under way
	p    []byte
	n    int
	err  syscall.Errno
	step func(fd uintptr) bool
}

// Read implements net.Conn.
func (q *quick) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h := &q.in
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p, h.n, h.err = p, 0, 0
	err := q.raw.Read(h.step)
	h.p = nil
	switch {
	case err != nil:
		return 0, err //nolint:wrapcheck // as net has it
	case h.err != 0:
		return 0, q.fails("read", h.err)
	case h.n == 0:
		return 0, io.EOF
	}
	return h.n, nil
}

func (h *half) read(fd uintptr) bool {
	for {
		h.n, h.err = rawsys.Read(int(fd), h.p) //nolint:gosec // a descriptor
		switch h.err {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}

// Write implements net.Conn.
func (q *quick) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h := &q.out
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p, h.n, h.err = p, 0, 0
	err := q.raw.Write(h.step)
	h.p = nil
	if err == nil && h.err != 0 {
		err = q.fails("write", h.err)
	}
	return h.n, err //nolint:wrapcheck // as net has it
}

func (h *half) write(fd uintptr) bool {
	for h.n < len(h.p) {
		n, err := rawsys.Write(int(fd), h.p[h.n:]) //nolint:gosec // a descriptor
		switch err {
		case 0:
			h.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = err
			return true
		}
	}
	return true
}

// fails is the error that net would return.
func (q *quick) fails(call string, errno syscall.Errno) error {
	return &net.OpError{
		Op: call, Net: q.LocalAddr().Network(), Source: q.LocalAddr(), Addr: q.RemoteAddr(), Err: os.NewSyscallError(call, errno),
	}
}

// CloseWrite ends the direction of writing.
func (q *quick) CloseWrite() error {
	return q.Conn.(interface{ CloseWrite() error }).CloseWrite() //nolint:wrapcheck,forcetypeassert,errcheck // Wrap saw to that
}
