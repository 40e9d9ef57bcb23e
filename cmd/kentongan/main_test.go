//go:build unix

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"kentongan/internal/process"
	"kentongan/internal/testenv"
)

// leakChecked runs the tests and then looks for goroutines that were left.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) { testscript.Main(leakChecked{m}, map[string]func(){"kentongan": main}) }

func TestScript(t *testing.T) {
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	redis := testenv.Redis(t) // for the scripts that want it: they use kitchens of their own
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			free := process.FreeAddresses(2) // they stay free when a server has ended, which some scripts look at
			e.Setenv("PORT", strconv.Itoa(testenv.Port(t, free[0])))
			e.Setenv("ADMIN_PORT", strconv.Itoa(testenv.Port(t, free[1])))
			e.Setenv("DOCS", docs)
			e.Setenv("REDIS", "redis://"+redis)
			e.Setenv("SECRET", "a-session-secret-of-many-bytes")
			e.Setenv("KEY", "0123456789abcdef0123456789abcdef")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "waitready": waitReady, "same": same, "waitfor": waitFor},
	})
}

// exits CODE PROGRAM ARG… runs a program and checks its exit code; what it printed can be looked at afterwards.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// waitready waits until the server of the script can take clients.
func waitReady(ts *testscript.TestScript, _ bool, _ []string) {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get("http://127.0.0.1:" + ts.Getenv("PORT") + "/readyz")
		if err == nil {
			ts.Check(resp.Body.Close())
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	ts.Fatalf("the server is not ready after 30 s")
}

// waitfor FILE TEXT waits until a file that a program is writing holds a text.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE TEXT")
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
	}
	ts.Fatalf("no %q in %s after 30 s", args[1], args[0])
}

// same GOT WANT compares two files, of which the second may lie outside of the script's directory.
func same(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := ts.ReadFile(args[0]), ts.ReadFile(args[1]); got != want {
		ts.Fatalf("%s has %d lines and is not the same as %s with %d", args[0], strings.Count(got, "\n"), args[1], strings.Count(want, "\n"))
	}
}
