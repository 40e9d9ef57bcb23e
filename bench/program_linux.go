package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/bench/publish"
	"kentongan/internal/process"
)

// Credentials of a server that lives for one round on loopback.
const (
	secret = "a secret for the rounds of the benchmark"
	apiKey = "key-of-the-benchmark"
	cookie = auth.SessionCookie
)

// program is something that can be measured.
type program struct {
	name  string
	start func(ctx context.Context, engine, redisAddress string) (*running, error)
}

// running is a program that accepts connections.
type running struct {
	child   *process.Child
	address string // "127.0.0.1:port"
	origin  string // that its clients send; empty: none
	admin   string // URL of the admin listener; empty: none
	door    func() (publish.Door, error)
	again   func(ctx context.Context) (*running, error) // the same once more, at the same addresses; nil: it cannot
	path    func(tenant int) string                     // of the upgrade request
	hello   string                                      // what a client says first; empty: nothing
	settle  time.Duration                               // how long after the upgrades until a message reaches everybody
	cookie  func(screen, tenant int) (string, error)
}

// stop ends the program without waiting for a drain: nobody listens any more.
func (r *running) stop() { r.child.Stop(100 * time.Millisecond) }

// floorProgram runs the floor whose command line is made by command.
func floorProgram(command func(args ...string) *exec.Cmd) program {
	return program{name: "floor", start: func(_ context.Context, engine, redisAddress string) (*running, error) {
		args, ports := []string{"lines"}, 2
		if engine == redis {
			host, port, err := net.SplitHostPort(redisAddress)
			if err != nil {
				return nil, fmt.Errorf("start floor: %w", err)
			}
			args, ports = []string{"redis", host, port}, 1
		}
		cmd := command(args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, fmt.Errorf("start floor: %w", err)
		}
		child, err := process.Start(cmd)
		if err != nil {
			return nil, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		printed := strings.Fields(line)
		if err != nil || len(printed) != ports {
			child.Stop(0)
			return nil, fmt.Errorf("start floor: it prints %q: %w", line, errors.Join(err, child.Err()))
		}
		r := &running{child: child, address: "127.0.0.1:" + printed[0],
			path:   func(tenant int) string { return "/api/ws/" + publish.Tenant(tenant) },
			cookie: func(int, int) (string, error) { return "", nil }}
		r.door = func() (publish.Door, error) { return publish.Redis(redisAddress, "") }
		if engine == memory {
			r.door = func() (publish.Door, error) { return publish.Lines("127.0.0.1:" + printed[1]) }
		}
		return r, nil
	}}
}

// serverProgram runs the server at path, with settings ("NAME=value") besides those that the bench needs. The memory engine is
// published to through its Redis door, as an app without Redis would, or over HTTP.
func serverProgram(path, dir string, settings []string, http bool) program {
	return program{name: "kentongan", start: func(ctx context.Context, engine, redisAddress string) (*running, error) {
		free := process.FreeAddresses(3)
		n := node{path: path, dir: dir, settings: settings, http: http, engine: engine, redis: redisAddress,
			address: free[0], admin: free[1], door: free[2]}
		return n.start(ctx)
	}}
}

// node is one server of a round.
type node struct {
	path, dir            string
	settings             []string
	http                 bool
	engine, redis        string
	address, admin, door string
}

// start runs n until it is ready.
func (n node) start(ctx context.Context) (*running, error) {
	cmd := exec.Command(n.path, "serve") //nolint:gosec,noctx // the server that we have built; running.stop ends it
	cmd.Dir = n.dir
	// Nothing of our own environment: a REDIS_URL there would turn the memory engine into the other one.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir,
		"KENTONGAN_LISTEN=" + n.address, "KENTONGAN_ADMIN_LISTEN=" + n.admin, "KENTONGAN_LOG_LEVEL=warn",
		"AUTH_SECRET=" + secret, "KENTONGAN_API_KEYS=bench:" + apiKey,
		"KENTONGAN_MAX_TENANT_CONNECTIONS=0", "KENTONGAN_MAX_USER_CONNECTIONS=0"}, n.settings...)
	if n.engine == redis {
		cmd.Env = append(cmd.Env, "REDIS_URL=redis://"+n.redis)
	} else {
		cmd.Env = append(cmd.Env, "KENTONGAN_REDIS_DOOR="+n.door)
	}
	child, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if slices.ContainsFunc(n.settings, func(s string) bool { return strings.HasPrefix(s, tlsCertificate) }) {
		scheme = "https://"
	}
	r := &running{child: child, address: n.address, origin: scheme + n.address, admin: "http://" + n.admin, again: n.start,
		path: func(int) string { return "/api/ws" }, cookie: session}
	switch {
	case n.engine == redis:
		r.door = func() (publish.Door, error) { return publish.Redis(n.redis, "") }
	case n.http:
		r.door = func() (publish.Door, error) { return publish.HTTP("http://"+n.address+"/api/publish", apiKey), nil }
	default:
		r.door = func() (publish.Door, error) { return publish.Redis(n.door, apiKey) }
	}
	if err := r.ready(ctx); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// session returns the Cookie header of a screen: each has a user and a token of its own, as in life.
func session(screen, tenant int) (string, error) {
	claims := map[string]any{
		"sub": "user_" + strconv.Itoa(screen), "sppgId": publish.Tenant(tenant), "userRole": "SPPG_STAFF", "userType": "SPPG_USER",
		"name": "Petugas Dapur", "email": fmt.Sprintf("petugas%d@example.id", screen),
	}
	token, err := auth.MintSession(secret, cookie, claims, time.Hour)
	if err != nil {
		return "", fmt.Errorf("mint session: %w", err)
	}
	return cookie + "=" + token, nil
}

// ready waits until the server says that it can serve.
func (r *running) ready(ctx context.Context) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: ourServer}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.origin+"/readyz", http.NoBody)
		if err != nil {
			return fmt.Errorf("ask whether the server is ready: %w", err)
		}
		resp, err := fresh.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-r.child.Done():
			return r.child.Err()
		case <-ctx.Done():
			return fmt.Errorf("wait until the server is ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// startRedis starts a redis-server that keeps nothing on disk, and returns it and its address.
func startRedis(ctx context.Context, dir string) (*process.Child, string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", errors.New("redis-server is not installed: install it, or measure with --engine memory")
	}
	address := process.FreeAddresses(1)[0]
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("start redis: %w", err)
	}
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // stopped by the caller
	child, err := process.Start(cmd)
	if err != nil {
		return nil, "", err
	}
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		door, err := publish.Redis(address, "")
		if err != nil {
			continue
		}
		door.Add(0, []byte("{}")) // answered as soon as Redis serves
		if errors.Join(door.Flush(), door.Close()) == nil {
			return child, address, nil
		}
	}
	child.Stop(0)
	return nil, "", fmt.Errorf("start redis: %w", child.Err())
}
