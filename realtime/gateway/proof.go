package gateway

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/giveway"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

// proof knows what a bare client has for certain, though it never says so: a ping carries a number, browsers send it back
// by themselves, and TCP keeps order. So the pong proves that everything that was sent before the ping has arrived.
type proof struct {
	device realtime.DeviceID
	sub    *hub.Subscription // in whose room the positions are looked up

	behind atomic.Int32  // subscriptions that are not live yet
	marks  atomic.Uint32 // booked, hurried and left
	number uint32        // of the last question; mu guards it
	news   bool          // proven is newer than what was noted; mu guards it
	whole  bool          // sub is the only one: it follows all channels of the kitchen
	at     atomic.Int64  // when the last question was asked, as gateway.clock

	mu     sync.Mutex    // guards everything below, and number and news; taken after a shard's
	proven string        // cursor
	asked  string        // what the answer to the last question proves; "": it was answered
	saved  time.Duration // when proven was noted last, as gateway.clock
}

// What is marked in a proof.
const (
	booked  = 1 << iota // it is among the gateway's questions
	hurried             // once more, because it owes much
	left                // the page closed the connection
)

const (
	// proofDelay is how long messages wait at least for more before their arrival is asked for (see questions), and proofPause how long the
	// next question waits, unless proofEvery messages were sent since the last one. What comes twice after a lost line is what was
	// sent since the last answer: it must stay far below what a channel's history holds (500 by default), and a question
	// with its answer costs as much as two deliveries. proofPause is a second less than the usual ping interval: who gets messages is
	// asked instead of being pinged, and that is all the traffic there is.
	proofDelay = time.Second
	proofPause = 24 * time.Second
	proofEvery = 50

	// proofSaveEvery is how often the progress of one connection is noted. The end of its line is noted at once.
	proofSaveEvery = 10 * time.Second
)

// owe notes that n messages were sent whose arrival is not proven. It is called for all that is sent, with locks held.
func (s *session) owe(n int) {
	if s.proof == nil {
		return
	}
	owed := int(s.unproven.Add(int32(n))) //nolint:gosec // what the hub offers at once
	switch {
	case owed >= proofEvery && owed-n < proofEvery:
		s.gw.questions.hurry(s)
	case owed == n:
		s.gw.questions.book(s)
	}
}

// owesMuch reports whether a question is due now that n more messages are offered, which is to go along with them: it costs some bytes
// then, and else as much as a delivery. For those who get much all begins together, so the pauses of some are a little longer: soon they
// are not asked at the same time any more, and do not answer at the same time.
func (s *session) owesMuch(n int) bool {
	p := s.proof
	if p == nil || int(s.unproven.Load())+n < proofEvery || !p.whole || p.behind.Load() > 0 {
		return false
	}
	return s.gw.clock()-time.Duration(p.at.Load()) >= proofDelay+proofDelay/4*time.Duration(s.id%32)/32 && !p.waits()
}

// askAlong sends frames, and a ping whose answer proves that they and all before them have arrived. It is called with the shard's lock
// held, and reports whether it has.
func (s *session) askAlong(offered offering, frames []byte) bool {
	question, asks := s.question(offered.Cursor())
	if !asks {
		return false
	}
	piece := append(newPiece(len(frames)), frames...)
	if piece = protocol.AppendFrame(piece, protocol.OpPing, question[:]); !s.send(piece) {
		givePiece(piece)
	}
	offered.Done()
	return true
}

// caughtUp notes that a replay has reached the head, after a gap or without one. It is called with the shard's lock held.
func (s *session) caughtUp(gapped bool) {
	p := s.proof
	if p == nil {
		return
	}
	if gapped {
		s.gw.stats.bareGaps.Add(1)
	} else {
		s.gw.stats.bareRecovered.Add(1)
	}
	if p.behind.Add(-1) == 0 {
		s.unproven.Add(1)
		s.gw.questions.book(s)
	}
}

// ask asks the client for a proof of everything that was sent, if there is something to prove. It reports whether it has sent
// a ping.
func (s *session) ask() bool {
	p := s.proof
	if p == nil || p.behind.Load() > 0 || s.unproven.Load() == 0 || p.waits() {
		return false
	}
	var more []*hub.Subscription
	s.mu.Lock()
	if len(s.subs) > 1 { // the cursor tells of all of them
		more = slices.Clone(s.subs)
	}
	s.mu.Unlock()
	var question [4]byte
	asks := false
	s.gw.hub.View(p.sub, func(h hub.Heads) { question, asks = s.question(h.Cursor()) }, more...)
	if asks {
		s.ping(question)
	}
	return asks
}

// askOnTheWay asks in the midst of a long replay, so that a client whose line breaks again and again gets through it.
// cursor returns how far it was sent.
func (s *session) askOnTheWay(cursor func() string) {
	if p := s.proof; p != nil && s.gw.clock()-time.Duration(p.at.Load()) >= proofDelay && !p.waits() {
		if question, asks := s.question(cursor()); asks {
			s.ping(question)
		}
	}
}

// lastAsked is when the last question went out, as gateway.clock; a question is a ping. Long ago if there was none.
func (s *session) lastAsked() time.Duration {
	if s.proof == nil {
		return math.MinInt64 / 2
	}
	return time.Duration(s.proof.at.Load())
}

// waits reports whether a question is not answered yet. TCP loses no answer, so there is one question at a time.
func (p *proof) waits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked != ""
}

// question returns what a ping has to carry whose answer proves everything up to cursor; false: there is nothing to prove, or the answer
// to the last one is still to come. Once s is live, it is called with the shard's lock held: what is offered from now on is asked for next
// time.
func (s *session) question(cursor string) (question [4]byte, asks bool) {
	p := s.proof
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != "" {
		return question, false
	}
	s.unproven.Store(0)
	if p.proven == cursor {
		return question, false
	}
	p.number++
	p.asked = cursor
	p.at.Store(int64(s.gw.clock()))
	binary.BigEndian.PutUint32(question[:], p.number)
	return question, true
}

// ping sends a question by itself.
func (s *session) ping(question [4]byte) {
	frame, _ := questionFrames.Get().(*questionFrame) // nothing else is put there
	if kept := s.send(protocol.AppendFrame(frame[:0], protocol.OpPing, question[:])); !kept {
		questionFrames.Put(frame)
	}
}

// questionFrame has room for a question on the wire: its number, and what AppendFrame wants for a head.
type questionFrame [16]byte

// questionFrames are those that sockets did not keep, which is nearly all.
var questionFrames = sync.Pool{New: func() any { return new(questionFrame) }}

// onPong takes the answer. One that answers nothing is a sign of life and no more.
func (s *session) onPong(payload []byte) {
	p := s.proof
	if p == nil || len(payload) != 4 {
		return
	}
	p.mu.Lock()
	answered := p.asked != "" && binary.BigEndian.Uint32(payload) == p.number
	if answered {
		p.proven, p.asked, p.news = p.asked, "", true
	}
	p.mu.Unlock()
	if !answered {
		return
	}
	s.save(proofSaveEvery)
	switch n := s.unproven.Load(); {
	case n >= proofEvery:
		s.gw.questions.hurry(s)
	case n > 0:
		s.gw.questions.book(s)
	}
}

// save notes progress, if there is some, and the last note is old enough; and now and then that the client is still there.
func (s *session) save(every time.Duration) {
	p := s.proof
	if p == nil {
		return
	}
	now := s.gw.clock()
	p.mu.Lock()
	due := p.news && now-p.saved >= every || now-p.saved >= realtime.DeviceRefresh-beatSlack
	if due {
		p.saved, p.news = now, false
	}
	p.mu.Unlock()
	if due {
		s.note(realtime.DeviceProved)
	}
}

// beatSlack keeps a note that is due between two beats from waiting for the second.
const beatSlack = 30 * time.Second

// arrive notes that the session is open.
func (s *session) arrive() {
	if p := s.proof; p != nil {
		p.mu.Lock()
		p.saved = s.gw.clock()
		p.mu.Unlock()
		s.note(realtime.DeviceArrived)
	}
}

// part notes that the session has ended: its page has gone, or will come back.
func (s *session) part() {
	switch p := s.proof; {
	case p == nil:
	case p.marks.Load()&left != 0:
		s.note(realtime.DeviceLeft)
	default:
		s.note(realtime.DeviceLost)
	}
}

func (s *session) note(kind realtime.DeviceEventKind) {
	p := s.proof
	p.mu.Lock()
	e := realtime.DeviceEvent{Kind: kind, Connection: s.gw.connections + s.id, Position: p.proven}
	p.mu.Unlock()
	if kind == realtime.DeviceLeft {
		e.Position = ""
	}
	e.Silent = max(0, s.gw.awake()-time.Duration(s.lastRead.Load()))
	s.gw.opts.Devices.Note(realtime.Device{Tenant: s.home(), ID: p.device}, e)
}

// leftByPage notes that the peer closed the connection. A page that is closed or left says one of these; anything else is a program that
// broke off.
func (s *session) leftByPage(code protocol.Code) {
	if p := s.proof; p != nil && (code == protocol.CloseNormal || code == protocol.CloseGoingAway || code == protocol.CloseNoStatus) {
		p.marks.Or(left)
	}
}

// questions are the sessions that are to be asked soon. One list a tick and one entry a session replace a timer each.
//
// A message to everybody, or a server that starts, books thousands for the same tick; with their answers, and the positions that become
// known, that is a tenth of a second in which nothing else is done. So of those that are due a few are asked at a time. That keeps them
// apart from then on, for who is asked later is asked again later too.
type questions struct {
	entries atomic.Int64 // in slots and late

	mu    sync.Mutex
	slots [256][]booking // by tick; more than proofPause
	now   int            // the slot that fires next

	// The fields below are of the goroutine of run.

	late []booking // are due, the first for the longest
	most int64     // entries that there were since late was empty
	due  []booking // of the last tick, to use its memory again
}

// booking is one session that is to be asked.
type booking struct {
	session *session
	mark    uint32 // booked or hurried
}

const (
	// askAtOnce are asked in a tick however few there are, and all of them in askWithin ticks: half of the time between two questions, so
	// that what is due never becomes more than what is asked.
	askAtOnce = 64
	askWithin = int(proofPause / 2 / tick)
)

// book has s asked after proofDelay, and not before proofPause has passed since it was asked last. Who is booked stays as it is.
func (q *questions) book(s *session) {
	if s.proof.marks.Or(booked)&booked == 0 {
		q.put(booking{s, booked}, proofPause)
	}
}

// hurry has s asked as soon as may be, even if it is booked for later. Who is asked along with what is delivered, if more is, comes later:
// then he is asked here only if nothing more is.
func (q *questions) hurry(s *session) {
	if s.proof.marks.Or(hurried)&hurried != 0 {
		return
	}
	pause := proofDelay
	if s.proof.whole {
		pause += proofDelay / 2
	}
	q.put(booking{s, hurried}, pause)
}

func (q *questions) put(b booking, pause time.Duration) {
	delay := max(proofDelay, time.Duration(b.session.proof.at.Load())+pause-b.session.gw.clock())
	q.mu.Lock()
	defer q.mu.Unlock()
	slots := min(int(delay/tick), len(q.slots)-1)
	at := (q.now + slots) % len(q.slots)
	q.slots[at] = append(q.slots[at], b)
	q.entries.Add(1)
}

// next moves on to the next tick, and returns who is to be asked in this one: all that owe much, and some of the others. The list is valid
// until the next call.
func (q *questions) next() []booking {
	q.mu.Lock()
	fires := q.now
	slot := q.slots[fires]
	q.slots[fires] = nil
	q.now = (q.now + 1) % len(q.slots)
	q.mu.Unlock()
	clear(q.due)
	due := q.due[:0]
	for _, b := range slot {
		switch {
		case b.session.unproven.Load() >= proofEvery:
			due = append(due, b)
		case b.mark == hurried: // it was asked meanwhile
			b.session.proof.marks.And(^b.mark)
			q.entries.Add(-1)
		default:
			q.late = append(q.late, b)
		}
	}
	clear(slot)
	if cap(slot) <= keptSlot {
		q.mu.Lock()
		if q.slots[fires] == nil {
			q.slots[fires] = slot[:0]
		}
		q.mu.Unlock()
	}
	q.most = max(q.most, q.entries.Load())
	some := min(len(q.late), max(askAtOnce, 1+int(q.most)/askWithin))
	due = append(due, q.late[:some]...)
	if q.late = slices.Delete(q.late, 0, some); len(q.late) == 0 {
		q.late, q.most = nil, 0
	}
	q.entries.Add(-int64(len(due)))
	if q.due = due; cap(due) > keptSlot {
		q.due = nil
	}
	return due
}

// run asks in every tick until ctx ends.
func (q *questions) run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var way giveway.Way
	defer way.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		way.Begin()
		for _, b := range q.next() {
			way.Sometimes()
			s := b.session
			s.proof.marks.And(^b.mark)
			since, owesMuch := s.gw.clock()-time.Duration(s.proof.at.Load()), s.unproven.Load() >= proofEvery
			switch {
			case owesMuch && since < proofDelay: // it was asked along with something that was delivered
				q.hurry(s)
			case !owesMuch && since < proofPause-tick:
				q.book(s)
			default:
				s.ask()
			}
		}
	}
}
