package app

import "testing"

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		alive, room uint64
		want        int
	}{
		{0, headroom, maxPercent},
		{1 << 20, headroom, maxPercent},
		{4 << 20, headroom, 200},
		{16 << 20, headroom, 100},
		{16 << 20, busyHeadroom, 400},
		{64 << 20, busyHeadroom, 100},
		{1 << 30, busyHeadroom, 100},
	} {
		if got := percent(c.alive, c.room); got != c.want {
			t.Errorf("with %d bytes alive and room for %d: %d, want %d", c.alive, c.room, got, c.want)
		}
	}
	if allocated := heapBytes(allocatedBytes); allocated == 0 || heapBytes(aliveBytes) > allocated {
		t.Error("the runtime does not know what is allocated or alive")
	}
}
