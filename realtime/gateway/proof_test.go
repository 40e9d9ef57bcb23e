package gateway

import (
	"slices"
	"testing"
)

// TestQuestionsKeepUp asks a client that gets little once in proofPause, and one that gets much as soon as the history might not reach back
// to what it has proven.
func TestQuestionsKeepUp(t *testing.T) {
	g := New(Options{})
	s := &session{gw: g, proof: &proof{}} // asked just now
	booked := func() (slots []int) {
		for i, slot := range g.questions.slots {
			for range slot {
				slots = append(slots, i)
			}
		}
		return slots
	}
	for range proofEvery - 1 {
		s.owe(1)
	}
	last := int(proofPause/tick) - 1
	if got := booked(); len(got) != 1 || got[0] < last {
		t.Fatalf("after %d messages it is booked for the slots %v, want one from %d on", proofEvery-1, got, last)
	}
	for range 3 {
		s.owe(1)
	}
	if got := booked(); len(got) != 2 || got[0] > int(proofDelay/tick) {
		t.Fatalf("after more than %d messages it is booked for the slots %v, want one at %v as well", proofEvery, got, proofDelay)
	}
}

// TestQuestionsToAFew has everybody owe one message since the same moment, and somebody many: he is asked first, and all others a few at
// a time, each once, in the order in which they were booked, and before it is their turn again.
func TestQuestionsToAFew(t *testing.T) {
	for _, crowd := range []int{1, askAtOnce, askAtOnce + 1, 10_000, 100_000} {
		g := New(Options{})
		q := &g.questions
		all := make([]booking, crowd)
		for i := range all {
			s := &session{gw: g, proof: &proof{}}
			s.proof.at.Store(int64(-proofPause))
			s.owe(1)
			all[i] = booking{s, booked}
		}
		busy := &session{gw: g, proof: &proof{}}
		busy.proof.at.Store(int64(-proofPause))
		busy.unproven.Store(proofEvery - 1)
		busy.owe(1)
		for range int(proofDelay / tick) {
			if early := q.next(); len(early) > 0 {
				t.Fatalf("%d: %d are asked before the delay is over", crowd, len(early))
			}
		}
		var asked []booking
		ticks := 0
		for ; len(asked) < crowd; ticks++ {
			due := q.next()
			if len(asked) == 0 {
				if len(due) == 0 || due[0] != (booking{busy, hurried}) {
					t.Fatalf("%d: who owes much waits with the others", crowd)
				}
				due = due[1:]
			}
			if len(due) == 0 || len(due) > max(askAtOnce, 1+(crowd+1)/askWithin) {
				t.Fatalf("%d: %d are asked in tick %d", crowd, len(due), ticks)
			}
			asked = append(asked, due...)
		}
		if !slices.Equal(asked, all) {
			t.Errorf("%d: not each is asked once, in its turn", crowd)
		}
		if ticks > askWithin {
			t.Errorf("%d: it takes %d ticks to ask all", crowd, ticks)
		}
		if left := q.next(); len(left) > 0 || q.entries.Load() != 0 || q.late != nil {
			t.Errorf("%d: %d are left, %d of them said to be", crowd, len(left), q.entries.Load())
		}
	}
}
