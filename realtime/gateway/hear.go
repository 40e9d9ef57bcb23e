package gateway

import (
	"encoding/binary"
	"errors"
	"sync"
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
	if s.gw.echo == nil && !s.weight.take(s.gw.clock(), s.gw.weightOf(len(p))) {
		s.fail(&protocol.CloseError{Code: protocol.CloseTooFast})
		return
	}
	if s.hearing == nil {
		s.hearing = hearings.Get().(*hearing) //nolint:forcetypeassert,errcheck // the pool makes nothing else
	}
	err := s.hearing.reader.Feed(p, s.gw.readerOptions(s.deflate), s)
	work := s.hearing.later
	s.hearing.later = nil
	s.heard(false)
	if len(work) == 0 {
		s.fail(err)
		return
	}
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

// hearing is what a session has while it hears something, and until it has heard all of it. The others, nearly all, have none.
type hearing struct {
	reader protocol.Reader
	later  []func() // what the bytes being read ask for and what has to wait for an engine, with all that came behind it
}

var hearings = sync.Pool{New: func() any { return new(hearing) }}

// heard gives the hearing back if nothing is half heard; at the end, in any case. A reader that has read its last is kept until then,
// for it knows that nothing more is to be read.
func (s *session) heard(end bool) {
	h := s.hearing
	switch {
	case h == nil:
		return
	case end:
		h.reader.Release()
	case !h.reader.Fresh():
		return
	}
	s.hearing = nil
	*h = hearing{}
	hearings.Put(h)
}

// inTurn does something now, or behind what has to wait for an engine.
func (s *session) inTurn(do func()) {
	if h := s.hearing; len(h.later) > 0 {
		h.later = append(h.later, do)
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
			s.hearing.later = append(s.hearing.later, func() { s.carryOut(command) })
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
	if s.gw.echo == nil && !s.budget.take(now, frameTime) {
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

// budget limits what comes from one client, as a time: until when it has used the rate up, as gateway.clock. It may be as far in
// the past as
// a burst takes. Of frames there may be commandRate a second, and a burst when a page opens.
type budget time.Duration

const (
	commandRate  = 50  // frames a second: a person's taps and a browser's pongs need one or two
	commandBurst = 200 // a page that follows its 100 channels at once, twice
)

const (
	frameTime = time.Second / commandRate
	burstTime = commandBurst * frameTime
)

// A client may also send four of the largest messages a second, and sixteen at once: with the usual 64 KiB that is 256 KiB a second, a
// thousand times what commands of a page weigh. Without it frames that are as large as they may be would be 3 MiB a second to check, of
// each connection.
const weightRate = 4 // a second; so sixteen are a burstTime

// weightOf is the time that so many bytes use up.
func (g *Gateway) weightOf(bytes int) time.Duration {
	return time.Duration(bytes) * (time.Second / weightRate) / time.Duration(g.opts.MaxMessageBytes)
}

// newBudget returns the budget of somebody who comes now.
func newBudget(now time.Duration) budget { return budget(now - burstTime) }

// take uses cost up, unless more would be used than there is.
func (b *budget) take(now, cost time.Duration) bool {
	used := max(time.Duration(*b), now-burstTime) + cost
	if used > now {
		return false
	}
	*b = budget(used)
	return true
}
