package gateway

import "testing"

// TestPieceIsEmpty: what somebody has left in a piece, because of a mistake, does not come before what the next one sends.
func TestPieceIsEmpty(t *testing.T) {
	for range 100 { // the pool keeps what it likes
		r := &replay{piece: append(newPiece(1), "of another kitchen"...)}
		r.putBack()
		if got := newPiece(1); len(got) > 0 {
			t.Fatalf("a new piece begins with %q", got)
		}
	}
}
