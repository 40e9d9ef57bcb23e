package socket

import (
	"net"
	"sync"
	"time"
)

// Handler is who a Conn belongs to.
type Handler interface {
	// OnBytes takes what came. p is lent for the time of the call and may be written to.
	OnBytes(p []byte)

	// OnRoom says that the queue is empty again, or at LowWater or below. It may come at any time, also beside OnBytes.
	OnRoom()

	// OnEnd is the last call: the connection has ended, and nothing is sent or received any more. unsent says that something was
	// still queued, which the peer will not get. The descriptor is closed after the call.
	OnEnd(unsent bool)
}

// LowWater is how many queued bytes count as room for whoever waits to send more: half of what a socket's buffer in the kernel holds
// at first (tcp_wmem's default is 16 KiB to 4 MiB, growing), so that the kernel does not run dry meanwhile.
const LowWater = 64 << 10

// Conn is one connection. It is made by an Engine.
type Conn struct {
	driver  driver
	handler Handler

	mu      sync.Mutex // guards everything below
	fd      int32      // of epoll; -1 once it is closed
	gen     uint32     // tells this user of fd from the next one; never changes
	state   state
	pauses  uint8       // how many do not want the handler to hear anything
	backlog *backlog    // nil: nothing is queued
	timer   *time.Timer // aborts what does not end by itself; nil before Finish
}

type state uint16

const (
	sealed    state = 1 << iota // nothing more is sent
	finishing                   // what comes is thrown away; it ends when the queue is written
	halfway                     // after the queue, the peer is told that nothing comes, and may still send
	reset                       // something queued will not be sent: the peer gets a reset instead of what still waits in the kernel
	ending                      // of epoll: shut was called, the loop is to end it
	crowded                     // of epoll: the kernel did not take all once
	watched                     // of epoll: the loop is told of it
	parting                     // of epoll: the kernel has told of the peer's end, which stands behind what is still to be read
	over                        // OnEnd has been called, or is about to
)

// driver is how an engine moves the bytes of a Conn. Except for resume, its methods are called with the Conn's lock held.
type driver interface {
	// write writes as much as the kernel takes now.
	write(c *Conn, p []byte) (int, error)

	// await sees to it that the queue is written once the kernel takes more.
	await(c *Conn)

	// gather reports whether what is queued for c is written when the round of its loop ends. It is called by a callback of c.
	gather(c *Conn) bool

	// resume makes reading go on.
	resume(c *Conn)

	// shutWrite tells the peer that nothing more comes. shut makes the reader end the connection.
	shutWrite(c *Conn)
	shut(c *Conn)

	detach(c *Conn) (net.Conn, error)
	socket(c *Conn, do func(fd int)) // calls do with the descriptor, if there is one
}

// backlog is what the kernel did not take.
type backlog struct {
	frames  [][]byte
	whole   [][]byte // the array of frames from its beginning, empty
	bytes   int
	started bool   // the peer has got a part of frames[0], or must get it: see SendFirst
	first   []byte // memory of SendFirst
}

// backlogs are those that have been written, for the next queue of any connection: with TLS one begins and ends for nearly each message.
// What was dropped is not among them, for a writer may still look at it.
var backlogs = sync.Pool{New: func() any { return new(backlog) }}

// maxSpareFrames bounds what a backlog keeps for the next one: more is one who did not read for a while, and rare.
const maxSpareFrames = 64

func (c *Conn) is(s state) bool { return c.state&s != 0 }

// Send writes p, or queues what the kernel does not take, and returns how many bytes are queued now. p is kept and must not
// be changed, unless that is 0. After the end, or after Seal, Finish or Abort, it does nothing and returns 0.
func (c *Conn) Send(p []byte) (queued int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state&(sealed|over) != 0 {
		return 0
	}
	return c.put(p)
}

// SendFirst is Send for what nothing that follows can be understood without, such as the head of an answer, when nothing is queued: Seal
// does not drop it. p is not kept.
func (c *Conn) SendFirst(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state&(sealed|over) == 0 && c.put(p) > 0 {
		b := c.backlog
		b.started = true
		last := len(b.frames) - 1
		b.first = append(b.first[:0], b.frames[last]...)
		b.frames[last] = b.first
	}
}

// Gather has what is sent from now on go out when the loop has served the others that something has come from, as far as there are
// such: writes that follow one another cost less, and a peer that has many of the connections is woken up once. It is for callbacks.
func (c *Conn) Gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state&(sealed|over) == 0 && c.backlog == nil && c.driver.gather(c) {
		c.queue()
	}
}

// Near reads what Send reads first and never changes, and returns it: for who is about to call Send on many, whose memory is then waited
// for once, and not one after the other.
func (c *Conn) Near() uint64 { return uint64(c.gen) }

// put is Send for those who hold the lock of a Conn that may be written to.
func (c *Conn) put(p []byte) int {
	if c.backlog != nil {
		c.backlog.add(p)
		return c.backlog.bytes
	}
	n, err := c.driver.write(c, p)
	if err != nil {
		c.fail()
		return 0
	}
	if n == len(p) {
		return 0
	}
	c.queue()
	c.backlog.add(p[n:])
	c.backlog.started = n > 0
	c.driver.await(c)
	return c.backlog.bytes
}

// queue begins a queue. The lock is held.
func (c *Conn) queue() { c.backlog = backlogs.Get().(*backlog) } //nolint:forcetypeassert,errcheck // New makes nothing else

// left gives a queue back that is empty, and returns how many bytes are in it. The lock is held.
func (c *Conn) left() int {
	b := c.backlog
	if b == nil {
		return 0
	}
	if b.bytes > 0 {
		return b.bytes
	}
	c.backlog = nil
	if cap(b.whole) <= maxSpareFrames {
		b.reset()
		backlogs.Put(b)
	}
	return 0
}

func (b *backlog) add(p []byte) {
	grows := len(b.frames) == cap(b.frames)
	b.frames = append(b.frames, p)
	if grows {
		b.whole = b.frames[:0]
	}
	b.bytes += len(p)
}

// reset makes b as a new one is, but for the memory that it keeps.
func (b *backlog) reset() {
	clear(b.frames)
	*b = backlog{frames: b.whole, whole: b.whole, first: b.first}
}

// fail notes that nothing can be written any more. The lock is held.
func (c *Conn) fail() {
	c.state |= sealed
	if c.owes() {
		c.state |= reset
	}
	c.backlog = nil
	c.driver.shut(c)
}

// owes reports whether anything is queued. The lock is held.
func (c *Conn) owes() bool { return c.backlog != nil && c.backlog.bytes > 0 }

// Queued returns how many bytes wait for the peer to make room.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.backlog == nil {
		return 0
	}
	return c.backlog.bytes
}

// Seal sends last, and nothing after it; what comes is still read. drop forgets what is queued before it, except for the rest of a
// frame that the peer has a part of. last may be nil. A Conn that is sealed stays as it is.
func (c *Conn) Seal(last []byte, drop bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state&(sealed|over) != 0 {
		return
	}
	if drop && c.backlog != nil {
		c.backlog.drop()
	}
	if len(last) > 0 {
		c.put(last)
	}
	c.state |= sealed
}

// drop keeps only what has begun to go out.
func (b *backlog) drop() {
	keep := 0
	if b.started && len(b.frames) > 0 {
		keep = 1
	}
	for _, f := range b.frames[keep:] {
		b.bytes -= len(f)
	}
	clear(b.frames[keep:])
	b.frames = b.frames[:keep]
}

// Finish ends the connection when what is queued has been written, and at the latest after limit. Nothing more is sent or given to
// the handler. With half the peer is told that nothing comes any more, and what it still sends is read and thrown away until it
// ends: a connection that is closed with unread bytes is reset, and the peer loses what we said last.
func (c *Conn) Finish(half bool, limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state&(finishing|over) != 0 {
		return
	}
	c.state |= sealed | finishing
	if half {
		c.state |= halfway
	}
	c.abortAfter(limit)
	if c.left() == 0 {
		c.finished()
	}
}

// finished does what Finish promised, now that nothing is queued. The lock is held.
func (c *Conn) finished() {
	if c.is(halfway) {
		c.driver.shutWrite(c)
	} else {
		c.driver.shut(c)
	}
}

// AbortAfter aborts the connection after limit, unless it ends before, or unless that was asked for already.
func (c *Conn) AbortAfter(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(over) && c.timer == nil {
		c.abortAfter(limit)
	}
}

func (c *Conn) abortAfter(limit time.Duration) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(limit, c.Abort)
}

// Abort ends the connection at once. If something is queued the peer gets a reset.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(over) {
		return
	}
	if c.owes() {
		c.state |= reset
	}
	c.state |= sealed | finishing
	c.driver.shut(c)
}

// Pause stops OnBytes and OnEnd after the current callback, until Resume. After two of them it takes two.
func (c *Conn) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pauses++
}

// Resume goes on after Pause, and after Adopt. It may be called from any goroutine.
func (c *Conn) Resume() {
	c.mu.Lock()
	c.pauses--
	goesOn := c.pauses == 0
	c.mu.Unlock()
	if goesOn {
		c.driver.resume(c)
	}
}

// SetHandler makes h hear of what comes from now on.
func (c *Conn) SetHandler(h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
}

// Detach takes the connection out of the engine. The handler hears nothing more of it. Nothing may be queued.
func (c *Conn) Detach() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.backlog != nil {
		panic("socket: Detach with bytes in the queue")
	}
	conn, err := c.driver.detach(c)
	if err == nil {
		c.state |= sealed | over
	}
	return conn, err
}

// settle ends a round of flushing, and gives the lock back: when the queue was at before bytes, is there room now?
func (c *Conn) settle(before int) {
	queue := c.backlog != nil
	left := c.left()
	if queue && left == 0 && c.is(finishing) {
		c.finished()
	}
	h := c.handler
	c.mu.Unlock()
	if h == nil {
		return // fresh has not returned yet
	}
	if left <= LowWater && before > LowWater || left == 0 {
		h.OnRoom()
	}
}

// advance removes n bytes that were written.
func (b *backlog) advance(n int) {
	b.bytes -= n
	for n > 0 && n >= len(b.frames[0]) {
		n -= len(b.frames[0])
		b.frames[0] = nil
		b.frames = b.frames[1:]
		b.started = false
	}
	if n > 0 {
		b.frames[0] = b.frames[0][n:]
		b.started = true
	}
}

// end marks the Conn as over and returns what OnEnd is to be told; false: it was over before. The engine calls the handler, and then
// closes the descriptor.
func (c *Conn) end() (h Handler, unsent, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(over) {
		return nil, false, false
	}
	if c.owes() {
		c.state |= reset
	}
	unsent = c.is(reset)
	c.state |= sealed | over
	c.backlog = nil
	if c.timer != nil {
		c.timer.Stop()
	}
	return c.handler, unsent, true
}

// now is [Conn.is] for who does not hold the lock.
func (c *Conn) now(s state) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is(s)
}
