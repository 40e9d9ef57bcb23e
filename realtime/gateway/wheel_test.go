package gateway

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"kentongan/auth"
	"kentongan/realtime/protocol"
)

// TestStandstill stops the clock's owner for longer than a peer may be silent. What the peer said meanwhile is not read
// yet, so it must not be taken for dead; but if it really says nothing, it is found as always.
func TestStandstill(t *testing.T) {
	g := New(Options{})
	ours, theirs := net.Pipe()
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
	s := &session{gw: g, dialect: protocol.Bare, state: open, nextBeat: 25 * time.Second}
	s.who.Store(&auth.Identity{})
	conn, err := g.sockets.Adopt(ours, silent{})
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	g.wheel.book(s, 0)
	isOpen := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.state == open
	}

	now := time.Duration(0)
	for ; now < 30*time.Second; now += tick {
		g.wheel.advance(now)
	}
	now += 10 * time.Minute
	g.wheel.advance(now)
	if !isOpen() {
		t.Error("a peer was taken for dead because this process stood still")
	}
	for end := now + 21*time.Second; now < end; now += tick {
		g.wheel.advance(now)
	}
	if isOpen() {
		t.Error("a peer that said nothing for two intervals, without the standstill, is still there")
	}
	_ = theirs.Close()
	conn.Abort()
	conn.Resume()
	reader.Wait()
	g.sockets.Close()
}

// silent is a handler that nothing is expected of.
type silent struct{}

func (silent) OnBytes([]byte) {}
func (silent) OnRoom()        {}
func (silent) OnEnd(bool)     {}

// TestWheel books at any time before and after ticks: nobody is called early within a turn, and nobody more than a tick late.
func TestWheel(t *testing.T) {
	var w wheel
	for offset := time.Duration(0); offset < 3*tick; offset += tick / 7 {
		w.advance(offset)
		for wait := time.Duration(1); wait < (wheelSlots-2)*tick; wait += 3*tick + tick/3 {
			due := offset + wait
			w.book(&session{}, due)
			for i, slot := range w.slots {
				if len(slot) == 0 {
					continue
				}
				ahead := time.Duration((i-w.now+wheelSlots)%wheelSlots+1) * tick
				if at := w.fired + ahead; at < due || at >= due+tick {
					t.Fatalf("booked at %v for %v, called at %v", offset, due, at)
				}
				w.slots[i] = nil
			}
		}
	}
}
