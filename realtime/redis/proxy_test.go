package redis_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes bytes on, until it is told to do harm to the connections that are open.
type proxy struct {
	addr    string
	refuses atomic.Bool

	mu    sync.Mutex
	conns []*proxied
}

// proxied is one connection through a proxy.
type proxied struct {
	client, server net.Conn
	harm           atomic.Int32
	asked          atomic.Pointer[[]byte] // the first bytes that the client sent, by which its job is known
}

const (
	harmSwallow = 1 // read what Redis sends, and do not pass it on
	harmCut     = 2 // close when Redis sends the next bytes
	harmMute    = 3 // read what the client sends, and do not pass it on
)

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if p.refuses.Load() {
				_ = client.Close()
				continue
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			c := &proxied{client: client, server: server}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			context.AfterFunc(ctx, c.close)
			wg.Go(func() { c.pass(server, client, harmMute) })
			wg.Go(func() { c.pass(client, server, harmSwallow) })
		}
	})
	return p
}

func (c *proxied) close() { _, _ = c.client.Close(), c.server.Close() }

// pass copies what comes from one side to the other; while the harm is silent it reads and forgets.
func (c *proxied) pass(to, from net.Conn, silent int32) {
	defer c.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if from == c.client && c.asked.Load() == nil {
			first := append([]byte(nil), buf[:n]...)
			c.asked.Store(&first)
		}
		if from == c.server && c.harm.Load() == harmCut {
			return
		}
		if c.harm.Load() != silent {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) swallow() { p.harm(harmSwallow) }
func (p *proxy) cut()     { p.harm(harmCut) }

func (p *proxy) harm(kind int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.harm.Store(kind)
	}
}

// refuse ends all connections and takes no new ones until accept.
func (p *proxy) refuse() {
	p.refuses.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.close()
	}
}

func (p *proxy) accept() { p.refuses.Store(false) }
