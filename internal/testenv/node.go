//go:build unix

package testenv

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// NodeModules returns a folder in which node resolves ioredis, redis (node-redis), @auth/core, next-auth 4 and ws, in the
// versions of npm/package-lock.json.
func NodeModules(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("testenv: the binary does not know its source files")
	}
	dir := filepath.Join(filepath.Dir(file), "npm")
	// npm writes this file last, so that an install that was interrupted is not taken for a whole one.
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err != nil {
		t.Fatal("the npm packages of internal/testenv/npm are not installed; run make test, which installs them")
	}
	return dir
}

// NodeCommand returns the command that runs the ES module in the file script with args (process.argv from index 1 on).
// Its imports resolve in NodeModules wherever the file is. The caller starts it and waits for it; it ends with the test's context
// at the latest.
func NodeCommand(t testing.TB, script string, args ...string) *exec.Cmd {
	t.Helper()
	source, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	// As --eval, because imports of a file would be resolved from the folder that the file is in.
	argv := append([]string{"--input-type=module", "--eval", string(source), "--"}, args...)
	cmd := exec.CommandContext(t.Context(), program(t, "node"), argv...)
	cmd.Dir = NodeModules(t)
	cmd.SysProcAttr = dieWithUs()
	return cmd
}

// Node runs the ES module in the file script to its end and returns what it wrote to its standard output. A script that
// exits with another code than 0 ends the test, with what it wrote to standard error.
func Node(t testing.TB, script string, args ...string) []byte {
	t.Helper()
	cmd := NodeCommand(t, script, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", filepath.Base(script), err, &stderr)
	}
	return out
}

// NodeProcess is a script that goes on running and answers each line of its input with one line of output. Its methods are for
// the goroutine of the test.
type NodeProcess struct {
	t      testing.TB
	name   string
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// StartNode starts the ES module in the file script. At the end of the test its input is closed, and it must then exit
// with code 0.
func StartNode(t testing.TB, script string, args ...string) *NodeProcess {
	t.Helper()
	cmd := NodeCommand(t, script, args...)
	p := &NodeProcess{t: t, name: filepath.Base(script)}
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	p.in, p.out = in, bufio.NewReader(out)
	cmd.Stderr = &p.stderr
	// The test's context ends before its cleanups run, and would kill the script before it could end by itself.
	cmd.Cancel = func() error { return p.in.Close() }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.in.Close() // closed already by Cancel, or by the script's end
		_, _ = io.Copy(io.Discard, p.out)
		_ = cmd.Wait() // the context's end is an error of Wait even if the script ended well
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("node %s: exit code %d\n%s", p.name, code, &p.stderr)
		}
	})
	return p
}

// Ask writes one line to the script and returns the line that it answers with.
func (p *NodeProcess) Ask(line string) string {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatalf("node %s: %v\n%s", p.name, err, &p.stderr)
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("node %s does not answer %q: %v\n%s", p.name, line, err, &p.stderr)
	}
	return answer[:len(answer)-1]
}
