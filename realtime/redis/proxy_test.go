package redis_test

import (
	"bytes"
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
	to      atomic.Pointer[string]

	mu    sync.Mutex
	conns []*proxied
}

// proxied is one connection through a proxy.
type proxied struct {
	client, server net.Conn
	harm           atomic.Int32
	first          atomic.Pointer[[]byte] // what the client sent first; its name is in it
	released       chan struct{}          // closed when what is held goes on
}

const (
	harmSwallow = 1 // read what Redis sends, and do not pass it on
	harmCut     = 2 // close when Redis sends the next bytes
	harmMute    = 3 // read what the client sends, and do not pass it on
	harmHold    = 4 // keep what the client sends, and pass it on when released, though the client may be gone by then
)

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	p.to.Store(&to)
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
			server, err := net.Dial("tcp", *p.to.Load())
			if err != nil {
				_ = client.Close()
				continue
			}
			c := &proxied{client: client, server: server, released: make(chan struct{})}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			context.AfterFunc(ctx, c.close)
			wg.Go(func() { c.up(ctx) })
			wg.Go(c.down)
		}
	})
	return p
}

func (c *proxied) close() { _, _ = c.client.Close(), c.server.Close() }

// up passes on what the client sends.
func (c *proxied) up(ctx context.Context) {
	defer c.close()
	buf := make([]byte, 64<<10)
	var held []byte
	for {
		n, err := c.client.Read(buf)
		if c.first.Load() == nil {
			first := append([]byte(nil), buf[:n]...)
			c.first.Store(&first)
		}
		switch c.harm.Load() {
		case harmMute:
		case harmHold:
			held = append(held, buf[:n]...)
		default:
			if _, err := c.server.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	if len(held) > 0 {
		select {
		case <-c.released:
			_, _ = c.server.Write(held) // Redis may have ended the connection: then they are lost, as they should be
		case <-ctx.Done():
		}
	}
}

// down passes on what Redis sends.
func (c *proxied) down() {
	defer func() {
		if c.harm.Load() == harmHold {
			_ = c.client.Close()
			return // what is held still needs the other side
		}
		c.close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buf)
		switch c.harm.Load() {
		case harmCut:
			return
		case harmSwallow, harmHold:
		default:
			if _, err := c.client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// lead has new connections go to another server.
func (p *proxy) lead(to string) { p.to.Store(&to) }

func (p *proxy) swallow() { p.harm(harmSwallow) }
func (p *proxy) cut()     { p.harm(harmCut) }
func (p *proxy) hold()    { p.harm(harmHold) }

// of returns the connections of one job, by the name that it gives itself.
func (p *proxy) of(name string) (conns []*proxied) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if first := c.first.Load(); first != nil && bytes.Contains(*first, []byte("kentongan-"+name+"\r\n")) {
			conns = append(conns, c)
		}
	}
	return conns
}

// release passes on what is held.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c.harm.Load() == harmHold {
			close(c.released)
		}
	}
}

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
