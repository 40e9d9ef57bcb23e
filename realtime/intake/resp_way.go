package intake

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// respWay is one connection to Redis over which the commands of one connection of the door are passed on. It speaks the same protocol
// as the client and is in the client's database, so that answers go back as they come, byte for byte. The reading goroutine
// of the door writes to it; a goroutine of its own reads.
type respWay struct {
	c    *respConn
	conn net.Conn
	w    *bufio.Writer

	// Guarded by the lock of c.
	owed   []respOwed
	writes int // of what is owed, the commands that change something
	over   bool
}

// respOwed is an answer that Redis owes.
type respOwed struct {
	reply *respReply
	write bool
}

// connected returns the connection to Redis. There is one once it is needed.
func (c *respConn) connected() (*respWay, error) {
	if l := c.way; l != nil {
		c.mu.Lock()
		over := l.over
		c.mu.Unlock()
		if !over {
			return l, nil
		}
		c.way = nil
	}
	if time.Since(c.wayFailed) < respRest {
		return nil, c.wayError
	}
	c.stepAside()
	defer c.stepIn()
	l, err := c.openWay()
	if err != nil {
		c.wayFailed, c.wayError = time.Now(), err
		c.door.opts.Log.Warn("redis door cannot pass commands on", "client", c.id, "err", err) // the client is told, and tries again
		return nil, err
	}
	c.way = l
	return l, nil
}

// respRefusedError is what Redis says to what the client has made of its connection; it is for the client to know.
type respRefusedError string

func (e respRefusedError) Error() string { return string(e) }

// openWay connects to Redis, and makes the connection what the client has made of its own.
func (c *respConn) openWay() (*respWay, error) {
	ctx, cancel := context.WithTimeout(c.ctx, respAway)
	defer cancel()
	conn, err := c.door.opts.Pass.Redis.Dial(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it is about
	}
	l := &respWay{c: c, conn: conn, w: bufio.NewWriterSize(conn, 32<<10)}
	values := newRESPValues(l, respAnswer)
	if err := l.prepare(values); err != nil {
		_ = conn.Close() // it is given up
		return nil, err
	}
	c.ways.Go(func() { l.receive(values) })
	return l, nil
}

// prepare has Redis speak the client's protocol in the client's database. Nothing of the client's is sent before.
func (l *respWay) prepare(values *respValues) error {
	var commands [][]string
	if l.c.three {
		commands = append(commands, []string{"HELLO", "3"})
	}
	if l.c.db > 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(l.c.db)})
	}
	if len(commands) == 0 {
		return nil
	}
	w := respWords{}
	for _, words := range commands {
		w.array(len(words))
		for _, word := range words {
			w.bulk(word)
		}
	}
	if err := l.conn.SetDeadline(time.Now().Add(respAway)); err != nil {
		return fmt.Errorf("prepare a connection to redis: %w", err)
	}
	if _, err := l.conn.Write(w.b); err != nil {
		return fmt.Errorf("prepare a connection to redis: %w", err)
	}
	for _, words := range commands {
		raw, _, err := values.next()
		if err != nil {
			return fmt.Errorf("prepare a connection to redis: %w", err)
		}
		if len(raw) > 0 && raw[0] == '-' {
			return respRefusedError(fmt.Sprintf("Redis answers %s with %.200s", strings.Join(words, " "), raw[1:]))
		}
	}
	return nil
}

// Read implements io.Reader for the goroutine that reads answers: silence is given respAway while something is owed.
func (l *respWay) Read(b []byte) (int, error) {
	l.c.mu.Lock()
	var until time.Time
	if len(l.owed) > 0 {
		until = time.Now().Add(respAway)
	}
	err := l.conn.SetReadDeadline(until)
	l.c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return l.conn.Read(b) //nolint:wrapcheck // receive looks at it
}

// receive hands answers on until the connection ends. While its client does not read, Redis is read no further.
func (l *respWay) receive(values *respValues) {
	c := l.c
	for {
		raw, size, err := values.next()
		if err == nil {
			err = l.settle(raw, size)
		}
		if err != nil {
			l.end(err)
			return
		}
		c.mu.Lock()
		for c.held > respHeld && !c.broken {
			c.changed.Wait()
		}
		c.mu.Unlock()
	}
}

// settle makes the oldest answer that is owed ready.
func (l *respWay) settle(raw []byte, size int) error {
	c := l.c
	c.mu.Lock()
	if len(l.owed) == 0 {
		c.mu.Unlock()
		return fmt.Errorf("%w: nothing was asked", errRESPAnswer)
	}
	if raw == nil {
		w := respWords{}
		w.fail(fmt.Sprintf("ERR too large: the answer of Redis has %d bytes, at most %d are passed on; the command was carried out",
			size, respAnswer))
		raw = w.b
	}
	c.door.counts.passed.Add(1)
	l.pay(raw)
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
	return nil
}

// owe notes that the command of r has been sent. The lock is held.
func (l *respWay) owe(r *respReply, write bool) {
	l.owed = append(l.owed, respOwed{r, write})
	if write {
		l.writes++
	}
	if l.over {
		l.pay(respGone())
	}
}

// pay answers the oldest command with text. The lock is held.
func (l *respWay) pay(text []byte) {
	o := l.owed[0]
	if l.owed = l.owed[1:]; len(l.owed) == 0 {
		l.owed = nil // so that the array behind it can go
	}
	if o.write {
		l.writes--
	}
	o.reply.text, o.reply.ready, o.reply.passed = text, true, true
	l.c.held += len(text)
}

// end closes the connection, and answers what is owed with an error.
func (l *respWay) end(why error) {
	c := l.c
	_ = l.conn.Close() // it is given up
	c.mu.Lock()
	lost := len(l.owed)
	for len(l.owed) > 0 {
		l.pay(respGone())
	}
	l.over = true
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
	if lost > 0 {
		c.door.counts.passFailed.Add(uint64(lost))
		c.door.opts.Log.Warn("redis door lost the way to redis", "client", c.id, "unanswered", lost, "err", why) // the clients are told
	}
}

func respGone() []byte {
	w := respWords{}
	w.fail("ERR not ready: Redis does not answer; the command may or may not have been carried out")
	return w.b
}

// flush sends what is to be passed on. It may wait for Redis, but no longer than respAway. Nothing may be held back meanwhile: see
// stepAside.
func (c *respConn) flush() {
	l := c.way
	if l == nil || l.w.Buffered() == 0 {
		return
	}
	l.arm()
	if err := l.w.Flush(); err != nil {
		l.breakOff()
	}
}

// arm begins the time that Redis has, for the writing and for the answers.
func (l *respWay) arm() {
	until := time.Now().Add(respAway)
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	_ = l.conn.SetDeadline(until) // if it is closed, who reads it answers what is owed
}

// breakOff gives the connection up: who reads it answers what is owed.
func (l *respWay) breakOff() {
	_ = l.conn.Close()
	l.w.Reset(l.conn)
}

// stepAside has the writer write what is ready while the reading goroutine may wait.
func (c *respConn) stepAside() {
	c.mu.Lock()
	c.leaveToWriter()
	c.mu.Unlock()
}

// stepIn takes that back.
func (c *respConn) stepIn() {
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
}

// awaitWrites waits until what the client had changed in Redis before is changed there. So who hears of a publication, and then
// looks, sees what the app had written before it published.
func (c *respConn) awaitWrites() {
	if c.way != nil {
		c.await(func(l *respWay) bool { return l.writes == 0 })
	}
}

// hangUpWay ends the connection to Redis when all is answered that went over it: what comes next needs another one.
func (c *respConn) hangUpWay() {
	if l := c.way; l != nil {
		c.await(func(l *respWay) bool { return len(l.owed) == 0 })
		_ = l.conn.Close() // nothing is owed
		c.way = nil
	}
}

// await waits until done, or the connection to Redis is over.
func (c *respConn) await(done func(l *respWay) bool) {
	l := c.way
	settled := func() bool { return done(l) || l.over || c.broken }
	c.mu.Lock()
	now := settled()
	c.mu.Unlock()
	if now {
		return
	}
	c.stepAside()
	c.deliver()
	c.flush()
	c.mu.Lock()
	for !settled() {
		c.changed.Wait()
	}
	c.busy = true
	c.mu.Unlock()
}
