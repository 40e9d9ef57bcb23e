package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/giveway"
	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// shard delivers to the sessions of some tenants.
type shard struct {
	hub     *Hub
	queue   chan job
	pending atomic.Int64 // jobs that were put into the queue and are not done
	waits   *lanes       // what was taken out of it and waits for its turn; of the shard's goroutine
	way     giveway.Way  // where that lets others go first

	holds atomic.Bool // something is held

	tally tally // of who is live

	mu            sync.Mutex          // guards everything below, and live and place of each Subscription here
	rooms         map[tenant.ID]*room // with tenant.Global, whose channels concern the sessions of every shard
	subscriptions int
	held          []heldOne     // gathered for Flush; what comes to be done before that does these first
	spares        [][]byte      // frames that nobody keeps; see Message.Done
	near          uint64        // of nothing; see Subscriber.Near
	message       Message       // that is being offered
	tour          tour          // through the room whose turn it is
	idle          []*Message    // that were in a tour
	delivering    bool          // its goroutine is offering something global, and takes turns with small rooms
	aside         Message       // that is offered to a small room while message is
	turn          time.Time     // when the current turn of the caller's time began
	spent         time.Duration // of it, delivering on the caller's goroutine
	cursors       protocol.CursorEncoder
	word          []byte // the cursor made last
}

// job is one thing to tell the sessions: a publication or a gap.
type job struct {
	publication *realtime.Publication
	gap         *realtime.Gap
}

// heldOne is a publication that waits for Flush, and its room; nil: nobody is here. A room that is left meanwhile has no members, and who
// comes then is told heads behind it.
type heldOne struct {
	publication *realtime.Publication
	room        *room
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, queue: make(chan job, h.opts.QueueLength), waits: newLanes(h.opts.Weight), rooms: map[tenant.ID]*room{}, tally: newTally(),
	}
}

// A small room is served on the caller's goroutine, which is the engine's: waking the shard for five writes costs as much
// as one or two of them. That ends where it would hold the caller up: in a large room, and when it has given half of its
// time, for then a second goroutine brings more than the wake-up costs.
const (
	smallRoom  = 32
	callerTurn = 10 * time.Millisecond
	callerPart = 5 * time.Millisecond
)

// put does the job at once, if that is quickly done and nothing waits before it, or leaves it to the shard.
func (s *shard) put(j job) {
	if j.publication != nil && s.pending.Load() == 0 && s.mu.TryLock() {
		done, offered := s.serveHere(j.publication)
		s.mu.Unlock()
		if done {
			s.tellDelivered(j.publication, offered)
			return
		}
	}
	s.pending.Add(1)
	select {
	case s.queue <- j:
	case <-s.hub.done:
	}
}

// serveHere delivers p on the caller's goroutine, unless it had better not. The lock is held. Publications of one tenant
// are brought one after the other, so if an earlier one waits, it is pending now, and is not overtaken.
func (s *shard) serveHere(p *realtime.Publication) (done bool, offered int) {
	s.release()
	r, here := s.here(p)
	if !here || !s.inTurn() {
		return false, 0
	}
	began := time.Now()
	offered = s.serve(&s.message, r, p)
	s.spent += time.Since(began)
	return true, offered
}

// here reports whether p may be delivered on the caller's goroutine, and its room; nil: nobody is here. The lock is held.
func (s *shard) here(p *realtime.Publication) (*room, bool) {
	if s.pending.Load() > 0 || p.Channel.Tenant == tenant.Global {
		return nil, false
	}
	r := s.rooms[p.Channel.Tenant]
	return r, r == nil || r.size <= smallRoom
}

// inTurn reports whether the caller may give more of its time. The lock is held.
func (s *shard) inTurn() bool {
	if now := time.Now(); now.Sub(s.turn) > callerTurn {
		s.turn, s.spent = now, 0
	}
	return s.spent <= callerPart
}

// maxHeld bounds what is held: about what one read from the engine brings, and much less than half of a caller's time.
const maxHeld = 128

// hold keeps p for flush, or reports false: it had better be put.
func (s *shard) hold(p *realtime.Publication) bool {
	if s.pending.Load() > 0 || !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	r, here := s.here(p)
	if !here || len(s.held) == 0 && !s.inTurn() {
		return false
	}
	s.held = append(s.held, heldOne{p, r})
	s.holds.Store(true)
	if len(s.held) >= maxHeld {
		s.release()
	}
	return true
}

// flush delivers what is held.
func (s *shard) flush() {
	if s.holds.Load() {
		s.mu.Lock()
		s.release()
		s.mu.Unlock()
	}
}

// release is flush for those who hold the lock, which they do not take for anything that comes behind what is held without
// calling it first. All are written at one go: a peer on this machine, or the interrupt of a network card, that is still busy with
// the write before need not be woken up again.
func (s *shard) release() {
	if len(s.held) == 0 {
		return
	}
	began := time.Now()
	for _, h := range s.held {
		if h.room != nil {
			s.near += h.room.all.near()
		}
	}
	for _, h := range s.held {
		s.tellDelivered(h.publication, s.serve(&s.message, h.room, h.publication))
	}
	clear(s.held)
	s.held = s.held[:0]
	s.holds.Store(false)
	s.spent += time.Since(began)
}

func (s *shard) run(ctx context.Context) {
	defer s.way.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.queue:
			s.waits.add(j)
		}
		s.way.Begin()
		for s.waits.count > 0 && ctx.Err() == nil {
			s.gather()
			s.work(ctx)
		}
	}
}

// gather takes what else waits in the queue, up to as much again.
func (s *shard) gather() {
	for s.waits.count < s.hub.opts.QueueLength {
		select {
		case j := <-s.queue:
			s.waits.add(j)
		default:
			return
		}
	}
}

// work does what comes next of the kitchen whose turn it is.
func (s *shard) work(ctx context.Context) {
	l := s.waits.take()
	switch first := l.jobs[0]; {
	case first.gap != nil:
		s.tellGap(*first.gap)
		s.finish(l)
	case first.global():
		s.deliverGlobal(first.publication)
		s.finish(l)
	default:
		s.deliver(ctx, l)
	}
	s.waits.done(l)
	s.way.Sometimes()
}

// finish is done with the first job of l, which counts as one delivery.
func (s *shard) finish(l *lane) {
	s.waits.drop(l, 1)
	s.waits.charge(l, 1)
	s.pending.Add(-1)
}

// deliverGlobal offers p to the sessions of all rooms, none of which has a tour now.
func (s *shard) deliverGlobal(p *realtime.Publication) {
	s.mu.Lock()
	s.release()
	s.delivering = true
	offered := s.serve(&s.message, s.rooms[tenant.Global], p)
	s.delivering = false
	s.mu.Unlock()
	s.tellDelivered(p, offered)
}

// stretch is how many sessions of a large room are offered something before others have their turn: a tenth of a millisecond to one, where
// all of a room with thousands take tens. It is also for how many memory is waited for at once: what the kernel touches for the writes to
// more would push it out of the cache again. What is large is looked at more often.
const (
	stretch      = 16
	stretchBytes = 64 << 10 // the kernel copies some GB a second, and cuts it into segments
)

// stretchOf is how many they are if each is given so many bytes.
func stretchOf(bytes int) int { return max(1, min(stretch, stretchBytes/max(bytes, 1))) }

// stretches calls do with one part after the other of m, who are given so many bytes each.
func (s *shard) stretches(m *members, bytes int, do func(part members)) {
	step := stretchOf(bytes)
	for from := 0; from < len(*m); from += step {
		if from > 0 {
			s.between()
		}
		do((*m)[from:min(from+step, len(*m))])
	}
}

// between lets go first what waits for small rooms, also at the doors, while a large one is served. Of one tenant nothing is overtaken.
// The lock is held; whoever comes meanwhile and wants it leaves what he has in the queue.
func (s *shard) between() {
	if !s.delivering {
		return // who calls is not the shard's goroutine
	}
	s.delivering = false // what is quick is served in one go
	s.way.Sometimes()
	s.gather()
	s.waits.between(s.quickly)
	s.delivering = true
}

// quickly does what waits for a small room, up to a gap, and returns how many publications that were. The lock is held.
func (s *shard) quickly(l *lane) (n int) {
	r := s.rooms[l.tenant]
	if l.tenant == tenant.Global || r != nil && r.size > smallRoom {
		return 0
	}
	for _, j := range l.jobs {
		if j.publication == nil {
			break
		}
		s.tellDelivered(j.publication, s.serve(&s.aside, r, j.publication))
		n++
	}
	s.pending.Add(-int64(n))
	return n
}

// tenant is whom j is about.
func (j job) tenant() tenant.ID {
	if j.gap != nil {
		return j.gap.Channel.Tenant
	}
	return j.publication.Channel.Tenant
}

func (s *shard) tellDelivered(p *realtime.Publication, offered int) {
	if s.hub.opts.Delivered != nil && offered > 0 {
		s.hub.opts.Delivered(p, offered)
	}
}

// advance moves the head of r to p, and reports whether p is news: something to be offered.
func (s *shard) advance(r *room, p *realtime.Publication) bool {
	switch r.advance(p) {
	case stale:
		return false
	case hole:
		s.offerGap(r, realtime.Gap{Channel: p.Channel, Cause: realtime.GapOverloaded, Position: p.Position})
		s.hub.opts.Log.Error("publication follows a hole that the engine did not declare",
			"tenant", p.Channel.Tenant, "channel", p.Channel.Name, "epoch", p.Position.Epoch, "offset", p.Position.Offset)
	case next:
	}
	return true
}

// serve offers p, as m, which is not in use, to everybody who follows its channel and is at the head, and returns how many those are. r is
// its room, which has no tour; nil: nobody is here. The lock is held.
func (s *shard) serve(m *Message, r *room, p *realtime.Publication) (offered int) {
	if r == nil || !s.advance(r, p) {
		return 0
	}
	m.begin(s, r, p)
	if p.Channel.Tenant == tenant.Global {
		for _, other := range s.rooms {
			m.in(other)
			offered += other.all.offer(m)
		}
	} else {
		offered += r.all.offer(m)
	}
	if named := r.named[p.Channel.Name]; named != nil {
		s.stretches(&named.members, len(p.Data), func(part members) {
			s.near += part.near()
			offered += part.offer(m)
		})
	}
	s.fannedOut(m, offered)
	m.reuse(offered)
	return offered
}

func (s *shard) tellGap(g realtime.Gap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	if r := s.rooms[g.Channel.Tenant]; r != nil {
		r.turn(g)
		s.offerGap(r, g)
	}
}

// offerGap tells everybody who follows g.Channel and is live. The others read history next, and learn it there.
func (s *shard) offerGap(r *room, g realtime.Gap) {
	wire := s.hub.opts.Names.Spell(g.Channel)
	if g.Channel.Tenant == tenant.Global {
		for _, other := range s.rooms {
			other.all.offerGap(wire, g)
		}
	} else {
		r.all.offerGap(wire, g)
	}
	if named := r.named[g.Channel.Name]; named != nil {
		named.offerGap(wire, g)
	}
}

// cursor returns the positions of all channels of r, and of the global ones, as one word. It is made once for each move of a
// head, and only if somebody needs it.
func (s *shard) cursor(r *room) string {
	moves := [2]uint64{r.moves, 0}
	if global := s.rooms[tenant.Global]; global != nil {
		moves[1] = global.moves
	}
	if r.cursor == "" || r.cursorFor != moves {
		s.cursors.Reset(r.tenant)
		s.positions(r, s.cursors.Add)
		s.word = s.cursors.Append(s.word[:0])
		r.cursor, r.cursorFor = string(s.word), moves
	}
	return r.cursor
}

// positions calls add with the heads of r and the global ones.
func (s *shard) positions(r *room, add func(realtime.Channel, realtime.Position)) {
	r.positions(add)
	if global := s.rooms[tenant.Global]; global != nil && global != r {
		global.positions(add)
	}
}
