package main

import "testing"

func TestReadTicks(t *testing.T) {
	const before = "cpu  100 5 50 800 20 3 2 20 7 0\ncpu0 50 5 25 400 10 2 1 10 7 0\n"
	const after = "cpu  160 5 80 880 20 3 2 50 9 0\n"
	if got, want := readTicks([]byte(before)), (ticks{all: 1000, taken: 20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := readTicks([]byte(after)).since(readTicks([]byte(before))); got != 15 {
		t.Errorf("%g %% were taken, want 15", got)
	}
	if got := readTicks([]byte(before)).since(readTicks([]byte(after))); got != 0 {
		t.Errorf("%g %% were taken where the count has gone back", got)
	}
	for _, text := range []string{"", "cpu", "cpu 1 2 3 4 5 6 7", "cpu 1 2 3 4 5 6 7 x", "cpu0 1 2 3 4 5 6 7 8"} {
		if got := readTicks([]byte(text)); got != (ticks{}) {
			t.Errorf("%q gives %+v", text, got)
		}
	}
	if now := taken(); now.all == 0 || now.since(now) != 0 {
		t.Errorf("this machine has counted %+v", now)
	}
}
