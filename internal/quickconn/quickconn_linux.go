package quickconn

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"kentongan/internal/giveway"
	"kentongan/internal/rawsys"
)

// Wrap returns conn with quick reads and writes, if it is a plain socket; else conn itself.
func Wrap(conn net.Conn) net.Conn {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	hushes := false
	switch conn.(type) {
	case *net.TCPConn:
		hushes = true
	case *net.UnixConn: // the kernel wakes up its reader for each byte
	default:
		return conn
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return conn // closed already: its next read says so
	}
	_ = raw.Control(func(fd uintptr) { giveway.Watch(int(fd)) }) // one that is closed needs no watching
	q := &quick{Conn: conn, raw: raw, hushes: hushes}
	q.in.step, q.out.step = q.read, q.out.write
	return q
}

type quick struct {
	net.Conn
	raw syscall.RawConn
	in  half
	out half

	hushes bool // what arrives can be hushed
	hushed bool // it is; guarded by in.mu
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

func (q *quick) read(fd uintptr) bool {
	h := &q.in
	for {
		h.n, h.err = rawsys.Read(int(fd), h.p)
		switch h.err {
		case syscall.EINTR:
		case syscall.EAGAIN:
			if q.hushed { // from here on it wakes up, also for what came since the read
				q.hushed = false
				h.err = rawsys.SetLowWater(int(fd), 1)
			}
			return h.err != syscall.EAGAIN && h.err != 0
		default:
			return true
		}
	}
}

// hushedBytes is how much may arrive before it wakes up all the same.
const hushedBytes = 64 << 10

// Hush has nobody woken up by what arrives on conn until a Read has to wait. It is for who reads at times of its own: the runtime's poller
// watches all connections, and would wake up for each packet, only to find that nobody waits for it. A conn that is not quick, or no TCP,
// stays as it is.
func Hush(conn net.Conn) {
	q, ok := conn.(*quick)
	if !ok || !q.hushes {
		return
	}
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	if q.hushed {
		return
	}
	_ = q.raw.Control(func(fd uintptr) { // of a connection that is closed, the next read says so
		q.hushed = rawsys.SetLowWater(int(fd), hushedBytes) == 0
	})
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
		n, err := rawsys.Write(int(fd), h.p[h.n:])
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
