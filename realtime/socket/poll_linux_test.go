package socket

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// refused is the handler of a connection that the kernel does not watch.
type refused struct{ ends int }

func (r *refused) OnBytes([]byte) {}
func (r *refused) OnRoom()        {}
func (r *refused) OnEnd(bool)     { r.ends++ }

// TestNotWatched: who has made a handler for a connection that cannot be watched is told of its end, once, and does nothing to the
// descriptor any more: its number is somebody else's as soon as it is closed.
func TestNotWatched(t *testing.T) {
	e, err := Open(Options{Kind: Epoll})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file")) // epoll does not take files
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	h := &refused{}
	var conn *Conn
	a := acceptor{poll: e.poll, fresh: func(c *Conn, _ netip.Addr) Handler { conn = c; return h }}
	if err := a.welcome(int(file.Fd()), netip.Addr{}); err == nil {
		t.Fatal("epoll watches a file")
	}
	if h.ends != 1 {
		t.Errorf("the end was told %d times", h.ends)
	}
	if conn.Abort(); !conn.now(over) || conn.now(ending) {
		t.Error("the connection is not over, and uses its descriptor")
	}
}

// TestAcceptIsLeftInBetween: connections that come without end do not keep the listener from being closed.
func TestAcceptIsLeftInBetween(t *testing.T) {
	e, err := Open(Options{Kind: Epoll})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range acceptMost + 1 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var conns []*Conn
	a := acceptor{poll: e.poll, fresh: func(c *Conn, _ netip.Addr) Handler { conns = append(conns, c); return &refused{} }}
	defer a.way.Close()
	var left bool
	take := func(fd uintptr) { left = a.take(fd) }
	for _, want := range []struct {
		left  bool
		conns int
	}{{true, acceptMost}, {false, acceptMost + 1}} {
		if err := raw.Control(take); err != nil {
			t.Fatal(err)
		}
		if left != want.left || len(conns) != want.conns || a.err != nil {
			t.Errorf("left: %v, after %d connections, %v; want %v after %d", left, len(conns), a.err, want.left, want.conns)
		}
	}
	for _, c := range conns {
		c.Abort()
	}
}
