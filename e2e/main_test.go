//go:build unix

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kentongan/internal/testenv/browser"
)

// binary is the path of the server, built once for all tests with the race detector: a race ends it with code 66, and every test
// looks at the code.
var binary string

// clientModules builds the client's modules once for all tests, and returns the folder that they are in.
var clientModules func() (dir string, err error)

// atOnce is how many of the tests that call t.Parallel run beside each other, unless -parallel says otherwise. It is more than there are
// processors on the machines that run them, since most of each test is waiting: until a line is known to be dead, until data is old, for
// an undo to be over.
const atOnce = "5"

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "kentongan-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "kentongan")
	if out, err := exec.Command("go", "build", "-race", "-o", binary, "kentongan/cmd/kentongan").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the server: %w\n%s", err, out)
	}
	clientModules = sync.OnceValues(func() (string, error) {
		client := filepath.Join(dir, "client")
		if out, err := exec.Command("node", "../web/client/build.mjs", client).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the client (are its packages there? make packages): %w\n%s", err, out)
		}
		return client, nil
	})
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			return 1, fmt.Errorf("run tests beside each other: %w", err)
		}
	}
	defer browser.EndShared()
	return m.Run(), nil
}
