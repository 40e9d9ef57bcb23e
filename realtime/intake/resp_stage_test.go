package intake_test

import (
	"bufio"
	"context"
	"net"
	"sync"
	"testing"

	"kentongan/realtime/intake"
)

// pipes is a listener without a network, so that a test can tell when nothing moves any more.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns a client that has signed in.
func (p *pipes) dial(t *testing.T) *respClient {
	t.Helper()
	near, far := net.Pipe()
	p.conns <- far
	t.Cleanup(func() { _ = near.Close() })
	c := &respClient{t, near, bufio.NewReader(near)}
	c.want("+OK", "AUTH", keyOfAll)
	return c
}

// standIn is a Redis that a test plays.
type standIn struct{ conns chan *respClient }

func (s *standIn) Dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.conns <- &respClient{nil, far, bufio.NewReader(far)}:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// next is the Redis end of the next connection.
func (s *standIn) next(t *testing.T) *respClient {
	t.Helper()
	c := <-s.conns
	c.t = t
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stage is a door in a bubble of its own time, between a client and a Redis that the test plays.
func stage(t *testing.T, change ...func(*intake.RESPOptions)) (h *respHouse, l *pipes, s *standIn) {
	t.Helper()
	l, s = newPipes(), &standIn{conns: make(chan *respClient)}
	change = append(change, func(o *intake.RESPOptions) { o.Pass = intake.RESPPass{Redis: s, Keys: []string{"all"}} })
	return openDoorAt(t, l, change...), l, s
}
