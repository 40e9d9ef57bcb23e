package process

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func ownCPUs(t *testing.T) CPUs {
	t.Helper()
	all, err := OwnCPUs()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestHalves splits sets with holes.
func TestHalves(t *testing.T) {
	set := func(cpus ...int) (c CPUs) {
		for _, cpu := range cpus {
			c.set.Set(cpu)
		}
		return c
	}
	for _, test := range []struct{ all, first, second CPUs }{
		{set(3), set(), set(3)},
		{set(0, 1), set(0), set(1)},
		{set(2, 5, 70), set(2), set(5, 70)},
		{set(1, 3, 64, 900), set(1, 3), set(64, 900)},
	} {
		first, second := test.all.Halves()
		if first != test.first || second != test.second {
			t.Errorf("%d processors are split into %d and %d, or other ones", test.all.Count(), first.Count(), second.Count())
		}
	}
}

// TestChildrenStayWhereTheyBegin starts one on half of the processors, and moves it to the other half.
func TestChildrenStayWhereTheyBegin(t *testing.T) {
	all := ownCPUs(t)
	first, second := all.Halves()
	if first.Count() == 0 {
		first = second // one processor: there is nowhere else to be
	}
	var child *Child
	var err error
	if pinned := On(first, func() { child, err = Start(exec.Command("sleep", "60")) }); pinned != nil || err != nil {
		t.Fatal(pinned, err)
	}
	defer child.Kill()
	is := func(want CPUs) {
		t.Helper()
		var got CPUs
		if err := unix.SchedGetaffinity(child.PID(), &got.set); err != nil || got != want {
			t.Errorf("it may use %d processors, %v, want %d, or other ones", got.Count(), err, want.Count())
		}
	}
	is(first)
	if got := ownCPUs(t); got != all {
		t.Errorf("we may use %d of our %d processors", got.Count(), all.Count())
	}
	if err := Confine(child.PID(), second); err != nil {
		t.Fatal(err)
	}
	is(second)
}

// TestConfineOurselves moves every thread of this process, and back.
func TestConfineOurselves(t *testing.T) {
	all := ownCPUs(t)
	_, half := all.Halves()
	threads := func(want CPUs) {
		t.Helper()
		done := make(chan CPUs)
		var all sync.WaitGroup // each on a thread of its own
		all.Add(20)
		for range 20 {
			go func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				all.Done()
				all.Wait()
				var got CPUs
				_ = unix.SchedGetaffinity(0, &got.set)
				done <- got
			}()
		}
		for range 20 {
			if got := <-done; got != want {
				t.Errorf("a thread may use %d processors, want %d", got.Count(), want.Count())
			}
		}
	}
	if err := Confine(os.Getpid(), half); err != nil {
		t.Fatal(err)
	}
	threads(half)
	if err := Confine(os.Getpid(), all); err != nil {
		t.Fatal(err)
	}
	threads(all)
	if err := Confine(1<<22+1, all); err == nil {
		t.Error("a process that there cannot be was confined")
	}
}
