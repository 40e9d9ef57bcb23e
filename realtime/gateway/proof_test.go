package gateway

import "testing"

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
		s.owe()
	}
	last := int(proofPause/tick) - 1
	if got := booked(); len(got) != 1 || got[0] < last {
		t.Fatalf("after %d messages it is booked for the slots %v, want one from %d on", proofEvery-1, got, last)
	}
	for range 3 {
		s.owe()
	}
	if got := booked(); len(got) != 2 || got[0] > int(proofDelay/tick) {
		t.Fatalf("after more than %d messages it is booked for the slots %v, want one at %v as well", proofEvery, got, proofDelay)
	}
}
