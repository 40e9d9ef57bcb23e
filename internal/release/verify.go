package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// verify builds the tree here, and its tracked files in another folder with an empty cache, and compares the checksums of all that comes
// out.
func (r release) verify(ctx context.Context, out io.Writer) error {
	work, err := os.MkdirTemp("", "kentongan-verify-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }() // in the worst case it stays in the folder of temporary files
	other := filepath.Join(work, "another", "place")
	if err := copyTree(ctx, ".", other); err != nil {
		return err
	}
	env := os.Environ() // the Go command takes all of it
	if err := r.make(ctx, ".", filepath.Join(work, "one"), env, io.Discard); err != nil {
		return err
	}
	elsewhere := append(slices.Clone(env), "GOCACHE="+filepath.Join(work, "cache"),
		"TMPDIR="+work, "TZ=Asia/Jayapura", "LC_ALL=C", "USER=somebody")
	if err := r.make(ctx, other, filepath.Join(work, "two"), elsewhere, io.Discard); err != nil {
		return err
	}
	one, err := os.ReadFile(filepath.Join(work, "one", sumsName))
	if err != nil {
		return err //nolint:wrapcheck // it says all
	}
	two, err := os.ReadFile(filepath.Join(work, "two", sumsName))
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	if !bytes.Equal(one, two) {
		return fmt.Errorf("two builds of %s differ:\n%s\n%s", r.version, one, two)
	}
	_, err = fmt.Fprintf(out, "two builds of %s, at two places, with two caches, are the same:\n%s", r.version, one)
	return err //nolint:wrapcheck // of the terminal
}

// copyTree copies what git knows, as it is in the tree now.
func copyTree(ctx context.Context, root, to string) error {
	list, err := exec.CommandContext(ctx, "git", "-C", root, "ls-files", "-z").Output() //nolint:gosec // of our own making
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return fmt.Errorf("copy the tree: %w", err)
		}
		file := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return fmt.Errorf("copy the tree: %w", err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return fmt.Errorf("copy the tree: %w", err)
		}
	}
	return nil
}
