package protocol_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kentongan/realtime/protocol"
)

// record is a Handler that writes down what it was given.
type record struct {
	events []string
	fail   error // returned from every call
}

func (r *record) OnMessage(op protocol.Opcode, data []byte) error {
	r.events = append(r.events, fmt.Sprintf("%v %q", op, data))
	return r.fail
}

func (r *record) OnControl(op protocol.Opcode, payload []byte) error {
	r.events = append(r.events, fmt.Sprintf("control %v %q", op, payload))
	return r.fail
}

// read feeds in, cut into pieces at the given places, to a new Reader, and returns what came out, the error at the end.
// It feeds copies, since a Reader may write to what it is fed.
func read(t testing.TB, o protocol.ReaderOptions, in []byte, cuts ...int) []string {
	t.Helper()
	var r protocol.Reader
	var h record
	last := 0
	for _, c := range append(cuts, len(in)) {
		piece := append([]byte(nil), in[last:c]...)
		last = c
		if err := r.Feed(piece, &o, &h); err != nil {
			var ce *protocol.CloseError
			if !errors.As(err, &ce) {
				t.Fatalf("Feed returned %v, want a *CloseError", err)
			}
			h.events = append(h.events, fmt.Sprintf("close %d", ce.Code))
			if !r.Idle() {
				t.Fatal("the reader holds memory after an error")
			}
		}
	}
	return h.events
}

// frame builds one frame by hand, so that tests do not depend on the writer. Masked with a fixed key.
func frame(b0 byte, payload string) []byte {
	return append(head(b0, 0x80, len(payload)), masked(payload)...)
}

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d} // the key of the example in RFC 6455, section 5.7

func masked(payload string) []byte {
	out := []byte(payload)
	for i := range out {
		out[i] ^= key[i%4]
	}
	return out
}

func head(b0, mask byte, n int) []byte {
	var h []byte
	switch {
	case n < 126:
		h = []byte{b0, mask | byte(n)}
	case n < 1<<16:
		h = []byte{b0, mask | 126, byte(n >> 8), byte(n)}
	default:
		h = []byte{b0, mask | 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	if mask != 0 {
		h = append(h, key[:]...)
	}
	return h
}

func join(frames ...[]byte) []byte {
	var out []byte
	for _, f := range frames {
		out = append(out, f...)
	}
	return out
}

func equal(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }
