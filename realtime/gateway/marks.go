package gateway

import (
	"sync"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// special is what few event streams have: those of somebody who looks at another kitchen, and those that follow channels by name.
type special struct {
	abroad tenant.ID // whose channels it follows; empty: those of the user's own kitchen
	marks  marks
}

// marks is how far each channel was sent to one event stream that follows some by name: its channels catch up beside one another, and
// each event's id tells of all of them. Whoever sends such a stream something with an id holds the lock from before the id is made until
// the event is in the queue. An event that overtook another one whose position is in its id would tell the client that it has both; if
// the line then breaks, or the queue is thrown away, the client comes back with that id, and never gets the other.
type marks struct {
	mu        sync.Mutex              // taken after a shard's, and before the session's
	positions *protocol.CursorEncoder // nil: the stream shares the cursor of its kitchen. Set before anything is sent
}

// own returns the marks of a stream that has ids of its own; nil for all others, who share the cursor of their kitchen.
func (s *session) own() *marks {
	if s.special == nil || s.special.marks.positions == nil {
		return nil
	}
	return &s.special.marks
}

// specially returns what few streams have, for one that is not opened yet.
func (s *session) specially() *special {
	if s.special == nil {
		s.special = &special{}
	}
	return s.special
}

// inOrder keeps others from sending events with ids until unlock is called.
func (s *session) inOrder() (unlock func()) {
	own := s.own()
	if own == nil {
		return func() {}
	}
	own.mu.Lock()
	return own.mu.Unlock
}

// mark notes how far a channel was sent, for the event streams that need a cursor of their own, and returns it; empty for all others.
// Those call it within inOrder.
func (s *session) mark(ch realtime.Channel, p realtime.Position) (cursor string) {
	own := s.own()
	if own == nil {
		return ""
	}
	own.positions.Set(ch, p)
	return string(own.positions.Append(nil))
}
