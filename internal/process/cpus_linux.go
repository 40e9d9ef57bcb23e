package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// CPUs is a set of processors.
type CPUs struct{ set unix.CPUSet }

// OwnCPUs returns the processors that the calling thread may use.
func OwnCPUs() (CPUs, error) {
	var c CPUs
	if err := unix.SchedGetaffinity(0, &c.set); err != nil {
		return c, fmt.Errorf("read own processors: %w", err)
	}
	return c, nil
}

// Count returns how many processors there are in c.
func (c CPUs) Count() int { return c.set.Count() }

// Halves splits c. The second half has one more if they cannot be equal; the first is empty if c has only one processor.
func (c CPUs) Halves() (first, second CPUs) {
	half, seen := c.Count()/2, 0
	for cpu := 0; seen < c.Count(); cpu++ {
		switch {
		case !c.set.IsSet(cpu):
			continue
		case seen < half:
			first.set.Set(cpu)
		default:
			second.set.Set(cpu)
		}
		seen++
	}
	return first, second
}

// Confine moves all threads of a process to c. Threads and children that they make from then on stay there as well.
func Confine(pid int, c CPUs) error {
	folder := fmt.Sprintf("/proc/%d/task", pid)
	moved := map[string]bool{}
	for {
		threads, err := os.ReadDir(folder)
		if err != nil {
			return fmt.Errorf("confine process %d: %w", pid, err)
		}
		before := len(moved)
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil || moved[thread.Name()] {
				continue
			}
			if err := unix.SchedSetaffinity(id, &c.set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("confine process %d: %w", pid, err)
			}
			moved[thread.Name()] = true
		}
		if len(moved) == before { // no thread was made meanwhile by one that had not been moved
			return nil
		}
	}
}

// On calls f, and the programs that it starts on its own goroutine run on c.
func On(c CPUs, f func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := OwnCPUs()
	if err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &c.set); err != nil {
		return fmt.Errorf("change processors: %w", err)
	}
	f()
	if err := unix.SchedSetaffinity(0, &before.set); err != nil {
		return fmt.Errorf("change processors back: %w", err)
	}
	return nil
}
