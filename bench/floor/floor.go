// Package floor is the least that a server of our contract can do: take a message in, look up the tenant's sockets, give
// each of them one WebSocket frame with one write. Other servers are compared with it, in the same run, because absolute
// figures say more about a machine and its other tenants than about a program.
//
// It exists twice: in C, which is the floor proper, and in Go for machines without a C compiler, see [Twin]. Both take
// the same arguments and speak to the same driver.
package floor

import (
	"context"
	_ "embed" // the C text
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed c/floor.c
var source []byte

// ErrNoCompiler says that this machine cannot compile the floor proper.
var ErrNoCompiler = errors.New("no C compiler (cc or gcc)")

// Compile writes the C floor's program into dir and returns its path, or ErrNoCompiler.
func Compile(ctx context.Context, dir string) (string, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		if compiler, err = exec.LookPath("gcc"); err != nil {
			return "", ErrNoCompiler
		}
	}
	text, program := filepath.Join(dir, "floor.c"), filepath.Join(dir, "floor")
	if err := os.WriteFile(text, source, 0o600); err != nil {
		return "", fmt.Errorf("compile floor: %w", err)
	}
	said, err := exec.CommandContext(ctx, compiler, "-O2", "-o", program, text).CombinedOutput() //nolint:gosec // our text, to our folder
	if err != nil {
		return "", fmt.Errorf("compile floor: %w\n%s", err, said)
	}
	return program, nil
}
