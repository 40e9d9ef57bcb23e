package intake

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/realtime"
)

// respConn is one connection of the Redis door. One goroutine reads and carries out commands. Everything that is written, answers and
// messages, goes through one queue, so that the answers have the order of the commands and no message
// comes before the confirmation of its subscription. What is ready when the reader has carried out all that came, it writes itself; what
// becomes ready later, another goroutine writes: waking that for each answer would cost more than the answer.
type respConn struct {
	door *RESP
	nc   net.Conn
	id   int64

	// These belong to who has set writing.
	out     []byte
	writeBy time.Time

	// These are the reading goroutine's.
	read     *respReader
	ctx      context.Context
	who      *auth.Identity // nil: has not signed in
	three    bool           // RESP3
	name     string
	since    time.Time
	signInBy time.Time
	bursts   bool // what was published may not be delivered before the engine is told to
	wrong    int  // keys
	quit     bool
	channels map[string]Listening
	whole    Listening // to the whole kitchen, for the patterns; nil: there are none
	known    knownNames
	refused  time.Time // until when what comes belongs to a transaction that was refused; zero: it does not

	// Also the reading goroutine's, for what is passed on: see resp_pass.go.
	db        int
	way       *respWay  // nil: none was needed yet
	wayFailed time.Time // when one was last wanted in vain, and why
	wayError  error
	spelling  []byte
	ways      sync.WaitGroup // who read from Redis

	stopping atomic.Bool // reads no further

	heard    sync.Mutex // guards patterns and matches, and puts what is heard in order with their confirmations
	patterns []string
	matches  map[string][]string // the patterns that match a name

	mu       sync.Mutex // guards everything below
	changed  sync.Cond
	queue    []*respReply
	busy     bool // the reader carries something out, and will look for what is ready
	writing  bool // somebody writes
	asked    int  // commands that are not answered yet
	askBytes int  // their publications, and what was passed on
	pushed   int  // bytes of messages that wait
	held     int  // bytes of answers of Redis that wait
	finished bool
	broken   bool
}

// respReply is one thing to write.
type respReply struct {
	ready bool
	text  []byte
	data  []byte           // a message, written behind text; shared
	to    realtime.Channel // of a publication that was stored: its followers are counted when this is written
	count bool
	cost  int // bytes of a publication, or of a command that was passed on, that waits
	ask   bool

	passed bool // text is an answer of Redis, and counts as held
}

func newRESPConn(d *RESP, nc net.Conn, id int64) *respConn {
	now := time.Now()
	c := &respConn{
		door: d, nc: nc, id: id, since: now, signInBy: now.Add(d.opts.SignInWithin), channels: map[string]Listening{},
		matches: map[string][]string{},
	}
	c.read = newRESPReader((*respPatience)(c))
	c.changed.L = &c.mu
	return c
}

// respPatience reads from the connection for as long as its state allows.
type respPatience respConn

// Read implements io.Reader.
func (p *respPatience) Read(b []byte) (int, error) {
	until := time.Now()
	switch {
	case p.who == nil:
		until = p.signInBy
	case p.read.inside:
		until = until.Add(respSilence)
	case len(p.channels) > 0 || p.whole != nil:
		until = time.Time{} // it listens; the keep-alive of TCP finds a dead one
	default:
		until = until.Add(p.door.opts.IdleFor)
	}
	if err := p.nc.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if p.stopping.Load() { // it may have been set just before the deadline
		return 0, os.ErrDeadlineExceeded
	}
	c := (*respConn)(p)
	c.deliver()
	c.rest()
	c.flush()
	n, err := p.nc.Read(b)
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
	return n, err //nolint:wrapcheck // the door looks at it and nobody else
}

// rest is called when all that came has been carried out: it writes what is ready, and leaves what becomes ready later to the writer.
func (c *respConn) rest() {
	c.mu.Lock()
	if c.writing || c.broken || !c.isReady() {
		c.busy = false
		c.mu.Unlock()
		return
	}
	c.writing = true
	replies := c.remove()
	c.mu.Unlock()
	err := c.send(replies)
	c.mu.Lock()
	c.writing, c.busy = false, false
	c.mu.Unlock()
	c.changed.Broadcast()
	if err != nil {
		c.hangUp()
	}
}

// isReady reports whether something can be written. The lock is held.
func (c *respConn) isReady() bool { return len(c.queue) > 0 && c.queue[0].ready }

// wake tells the writer that something may be ready, unless the reader will look.
func (c *respConn) wake(busy bool) {
	if !busy {
		c.changed.Broadcast()
	}
}

// serve carries out commands until the client leaves, breaks the protocol, or ctx ends.
func (c *respConn) serve(ctx context.Context) {
	defer c.door.leave(c)
	defer context.AfterFunc(ctx, c.stop)()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	c.ctx = inner
	var wg sync.WaitGroup
	wg.Go(func() { c.write(cancel) })
	c.readAll() //nolint:contextcheck // c.ctx is made of it
	c.deliver()
	c.unlisten()
	c.mu.Lock()
	c.finished, c.busy = true, false
	c.mu.Unlock()
	c.changed.Broadcast()
	// What is under way is still answered; an engine that does not come back is not waited for.
	hangUp := time.AfterFunc(respFarewell, c.hangUp)
	c.flush()
	wg.Wait()
	hangUp.Stop()
	if c.way != nil {
		_ = c.way.conn.Close() // nothing that it may bring can be written any more
	}
	c.ways.Wait()
}

// stop ends the reading.
func (c *respConn) stop() {
	c.stopping.Store(true)
	_ = c.nc.SetReadDeadline(time.Now()) // an error means that it is closed already
}

// hangUp ends the connection at once.
func (c *respConn) hangUp() {
	c.mu.Lock()
	c.broken = true
	c.mu.Unlock()
	c.changed.Broadcast()
	_ = c.nc.Close() // it is given up
}

func (c *respConn) readAll() {
	for !c.quit && !c.stopping.Load() {
		cmd, err := c.read.next()
		if err != nil {
			if errors.Is(err, errRESP) {
				c.fail("ERR " + err.Error())
			} else if c.who == nil && errors.Is(err, os.ErrDeadlineExceeded) && !c.stopping.Load() {
				c.fail("NOAUTH no key came in time")
			}
			return
		}
		if !c.wait() {
			return
		}
		c.carryOut(cmd)
	}
}

// wait returns when another command may be carried out, or false if the connection is broken.
func (c *respConn) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || c.asked < respInFlight && c.askBytes < respInFlightBytes {
		return !c.broken
	}
	c.leaveToWriter()
	c.mu.Unlock()
	c.deliver()
	c.flush() // or what is waited for never comes
	c.mu.Lock()
	for !c.broken && (c.asked >= respInFlight || c.askBytes >= respInFlightBytes) {
		c.changed.Wait()
	}
	c.busy = true
	return !c.broken
}

// leaveToWriter has the writer write what is ready, for the reader may not come to it soon. The lock is held.
func (c *respConn) leaveToWriter() {
	c.busy = false
	c.changed.Broadcast()
}

// add puts r into the queue.
func (c *respConn) add(r *respReply) {
	c.mu.Lock()
	if r.ask {
		c.asked++
		c.askBytes += r.cost
	}
	c.queue = append(c.queue, r)
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
}

// answer puts what spell writes into the queue.
func (c *respConn) answer(spell func(*respWords)) {
	w := respWords{three: c.three}
	spell(&w)
	c.add(&respReply{ready: true, text: w.b, ask: true})
}

func (c *respConn) fail(text string) { c.answer(func(w *respWords) { w.fail(text) }) }
func (c *respConn) ok()              { c.answer(func(w *respWords) { w.simple("OK") }) }

// settleCount makes the reply to a publication that was stored ready.
func (c *respConn) settleCount(r *respReply) {
	c.mu.Lock()
	r.count, r.ready = true, true
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
}

// settle makes a reply that waits in the queue ready.
func (c *respConn) settle(r *respReply, change func()) {
	c.mu.Lock()
	change()
	r.ready = true
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
}

// message puts a message for a subscriber into the queue. One that does not read is closed, so that nobody waits for it.
func (c *respConn) message(text, data []byte) {
	c.mu.Lock()
	slow := false
	if !c.broken && !c.finished {
		c.pushed += len(text) + len(data) + 2
		c.queue = append(c.queue, &respReply{ready: true, text: text, data: data})
		slow = c.pushed > c.door.opts.MaxBacklog
	}
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
	if slow {
		c.door.counts.slow.Add(1)
		c.door.opts.Log.Info("subscriber at the redis door closed: it does not read", "client", c.id)
		c.hangUp()
	}
}

// write writes what is ready, in order, until the reading has ended and nothing is left, or the connection breaks. It ends by
// closing the connection and calling end.
func (c *respConn) write(end func()) {
	defer end()
	defer c.hangUp()
	for {
		replies := c.take()
		if len(replies) == 0 {
			return
		}
		err := c.send(replies)
		c.mu.Lock()
		c.writing = false
		c.mu.Unlock()
		c.changed.Broadcast()
		if err != nil {
			return
		}
	}
}

// send writes replies. Only who has set c.writing calls it.
func (c *respConn) send(replies []*respReply) error {
	out := c.out[:0]
	for _, r := range replies {
		out = c.append(out, r)
	}
	if c.out = out; cap(out) > 64<<10 {
		c.out = nil // a burst does not keep its memory
	}
	if now := time.Now(); c.writeBy.Sub(now) < respSilence*9/10 { // a deadline costs a timer
		c.writeBy = now.Add(respSilence)
		if err := c.nc.SetWriteDeadline(c.writeBy); err != nil {
			return err //nolint:wrapcheck // the connection ends, and nobody looks at it
		}
	}
	_, err := c.nc.Write(out)
	return err //nolint:wrapcheck // as above
}

func (c *respConn) append(out []byte, r *respReply) []byte {
	if r.count {
		w := respWords{b: out}
		w.number(int64(c.door.opts.Listeners.Followers(r.to)))
		return w.b
	}
	out = append(out, r.text...)
	if r.data != nil {
		out = append(append(out, r.data...), "\r\n"...)
		c.door.counts.delivered.Add(1)
	}
	return out
}

// take waits for replies that are ready and removes them from the queue: some at a time, so that what is written at once
// stays small. None means that the connection is over.
func (c *respConn) take() []*respReply {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.broken && (c.writing || c.busy || !c.isReady()) {
		if c.finished && len(c.queue) == 0 && !c.writing {
			return nil
		}
		c.changed.Wait()
	}
	if c.broken {
		return nil
	}
	c.writing = true
	return c.remove()
}

// remove takes replies that are ready out of the queue. The lock is held.
func (c *respConn) remove() []*respReply {
	const enough = 256 << 10
	n, size := 0, 0
	for n < len(c.queue) && c.queue[n].ready && size < enough {
		r := c.queue[n]
		size += len(r.text) + len(r.data)
		if r.ask {
			c.asked--
			c.askBytes -= r.cost
		} else if r.data != nil {
			c.pushed -= len(r.text) + len(r.data) + 2
		}
		if r.passed {
			c.held -= len(r.text)
		}
		n++
	}
	replies := c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil // so that the array behind it can go
	}
	return replies
}
