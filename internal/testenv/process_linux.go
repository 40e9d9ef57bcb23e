package testenv

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// dieWithUs makes the kernel end a child when the test binary is killed, for then no cleanup runs: a test that panics at
// its -timeout must not leave a Redis behind.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// awaitStopped waits until no thread of a process that was sent SIGSTOP runs any more: kill(2) returns before that, and what a server
// still does then is not what a test of one that hangs is about.
func awaitStopped(pid int) error {
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		running, err := threadThatRuns(pid)
		if err != nil || running == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not stop: %s", pid, running)
		}
	}
}

// threadThatRuns returns the state of a thread that is not stopped; empty: all are, or the process is gone.
func threadThatRuns(pid int) (state string, err error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/stat", pid))
	if err != nil {
		return "", fmt.Errorf("list threads: %w", err)
	}
	for _, path := range stats {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "tid (name) state …", and the name may have anything in it
		fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
		if len(fields) > 0 && !bytes.Equal(fields[0], []byte("T")) && !bytes.Equal(fields[0], []byte("Z")) {
			return string(line), nil
		}
	}
	return "", nil
}
