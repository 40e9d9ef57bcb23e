package stand

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"kentongan/chaos/publish"
	"kentongan/internal/process"
)

// Redis is one redis-server, or one Sentinel, that keeps its address and its folder when it is started again. Its methods may
// be called at the same time; which of them make sense together is for the caller to know.
type Redis struct {
	Address string

	dir  string
	args []string
	log  *os.File

	mu    sync.Mutex
	child *process.Child
}

// NewRedis returns a redis-server that was not started yet. Args are its settings besides address and folder, "--NAME" and value
// in turn; its folder and log are called name in dir.
func NewRedis(dir, name string, args ...string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is not installed: install it, or run with --engine memory")
	}
	r := &Redis{Address: process.FreeAddresses(1)[0], dir: filepath.Join(dir, name)}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of %s: %w", name, err)
	}
	r.log, err = os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // ours
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	_, port, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", name, err)
	}
	r.args = append([]string{path, "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--loglevel", "notice"}, args...)
	return r, nil
}

// NewSentinel returns a Sentinel that was not started yet. It watches the primary under a name; two of three have to agree.
func NewSentinel(dir, name, primary, called string, downAfter time.Duration) (*Redis, error) {
	r, err := NewRedis(dir, name)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(primary)
	if err != nil {
		return nil, fmt.Errorf("address of the primary: %w", err)
	}
	_, own, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", name, err)
	}
	file := filepath.Join(r.dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s %d\n"+
		"sentinel failover-timeout %s 5000\nsentinel parallel-syncs %s 1\n",
		own, r.dir, called, host, port, called, downAfter.Milliseconds(), called, called)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write settings of %s: %w", name, err)
	}
	r.args = []string{r.args[0], file, "--sentinel"} // Sentinel writes into its file
	return r, nil
}

// Start starts the process and waits until it serves.
func (r *Redis) Start(ctx context.Context) error {
	cmd := exec.Command(r.args[0], r.args[1:]...) //nolint:gosec,noctx // our own arguments; Kill ends it
	cmd.Stderr, cmd.Stdout = r.log, r.log
	child, err := process.Start(cmd)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.child = child
	r.mu.Unlock()
	const patience = 20 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; {
		if reply, err := r.Ask(ctx, "PING"); err == nil && reply == "+PONG" {
			return nil
		}
		select {
		case <-child.Done():
			return fmt.Errorf("redis %s ended: %w", r.log.Name(), child.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("redis %s does not serve: %w", r.log.Name(), errors.Join(ctx.Err(), os.ErrDeadlineExceeded))
}

// Ask sends one command on a connection of its own, and returns the answer as publish.Ask does.
func (r *Redis) Ask(ctx context.Context, args ...string) (string, error) {
	const patience = time.Second
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience)) // fails on a closed connection only, and so does what follows
	reply, err := publish.Ask(conn, bufio.NewReader(conn), args...)
	if err == nil && strings.HasPrefix(reply, "-") {
		err = errors.New(reply[1:])
	}
	if err != nil {
		return reply, fmt.Errorf("ask redis for %s: %w", args[0], err)
	}
	return reply, nil
}

func (r *Redis) running() *process.Child {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.child
}

// Kill ends the process at once, as a crash does.
func (r *Redis) Kill() { r.running().Kill() }

// Stop asks the process to end, and waits until it has.
func (r *Redis) Stop() {
	const patience = 15 * time.Second // a primary waits up to 10 for its replicas
	r.running().Stop(patience)
}

// Follow makes the server a replica of the one at primary when it is started the next time.
func (r *Redis) Follow(primary string) error {
	host, port, err := net.SplitHostPort(primary)
	if err != nil {
		return fmt.Errorf("address of the primary: %w", err)
	}
	const setting = "--replicaof"
	if at := slices.Index(r.args, setting); at >= 0 {
		r.args = slices.Delete(r.args, at, at+2)
	}
	r.args = append(r.args, setting, host+" "+port)
	return nil
}

// Empty removes what a server that does not run has kept on disk.
func (r *Redis) Empty() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("empty redis: %w", err)
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("empty redis: %w", err)
	}
	return nil
}

// Pause stops the process from running; its connections stay open.
func (r *Redis) Pause() { r.running().Signal(syscall.SIGSTOP) }

// Resume lets a paused process run on.
func (r *Redis) Resume() { r.running().Signal(syscall.SIGCONT) }

// Close ends the process, if it was started, and closes its log.
func (r *Redis) Close() {
	if child := r.running(); child != nil {
		child.Kill()
	}
	_ = r.log.Close()
}
