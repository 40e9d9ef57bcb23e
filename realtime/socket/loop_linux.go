package socket

import (
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"kentongan/internal/descriptor"
	"kentongan/internal/giveway"
	"kentongan/internal/rawsys"
)

// loop serves its share of the connections. It is the driver of them all.
type loop struct {
	poll *poll
	epfd int
	file *os.File // of epfd: by it Go's network poller watches ours
	raw  syscall.RawConn

	// These belong to the goroutine of run.
	events   [maxEvents]unix.EpollEvent
	buf      [loopRead]byte // lent to handlers
	again    []*Conn        // had more to read than their share
	gathered []*Conn        // whose queues are written when the round ends
	way      giveway.Way    // where it lets go first what is live
	door     *giveway.Door  // of its own, for what others have to do
}

const (
	maxEvents = 256
	loopRead  = 64 << 10

	// fairShare is how many full reads one connection gets before the others have their turn.
	fairShare = 4

	// lookEvery is after how many events a loop looks whether it has worked for so long that it has to give way. A handshake takes
	// 50 µs; 256 of them without a break would be 13 ms, in which a message waits that has come meanwhile.
	lookEvery = 2

	// gatherMost is how many connections are written to in one go. In a storm of connects a hundred handshakes, milliseconds of work,
	// could be between the first answer and its writing otherwise.
	gatherMost = 32
)

func openLoop(p *poll) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil { // by this os.NewFile sees that it can be watched
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{poll: p, epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll")}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l.door = giveway.Serve(epfd)
	return l, nil
}

func (l *loop) close() { _ = l.file.Close() } // run sees it

// run serves until the loop is closed.
func (l *loop) run() {
	defer l.way.Close()
	defer l.door.Close()
	_ = l.raw.Read(l.turn) // closed
}

// turn is called by the network poller's loop, at first and whenever something has come, and serves until nothing is left. It returns
// false: to be called again. What comes from the kernel's last answer on calls it anew, also while it runs; so a round that was not full
// need not be followed by another one that finds nothing.
func (l *loop) turn(uintptr) bool {
	l.door.Serving(true)
	defer l.door.Serving(false)
	for l.way.Begin(); ; l.way.Sometimes() {
		n, err := rawsys.EpollWait(l.epfd, l.events[:])
		if err == unix.EINTR {
			continue
		}
		for i := range max(n, 0) {
			if i > 0 && i%lookEvery == 0 {
				l.way.Sometimes()
			}
			ev := &l.events[i]
			if c := l.poll.at(ev.Fd); c != nil && c.gen == uint32(ev.Pad) { //nolint:gosec // what add put there
				l.handle(c, ev.Events)
			}
			if len(l.gathered) == gatherMost {
				l.writeGathered()
			}
		}
		again := l.again
		l.again = nil
		for _, c := range again {
			l.read(c, false)
		}
		l.writeGathered()
		if n < maxEvents && len(l.again) == 0 {
			return false
		}
	}
}

// handle looks after one connection. A mistake of ours over it must not end the process.
func (l *loop) handle(c *Conn, events uint32) {
	defer func() {
		if mistake := recover(); mistake != nil {
			l.poll.engine.log.Error("panic in a loop", "panic", mistake, "stack", string(debug.Stack()))
			c.Abort()
		}
	}()
	if events&unix.EPOLLOUT != 0 && c.Queued() > 0 {
		l.onRoom(c)
	}
	if events&^unix.EPOLLOUT != 0 {
		l.read(c, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

func (l *loop) gather(c *Conn) bool {
	l.gathered = append(l.gathered, c)
	return true
}

// writeGathered writes what was gathered. A queue in which nothing was put is none any more.
func (l *loop) writeGathered() {
	for _, c := range l.gathered {
		l.onRoom(c)
	}
	clear(l.gathered)
	l.gathered = l.gathered[:0]
}

// onRoom writes what is queued, now that the kernel takes more.
func (l *loop) onRoom(c *Conn) {
	c.mu.Lock()
	if c.backlog == nil || c.is(over) {
		c.mu.Unlock()
		return
	}
	before := c.backlog.bytes
	l.flush(c)
	c.settle(before)
}

// flush writes what is queued, as far as the kernel takes it.
func (l *loop) flush(c *Conn) {
	b := c.backlog
	for b.bytes > 0 {
		n, err := l.writeAll(c, b.frames)
		if err != nil {
			c.fail()
			return
		}
		if n == 0 {
			l.await(c)
			return
		}
		b.advance(n)
	}
}

// read takes what came. Events are edges: it has to read until nothing is left, or nothing more will be told. A short
// read says so, unless the peer has ended, for then the end comes behind it.
func (l *loop) read(c *Conn, peerEnds bool) {
	for range fairShare {
		c.mu.Lock()
		if peerEnds {
			c.state |= parting // who is put back behind the others is not told of it again
		}
		silent, ends, discards, parts := c.pauses > 0 || c.is(over), c.is(ending), c.is(finishing), c.is(parting)
		c.mu.Unlock()
		if silent {
			return // Resume makes the kernel tell again
		}
		if ends {
			l.end(c)
			return
		}
		n, err := rawsys.Read(int(c.fd), l.buf[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case n <= 0:
			l.end(c)
			return
		}
		if !discards {
			l.poll.engine.bytes(c, l.buf[:n])
		}
		if n < len(l.buf) && !parts {
			return
		}
	}
	l.again = append(l.again, c)
}

// end closes c. Only the loop does that, so no descriptor is used that belongs to somebody else by now.
func (l *loop) end(c *Conn) {
	h, unsent, first := c.end()
	if !first {
		return
	}
	l.poll.set(c.fd, nil)
	l.poll.engine.ended(h, unsent)
	if c.now(reset) {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // gone already: needs none
	}
	rawsys.Close(int(c.fd))
	l.poll.engine.conns.Done()
}

func (l *loop) control(op int, fd int32, events, gen uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: fd, Pad: int32(gen)} //nolint:gosec // compared as it is
	return unix.EpollCtl(l.epfd, op, int(fd), &ev)                 //nolint:wrapcheck // callers say what for
}

func (l *loop) write(c *Conn, p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := rawsys.Write(int(c.fd), p[written:])
		switch err {
		case 0:
			written += n
		case unix.EINTR:
		case unix.EAGAIN:
			return written, nil
		default:
			return written, err
		}
	}
	return written, nil
}

// writeAll writes as much of frames as the kernel takes at once.
func (l *loop) writeAll(c *Conn, frames [][]byte) (int, error) {
	if len(frames) == 1 {
		return l.write(c, frames[0])
	}
	for {
		n, err := rawsys.Writev(int(c.fd), frames[:min(len(frames), rawsys.MaxFrames)])
		switch err {
		case 0:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// await has the kernel tell when a full socket empties. It goes on doing so: a peer that was slow once will be again.
func (l *loop) await(c *Conn) {
	if !c.is(crowded) {
		c.state |= crowded
		l.watch(c)
	}
}

// watch has the kernel tell anew what there is. Before it does so for the first time, begin is still to come.
func (l *loop) watch(c *Conn) {
	if !c.is(watched) {
		return
	}
	if err := l.control(unix.EPOLL_CTL_MOD, c.fd, c.events(), c.gen); err != nil {
		panic("socket: watch a connection again: " + err.Error())
	}
}

// begin has the kernel tell what there is. Whoever made the handler may have sent more than the kernel takes by now.
func (l *loop) begin(c *Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := l.control(unix.EPOLL_CTL_ADD, c.fd, c.events(), c.gen); err != nil {
		return err
	}
	c.state |= watched
	return nil
}

// events are those that the kernel is to tell of. The lock is held.
func (c *Conn) events() uint32 {
	if c.is(crowded) {
		return watchBoth
	}
	return watchIn
}

func (l *loop) resume(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(over) {
		l.watch(c)
	}
}

func (l *loop) shutWrite(c *Conn) { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) } // gone already: the loop sees it

// shut leaves the rest to the loop, whom the kernel tells of an end. Only our own side is told: if something is lost, the peer must
// see a reset, and no end ahead of it.
func (l *loop) shut(c *Conn) {
	c.state |= ending
	_ = unix.Shutdown(int(c.fd), unix.SHUT_RD) // gone already: as above
}

func (l *loop) detach(c *Conn) (net.Conn, error) {
	if err := l.control(unix.EPOLL_CTL_DEL, c.fd, 0, 0); err != nil {
		return nil, fmt.Errorf("hand a connection over: %w", err)
	}
	l.poll.set(c.fd, nil)
	l.poll.engine.conns.Done()
	return descriptor.Conn(int(c.fd)) //nolint:wrapcheck // it says what it did
}

func (l *loop) socket(c *Conn, do func(fd int)) { do(int(c.fd)) }
