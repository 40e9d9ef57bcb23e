package gateway

import (
	"encoding/binary"
	"errors"
	"net"
	"time"

	"kentongan/realtime/protocol"
)

// errPeerClosed ends reading: the peer's close frame has come.
var errPeerClosed = errors.New("peer closed")

// maxBadMessages is how many messages that are no commands at all a client may send: mistakes of a program repeat themselves.
const maxBadMessages = 3

// run reads until the connection ends, then takes the session out of everything. early is what came behind the
// request in the same packet.
func (s *session) run(early []byte) {
	defer s.leave()
	if err := s.feed(early); err != nil {
		s.fail(err)
		return
	}
	reading := newReading()
	for {
		p, err := s.sock.read(reading)
		failure := s.feed(p)
		reading.putBack()
		if failure != nil {
			s.fail(failure)
			return
		}
		if err != nil {
			return
		}
	}
}

// feed gives what came to the parser, which calls OnMessage and OnControl.
func (s *session) feed(p []byte) error {
	if len(p) == 0 || s.dialect == protocol.SSE {
		return nil // an SSE client has nothing to say
	}
	s.gw.stats.bytesIn.Add(uint64(len(p)))
	return s.reader.Feed(p, s.gw.readerOptions(s.deflate), s)
}

// fail ends a connection after the peer closed it or broke a rule. The answer gets some time to reach the peer:
// closing while its bytes are unread would make the kernel reset the connection, and the peer lose the close code.
func (s *session) fail(err error) {
	if broken, ok := errors.AsType[*protocol.CloseError](err); ok {
		s.gw.stats.violations.Add(1)
		s.close(broken.Code, broken.Reason)
	}
	limit := time.Now().Add(lingerTime)
	_ = s.sock.conn.SetWriteDeadline(limit) // of a closed connection: then there is nothing to wait for
	s.awaitFlushed()
	if errors.Is(err, errPeerClosed) {
		return
	}
	if half, ok := s.sock.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = s.sock.conn.SetReadDeadline(limit)
		buf := lend()
		defer readBuffers.Put(buf)
		for {
			if _, err := s.sock.conn.Read(buf[:]); err != nil {
				return
			}
		}
	}
}

// awaitFlushed waits until the queue is written or cannot be.
func (s *session) awaitFlushed() {
	for {
		s.mu.Lock()
		if !s.flushing {
			s.mu.Unlock()
			return
		}
		wait := s.wait()
		s.mu.Unlock()
		<-wait
	}
}

// wait returns a channel that is closed when the queue has shrunk or the session ends. The lock is held.
func (s *session) wait() <-chan struct{} {
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

// leave closes the connection and takes the session out of the hub, the presence and the list.
func (s *session) leave() {
	s.mu.Lock()
	if s.state == open {
		s.code = protocol.CloseAbnormal
	}
	s.state = gone
	if s.deadline != nil {
		s.deadline.Stop()
	}
	unsent, code, subs := len(s.queue) > 0 || s.flushing, s.code, s.subs
	s.subs = nil
	s.signal()
	s.mu.Unlock()
	if unsent {
		s.sock.hangUp()
	} else {
		_ = s.sock.conn.Close() // its end is all that we want of it
	}
	for _, sub := range subs {
		s.gw.hub.Unsubscribe(sub.sub)
		s.gw.presence.Leave(sub.channel, s.who.Load().Subject)
	}
	s.reader.Release()
	s.gw.remove(s)
	s.gw.stats.closed(s.dialect, code)
	s.gw.opts.Log.Debug("session closed", "session", s, "code", uint16(code), "reason", code.String())
}

// OnMessage implements protocol.Handler.
func (s *session) OnMessage(op protocol.Opcode, data []byte) error {
	if err := s.onFrame(); err != nil {
		return err
	}
	s.gw.stats.messagesIn.Add(1)
	if s.gw.echo != nil {
		return s.gw.echo(s, op, data)
	}
	if op != protocol.OpText {
		return &protocol.CloseError{Code: protocol.CloseUnsupported, Reason: "this server reads text messages only"}
	}
	parse := protocol.ParseBare
	if s.dialect == protocol.V1 {
		parse = protocol.ParseV1
	}
	command, bad := parse(data)
	if bad == nil {
		s.carryOut(command)
		return nil
	}
	s.push(bad)
	if bad.Code == protocol.ErrBadRequest {
		s.bad++
		if s.bad >= maxBadMessages {
			return &protocol.CloseError{Code: protocol.CloseBadRequests}
		}
	}
	return nil
}

// OnControl implements protocol.Handler.
func (s *session) OnControl(op protocol.Opcode, payload []byte) error {
	if err := s.onFrame(); err != nil {
		return err
	}
	switch op {
	case protocol.OpPing:
		s.send(protocol.AppendFrame(nil, protocol.OpPong, payload))
	case protocol.OpClose:
		code, _ := protocol.ParseClose(payload)
		s.answerClose(code)
		return errPeerClosed
	default: // a pong has done its work by coming
	}
	return nil
}

// onFrame notes a sign of life and charges it to the budget.
func (s *session) onFrame() error {
	now := s.gw.clock()
	s.lastRead.Store(int64(now) - s.gw.wheel.lost.Load())
	if s.gw.echo == nil && !s.budget.take(now) {
		return &protocol.CloseError{Code: protocol.CloseTooFast}
	}
	return nil
}

// answerClose sends the peer's code back, unless the close frame that came is itself the answer to ours.
func (s *session) answerClose(code protocol.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return
	}
	s.code = code
	var payload []byte // RFC 6455 asks for the peer's code back; a reason would be ours, and we have none
	if code != protocol.CloseNoStatus {
		payload = binary.BigEndian.AppendUint16(nil, uint16(code))
	}
	s.write(protocol.AppendFrame(nil, protocol.OpClose, payload))
	if s.state == open {
		s.state = closing
	}
	s.signal()
}

// budget limits the frames of one client: commandRate a second, and a burst when a page opens.
type budget struct {
	tokens float32
	at     time.Duration
}

const (
	commandRate  = 50  // frames a second: a person's taps and a browser's pongs need one or two
	commandBurst = 200 // a page that follows its 100 channels at once, twice
)

func (b *budget) take(now time.Duration) bool {
	b.tokens = min(commandBurst, b.tokens+commandRate*float32((now-b.at).Seconds()))
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// remoteHost is what logs and lists say of where a session comes from.
func (s *socket) remoteHost() string {
	address := s.conn.RemoteAddr().String()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
