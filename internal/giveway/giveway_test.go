package giveway_test

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"kentongan/internal/giveway"
)

// TestWhoHasGotSomethingGoesFirst: on a single processor, whoever a byte has come for has had it when Give returns, each time.
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
	for n := int64(1); n <= times; n++ {
		if _, err := out.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		way.Give()
		if got.Load() != n {
			t.Errorf("%d of %d bytes were read", got.Load(), n)
			break
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := in.Close(); err != nil {
		t.Fatal(err)
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
