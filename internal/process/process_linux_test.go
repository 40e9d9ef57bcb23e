package process_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"kentongan/internal/process"
)

// TestCPUAgreesWithGetrusage burns CPU and compares two accounts that the kernel keeps apart.
func TestCPUAgreesWithGetrusage(t *testing.T) {
	before, usageBefore := cpu(t), usage(t)
	sum := 0
	for cpu(t)-before < 100*time.Millisecond {
		for i := range 100_000 {
			sum += i * i
		}
	}
	got, want := cpu(t)-before, usage(t)-usageBefore
	// getrusage scales ticks, so it is the coarser one; the two readings are also not taken at once.
	if diff := (got - want).Abs(); diff > 30*time.Millisecond {
		t.Fatalf("cpu %v, getrusage %v (sum %d)", got, want, sum)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	d, err := process.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func usage(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestCPUOfSleeper: a program that only waits has used next to nothing, and one that is gone cannot be read.
func TestCPUOfSleeper(t *testing.T) {
	child, err := process.Start(exec.Command("sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	used, err := process.CPU(child.PID())
	for end := time.Now().Add(30 * time.Second); err == nil && used == 0 && time.Now().Before(end); used, err = process.CPU(child.PID()) {
		time.Sleep(time.Millisecond) // the kernel may not have accounted for anything yet
	}
	if err != nil || used <= 0 || used > time.Second {
		t.Fatalf("cpu of sleep: %v, %v", used, err)
	}
	child.Stop(5 * time.Second)
	if _, err := process.CPU(child.PID()); err == nil {
		t.Fatal("cpu of an ended process was read")
	}
	if !strings.Contains(child.Err().Error(), "terminated") {
		t.Fatalf("got %v, want the signal in it", child.Err())
	}
}

func TestErrHasStandardError(t *testing.T) {
	child, err := process.Start(exec.Command("sh", "-c", "echo port is taken >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	<-child.Done()
	if got := child.Err().Error(); !strings.Contains(got, "exit status 3") || !strings.Contains(got, "port is taken") {
		t.Fatalf("got %q, want exit status and message", got)
	}
}

func TestMemoryGrowsWithWhatIsTouched(t *testing.T) {
	before, err := process.MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	block, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(block) }()
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	after, err := process.MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after.RSS - before.RSS; grown < size*9/10 || grown > size*3/2 {
		t.Fatalf("rss grew by %d after touching %d", grown, size)
	}
	if after.PSS <= 0 || after.PSS > after.RSS {
		t.Fatalf("pss %d, rss %d", after.PSS, after.RSS)
	}
}

func TestDescriptors(t *testing.T) {
	count := func() int {
		n, err := process.Descriptors(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if got := count(); got != before+1 {
		t.Fatalf("got %d after opening a file, want %d", got, before+1)
	}
}
