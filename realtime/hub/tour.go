package hub

import (
	"context"
	"slices"

	"kentongan/realtime"
)

// tour is how publications go through a room. Its sessions are visited one after the other, round and round, and each is given at once
// all that it has not had. A publication that comes meanwhile gets on where the tour is, and is through when that has come round to there.
// So it takes one round, where waiting for the end of the round that is under way would make it up to two; and who is visited when several
// have come is written to once for all of them. Nothing is waited for.
//
// The shard's lock is given back between stretches: sessions come and go meanwhile. The room's heads are ahead of those who are still to be
// visited, so whoever looks at them for a session has it visited first; see catchUp.
type tour struct {
	room     *room      // whose it is; nil: nobody is there
	circuits []*circuit // one for each set of members that something is for
	turn     int        // whose stretch is next
	aboard   int        // publications that are not through
	bytes    int        // of them
	boarded  int        // publications that ever got on
	newest   *Message   // that got on last; nil: it is through
	offered  int        // deliveries that the kitchen is to be charged with
	spare    []*circuit // not in use
}

// circuit is the way through those who follow the whole room, or through those who follow one channel of it.
type circuit struct {
	on     *members
	aboard []passenger // that somebody has not had, the oldest first
	last   uint32      // the number of the one that got on last; the first one was 1
	at     int         // who is next
	batch  Batch       // that was offered last
	first  uint32      // the numbers of the first and the last message in it
	until  uint32
}

// passenger is one publication in a circuit.
type passenger struct {
	message *Message
	left    int // whom it is still to be offered to
}

const (
	// What is for the same room goes together as far as it is there: a room that cannot keep up with one write for each message may with
	// one for several.
	maxAboard   = 64
	aboardBytes = 64 << 10 // far below the bound of a session's queue

	// turnOffers is how much a turn is while others wait. A thousand deliveries take two milliseconds or so, and a message to more
	// screens than that is a turn by itself.
	turnOffers = 1024

	// maxSpareCircuits is how many are kept: there are rarely more than those of who follows all, and of two or three channels.
	maxSpareCircuits = 4
)

// deliver brings the first publications of l to those who follow them, and what comes to the lane meanwhile, as long as nobody else waits.
func (s *shard) deliver(ctx context.Context, l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	t := &s.tour
	t.room = s.rooms[l.tenant]
	s.getOn(l)
	for t.aboard > 0 {
		s.travel()
		if t.aboard > 0 {
			s.pause()
		}
		if s.waits.alone() {
			t.offered = 0 // who takes nobody's time owes nothing
		}
		if ctx.Err() == nil && s.rooms[l.tenant] == t.room {
			s.getOn(l)
		}
	}
	s.waits.charge(l, t.offered)
	t.end()
}

// pause lets others go first in the midst of a tour: what waits for small rooms, and then whoever waits for the lock.
func (s *shard) pause() {
	s.way.Sometimes()
	s.gather()
	s.waits.between(s.quickly)
	s.mu.Unlock()
	s.mu.Lock() // one who has waited for a millisecond has it first
	s.release()
}

// getOn takes as many as may be of the publications that are the first of l along.
func (s *shard) getOn(l *lane) {
	n := 0
	for n < len(l.jobs) && s.mayBoard(l.jobs[n].publication) {
		s.board(l.jobs[n].publication)
		n++
	}
	s.waits.drop(l, n)
}

// mayBoard reports whether p may get on now; nil is a gap, which comes behind all that came before it.
func (s *shard) mayBoard(p *realtime.Publication) bool {
	t := &s.tour
	size := 0
	if t.room != nil {
		size = t.room.size
	}
	switch {
	case p == nil:
		return false
	case t.boarded == 0:
		return true
	case !s.waits.alone() && (t.boarded+1)*size > turnOffers:
		return false
	case t.aboard == 0:
		return t.boarded < maxAboard // nobody wanted any of them
	}
	return t.aboard < maxAboard && t.bytes+len(p.Data) <= aboardBytes && t.room.stands(p) != hole
}

// board takes p along from where the tour is.
func (s *shard) board(p *realtime.Publication) {
	t := &s.tour
	t.boarded++
	r := t.room
	if r == nil {
		s.arrived(p, 0)
		return
	}
	if t.newest != nil && len(r.all) > 0 {
		t.newest.keepCursor(s.cursor(r)) // the heads are where they are right behind it for the last time
	}
	if !s.advance(r, p) {
		s.arrived(p, 0)
		return
	}
	m := s.newMessage(r, p)
	t.newest = m
	t.aboard++
	t.bytes += len(p.Data)
	t.open(&r.all).board(m)
	if named := r.named[p.Channel.Name]; named != nil {
		t.open(&named.members).board(m)
	}
	if m.circuits == 0 {
		s.through(m)
	}
}

// travel serves one stretch of the next circuit.
func (s *shard) travel() {
	t := &s.tour
	t.turn++
	which := t.turn % len(t.circuits)
	c := t.circuits[which]
	part := c.stretch(stretchOf(t.bytes))
	s.near += part.near()
	for i := range part {
		s.visit(c, &part[i])
	}
	n := 0
	for n < len(c.aboard) && c.aboard[n].left == 0 {
		m := c.aboard[n].message
		m.circuits--
		if m.circuits == 0 {
			s.through(m)
		}
		n++
	}
	if c.aboard = slices.Delete(c.aboard, 0, n); len(c.aboard) == 0 {
		t.close(which)
	}
}

// visit gives m what it has not had, if it is live.
func (s *shard) visit(c *circuit, m *member) {
	missing := c.missing(m)
	switch len(missing) {
	case 0:
		return
	case 1:
		one := missing[0].message
		one.alone++
		m.session.Offer(one)
	default:
		m.session.OfferBatch(c.batchOf(missing))
	}
	m.had = c.last
	for i := range missing {
		missing[i].left--
		missing[i].message.offered++
	}
	s.tour.offered += len(missing)
}

// catchUp visits the session of sub if it is still to be visited: then the heads are where it is. The lock is held.
func (s *shard) catchUp(sub *Subscription) {
	if sub.ended {
		return
	}
	on := sub.members()
	if c := s.tour.of(on); c != nil {
		s.visit(c, &(*on)[sub.place])
	}
}

// through is done with m: everybody has had it.
func (s *shard) through(m *Message) {
	t, p := &s.tour, m.Publication
	t.aboard--
	t.bytes -= len(p.Data)
	if t.newest == m {
		t.newest = nil
	}
	s.fannedOut(m, m.offered)
	s.arrived(p, m.offered)
	m.reuse(m.alone)
	*m = Message{}
	s.idle = append(s.idle, m)
}

// arrived notes that p has been offered to all.
func (s *shard) arrived(p *realtime.Publication, offered int) {
	if offered == 0 {
		s.tour.offered++ // what nobody follows takes its time as well
	}
	s.pending.Add(-1)
	s.tellDelivered(p, offered)
}

// end ends a tour that nothing is aboard of.
func (t *tour) end() {
	for len(t.circuits) > 0 {
		t.close(len(t.circuits) - 1)
	}
	*t = tour{circuits: t.circuits, spare: t.spare}
}

// close ends a circuit that nothing is in: a tour may last for as long as somebody publishes, and go through very many channels.
func (t *tour) close(which int) {
	c := t.circuits[which]
	c.batch.begin(nil)
	if len(t.spare) < maxSpareCircuits {
		t.spare = append(t.spare, c)
	}
	t.circuits = slices.Delete(t.circuits, which, which+1)
}

// of returns the circuit through m; nil: nothing was for them.
func (t *tour) of(m *members) *circuit {
	for _, c := range t.circuits {
		if c.on == m {
			return c
		}
	}
	return nil
}

// open is of, and makes the circuit that is not there yet.
func (t *tour) open(m *members) *circuit {
	c := t.of(m)
	if c != nil {
		return c
	}
	c = new(circuit)
	if last := len(t.spare) - 1; last >= 0 {
		c, t.spare = t.spare[last], t.spare[:last]
	}
	*c = circuit{on: m, aboard: c.aboard[:0], batch: c.batch}
	for i := range *m {
		(*m)[i].had = 0
	}
	t.circuits = append(t.circuits, c)
	return c
}

// enter says that m, one of those in on, is live from now on, and leave that it is not visited any more.
func (t *tour) enter(on *members, m *member) {
	if c := t.of(on); c != nil {
		m.had = c.last
	}
}

func (t *tour) leave(on *members, m *member) {
	if c := t.of(on); c != nil {
		missing := c.missing(m)
		for i := range missing {
			missing[i].left--
		}
	}
}

// board takes m along, if anybody is live.
func (c *circuit) board(m *Message) {
	if left := c.on.live(); left > 0 {
		c.last++
		c.aboard = append(c.aboard, passenger{m, left})
		m.circuits++
	}
}

// missing is what m has not had: nothing, if it is not live.
func (c *circuit) missing(m *member) []passenger {
	if !m.live {
		return nil
	}
	return c.aboard[len(c.aboard)-int(c.last-m.had):]
}

// stretch returns who is visited next, so many at most.
func (c *circuit) stretch(n int) members {
	all := *c.on
	if c.at >= len(all) {
		c.at = 0
	}
	from := c.at
	c.at = min(len(all), from+n)
	return all[from:c.at]
}

// batchOf returns the batch of missing, which are the last that got on, for one more session.
func (c *circuit) batchOf(missing []passenger) *Batch {
	first := c.last - uint32(len(missing)) + 1 //nolint:gosec // maxAboard at most
	if c.first != first || c.until != c.last {
		c.first, c.until = first, c.last
		c.batch.begin(missing)
	}
	c.batch.offered++
	return &c.batch
}
