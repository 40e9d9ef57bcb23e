package socket

import (
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
