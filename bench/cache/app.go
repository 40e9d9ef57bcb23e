package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// app is the app's cache service on a real ioredis.
type app struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startApp(ctx context.Context, addr string) (*app, error) {
	root := filepath.Join("..", "..")
	source, err := os.ReadFile(filepath.Join(root, "cache", "testdata", "app.mjs"))
	if err != nil {
		return nil, err
	}
	modules := filepath.Join(root, "internal", "testenv", "npm")
	if _, err := os.Stat(filepath.Join(modules, "node_modules", "ioredis")); err != nil {
		return nil, errors.New("run make packages first")
	}
	a := &app{cmd: exec.CommandContext(ctx, "node", "--input-type=module", "--eval", string(source), "--", "redis://"+addr)}
	a.cmd.Dir, a.cmd.Stderr = modules, os.Stderr
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.out = bufio.NewReader(out)
	return a, a.cmd.Start()
}

func (a *app) close() { _ = a.in.Close(); _ = a.cmd.Wait() }

// call runs one function of the app, and returns the number that it answers, if it is one.
func (a *app) call(words ...any) (float64, error) {
	line, err := json.Marshal(words)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(a.in, "%s\n", line); err != nil {
		return 0, err
	}
	answer, err := a.out.ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	var n float64
	_ = json.Unmarshal(answer, &n) // most answers are no numbers
	return n, nil
}

// times returns how long one of n calls of a function takes within the app, without the pipe to it.
func (a *app) times(n, first int, words ...any) (time.Duration, error) {
	ms, err := a.call(append([]any{"times", n, first}, words...)...)
	return time.Duration(ms / float64(n) * float64(time.Millisecond)), err
}
