package redis

import (
	"errors"
	"testing"

	"kentongan/realtime"
)

// TestGivenUpTwice: when the sender and the caller of a publication find at the same time that it is too late, both know that it never
// went out, whoever was first; of one that went out neither knows.
func TestGivenUpTwice(t *testing.T) {
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	waits, sent := &outgoing{}, &outgoing{}
	sent.state.Store(outgoingSent)
	for _, who := range []string{"first", "second"} {
		if err := b.giveUp(waits); !errors.Is(err, realtime.ErrNotStored) || !errors.Is(err, realtime.ErrUnavailable) {
			t.Errorf("the %s is told %v, want ErrNotStored", who, err)
		}
		if err := b.giveUp(sent); errors.Is(err, realtime.ErrNotStored) || !errors.Is(err, realtime.ErrUnavailable) {
			t.Errorf("the %s is told %v of one that went out, want ErrUnavailable alone", who, err)
		}
	}
	if out := goOut([]*outgoing{waits}); len(out) != 0 {
		t.Error("what was given up goes out")
	}
}
