// Command release builds what is handed out: for each platform an archive with the program, and beside it a bill of materials and the
// checksums of all. Whoever builds the same commit with the same Go gets the same bytes: no path, user, time or random number of the
// machine gets in. With -verify it proves that, by building a copy of the tree at another place with an empty cache.
//
//	go run ./internal/release -out dist
//	go run ./internal/release -verify
//	go run ./internal/release -licences
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// platforms are those that are handed out.
var platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}}

type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "_" + p.arch }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1) //nolint:gocritic // the signal handler ends with the process
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	dir := flags.String("out", "dist", "folder for what is made; it must not hold anything else")
	version := flags.String("version", "", "of the release; empty: what git says")
	verify := flags.Bool("verify", false, "build twice, at two places, and compare")
	licences := flags.Bool("licences", false, "only list the licences of what is in the program, and check them")
	only := flags.String("only", "", "one platform, such as linux_amd64; empty: all")
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // flag has said it
	}
	if *licences {
		return listLicences(ctx, ".", out)
	}
	r, err := readRelease(ctx, ".", *version)
	if err != nil {
		return err
	}
	if *only != "" {
		r.platforms = nil
		for _, p := range platforms {
			if p.String() == *only {
				r.platforms = append(r.platforms, p)
			}
		}
		if r.platforms == nil {
			return fmt.Errorf("-only %s: known are %v", *only, platforms)
		}
	}
	if *verify {
		return r.verify(ctx, out)
	}
	return r.make(ctx, ".", *dir, os.Environ(), out) // the Go command takes all of it
}

// release is what is made of one commit.
type release struct {
	version   string
	commit    string
	time      time.Time // of the commit, or SOURCE_DATE_EPOCH
	platforms []platform
}

// readRelease asks git, unless version and SOURCE_DATE_EPOCH say all.
func readRelease(ctx context.Context, root, version string) (release, error) {
	r := release{version: version, platforms: platforms}
	var err error
	if r.commit, err = git(ctx, root, "rev-parse", "HEAD"); err != nil {
		return r, err
	}
	if r.version == "" {
		if r.version, err = git(ctx, root, "describe", "--tags", "--always", "--dirty"); err != nil {
			return r, err
		}
	}
	if strings.ContainsAny(r.version, "/\\ \t\n'\"") {
		return r, fmt.Errorf("version %q is no part of a file name", r.version)
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH") // the name that all builders agreed on
	if epoch == "" {
		if epoch, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return r, err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return r, fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", epoch)
	}
	r.time = time.Unix(seconds, 0).UTC()
	return r, nil
}

// make builds the tree at root into dir.
func (r release) make(ctx context.Context, root, dir string, env []string, out io.Writer) error {
	if err := emptyDir(dir); err != nil {
		return err
	}
	bin, err := os.MkdirTemp("", "kentongan-release-")
	if err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(bin) }() // in the worst case it stays in the folder of temporary files
	for _, p := range r.platforms {
		program := filepath.Join(bin, p.String())
		if err := r.build(ctx, root, program, p, env); err != nil {
			return err
		}
		name := fmt.Sprintf("kentongan_%s_%s", r.version, p)
		if err := r.archive(root, program, filepath.Join(dir, name+".tar.gz"), name); err != nil {
			return err
		}
		if err := r.billOfMaterials(ctx, root, program, filepath.Join(dir, name+".cdx.json")); err != nil {
			return err
		}
	}
	sums, err := writeSums(dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, sums)
	return err //nolint:wrapcheck // of the terminal
}

// build makes a program without C, paths, symbols or anything of this machine.
func (r release) build(ctx context.Context, root, program string, p platform, env []string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", //nolint:gosec // of our own making
		"-ldflags", fmt.Sprintf("-s -w -buildid= -X main.releaseVersion=%s -X main.releaseCommit=%s -X main.releaseTime=%s",
			r.version, r.commit, r.time.Format(time.RFC3339)),
		"-o", program, "./cmd/kentongan")
	command.Dir = root
	command.Env = append(slices.Clone(env), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch,
		"GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOWORK=off")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build for %s: %w\n%s", p, err, text)
	}
	return nil
}

// emptyDir makes dir, or checks that there is nothing in it but what an earlier release left, which goes.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err //nolint:wrapcheck // it says all
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "kentongan_") && e.Name() != sumsName {
			return fmt.Errorf("%s holds %s, which no release made: name an empty folder", dir, e.Name())
		}
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err //nolint:wrapcheck // as above
		}
	}
	return os.MkdirAll(dir, 0o755) //nolint:gosec,wrapcheck // a folder to hand out; and as above
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...) //nolint:gosec // of our own making
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(text)), nil
}
