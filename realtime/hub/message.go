package hub

import (
	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

// Message is one publication on its way to the sessions of one shard. Each form is made when the first session asks
// for it, and shared by all others. Only the shard's goroutine calls its methods, so they need no lock; the slices that they return
// stay valid and unchanged for ever, unless all who were offered it have called Done. The Message itself is the next one after Offer.
type Message struct {
	Publication *realtime.Publication

	shard  *shard
	room   *room    // whose cursor an event has, right after this publication
	cursor string   // that one; empty: the room's heads are still where they are right after it
	money  money    // whether the publication may have hidden fields
	plain  *Message // what those get who may not see them; m itself if there are none
	done   int      // who have called Done
	fan    *FanOut  // how it goes; nil: it is not traced

	// In a tour.
	circuits int // in which it is
	offered  int // to how many sessions
	alone    int // and to how many of them not in a batch

	wire               string
	bare, bareDeflated []byte
	v1, v1Deflated     []byte
	sse                []byte
}

// Done says that whoever is being offered m, and returns next, keeps nothing of it. In nearly all rooms nobody does, since the kernel takes
// each frame at once: the next message has their memory then.
func (m *Message) Done() { m.done++ }

// newMessage returns one that is in a tour. The shard's lock is held.
func (s *shard) newMessage(r *room, p *realtime.Publication) *Message {
	m := new(Message)
	if last := len(s.idle) - 1; last >= 0 {
		m, s.idle[last], s.idle = s.idle[last], nil, s.idle[:last]
	}
	m.begin(s, r, p)
	return m
}

// begin makes m the message of p, which r has just advanced to.
func (m *Message) begin(s *shard, r *room, p *realtime.Publication) {
	*m = Message{Publication: p, shard: s, room: r}
	if p.Trace != nil && s.hub.opts.FannedOut != nil {
		m.fan = &FanOut{}
	}
}

// reuse takes back the frames of m, if nobody of those it was offered to by itself keeps them. The shard's lock is held.
func (m *Message) reuse(offered int) {
	if m.done != offered {
		return
	}
	m.shard.take(m)
	if m.plain != nil && m.plain != m {
		m.shard.take(m.plain)
	}
}

// take takes the frames of m. A deflated form has memory by itself, or is the plain one.
func (s *shard) take(m *Message) {
	for _, frame := range [...][]byte{m.bare, m.v1} {
		if n := cap(frame); n > 0 && n <= maxSpareBytes && len(s.spares) < maxSpares {
			s.spares = append(s.spares, frame[:0])
		}
	}
	m.bare, m.v1, m.bareDeflated, m.v1Deflated = nil, nil, nil, nil
}

// A message has two frames as a rule, one of each dialect of WebSocket; a kilobyte is a long one.
const (
	maxSpares     = 4
	maxSpareBytes = 4 << 10
)

// spare returns memory for a frame; nil: append makes it.
func (s *shard) spare() []byte {
	last := len(s.spares) - 1
	if last < 0 {
		return nil
	}
	frame := s.spares[last]
	s.spares[last] = nil
	s.spares = s.spares[:last]
	return frame
}

// Wire returns the channel's name as clients spell it.
func (m *Message) Wire() string {
	if m.wire != "" {
		return m.wire
	}
	ch := m.Publication.Channel
	if c := m.room.named[ch.Name]; c != nil && ch.Tenant == m.room.tenant {
		m.wire = c.wire // whoever follows it by that name has had it spelled
	} else {
		m.wire = m.shard.hub.opts.Names.Spell(ch)
	}
	return m.wire
}

// money is what is known of a message.
type money uint8

const (
	unknown money = iota
	none
	some
)

// MayHide reports whether the publication may have hidden fields: only then does it matter who the reader is.
func (m *Message) MayHide() bool {
	if m.money == unknown {
		m.money = none
		if m.shard.hub.opts.Hidden.In(m.Publication.Data) {
			m.money = some
		}
	}
	return m.money == some
}

// Plain returns m without hidden fields. It is encoded by itself, once for all who get it.
func (m *Message) Plain() *Message {
	if m.plain != nil {
		return m.plain
	}
	m.plain = m
	if data := m.shard.hub.opts.Hidden.Without(m.Publication.Data); len(data) != len(m.Publication.Data) {
		p := *m.Publication
		p.Data = data
		m.plain = &Message{Publication: &p, shard: m.shard, room: m.room, cursor: m.cursor, wire: m.wire, fan: m.fan}
	}
	return m.plain
}

// keepCursor says what the cursor right behind m is, for when the heads have moved on.
func (m *Message) keepCursor(cursor string) {
	m.cursor = cursor
	if m.plain != nil {
		m.plain.cursor = cursor
	}
}

// in makes m a message for readers in r: an event tells of all channels of a tenant.
func (m *Message) in(r *room) {
	m.sse, m.room = nil, r
	if m.plain != nil {
		m.plain.sse, m.plain.room = nil, r
	}
}

// Cursor returns the positions of all channels of who is being offered m, as one word: m is the newest that it has of them.
func (m *Message) Cursor() string { return m.shard.cursor(m.room) }

// Frame returns what is sent in a dialect, deflated where that is possible.
func (m *Message) Frame(d protocol.Dialect, deflate bool) []byte {
	switch d {
	case protocol.V1:
		return m.V1(deflate)
	case protocol.SSE:
		return m.SSE()
	case protocol.Bare:
	}
	return m.Bare(deflate)
}

// Bare returns the WebSocket frame of the bare dialect.
func (m *Message) Bare(deflate bool) []byte {
	if m.bare == nil {
		m.bare = protocol.AppendBare(m.shard.spare(), m.Publication)
		m.encoded(protocol.Bare)
	}
	if !deflate {
		return m.bare
	}
	if m.bareDeflated == nil {
		m.bareDeflated = m.deflated(m.Publication.Data, m.bare)
	}
	return m.bareDeflated
}

// V1 returns the WebSocket frame of kentongan.v1.
func (m *Message) V1(deflate bool) []byte {
	if m.v1 == nil {
		m.v1 = protocol.AppendV1(m.shard.spare(), m.Wire(), m.Publication)
		m.encoded(protocol.V1)
	}
	if !deflate {
		return m.v1
	}
	if m.v1Deflated == nil {
		m.v1Deflated = m.deflated(protocol.FramePayload(m.v1), m.v1)
	}
	return m.v1Deflated
}

// SSE returns the event, framed as a chunk, with the cursor over all channels of the tenant as its id.
func (m *Message) SSE() []byte {
	if m.sse == nil {
		cursor := m.cursor
		if cursor == "" {
			cursor = m.shard.cursor(m.room)
		}
		m.sse = protocol.AppendChunk(nil, protocol.AppendSSE(nil, m.Wire(), cursor, m.Publication))
		m.encoded(protocol.SSE)
	}
	return m.sse
}

// deflated falls back to the plain frame where compression gains nothing.
func (m *Message) deflated(payload, plain []byte) []byte {
	if len(payload) >= m.shard.hub.opts.DeflateMin {
		if frame, ok := protocol.AppendDeflated(nil, protocol.OpText, payload); ok {
			return frame
		}
	}
	return plain
}
