package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Line is the network of one device. All of the device's connections are dialed through it, and it can be down, be slow,
// or be cut. Its methods may be called at the same time.
type Line struct {
	mu    sync.Mutex
	conns map[*lineConn]struct{}
	gone  []net.Conn    // that the device has forgotten and the server has not been told of
	up    chan struct{} // closed while the line is up
	rate  int           // bytes a second that are read; zero: as many as come
}

// NewLine returns a line that is up.
func NewLine() *Line {
	up := make(chan struct{})
	close(up)
	return &Line{conns: map[*lineConn]struct{}{}, up: up}
}

// errLine is what the device sees of a line that was cut.
var errLine = errors.New("line: the connection is gone")

// receiveBuffer is what the kernel holds for a device, in bytes.
const receiveBuffer = 32 << 10

// Hold takes the line down: nothing passes in either direction, and nobody is told. What is on its way comes after Release,
// as TCP does it.
func (l *Line) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.up:
		l.up = make(chan struct{})
	default:
	}
}

// Release brings the line up again.
func (l *Line) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.up:
	default:
		close(l.up)
	}
}

// Slow limits what the device reads to a number of bytes a second; zero takes the limit away.
func (l *Line) Slow(bytesPerSecond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = bytesPerSecond
}

// Cut resets all connections, for both sides to see. What was on its way is lost.
func (l *Line) Cut() {
	for _, c := range l.drop() {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as from a router that has forgotten the connection
		}
		_ = c.Conn.Close()
	}
}

// Forget ends all connections for the device alone, as when it comes back with another address. The server is not told.
func (l *Line) Forget() {
	dropped := l.drop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range dropped {
		l.gone = append(l.gone, c.Conn)
	}
}

// Connections returns how many connections the device has.
func (l *Line) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Close ends everything, also what was forgotten.
func (l *Line) Close() {
	l.Cut()
	l.Release()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.gone {
		_ = c.Close()
	}
	l.gone = nil
}

func (l *Line) drop() []*lineConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*lineConn
	for c := range l.conns {
		c.end()
		all = append(all, c)
	}
	clear(l.conns)
	return all
}

// DialContext connects through the line; while that is down it waits.
func (l *Line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case <-l.state():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A device that reads slowly should show soon at the server, and not first fill megabytes of its own kernel.
		_ = tcp.SetReadBuffer(receiveBuffer)
	}
	c := &lineConn{Conn: conn, line: l, ended: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

func (l *Line) state() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *Line) limit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

// lineConn is one connection over a line.
type lineConn struct {
	net.Conn

	line  *Line
	once  sync.Once
	ended chan struct{}
}

func (c *lineConn) end() { c.once.Do(func() { close(c.ended) }) }

// wait returns when the line is up, or an error when the connection has ended.
func (c *lineConn) wait() error {
	select {
	case <-c.ended:
		return errLine
	default:
	}
	select {
	case <-c.line.state():
		return nil
	case <-c.ended:
		return errLine
	}
}

// Read implements net.Conn. What arrives while the line goes down is handed on when it is up again.
func (c *lineConn) Read(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	if rate := c.line.limit(); rate > 0 {
		const steps = 10 // a second
		p = p[:min(len(p), max(1, rate/steps))]
		select {
		case <-time.After(time.Second / steps):
		case <-c.ended:
			return 0, errLine
		}
	}
	n, err := c.Conn.Read(p)
	if held := c.wait(); held != nil {
		return 0, held
	}
	return n, err
}

// Write implements net.Conn.
func (c *lineConn) Write(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *lineConn) Close() error {
	c.end()
	c.line.mu.Lock()
	_, mine := c.line.conns[c]
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	if !mine {
		return nil // cut or forgotten
	}
	return c.Conn.Close()
}
