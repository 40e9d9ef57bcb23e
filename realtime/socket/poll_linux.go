package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kentongan/internal/descriptor"
	"kentongan/internal/giveway"
	"kentongan/internal/rawsys"
)

// poll is the epoll engine: its loops, and the table of their connections.
type poll struct {
	engine  *Engine
	loops   []*loop
	next    atomic.Uint32 // whose turn it is to get a connection
	gen     atomic.Uint32
	running sync.WaitGroup

	// table finds a Conn by its descriptor, in pages that are made when the first of their numbers is used. A descriptor has one
	// Conn at a time; an event of its predecessor is told by the generation.
	mu    sync.Mutex // guards the making of pages
	table [maxPages]atomic.Pointer[page]
}

const (
	pageSize = 1 << 10
	maxPages = 1 << 10 // a million descriptors: more than a process may have open by default anywhere
)

type page [pageSize]atomic.Pointer[Conn]

// What a connection is registered for: first to hear, and from the first time on that the kernel did not take all, to hear of room as
// well. Asked for at once, each new connection would wake a loop only to say that it may be written to.
const (
	watchIn   = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	watchBoth = watchIn | unix.EPOLLOUT
)

func openPoll(loops int, e *Engine) (*poll, error) {
	p := &poll{engine: e}
	for range loops {
		l, err := openLoop(p)
		if err != nil {
			p.close()
			return nil, err
		}
		p.loops = append(p.loops, l)
		p.running.Go(l.run)
	}
	return p, nil
}

func (p *poll) close() {
	for _, l := range p.loops {
		l.close()
	}
	p.running.Wait()
}

// at returns the Conn of fd, or nil.
func (p *poll) at(fd int32) *Conn {
	if pg := p.table[fd/pageSize].Load(); pg != nil {
		return pg[fd%pageSize].Load()
	}
	return nil
}

func (p *poll) set(fd int32, c *Conn) {
	slot := &p.table[fd/pageSize]
	pg := slot.Load()
	if pg == nil {
		p.mu.Lock()
		if pg = slot.Load(); pg == nil {
			pg = new(page)
			slot.Store(pg)
		}
		p.mu.Unlock()
	}
	pg[fd%pageSize].Store(c)
}

var errTooMany = errors.New("descriptor number over a million")

// conn makes a Conn of a non-blocking descriptor, which is a loop's once add has registered it.
func (p *poll) conn(fd int) (*Conn, error) {
	if fd >= pageSize*maxPages {
		return nil, errTooMany
	}
	l := p.loops[p.next.Add(1)%uint32(len(p.loops))]               //nolint:gosec // a few
	return &Conn{driver: l, fd: int32(fd), gen: p.gen.Add(1)}, nil //nolint:gosec // checked
}

// add registers c, which has its handler. After an error its descriptor is still the caller's.
func (p *poll) add(c *Conn) error {
	p.set(c.fd, c)
	p.engine.conns.Add(1)
	if err := c.driver.(*loop).begin(c); err != nil { //nolint:forcetypeassert,errcheck // conn made it
		p.set(c.fd, nil)
		p.engine.conns.Done()
		return fmt.Errorf("watch a connection: %w", err)
	}
	return nil
}

// adopt takes over what conn runs on, if that is a plain socket; else it returns nil and no error.
func (p *poll) adopt(conn net.Conn, h Handler) (*Conn, error) {
	fd, ok, err := descriptor.Of(conn)
	if !ok || err != nil {
		return nil, err //nolint:wrapcheck // it says what it did
	}
	c, err := p.conn(fd)
	if err == nil {
		c.handler, c.pauses = h, 1
		err = p.add(c)
	}
	if err != nil {
		_ = unix.Close(fd) // nobody has used it
		return nil, err
	}
	_ = conn.Close() // our duplicate keeps the connection
	return c, nil
}

// listens reports whether l is a plain listener.
func (p *poll) listens(l net.Listener) bool { return descriptor.IsPlain(l) }

// accept takes connections from a plain listener until ctx ends.
func (p *poll) accept(ctx context.Context, l net.Listener, fresh Fresh) error {
	fd, err := descriptor.OfListener(l)
	if err != nil {
		return err //nolint:wrapcheck // Accept does
	}
	f := os.NewFile(uintptr(fd), "listener") // by it Go's network poller watches ours
	defer func() { _ = f.Close() }()         // closed already if ctx ended
	defer context.AfterFunc(ctx, func() { _ = f.Close() })()
	raw, err := f.SyscallConn()
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	a := acceptor{poll: p, fresh: fresh}
	defer a.way.Close()
	for {
		if err := raw.Read(a.take); err != nil {
			return err //nolint:wrapcheck // as above
		}
		switch {
		case a.err == nil:
		case passes(a.err):
			p.engine.rest(ctx, a.err, a.fails)
			a.fails++
		default:
			return a.err
		}
	}
}

// acceptor takes what waits at a listener.
type acceptor struct {
	poll  *poll
	fresh Fresh
	err   error       // why the round ended; nil: it was full
	fails int         // since one was taken
	way   giveway.Way // where it lets go first what is live
}

// acceptRound is after how many connections it looks whether it has worked for so long that it has to give way. One takes some 10 µs.
const acceptRound = 4

// acceptMost is after how many it looks whether the listener has been closed: they may come without end.
const acceptMost = 64

// take is called by the network poller's loop, and takes what has come. It returns false to wait for more, when all was taken.
func (a *acceptor) take(fd uintptr) bool {
	a.err = nil
	a.way.Begin()
	for n := 1; n <= acceptMost; n++ {
		conn, peer, err := rawsys.Accept(int(fd))
		switch err {
		case 0:
			a.fails = 0
			if err := a.welcome(conn, peer); err != nil {
				_ = unix.Close(conn) // nobody has used it
				a.poll.engine.log.Warn("connection refused", "err", err)
			}
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			a.err = err
			return true
		}
		if n%acceptRound == 0 {
			a.way.Sometimes()
		}
	}
	return true
}

// welcome makes a connection of fd. Its handler is made before any event comes.
func (a *acceptor) welcome(fd int, peer netip.Addr) error {
	c, err := a.poll.conn(fd)
	if err != nil {
		return err
	}
	c.SetHandler(a.fresh(c, peer))
	if err = a.poll.add(c); err != nil {
		h, unsent, _ := c.end() // whoever has c is not to use the descriptor any more
		a.poll.engine.ended(h, unsent)
	}
	return err
}

// GiveUpAfter makes the kernel give up a peer that acknowledges nothing for d. Without it a dead peer that is only written to is noticed
// after some 15 minutes of retransmissions. It does nothing where the kernel does not know how.
func (c *Conn) GiveUpAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(over) {
		c.driver.socket(c, func(fd int) {
			// An old kernel or a pipe may not know the option: then its own time-out holds.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}
