package gateway

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

// session is one connection of a client. What it needs while it is idle is this struct, its connection and the place of its
// subscriptions in the hub.
type session struct {
	gw   *Gateway
	conn *socket.Conn

	// unproven counts the messages since a bare client was asked for a proof. It is here and not in proof because each delivery needs it,
	// and memory that each delivery looks at is what a small room costs beside its writes.
	unproven atomic.Int32

	dialect protocol.Dialect
	deflate bool
	bad     uint8 // messages that could not be read; only the callbacks of conn use it
	state   state // mu guards it

	id   uint64
	came time.Duration // as gateway.clock

	visit   *visit   // nil: no line is written of it
	proof   *proof   // what a bare client has for certain; nil: nobody wants to know
	special *special // what few event streams have; nil: it has nothing of it

	who      atomic.Pointer[auth.Identity] // replaced when the session is extended
	client   address                       // where it came from, behind proxies that are trusted
	lastRead atomic.Int64                  // when the last whole frame came, as gateway.awake

	nextBeat time.Duration // as gateway.clock; only the wheel uses it

	told atomic.Uint32 // the number of the fault of which it was told; zero: of none, or that it is over
	code protocol.Code // why it ends; the peer's code if the peer closed. mu guards it

	// Only the callbacks of conn use these, one at a time.
	hearing *hearing // nil: all that came was heard
	budget  budget   // of frames
	weight  budget   // of bytes

	mu      sync.Mutex // guards everything below, and state and code
	subs    []*hub.Subscription
	waiting chan struct{} // closed when there is room again, or at the end

	prev, next *session // the gateway's list; the gateway's lock guards them
}

// address is an IP address without a zone, which no peer outside of our own network has: two thirds of a netip.Addr. The zero value is
// none.
type address [16]byte

func addressOf(a netip.Addr) address {
	if !a.IsValid() {
		return address{}
	}
	return a.As16()
}

// addr returns a as it was given; not valid if it is none.
func (a address) addr() netip.Addr {
	if a == (address{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(a).Unmap()
}

// home is whose channels an event stream follows, and where those of all kitchens are delivered.
func (s *session) home() tenant.ID {
	if s.special != nil && s.special.abroad != "" {
		return s.special.abroad
	}
	return s.who.Load().Tenant
}

type state uint8

const (
	opening state = iota // the head of our answer is not sent yet
	open
	closing // our close frame, or the answer to the peer's, was sent: nothing more is
	gone    // the connection has ended
)

// LogValue is what a log line says of a session; it is made only if the line is written.
func (s *session) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("id", s.id), slog.String("dialect", s.dialect.String()), slog.Any("remote", s.client.addr()))
}

// Offer implements hub.Subscriber.
func (s *session) Offer(offered *hub.Message) {
	m := offered
	if m.MayHide() && !s.who.Load().MaySeeMoney() {
		m = m.Plain()
	}
	var frame []byte
	if s.own() != nil {
		defer s.inOrder()()
		frame = s.appendOwn(nil, m)
	} else {
		frame = m.Frame(s.dialect, s.deflate)
	}
	s.deliver(offered, frame, 1)
}

// OfferBatch implements hub.Subscriber.
func (s *session) OfferBatch(b *hub.Batch) {
	plain := b.MayHide() && !s.who.Load().MaySeeMoney()
	var frames []byte
	if s.own() != nil {
		defer s.inOrder()()
		for _, m := range b.Messages {
			if plain {
				m = m.Plain()
			}
			frames = s.appendOwn(frames, m)
		}
	} else {
		frames = b.Frames(s.dialect, s.deflate, plain)
	}
	s.deliver(b, frames, len(b.Messages))
}

// offering is what the hub offers: one message, or several.
type offering interface {
	// Cursor returns the positions of all channels right behind it.
	Cursor() string

	// Done says that its frames are not kept.
	Done()
}

// deliver sends the frames of n messages, and with them the question that is due.
func (s *session) deliver(offered offering, frames []byte, n int) {
	s.gw.stats.messagesOut[s.dialect].Add(uint64(n)) //nolint:gosec // some
	if s.owesMuch(n) && s.askAlong(offered, frames) {
		return
	}
	if !s.send(frames) {
		offered.Done()
	}
	s.owe(n)
}

// appendOwn appends the event of m for a stream with ids of its own. It is called within inOrder.
func (s *session) appendOwn(dst []byte, m *hub.Message) []byte {
	cursor := s.mark(m.Publication.Channel, m.Publication.Position)
	return protocol.AppendChunk(dst, protocol.AppendSSE(nil, m.Wire(), cursor, m.Publication))
}

// Near implements hub.Subscriber.
func (s *session) Near() uint64 { return uint64(s.dialect) + s.conn.Near() }

// OfferGap implements hub.Subscriber.
func (s *session) OfferGap(wire string, g realtime.Gap) {
	s.gw.stats.gaps.Add(1)
	defer s.inOrder()()
	s.push(protocol.Gap{Channel: wire, Cause: g.Cause, Position: g.Position, Cursor: s.mark(g.Channel, g.Position)})
	s.owe(1)
}

// pushable is one thing that is sent beside publications.
type pushable interface {
	Append(dst []byte, d protocol.Dialect) []byte
}

// push sends p, framed for the dialect. Before the head is sent, nothing is.
func (s *session) push(p pushable) {
	s.mu.Lock()
	opened := s.state != opening
	s.mu.Unlock()
	if frame := s.frame(p); opened && len(frame) > 0 {
		s.send(frame)
	}
}

// frame returns what p looks like on the wire; empty if the dialect has no word for it.
func (s *session) frame(p pushable) []byte {
	frame := p.Append(nil, s.dialect)
	if s.dialect == protocol.SSE && len(frame) > 0 {
		frame = protocol.AppendChunk(nil, frame)
	}
	return frame
}

// send writes a frame without blocking and queues what the socket does not take. A queue past its bound means that the
// reader is too slow: the session closes, and its client resumes where it was. The frame is kept, and may never be written to, unless it
// returns false.
func (s *session) send(frame []byte) (kept bool) {
	queued := s.conn.Send(frame)
	s.sent(frame, queued)
	return queued > 0
}

// sent counts a frame, and looks at how much is queued behind it.
func (s *session) sent(frame []byte, queued int) {
	s.gw.stats.bytesOut.Add(uint64(len(frame)))
	if s.visit != nil {
		s.visit.bytes.Add(uint64(len(frame)))
	}
	if queued > s.gw.opts.MaxBacklogBytes {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == open {
			s.gw.stats.slow.Add(1)
			s.end(protocol.CloseSlow, "", true)
		}
	}
}

// close ends the session with code, after what is queued. An empty reason becomes the text of the code.
func (s *session) close(code protocol.Code, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case open:
		s.end(code, reason, false)
	case opening:
		s.state, s.code = closing, code // greet sees it
	case closing, gone:
	}
}

// end is close for those who hold the lock of an open session. drop forgets what is queued.
func (s *session) end(code protocol.Code, reason string, drop bool) {
	s.code, s.state = code, closing
	if s.dialect == protocol.SSE {
		bye := protocol.AppendChunk(nil, protocol.Goaway{Reason: code.String()}.Append(nil, protocol.SSE))
		s.conn.Seal(protocol.AppendLastChunk(bye), drop)
		s.conn.Finish(false, s.gw.opts.CloseTimeout) // there is no handshake to wait for
	} else {
		s.conn.Seal(protocol.AppendClose(nil, code, reason), drop)
		s.conn.AbortAfter(s.gw.patience(drop)) // a peer that does not answer
	}
	s.signal()
}

// patience is how long the peer of a session that was closed may take to answer. Thousands in a room who do not read are closed as slow by
// the same publication: they are not all given up in the same moment, and do not all come back in the next one.
func (g *Gateway) patience(slow bool) time.Duration {
	if most := g.opts.CloseTimeout; slow && most >= slowSpread {
		return most - rand.N(most/slowSpread) //nolint:gosec // no secret
	}
	return g.opts.CloseTimeout
}

// slowSpread is over which part of the time they are spread, one of so many.
const slowSpread = 4

// signal wakes a replay that waits for room, or for the end. The lock is held.
func (s *session) signal() {
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}

// wait returns a channel that is closed when there is room again or the session ends. The lock is held.
func (s *session) wait() <-chan struct{} {
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

// OnRoom implements socket.Handler.
func (s *session) OnRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal()
}

// OnEnd implements socket.Handler. It takes the session out of the hub, the presence and the list.
func (s *session) OnEnd(bool) {
	s.mu.Lock()
	if s.state == open || s.state == opening {
		s.code = protocol.CloseAbnormal
	}
	s.state = gone
	code := s.code
	s.signal()
	s.mu.Unlock()
	s.leaveAll()
	s.part()
	s.heard(true)
	s.gw.remove(s)
	s.gw.stats.closed(s.dialect, code)
	s.gw.opts.Log.Debug("session closed", "session", s, "code", uint16(code), "reason", code.String())
	s.tellVisit(code)
	s.gw.goroutines.Done()
}
