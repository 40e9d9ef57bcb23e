package giveway_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/internal/giveway"
)

// TestNobodyAtTheDoors: where all doors are quiet it gives way once in ten slices, as soon as somebody comes at the next, and when he has
// been served, or has gone, once in ten again.
func TestNobodyAtTheDoors(t *testing.T) {
	in, out := door(t)
	_, other := door(t)
	synctest.Test(t, func(t *testing.T) {
		var way giveway.Way
		defer way.Close()
		slices := func(n, want int) {
			t.Helper()
			before := way.Gave()
			for range n {
				way.Begin()
				time.Sleep(giveway.Slice)
				way.Sometimes()
			}
			if gave := way.Gave() - before; gave != want {
				t.Errorf("in %d slices it gave way %d times, want %d", n, gave, want)
			}
		}
		slices(9, 0)
		slices(1, 1)
		slices(30, 3)
		if _, err := out.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		slices(3, 3)
		if _, err := in.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		slices(9, 0)
		slices(1, 1)
		if err := other.Close(); err != nil { // its reader would hear that
			t.Fatal(err)
		}
		slices(2, 2)
	})
}

// TestServedDoor: nobody gives way to who waits where somebody serves already, but to all others.
func TestServedDoor(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	served := giveway.Serve(int(in.Fd()))
	defer served.Close()
	defer func() { _, _ = in.Close(), out.Close() }()
	other, knock := door(t)
	for _, end := range []*os.File{out, knock} {
		if _, err := end.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var way giveway.Way
		defer way.Close()
		gives := func(when string, want bool) {
			t.Helper()
			before := way.Gave()
			way.Begin()
			time.Sleep(giveway.Slice)
			way.Sometimes()
			if gave := way.Gave() > before; gave != want {
				t.Errorf("%s: gives way: %v, want %v", when, gave, want)
			}
		}
		gives("somebody waits at both", true)
		served.Serving(true)
		gives("one is served", true)
		if _, err := other.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		gives("who waits is served", false)
		served.Serving(false)
		gives("who served has gone", true)
	})
}
