package hub

import (
	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

// Message is one publication on its way to the sessions of one shard. Each form is made when the first session asks
// for it, and shared by all others. Only the shard's goroutine calls its methods, so they need no lock; the slices that they return
// stay valid and unchanged for ever. The Message itself is the next one after Offer.
type Message struct {
	Publication *realtime.Publication
	More        bool // another one follows at once, and Flush behind the last: what is offered need not be written before that

	shard *shard
	room  *room // whose cursor an event has, right after this publication

	wire               string
	bare, bareDeflated []byte
	v1, v1Deflated     []byte
	sse                []byte
}

// Wire returns the channel's name as clients spell it.
func (m *Message) Wire() string {
	if m.wire == "" {
		m.wire = m.shard.hub.opts.Names.Spell(m.Publication.Channel)
	}
	return m.wire
}

// Bare returns the WebSocket frame of the bare dialect.
func (m *Message) Bare(deflate bool) []byte {
	if m.bare == nil {
		m.bare = protocol.AppendBare(nil, m.Publication)
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
		m.v1 = protocol.AppendV1(nil, m.Wire(), m.Publication)
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
		m.sse = protocol.AppendChunk(nil, protocol.AppendSSE(nil, m.Wire(), m.shard.cursor(m.room), m.Publication))
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
