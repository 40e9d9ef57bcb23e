package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keepAwake keeps the processors from halting until stop is called, as a kernel booted with idle=poll does: a child spins on each of
// them in the class SCHED_IDLE, which gives way at once to everything else. On a virtual machine the first instruction after a halt
// costs tens of microseconds of the host, which are billed to the write that woke the sleeper; how often that happens depends on how
// busy the machine is with other things. Measured on two virtual processors with nothing else to do, 4,000 messages a second to five
// screens each: the same program took between 1.6 and 2.1 times the floor from one minute to the next.
func keepAwake() (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.Command(self, roleAwake) //nolint:gosec,noctx // ourselves; it ends with its standard input
	cmd.Stderr = os.Stderr
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("keep processors awake: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("keep processors awake: %w", err)
	}
	return func() {
		_ = leash.Close()
		_ = cmd.Wait() // it has nothing to tell
	}, nil
}

// stayAwake spins on every processor until in ends, which it does with the process that holds its other end.
func stayAwake(in io.Reader) error {
	if err := beIdle(); err != nil {
		return err
	}
	runtime.GOMAXPROCS(runtime.NumCPU() + 1) // and one that waits for the end
	for cpu := range runtime.NumCPU() {
		go func() {
			runtime.LockOSThread()
			var one unix.CPUSet
			one.Set(cpu)
			if beIdle() != nil || unix.SchedSetaffinity(0, &one) != nil {
				return // a processor that may not be used need not be kept awake
			}
			for { //nolint:revive,staticcheck // to spin is what it is for; it ends with the process
			}
		}()
	}
	_, err := io.Copy(io.Discard, in)
	if err != nil {
		return fmt.Errorf("wait for the end: %w", err)
	}
	return nil
}

// beIdle puts the calling thread, and those that it makes, behind everything else.
func beIdle() error {
	attributes := unix.SchedAttr{Size: uint32(unsafe.Sizeof(unix.SchedAttr{})), Policy: unix.SCHED_IDLE}
	if err := unix.SchedSetAttr(0, &attributes, 0); err != nil {
		return fmt.Errorf("go behind everything else: %w", err)
	}
	return nil
}
