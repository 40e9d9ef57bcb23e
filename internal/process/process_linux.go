package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Child is a running program. Its methods may be called at the same time, Stop once.
type Child struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{}
	err  error // of Wait; read after done
}

// Start runs cmd until Stop. If cmd.Stderr is nil, the end of what it writes there is kept for Err. The child dies with
// this process, whatever else cmd.SysProcAttr asks for.
func Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, log: &tail{}, done: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = c.log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// PID returns the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns why the child ended and the last lines that it wrote to its standard error. It is for the time after Done.
func (c *Child) Err() error {
	<-c.done
	err := c.err
	if err == nil {
		err = errors.New("ended by itself")
	}
	return fmt.Errorf("%s: %w\n%s", c.cmd.Path, err, c.log)
}

// ExitCode returns the code that the child ended with, -1 if a signal ended it. It is for the time after Done.
func (c *Child) ExitCode() int {
	<-c.done
	return c.cmd.ProcessState.ExitCode()
}

// Log returns the end of what the child wrote to its standard error, if that was kept.
func (c *Child) Log() string { return c.log.String() }

// Signal sends a signal to the child. One that has ended gets none.
func (c *Child) Signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// Kill ends the child at once (SIGKILL), also one that is paused, and waits for it.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill() // one that has ended already cannot be killed
	<-c.done
}

// Stop asks the child to end (SIGTERM), insists after patience (SIGKILL), and waits for it.
func (c *Child) Stop(patience time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // one that has ended already needs no signal
	select {
	case <-c.done:
	case <-time.After(patience):
		c.Kill()
	}
}

// CPU returns the CPU time, user and system, of all threads of a process since its start, the ended ones included. It is
// the kernel's own account in nanoseconds: /proc/PID/stat has only hundredths of a second, and schedstat only one thread.
func CPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of the kernel's posix-timers.h: what clock_getcpuclockid(3) puts together
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil { //nolint:gosec // a pid has 22 bits
		return 0, fmt.Errorf("read cpu clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Memory is what a process holds, in bytes. RSS counts shared pages in full, PSS its share of them.
type Memory struct {
	RSS int64 `json:"rssBytes"`
	PSS int64 `json:"pssBytes"`
}

// MemoryOf reads the memory of a process.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	rss, err1 := kilobytes(text, "Rss:")
	pss, err2 := kilobytes(text, "Pss:")
	return Memory{RSS: rss, PSS: pss}, errors.Join(err1, err2)
}

// kilobytes reads a line like "Rss:     1234 kB" and returns bytes.
func kilobytes(text []byte, name string) (int64, error) {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		if !found {
			continue
		}
		fields := strings.Fields(string(rest))
		if len(fields) != 2 || fields[1] != "kB" {
			return 0, fmt.Errorf("read memory: odd line %q", line)
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		return n * 1024, err
	}
	return 0, fmt.Errorf("read memory: no line %s", name)
}

// Descriptors counts the open descriptors of a process.
func Descriptors(pid int) (int, error) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(names), nil
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps the end of p.
func (t *tail) Write(p []byte) (int, error) {
	const keep = 4096
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - keep; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
