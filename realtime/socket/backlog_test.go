package socket

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What has been written and is used for the next queue begins empty, holds nothing of the last one, and takes no new memory.
func TestBacklogIsUsedAgain(t *testing.T) {
	b := new(backlog)
	frame := []byte("a frame")
	round := func() {
		for range 10 {
			b.add(frame)
		}
		b.advance(3) // the peer took a part
		b.add(frame)
		b.advance(b.bytes)
		b.reset()
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%g allocations for a queue that was there before, want 0", n)
	}
	if len(b.frames) != 0 || b.bytes != 0 || b.started {
		t.Errorf("begins with %d frames, %d bytes, started %t", len(b.frames), b.bytes, b.started)
	}
	for i, f := range b.whole[:cap(b.whole)] {
		if f != nil {
			t.Errorf("still holds frame %d of the last queue: %q", i, f)
		}
	}
}

// Whatever is added, written and dropped, what goes out is what was added, and a queue that is used again is as a new one.
func TestBacklogKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := new(backlog)
		for range rapid.IntRange(1, 5).Draw(t, "queues") {
			var want []byte
			for range rapid.IntRange(0, 40).Draw(t, "steps") {
				if b.bytes > 0 && rapid.Bool().Draw(t, "write") {
					n := rapid.IntRange(1, b.bytes).Draw(t, "bytes")
					if got := bytes.Join(b.frames, nil); !bytes.Equal(got[:n], want[:n]) {
						t.Fatalf("writes %q, want %q", got[:n], want[:n])
					}
					b.advance(n)
					want = want[n:]
				} else {
					frame := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "frame")
					b.add(frame)
					want = append(want, frame...)
				}
				if b.bytes != len(want) || !bytes.Equal(bytes.Join(b.frames, nil), want) {
					t.Fatalf("queue is %q of %d bytes, want %q", bytes.Join(b.frames, nil), b.bytes, want)
				}
			}
			b.advance(b.bytes)
			b.reset()
			for i, f := range b.whole[:cap(b.whole)] {
				if f != nil {
					t.Fatalf("still holds frame %d: %q", i, f)
				}
			}
		}
	})
}

// full is a kernel that takes nothing.
type full struct{ driver }

func (full) write(*Conn, []byte) (int, error) { return 0, nil }
func (full) await(*Conn)                      {}

// A session that is closed as slow before its first bytes went out must still begin with them: a close frame, or the end of an event stream,
// without the head of the answer is no answer.
func TestSealDropsNotWhatCameFirst(t *testing.T) {
	c := &Conn{driver: full{}}
	head := []byte("head ")
	c.SendFirst(head)
	clear(head) // it is not kept
	c.Send([]byte("message "))
	c.Seal([]byte("bye"), true)
	if got := string(bytes.Join(c.backlog.frames, nil)); got != "head bye" || c.backlog.bytes != len(got) {
		t.Errorf("%q is sent, %d bytes are counted, want %q", got, c.backlog.bytes, "head bye")
	}
}
