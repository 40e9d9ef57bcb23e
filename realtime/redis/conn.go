package redis

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/quickconn"
)

// trackedConn is a connection to the primary that knows when it is not answered any more, and why it ended.
//
// Silence is the only sign that a connection is open on one side only, or that Redis stands still: to the kernel both look healthy.
// Whoever asks on it is answered, or the connection ends: so nobody waits for longer than the limit.
type trackedConn struct {
	net.Conn          // what is read and written
	raw      net.Conn // below TLS
	d        *dialer
	address  string

	// What greet learns, with the dialer's lock held.
	run     string // which process answers; empty: it does not say
	lineage string // run, and which history of data it is in; empty: it does not say
	reign   string // see reign.go
	id      string // of this connection, there
	ready   bool   // it was handed out

	once sync.Once
	why  atomic.Pointer[error] // set when we ended it

	limit   time.Duration // zero: nobody watches; set before the connection is handed out
	waiting atomic.Int64  // since when something was asked and nothing came, Unix ns; 0: nothing is
	armed   atomic.Bool
	suspect atomic.Bool
	timer   *time.Timer
}

// grace is how long a connection is looked at once more when its time is over. This process may have stood still itself: what
// came meanwhile is there, and not read yet.
const grace = 200 * time.Millisecond

// firstLook is when to look first at a connection that may be silent for limit in all.
func firstLook(limit time.Duration) time.Duration { return limit - min(grace, limit/2) }

// newTracked returns raw as a connection of d that nobody watches yet.
func newTracked(raw net.Conn, d *dialer, address string) *trackedConn {
	c := &trackedConn{Conn: quickconn.Wrap(raw), raw: raw, d: d, address: address}
	c.timer = time.AfterFunc(time.Hour, c.look)
	c.timer.Stop()
	return c
}

// look is called by the timer.
func (c *trackedConn) look() {
	c.armed.Store(false)
	since := c.waiting.Load()
	if since == 0 {
		c.suspect.Store(false)
		return
	}
	left := firstLook(c.limit) - time.Duration(time.Now().UnixNano()-since)
	if left <= 0 {
		if c.suspect.Swap(true) {
			c.end(fmt.Errorf("no answer within %s", c.limit))
			return
		}
		left = c.limit - firstLook(c.limit)
	}
	c.arm(left)
}

func (c *trackedConn) arm(d time.Duration) {
	if c.armed.CompareAndSwap(false, true) {
		c.timer.Reset(d)
	}
}

// Write implements net.Conn.
func (c *trackedConn) Write(b []byte) (int, error) {
	if c.limit > 0 && c.waiting.Load() == 0 && c.waiting.CompareAndSwap(0, time.Now().UnixNano()) {
		c.arm(firstLook(c.limit))
	}
	n, err := c.Conn.Write(b)
	return n, c.reason(err)
}

// Read implements net.Conn.
func (c *trackedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && n == 0 {
		if c.SetReadDeadline(time.Now().Add(grace)) == nil {
			n, err = c.Conn.Read(b)
		}
	}
	if n > 0 && c.limit > 0 {
		c.waiting.Store(0)
		c.suspect.Store(false)
	}
	return n, c.reason(err)
}

// reason is err, or why we ended the connection ourselves.
func (c *trackedConn) reason(err error) error {
	if why := c.why.Load(); why != nil && err != nil {
		return *why
	}
	return err
}

// end closes the connection; who reads or writes it is told why.
func (c *trackedConn) end(why error) {
	c.why.CompareAndSwap(nil, &why)
	_ = c.Close() // it is given up
}

// Close implements net.Conn. There is no farewell of TLS: it could block.
func (c *trackedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.raw.Close()
		c.timer.Stop()
		c.d.remove(c)
		c.d.opts.Primary.remove(c)
	})
	return err
}
