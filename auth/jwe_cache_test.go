package auth

import (
	"fmt"
	"testing"
)

func TestHeaderCache(t *testing.T) {
	c := headerCache{known: map[string]header{}}
	for range 2 { // read, then remembered
		h, err := c.read([]byte(`{"alg":"dir","enc":"A256GCM","kid":"k"}`))
		if err != nil || h != (header{alg: "dir", enc: "A256GCM", kid: "k"}) {
			t.Errorf("got %+v, %v", h, err)
		}
		if _, err := c.read([]byte(`{"alg":"dir","zip":"DEF"}`)); err == nil {
			t.Error("a refused header was remembered as good")
		}
	}
	for i := range 10 * maxKnownHeaders {
		if h, err := c.read(fmt.Appendf(nil, `{"alg":"dir","kid":"%d"}`, i)); err != nil || h.kid != fmt.Sprint(i) {
			t.Fatalf("header %d: %+v, %v", i, h, err)
		}
	}
	if len(c.known) > maxKnownHeaders {
		t.Errorf("%d headers are remembered, want at most %d", len(c.known), maxKnownHeaders)
	}
}
