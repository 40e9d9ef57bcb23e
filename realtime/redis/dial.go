package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"kentongan/internal/quickconn"
)

// backoff is how long to wait before try n (0 is the first repeat): anything up to 50 ms, 100 ms … 2 s. Full jitter
// keeps many nodes from knocking at the same moment; 2 s is short, for the screens of all kitchens stand still meanwhile.
func backoff(n int) time.Duration {
	limit := min(50*time.Millisecond<<min(n, 10), 2*time.Second)
	return rand.N(limit) + time.Millisecond //nolint:gosec // spread, not secrecy
}

// pause waits, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errStopped = errors.New("stopped")

// dialer opens connections to one address and knows all that are open, so that an end is an end: closeAll ends also what
// waits for an answer inside of a library.
//
// After a failed try the next ones are refused at once until the backoff is over, with the error of the try. So callers get
// their answer soon and Redis is not stormed by them while it comes up.
type dialer struct {
	address string
	tls     *tls.Config
	timeout time.Duration

	mu      sync.Mutex
	conns   map[*trackedConn]struct{}
	closed  bool
	fails   int
	next    time.Time
	lastErr error
	opened  uint64 // connections so far
}

type trackedConn struct {
	net.Conn
	d    *dialer
	once sync.Once
}

func (c *trackedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		c.d.mu.Lock()
		delete(c.d.conns, c)
		c.d.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}

func newDialer(o *Options) *dialer {
	return &dialer{address: o.Address, tls: o.TLS, timeout: o.ConnectTimeout, conns: map[*trackedConn]struct{}{}}
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, errStopped
	}
	if time.Now().Before(d.next) {
		defer d.mu.Unlock()
		return nil, d.lastErr
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var conn net.Conn
	var err error
	if d.tls != nil {
		conn, err = (&tls.Dialer{Config: d.tls}).DialContext(ctx, "tcp", d.address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.lastErr = fmt.Errorf("connect to redis: %w", err)
		d.next = time.Now().Add(backoff(d.fails))
		d.fails++
		return nil, d.lastErr
	}
	if d.closed {
		_ = conn.Close()
		return nil, errStopped
	}
	d.fails, d.next = 0, time.Time{}
	d.opened++
	c := &trackedConn{Conn: quickconn.Wrap(conn), d: d}
	d.conns[c] = struct{}{}
	return c, nil
}

// generation changes with each new connection.
func (d *dialer) generation() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened
}

func (d *dialer) closeAll() {
	d.mu.Lock()
	d.closed = true
	conns := make([]*trackedConn, 0, len(d.conns))
	for c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // it is given up
	}
}
