//go:build unix

package cache_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/cache"
	"kentongan/internal/testenv"
)

// TestEvictedEpochsReviveNothing has a real Redis lose what it knew of invalidations while old entries are still there, or come back.
func TestEvictedEpochsReviveNothing(t *testing.T) {
	a, c := withApp(t, short)
	const entry, epochs = "bergizi:cache:k1:menus:today", "bergizi:epoch:k1"
	for what, lose := range map[string]func(){
		"the epochs":     func() { a.raw("DEL", epochs) },
		"everything":     func() { a.raw("FLUSHALL") },
		"the tag's set":  func() { a.raw("DEL", "bergizi:tag:k1:menus") },
		"nothing at all": func() {},
	} {
		set(t, c, "menus:today", "old", hour)
		old := strings.Trim(a.raw("GET", entry), `"`)
		old = strings.ReplaceAll(old, `\"`, `"`)
		do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
		lose()
		a.raw("SETEX", entry, 3600, old)
		for _, p := range []*cache.Policy{nil, {Strict: true}} {
			if got, err := cache.Get[menu](t.Context(), c, kitchen, "menus:today", p); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("%s was lost: got %q, %v; want ErrNotFound", what, got.Name, err)
			}
		}
		set(t, c, "menus:today", "new", hour)
		wantMenu(t, c, "menus:today", "new")
	}
}

// TestAnotherProcessOfRedis kills one that writes down all it does, and starts it again: it has the entries, and could have lost the last
// invalidation. So all entries are void once, on a node that went through it and on one that comes later.
func TestAnotherProcessOfRedis(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	c := run(t, cache.Options{Shared: tierAt(t, server.Addr)})
	awaitFence(t, c)
	set(t, c, "k", "soto", hour)
	remember(t, c, "k")
	server.Restart()
	later := run(t, cache.Options{Shared: tierAt(t, server.Addr)})
	awaitFence(t, later)
	e, err := later.Explain(t.Context(), kitchen, "k", nil)
	if err != nil || e.Redis == nil || e.Redis.Kind != "entry" || e.Served != "no" {
		t.Errorf("the entry is there, and not to be served: %+v, %v", e, err)
	}
	wantNone(t, later, "k")
	eventually(t, "the node that went through it forgets", gone(c, "k"))
	set(t, c, "k", "rawon", hour)
	wantMenu(t, later, "k", "rawon")
}

// TestInvalidateAndWaitForASilentNode: a node whose line to Redis is dead has stopped answering from memory when the wait is over.
func TestInvalidateAndWaitForASilentNode(t *testing.T) {
	t.Parallel() // it mostly waits
	addr := testenv.Redis(t)
	const bound = time.Second
	line := newLine(t, addr)
	a, b := run(t, cache.Options{Shared: tierAt(t, addr), Bound: bound}), run(t, cache.Options{Shared: tierAt(t, line.addr), Bound: bound})
	for range 3 {
		awaitFence(t, a, b)
		set(t, a, "k", "soto", hour)
		remember(t, b, "k")
		line.freeze()
		do(t, a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{Key: "k"}))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if got, err := cache.Get[menu](ctx, b, kitchen, "k", nil); err == nil {
			t.Errorf("got %q after it was invalidated everywhere", got.Name)
		}
		cancel()
		line.thaw()
	}
}

// line is a way to an address that can be made to carry nothing, while its connections stay.
type line struct {
	addr string
	gate sync.RWMutex // held for writing while it is frozen
}

func (l *line) freeze() { l.gate.Lock() }
func (l *line) thaw()   { l.gate.Unlock() }

// carry copies until one side ends.
func (l *line) carry(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		l.gate.RLock()
		_, err = to.Write(buf[:n])
		l.gate.RUnlock()
		if err != nil {
			return
		}
	}
}

// newLine returns a line that ends when all connections over it have, which is with the caches that use it.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	do(t, err)
	l := &line{addr: listener.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			work.Go(func() { l.carry(out, from) })
			work.Go(func() { l.carry(from, out) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return l
}
