package gateway

import (
	"encoding/binary"
	"errors"
	"time"

	"kentongan/realtime/protocol"
)

// errPeerClosed ends reading: the peer's close frame has come.
var errPeerClosed = errors.New("peer closed")

// maxBadMessages is how many messages that are no commands at all a client may send: mistakes of a program repeat themselves.
const maxBadMessages = 3

// OnBytes implements socket.Handler: it gives what came to the parser, which calls OnMessage and OnControl. What has to wait
// for an engine is done by a goroutine, in its turn, and the client is not heard meanwhile: so it cannot pile up commands.
func (s *session) OnBytes(p []byte) {
	if s.dialect == protocol.SSE {
		return // an SSE client has nothing to say
	}
	s.gw.stats.bytesIn.Add(uint64(len(p)))
	err := s.reader.Feed(p, s.gw.readerOptions(s.deflate), s)
	if len(s.later) == 0 {
		s.fail(err)
		return
	}
	work := s.later
	s.later = nil
	s.conn.Pause()
	s.gw.goroutines.Go(func() {
		defer s.conn.Resume()
		defer s.gw.recoverOver("a command", s.conn)
		for _, do := range work {
			do()
		}
		s.fail(err)
	})
}

// inTurn does something now, or behind what has to wait for an engine.
func (s *session) inTurn(do func()) {
	if len(s.later) > 0 {
		s.later = append(s.later, do)
		return
	}
	do()
}

// fail ends a connection after the peer closed it or broke a rule; nil does nothing. The answer gets some time to reach the peer:
// closing while its bytes are unread would make the kernel reset the connection, and the peer lose the close code.
func (s *session) fail(err error) {
	if err == nil {
		return
	}
	if broken, ok := errors.AsType[*protocol.CloseError](err); ok {
		s.gw.stats.violations.Add(1)
		s.close(broken.Code, broken.Reason)
	}
	s.conn.Finish(!errors.Is(err, errPeerClosed), lingerTime)
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
		if command.Verb == protocol.VerbPing {
			s.inTurn(func() { s.push(protocol.Pong{ID: command.ID, Time: time.Now()}) })
		} else {
			s.later = append(s.later, func() { s.carryOut(command) })
		}
		return nil
	}
	s.inTurn(func() { s.push(bad) })
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
		pong := protocol.AppendFrame(nil, protocol.OpPong, payload)
		s.inTurn(func() { s.send(pong) })
	case protocol.OpClose:
		code, _ := protocol.ParseClose(payload)
		s.inTurn(func() { s.answerClose(code) })
		return errPeerClosed
	default: // a pong
		s.onPong(payload)
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
	s.code, s.state = code, closing
	s.leftByPage(code)
	var payload []byte // RFC 6455 asks for the peer's code back; a reason would be ours, and we have none
	if code != protocol.CloseNoStatus {
		payload = binary.BigEndian.AppendUint16(nil, uint16(code))
	}
	s.conn.Seal(protocol.AppendFrame(nil, protocol.OpClose, payload), false)
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
