package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAwake looks at the threads of the child that keeps the processors awake: all are behind everything else, and there is one for each
// processor. It ends with its standard input.
func TestAwake(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], roleAwake)
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	spinning := func() (n int) {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(filepath.Base(thread))
			if err != nil {
				t.Fatal(err)
			}
			var one unix.CPUSet
			attributes, err := unix.SchedGetAttr(id, 0)
			if err == nil && attributes.Policy == unix.SCHED_IDLE && unix.SchedGetaffinity(id, &one) == nil && one.Count() == 1 {
				n++
			}
		}
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); spinning() < runtime.NumCPU(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d threads spin behind everything else, want %d", spinning(), runtime.NumCPU())
		}
	}
	_ = leash.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
