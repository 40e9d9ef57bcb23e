package stand

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"kentongan/internal/process"
)

// Gateway is one node: a process of the server's binary that keeps its addresses when it is started again. Its methods may
// be called at the same time; which of them make sense together is for the caller to know.
type Gateway struct {
	Address string // of the public listener
	Admin   string
	Door    string // of the Redis protocol

	binary string
	dir    string
	env    []string
	log    *os.File
	http   *http.Client

	mu    sync.Mutex
	child *process.Child
}

// NewGateway returns a node that was not started yet. Env is all of its environment but the addresses; what it logs is
// appended to NAME.log in dir.
func NewGateway(binary, dir, name string, env []string) (*Gateway, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // our folder
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	free := process.FreeAddresses(3)
	g := &Gateway{
		Address: free[0], Admin: free[1], Door: free[2], binary: binary, dir: dir, log: log,
		http: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	g.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "KENTONGAN_LISTEN=" + g.Address, "KENTONGAN_ADMIN_LISTEN=" + g.Admin,
		"KENTONGAN_REDIS_DOOR=" + g.Door, "KENTONGAN_LOG_FORMAT=json",
	}, env...)
	return g, nil
}

// Start starts the process and waits until it answers, ready or not.
func (g *Gateway) Start(ctx context.Context) error {
	cmd := exec.Command(g.binary, "serve") //nolint:gosec,noctx // the server that we have built; Kill and Stop end it
	cmd.Dir, cmd.Env, cmd.Stderr, cmd.Stdout = g.dir, g.env, g.log, g.log
	child, err := process.Start(cmd)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.child = child
	g.mu.Unlock()
	return g.answers(ctx, child, "/healthz")
}

// Ready waits until the node says that it is ready. It may be paused or started again meanwhile.
func (g *Gateway) Ready(ctx context.Context) error { return g.answers(ctx, nil, "/readyz") }

// answers waits until the node answers 200 at path, or until child, if that is not nil, has ended.
func (g *Gateway) answers(ctx context.Context, child *process.Child, path string) error {
	var ended <-chan struct{}
	if child != nil {
		ended = child.Done()
	}
	const patience = 60 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := "no answer"
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Address+path, http.NoBody)
		if err != nil {
			return fmt.Errorf("ask %s: %w", path, err)
		}
		if resp, err := g.http.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			last = resp.Status
		}
		select {
		case <-ended:
			return fmt.Errorf("gateway %s ended: %w", g.log.Name(), child.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s of gateway %s (%s): %w", path, g.log.Name(), last, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (g *Gateway) running() *process.Child {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.child
}

// Kill ends the process at once, as a crash does.
func (g *Gateway) Kill() { g.running().Kill() }

// Drain asks the process to end, and returns how it ended. It is killed after patience.
func (g *Gateway) Drain(patience time.Duration) error {
	child := g.running()
	child.Signal(syscall.SIGTERM)
	select {
	case <-child.Done():
		if code := child.ExitCode(); code != 0 {
			return fmt.Errorf("gateway %s ended with code %d after SIGTERM", g.log.Name(), code)
		}
		return nil
	case <-time.After(patience):
		child.Signal(syscall.SIGQUIT) // its log then says what all goroutines wait for
		select {
		case <-child.Done():
		case <-time.After(time.Second):
		}
		child.Kill()
		return fmt.Errorf("gateway %s did not end in %s after SIGTERM", g.log.Name(), patience)
	}
}

// Pause stops the process from running; its connections stay open.
func (g *Gateway) Pause() { g.running().Signal(syscall.SIGSTOP) }

// Resume lets a paused process run on.
func (g *Gateway) Resume() { g.running().Signal(syscall.SIGCONT) }

// Close ends the process, if it was started, and closes its log.
func (g *Gateway) Close() {
	if child := g.running(); child != nil {
		child.Kill()
	}
	_ = g.log.Close()
}
