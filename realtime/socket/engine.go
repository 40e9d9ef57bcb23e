package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Kind is a choice of engine.
type Kind string

// The kinds.
const (
	Auto     Kind = "auto"     // epoll where it can be, portable elsewhere
	Epoll    Kind = "epoll"    // as Auto, but an error where no connection could be served by it
	Portable Kind = "portable" // for everything
)

// Options are the knobs of an Engine. The zero value is good.
type Options struct {
	Kind  Kind         // empty means Auto
	Loops int          // of epoll; zero means one for each CPU that Go uses
	Log   *slog.Logger // nil discards
}

// Engine serves connections. Its methods may be called concurrently.
type Engine struct {
	log   *slog.Logger
	poll  *poll // nil: all connections are served portably
	conns sync.WaitGroup
}

// ErrUnsupported says that this system has no epoll.
var ErrUnsupported = errors.New("epoll is there on Linux only")

// Open returns an Engine with its loops running. Close ends it.
func Open(opts Options) (*Engine, error) {
	if opts.Loops <= 0 {
		opts.Loops = runtime.GOMAXPROCS(0)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{log: opts.Log}
	switch opts.Kind {
	case Portable:
		return NewPortable(opts.Log), nil
	case Auto, Epoll, "":
	default:
		return nil, fmt.Errorf("socket engine %q: it is auto, epoll or portable", opts.Kind)
	}
	var err error
	if e.poll, err = openPoll(opts.Loops, e); err != nil {
		if errors.Is(err, ErrUnsupported) && opts.Kind != Epoll {
			return e, nil
		}
		return nil, fmt.Errorf("socket engine epoll: %w", err)
	}
	return e, nil
}

// NewPortable returns an Engine that serves everything portably. It has no loops, so it need not be closed.
func NewPortable(log *slog.Logger) *Engine {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Engine{log: log}
}

// Kind returns Epoll or Portable: what serves plain TCP.
func (e *Engine) Kind() Kind {
	if e.poll != nil {
		return Epoll
	}
	return Portable
}

// Close waits until the last connection has ended, and ends the loops. Nothing may be accepted or adopted any more, and whoever has
// connections must have ended them.
func (e *Engine) Close() {
	e.conns.Wait()
	if e.poll != nil {
		e.poll.close()
	}
}

// Fresh makes the handler of a connection that was accepted. peer is whom it is from; not valid: it has no address, as at a Unix socket.
type Fresh func(c *Conn, peer netip.Addr) Handler

// Accept takes connections from l until ctx ends, and gives each the handler that fresh returns for it. Then it closes l and returns
// nil. What passes, such as too many open files, is waited out; any other error of the listener ends it and is returned.
func (e *Engine) Accept(ctx context.Context, l net.Listener, fresh Fresh) error {
	defer func() { _ = l.Close() }() // closed already if ctx ended
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	accept := e.acceptPortably
	if e.poll != nil && e.poll.listens(l) {
		accept = e.poll.accept
	}
	if err := accept(ctx, l, fresh); err != nil && ctx.Err() == nil {
		return fmt.Errorf("accept: %w", err)
	}
	return nil
}

// rest waits a little after an error of accept that passes, the longer the more of them there were.
func (e *Engine) rest(ctx context.Context, err error, fails int) {
	e.log.Warn("connections cannot be accepted now", "err", err)
	timer := time.NewTimer(min(time.Second, 5*time.Millisecond<<min(fails, 8)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Adopt takes over a connection, from net/http for instance. It is paused: the handler hears of it from Resume on. After an error, conn is
// still the caller's.
func (e *Engine) Adopt(conn net.Conn, h Handler) (*Conn, error) {
	if e.poll != nil {
		if c, err := e.poll.adopt(conn, h); c != nil || err != nil {
			return c, err
		}
	}
	return e.stream(conn, h, true), nil
}

// ended tells the handler that its connection has.
func (e *Engine) ended(h Handler, unsent bool) {
	defer func() {
		if mistake := recover(); mistake != nil {
			e.log.Error("panic over the end of a connection", "panic", mistake, "stack", string(debug.Stack()))
		}
	}()
	h.OnEnd(unsent)
}

// bytes gives p to the handler of c. A mistake of ours over what one client sent must not end the process with all its screens.
func (e *Engine) bytes(c *Conn, p []byte) {
	defer func() {
		if mistake := recover(); mistake != nil {
			e.log.Error("panic over what a client sent", "panic", mistake, "stack", string(debug.Stack()))
			c.Abort()
		}
	}()
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	h.OnBytes(p)
}
