package gateway

import (
	"testing"
	"unsafe"
)

// TestSessionsAreSmall: one byte more, and Go's allocator gives each of them the next size that it has.
func TestSessionsAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 192 {
		t.Errorf("a session has %d bytes, want 192 at most: the next room that there is has 208", size)
	}
	if size := unsafe.Sizeof(proof{}); size > 96 {
		t.Errorf("a proof has %d bytes, want 96 at most: the next room that there is has 112", size)
	}
}
