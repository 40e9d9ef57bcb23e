package gateway

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// readBuffer is what one read takes at most. Commands are some 100 bytes; 8 KiB also empties in few reads what a
// client sends in a burst.
type readBuffer [8 << 10]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// lend returns a buffer, to be put back.
func lend() *readBuffer {
	return readBuffers.Get().(*readBuffer) //nolint:forcetypeassert,errcheck // the pool makes nothing else
}

// reading is the state of read on a plain socket, made once for each connection, so that waiting for the next byte allocates
// nothing: step is called by the network poller's loop, first at once and then whenever the socket became readable.
type reading struct {
	buf  *readBuffer
	n    int
	err  error
	step func(fd uintptr) bool
}

func newReading() *reading {
	r := &reading{}
	r.step = r.tryRead
	return r
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

// putBack ends the loan of the buffer.
func (r *reading) putBack() {
	if r.buf != nil {
		readBuffers.Put(r.buf)
		r.buf = nil
	}
}
