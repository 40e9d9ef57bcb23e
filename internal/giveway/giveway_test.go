package giveway_test

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/internal/giveway"
)

// TestWhoHasGotSomethingGoesFirst: on a single processor, whoever a byte has come for has had it when Give returns, nearly every time. With
// runtime.Gosched in its place he never has.
func TestWhoHasGotSomethingGoesFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		one := make([]byte, 1)
		for {
			if n, err := in.Read(one); err != nil || n != 1 {
				return
			}
			got.Add(1)
		}
	}()
	var way giveway.Way
	defer way.Close()
	way.Give() // the reader waits by now
	const times = 200
	first := 0
	for n := int64(1); n <= times; n++ {
		if _, err := out.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		way.Give()
		if got.Load() == n {
			first++
		}
	}
	if first < times/2 {
		t.Errorf("of %d times the reader went first %d times", times, first)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSometimes gives way after a slice, not before, and then not for another slice, while somebody waits at a door.
func TestSometimes(t *testing.T) {
	_, out := door(t)
	if _, err := out.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var way giveway.Way
		defer way.Close()
		way.Begin()
		for n := range 3 {
			for _, step := range []struct {
				work time.Duration
				gave int
			}{{0, n}, {giveway.Slice - 1, n}, {1, n + 1}} {
				time.Sleep(step.work)
				way.Sometimes()
				if way.Gave() != step.gave {
					t.Errorf("after another %v it has given way %d times, want %d", step.work, way.Gave(), step.gave)
				}
			}
		}
	})
}

// door returns a pipe whose reading end is a door until the test is over.
func door(t *testing.T) (in, out *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	raw, err := in.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { giveway.Watch(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	return in, out
}

// TestWhoCanRunHasHisTurn where the doors are quiet, too, on a single processor.
func TestWhoCanRunHasHisTurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	door(t)
	var way giveway.Way
	defer way.Close()
	var ran atomic.Bool
	go func() { ran.Store(true) }()
	way.Begin()
	for !ran.Load() {
		way.Sometimes()
		if way.Gave() > 3 {
			t.Fatal("a goroutine that can run was never let")
		}
	}
}

// TestAWayMayBeUsedAgain closes it between two times, and where it was never opened.
func TestAWayMayBeUsedAgain(_ *testing.T) {
	var way giveway.Way
	way.Close()
	for range 3 {
		way.Give()
		way.Close()
	}
}

func BenchmarkGive(b *testing.B) {
	var way giveway.Way
	defer way.Close()
	for b.Loop() {
		way.Give()
	}
}

func BenchmarkSometimes(b *testing.B) {
	var way giveway.Way
	defer way.Close()
	way.Begin()
	for b.Loop() {
		way.Sometimes()
	}
}
