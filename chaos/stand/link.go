package stand

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Direction is a way over a Link.
type Direction uint8

// The directions.
const (
	Up   Direction = iota // from the one who connects
	Down                  // to the one who connects
)

// Link is the network between a gateway and Redis: a proxy whose connections can fall silent. Silent means what it means on a
// broken network: bytes vanish, and nobody is told, not even of the end of the other side. A connection that was silent
// never works again, for bytes of it are lost. Its methods may be called at the same time.
type Link struct {
	Address string // where it listens

	target   func() string
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	pairs map[*pair]struct{}
	fresh [2]bool // directions in which new connections are born silent
	shut  bool
}

// pair is one connection over the link.
type pair struct {
	ends   [2]net.Conn // by the direction in which they are read
	silent [2]atomic.Bool
}

func (p *pair) close() {
	for _, c := range p.ends {
		_ = c.Close()
	}
}

// NewLink opens a link to what target returns ("host:port") at the time of each connection.
func NewLink(ctx context.Context, target func() string) (*Link, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	l := &Link{Address: listener.Addr().String(), target: target, listener: listener, pairs: map[*pair]struct{}{}}
	l.work.Go(l.accept)
	return l, nil
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.work.Go(func() { l.connect(conn) })
	}
}

func (l *Link) connect(conn net.Conn) {
	const patience = 5 * time.Second
	far, err := net.DialTimeout("tcp", l.target(), patience) //nolint:noctx // bounded by patience
	if err != nil {
		_ = conn.Close()
		return
	}
	p := &pair{ends: [2]net.Conn{Up: conn, Down: far}}
	l.mu.Lock()
	if l.shut {
		l.mu.Unlock()
		p.close()
		return
	}
	for d := range p.silent {
		p.silent[d].Store(l.fresh[d])
	}
	l.pairs[p] = struct{}{}
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(Up) })
	both.Go(func() { p.copy(Down) })
	both.Wait()
	p.close()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// copy carries one direction until an end of it is told.
func (p *pair) copy(d Direction) {
	from, to := p.ends[d], p.ends[1-d]
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.silent[d].Load() && n > 0 {
			if _, broken := to.Write(buf[:n]); broken != nil {
				err = broken
			}
		}
		if err == nil {
			continue
		}
		if p.silent[d].Load() && !errors.Is(err, net.ErrClosed) {
			return // nobody is told
		}
		p.close()
		return
	}
}

// Silence lets the connections that are open now fall silent in a direction, and, if alsoNew, those that come until Restore.
func (l *Link) Silence(d Direction, alsoNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.silent[d].Store(true)
	}
	l.fresh[d] = alsoNew
}

// Restore lets new connections work. Those that are silent stay so.
func (l *Link) Restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = [2]bool{}
}

// Close ends all.
func (l *Link) Close() {
	l.mu.Lock()
	l.shut = true
	for p := range l.pairs {
		p.close()
	}
	l.mu.Unlock()
	_ = l.listener.Close()
	l.work.Wait()
}
