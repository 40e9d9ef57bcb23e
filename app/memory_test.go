package app

import "testing"

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		alive uint64
		want  int
	}{{0, 800}, {1 << 20, 800}, {16 << 20, 400}, {64 << 20, 100}, {1 << 30, 100}} {
		if got := percent(c.alive); got != c.want {
			t.Errorf("with %d bytes alive: %d, want %d", c.alive, got, c.want)
		}
	}
	if alive() > 1<<30 {
		t.Error("the runtime does not know what is alive")
	}
}
