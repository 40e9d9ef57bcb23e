package drive

import (
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"kentongan/bench/mark"
)

const (
	// What the live view of the server does: the first retry comes within half a second, later ones within twice that each time.
	backoffFirst = 500 * time.Millisecond
	backoffMost  = 20 * time.Second

	// attackEvery is how long an attacker waits before it comes back, and between two bytes.
	attackEvery = time.Second

	// deafBuffer is the receive buffer of those that never read: small, so that what they do not take waits at the server.
	deafBuffer = 4 << 10

	// segment is what Ethernet has room for.
	segment = 1448
)

// trip is what a screen that comes back knows besides.
type trip struct {
	journey
	lostAt   int64 // mark.Now of the end of its line; zero: the return is counted
	failures int   // attempts since
	leaving  bool  // the server has said goaway
}

// chance returns a number in [0, 1) that depends on nothing but the seed, the screen and how often it has come and gone.
func (c *crowd) chance(index int) float64 {
	turn := uint64(c.screens[index].turn)
	screen := uint64(c.plan.Source+index) << 32                           //nolint:gosec // not negative
	return rand.New(rand.NewPCG(c.plan.Life.Seed, screen|turn)).Float64() //nolint:gosec // no secret
}

// beginLife begins to cut lines. The first cuts are spread from now on.
func (c *crowd) beginLife() {
	if c.plan.Life.CutEvery <= 0 {
		return
	}
	c.live = true
	for i := range c.screens {
		if c.screens[i].state == open {
			c.set(i, toCut, time.Duration(c.chance(i)*float64(c.plan.Life.CutEvery)))
		}
	}
}

// set makes a timer for a screen as it is now.
func (c *crowd) set(index int, what act, in time.Duration) {
	c.timers.set(timer{due: mark.Now() + int64(in), index: index, turn: c.screens[index].turn, act: what})
}

// tick does what is due at now.
func (c *crowd) tick(now int64) {
	for {
		t, ok := c.timers.next(now)
		if !ok {
			return
		}
		if t.turn != c.screens[t.index].turn {
			continue // it has come or gone since
		}
		switch t.act {
		case toCut:
			c.cut(t.index)
			wait := (0.75 + 0.5*c.chance(t.index)) * float64(c.plan.Life.Offline)
			c.set(t.index, toCome, time.Duration(wait))
		case toLeave:
			c.down(t.index)
			c.coming = append(c.coming, t.index)
		case toCome:
			c.coming = append(c.coming, t.index)
		case toDrip:
			c.drip(t.index)
		}
	}
}

// come begins the returns that the window has room for.
func (c *crowd) come() {
	n := 0
	for ; n < len(c.coming) && c.flying < c.plan.Window; n++ {
		c.connect(c.coming[n])
	}
	if n > 0 {
		c.coming = append(c.coming[:0], c.coming[n:]...)
	}
}

// down ends the line of a connected screen, which comes back to the next address.
func (c *crowd) down(index int) {
	s := &c.screens[index]
	s.close()
	s.turn++
	c.up--
	s.to = (s.to + 1) % len(c.to)
	if s.trip != nil {
		s.trip.lostAt = mark.Now()
	}
}

func (c *crowd) cut(index int) {
	c.down(index)
	c.counts.Cuts++
}

func (c *crowd) cutAll() {
	c.held = true
	c.coming = c.coming[:0]
	for i := range c.screens {
		switch state := c.screens[i].state; {
		case state == open:
			c.cut(i)
		case state == closed:
			c.screens[i].turn++ // whatever it waited for
		case c.plan.Manner == Knock:
			c.breakOff(i)
		}
	}
}

func (c *crowd) backAll() {
	c.held = false
	c.coming = c.coming[:0] // they are among those that follow
	for i := range c.screens {
		if c.screens[i].state == closed {
			c.screens[i].turn++ // whatever it waited for
			c.coming = append(c.coming, i)
		}
	}
}

// left lets a screen whose line the server has ended come back, if it is one that does.
func (c *crowd) left(index int) {
	s := &c.screens[index]
	c.down(index)
	switch {
	case s.trip == nil || c.held:
	case s.trip.leaving:
		c.coming = append(c.coming, index)
	default:
		c.later(index)
	}
}

// failed lets a screen whose return was refused try again.
func (c *crowd) failed(index int, why string) {
	s := &c.screens[index]
	c.counts.Failures++
	c.note(why)
	s.to = (s.to + 1) % len(c.to)
	s.trip.failures++
	if !c.held {
		c.later(index)
	}
}

// later makes a screen come back after the wait of its manner.
func (c *crowd) later(index int) {
	wait := c.chance(index) * float64(backoffFirst)
	if c.plan.Manner != V1 {
		wait = (0.5 + c.chance(index)) * float64(attackEvery)
	}
	const doublings = 6 // with more, half a second is past the most
	for range min(c.screens[index].trip.failures, doublings) {
		wait *= 2
	}
	c.set(index, toCome, min(time.Duration(wait), backoffMost))
}

// returned counts a screen that is connected again.
func (c *crowd) returned(index int) {
	c.counts.Returned++
	slot := int(max(mark.Now()-c.since, 0) / int64(ReturnSlot))
	if more := slot + 1 - len(c.returns.Slots); more > 0 {
		c.returns.Slots = append(c.returns.Slots, make([]int, more)...)
	}
	c.returns.Slots[slot]++
	t := c.screens[index].trip
	t.leaving = false
	if c.plan.Manner != V1 {
		t.failures = 0 // V1 wants an answer to its subscription before
	}
	if c.live {
		c.set(index, toCut, time.Duration((0.5+c.chance(index))*float64(c.plan.Life.CutEvery)))
	}
}

// heard takes a frame of kentongan.v1.
func (c *crowd) heard(index int, text []byte) (push, bool) {
	s := &c.screens[index]
	t := s.trip
	p, err := readPush(text)
	if err != nil {
		c.counts.Broken++
		c.note(err.Error())
		return p, false
	}
	if wrong := t.take(p); wrong != "" {
		c.counts.Broken++
		c.note(wrong)
	}
	switch p.kind {
	case gap:
		c.counts.Gaps++
	case refusal:
		if s.state == subscribing {
			c.refused(index, "the subscription is refused: "+p.cause)
		}
	case subscribed:
		if s.state == subscribing {
			c.opened(index)
		}
		if p.cause != "" {
			c.counts.Gaps++
		}
		t.failures = 0
		if t.lostAt != 0 {
			c.returns.Away.Record(time.Duration(mark.Now() - t.lostAt))
			t.lostAt = 0
		}
	case goaway:
		t.leaving = true
		c.set(index, toLeave, p.after)
	case message, other:
	}
	return p, p.kind == message
}

// drip sends the next byte of a head that never ends, or a sign of life of one that never reads. To the latter it also shows that the
// server is gone: the reset is lost where there is no room for what came before it.
func (c *crowd) drip(index int) {
	c.scratch = append(c.scratch[:0], 'x')
	if c.plan.Manner == Deaf {
		c.scratch = maskedFrame(c.scratch[:0], opPong, nil)
	}
	_, _ = unix.Write(c.screens[index].fd, c.scratch) // a server that is gone comes as an event
	c.set(index, toDrip, attackEvery)
}
