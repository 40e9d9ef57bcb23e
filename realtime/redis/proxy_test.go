package redis_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes bytes on, until it is told to do harm to the connections that are open.
type proxy struct {
	addr  string
	mu    sync.Mutex
	harms []*atomic.Int32
}

const (
	harmSwallow = 1 // read what Redis sends, and do not pass it on
	harmCut     = 2 // close when Redis sends the next bytes
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
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			harm := &atomic.Int32{}
			p.mu.Lock()
			p.harms = append(p.harms, harm)
			p.mu.Unlock()
			context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
			wg.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			wg.Go(func() {
				defer func() { _, _ = client.Close(), server.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := server.Read(buf)
					if harm.Load() == harmCut {
						return
					}
					if harm.Load() == 0 {
						if _, err := client.Write(buf[:n]); err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			})
		}
	})
	return p
}

func (p *proxy) swallow() { p.harm(harmSwallow) }
func (p *proxy) cut()     { p.harm(harmCut) }

func (p *proxy) harm(kind int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.harms {
		h.Store(kind)
	}
}
