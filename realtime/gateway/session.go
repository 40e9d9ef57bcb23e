package gateway

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// session is one connection of a client. What it needs while it is idle is this struct, the place of its subscriptions
// in the hub, and one goroutine that waits in the network poller without a buffer.
type session struct {
	gw      *Gateway
	id      uint64
	sock    socket
	dialect protocol.Dialect
	deflate bool
	home    tenant.ID     // whose channels an event stream follows
	came    time.Duration // as gateway.clock

	who      atomic.Pointer[auth.Identity] // replaced when the session is extended
	lastRead atomic.Int64                  // when the last whole frame came, as gateway.awake

	nextBeat time.Duration // as gateway.clock; only the wheel uses it

	// Only the session's own goroutine uses these.
	reader protocol.Reader
	budget budget
	bad    int // messages that could not be read

	mu       sync.Mutex // guards everything below
	subs     []subscription
	queue    [][]byte // frames that the socket did not take yet; the first may be the rest of one
	queued   int      // bytes in queue, and in the flusher's hands
	rest     bool     // the peer has got a part of queue[0]
	flushing bool     // a goroutine empties queue
	waiting  chan struct{}
	state    state
	code     protocol.Code // why it ends; the peer's code if the peer closed
	deadline *time.Timer   // hangs up on a peer that does not answer our close; nil before that

	// positions is how far each channel was sent to an event stream that follows some by name; nil for all others, who
	// share the cursor of their kitchen.
	positions protocol.Cursor

	prev, next *session // the gateway's list; the gateway's lock guards them
}

// subscription is one entry of what a session follows.
type subscription struct {
	channel realtime.Channel
	wire    string // as heartbeats and presence name it; "" for all channels
	sub     *hub.Subscription
}

type state uint8

const (
	open    state = iota
	closing       // our close frame, or the answer to the peer's, is written or queued: nothing more is sent
	gone          // the connection is closed
)

// maxFlush is how much a flusher takes out of the queue at a time: enough to fill a socket's buffer, and little enough that
// the queue's size tells how far behind the reader is.
const maxFlush = 64 << 10

// LogValue is what a log line says of a session; it is made only if the line is written.
func (s *session) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("id", s.id), slog.String("dialect", s.dialect.String()), slog.String("remote", s.sock.remoteHost()))
}

// Offer implements hub.Subscriber.
func (s *session) Offer(m *hub.Message) {
	var frame []byte
	switch s.dialect {
	case protocol.V1:
		frame = m.V1(s.deflate)
	case protocol.SSE:
		if cursor := s.mark(m.Publication.Channel, m.Publication.Position); cursor != "" {
			frame = protocol.AppendChunk(nil, protocol.AppendSSE(nil, m.Wire, cursor, m.Publication))
		} else {
			frame = m.SSE()
		}
	default:
		frame = m.Bare(s.deflate)
	}
	s.gw.stats.messagesOut[s.dialect].Add(1)
	s.send(frame)
}

// OfferGap implements hub.Subscriber.
func (s *session) OfferGap(wire string, g realtime.Gap) {
	s.gw.stats.gaps.Add(1)
	s.push(protocol.Gap{Channel: wire, Cause: g.Cause, Position: g.Position, Cursor: s.mark(g.Channel, g.Position)})
}

// push sends one thing beside publications, framed for the dialect.
func (s *session) push(p interface {
	Append(dst []byte, d protocol.Dialect) []byte
}) {
	frame := p.Append(nil, s.dialect)
	if len(frame) == 0 {
		return // the dialect has no word for it
	}
	if s.dialect == protocol.SSE {
		frame = protocol.AppendChunk(nil, frame)
	}
	s.send(frame)
}

// send writes a frame without blocking and queues what the socket does not take. A queue past its bound means that the
// reader is too slow: the session closes, and its client resumes where it was. The frame is kept and never written to.
func (s *session) send(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	s.write(frame)
	if s.queued > s.gw.opts.MaxBacklogBytes {
		s.gw.stats.slow.Add(1)
		s.drop()
		s.end(protocol.CloseSlow, "")
	}
}

// write is send for those who hold the lock and know that the frame may go out.
func (s *session) write(frame []byte) {
	s.gw.stats.bytesOut.Add(uint64(len(frame)))
	if len(s.queue) == 0 && !s.flushing && s.sock.direct() {
		n, err := s.sock.tryWrite(frame)
		if err != nil {
			s.lost()
			return
		}
		if n == len(frame) {
			return
		}
		frame = frame[n:]
		s.rest = n > 0
	}
	s.queue = append(s.queue, frame)
	s.queued += len(frame)
	if !s.flushing {
		s.flushing = true
		s.gw.goroutines.Go(s.flush)
	}
}

// flush writes the queue until it is empty; it is the only place where a session waits for its reader.
func (s *session) flush() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.state == gone {
			s.flushing = false
			s.queue, s.queued = nil, 0
			s.signal()
			s.mu.Unlock()
			return
		}
		batch := s.take()
		s.mu.Unlock()
		err := s.sock.writeAll(batch)
		s.mu.Lock()
		s.queued -= len(batch)
		if err != nil {
			s.queue, s.queued = nil, 0
			s.lost()
		} else if s.queued <= replayAhead {
			s.signal()
		}
		s.mu.Unlock()
	}
}

// take removes frames from the head of the queue, joined for one system call.
func (s *session) take() []byte {
	n, bytes := 0, 0
	for n < len(s.queue) && (n == 0 || bytes+len(s.queue[n]) <= maxFlush) {
		bytes += len(s.queue[n])
		n++
	}
	batch := s.queue[0]
	if n > 1 {
		batch = make([]byte, 0, bytes)
		for _, f := range s.queue[:n] {
			batch = append(batch, f...)
		}
	}
	clear(s.queue[:n])
	s.queue, s.rest = s.queue[n:], false
	return batch
}

// drop forgets the queue, but not the rest of a frame that the peer has a part of.
func (s *session) drop() {
	keep := 0
	if s.rest && len(s.queue) > 0 {
		keep = 1
	}
	for _, f := range s.queue[keep:] {
		s.queued -= len(f)
	}
	clear(s.queue[keep:])
	s.queue = s.queue[:keep]
}

// close ends the session with code, after what is queued. An empty reason becomes the text of the code.
func (s *session) close(code protocol.Code, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == open {
		s.end(code, reason)
	}
}

// end is close for those who hold the lock of an open session.
func (s *session) end(code protocol.Code, reason string) {
	s.code = code
	s.deadline = time.AfterFunc(s.gw.opts.CloseTimeout, s.sock.wake)
	if s.dialect == protocol.SSE {
		bye := protocol.AppendChunk(nil, protocol.Goaway{Reason: code.String()}.Append(nil, protocol.SSE))
		s.write(protocol.AppendLastChunk(bye))
	} else {
		s.write(protocol.AppendClose(nil, code, reason))
	}
	if s.state == open {
		s.state = closing
	}
	s.signal()
	if s.dialect == protocol.SSE && len(s.queue) == 0 && !s.flushing {
		s.sock.wake() // there is no handshake to wait for
	}
}

// lost notes that nothing can be written any more. The session's goroutine does the rest.
func (s *session) lost() {
	if s.state == open {
		s.code = protocol.CloseAbnormal
	}
	s.state = gone
	s.signal()
	s.sock.wake()
}

// signal wakes a replay that waits for the queue to shrink, or for the end.
func (s *session) signal() {
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}
