package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"kentongan/chaos/check"
)

// Exit codes.
const (
	exitWrong   = 1 // a count is not zero, or nothing happened
	exitTrouble = 2 // it could not be tried
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit code.
func run(args []string, out, progress io.Writer) int {
	var o options
	left := false
	parser, err := kong.New(&o, kong.Name("chaos"), kong.Description("Break the server on purpose, and prove what every client got."),
		kong.Writers(out, progress), kong.Exit(func(int) { left = true }), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 120}))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if left {
		return 0 // after --help
	}
	if err == nil && o.Judge != "" {
		return judgeAgain(o.Judge, out, progress)
	}
	if err == nil && o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	var scenes []scene
	if err == nil {
		scenes, err = o.plan()
	}
	if err != nil {
		_, _ = fmt.Fprintln(progress, "chaos:", err)
		return exitTrouble
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	rows, err := playAll(ctx, &o, scenes, progress)
	if len(rows) > 0 { // what was proven before the trouble is still worth reading
		err = errors.Join(err, tell(out, rows, &o))
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(progress, "chaos:", err)
		return exitTrouble
	case len(rows) == 0 || failed(rows):
		return exitWrong
	}
	return 0
}

// judgeAgain judges a run that was kept.
func judgeAgain(dir string, out, progress io.Writer) int {
	r, err := readRecord(dir)
	if err != nil {
		_, _ = fmt.Fprintln(progress, "chaos:", err)
		return exitTrouble
	}
	v := r.judge()
	_, _ = fmt.Fprintf(out, "%+v\n%s%s\n", v.Stats, v.Empty(), v.String())
	if v.Empty() != "" || !v.Flawless() {
		return exitWrong
	}
	return 0
}

// playAll plays the scenes. With an error it returns the rows that it has.
func playAll(ctx context.Context, o *options, scenes []scene, progress io.Writer) ([]row, error) {
	dir, err := os.MkdirTemp("", "kentongan-chaos-")
	if err != nil {
		return nil, fmt.Errorf("make folder for this run: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := server(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i := range scenes {
		_, _ = fmt.Fprintf(progress, "%s\n", &scenes[i])
		r, err := play(ctx, scenes[i], binary, o.Keep, progress)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", &scenes[i], err)
		}
		if !r.ok() {
			_, _ = fmt.Fprintf(progress, "FAILED %s: %s%s\n", &scenes[i], r.why, r.verdict.String())
		}
		rows = add(rows, &r)
	}
	return rows, nil
}

// server returns the path of the server, built if the options name none.
func server(ctx context.Context, o *options, dir string) (string, error) {
	if o.Server != "" {
		path, err := filepath.Abs(o.Server)
		if err != nil {
			return "", fmt.Errorf("find server: %w", err)
		}
		return path, nil
	}
	path := filepath.Join(dir, "kentongan")
	args := []string{"build", "-o", path}
	if o.Race {
		args = append(args, "-race")
	}
	build := exec.CommandContext(ctx, "go", append(args, "kentongan/cmd/kentongan")...) //nolint:gosec // to our folder
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build server: %w\n%s", err, said)
	}
	return path, nil
}

// add adds a row, to the one before if both are rounds of one scene.
func add(rows []row, r *row) []row {
	if len(rows) > 0 {
		last := &rows[len(rows)-1]
		if last.scene.name == r.scene.name && last.scene.engine == r.scene.engine && last.scene.nodes == r.scene.nodes {
			last.join(r)
			return rows
		}
	}
	return append(rows, *r)
}

func failed(rows []row) bool {
	for i := range rows {
		if !rows[i].ok() {
			return true
		}
	}
	return false
}

// tell writes the table, with the machine that it comes from and how to repeat it, and the figures as JSON if that is
// wanted.
func tell(out io.Writer, rows []row, o *options) error {
	_, _ = fmt.Fprintf(out, "\n%d cores, %s; server, Redis, publishers and clients share them; loopback; seed %d\n\n",
		runtime.NumCPU(), runtime.Version(), o.Seed)
	err := printTable(out, rows)
	if failed(rows) {
		_, _ = fmt.Fprintf(out, "\nTo repeat it: go run ./chaos --seed %d%s\n", o.Seed, o.again())
	}
	if o.JSON == "" {
		return err
	}
	all := map[string]any{"seed": o.Seed, "cores": runtime.NumCPU(), "time": time.Now().UTC().Format(time.RFC3339), "rows": figures(rows)}
	text, err2 := json.MarshalIndent(all, "", "  ")
	if err2 == nil {
		err2 = os.WriteFile(o.JSON, append(text, '\n'), 0o600)
	}
	if err2 != nil {
		err2 = fmt.Errorf("write figures: %w", err2)
	}
	return errors.Join(err, err2)
}

// again returns the options besides the seed that a repetition needs.
func (o *options) again() string {
	var text strings.Builder
	fmt.Fprintf(&text, " --mix %s --engine %s --nodes %d", o.Mix, o.Engine, o.Nodes)
	if o.Faults != "" {
		text.WriteString(" --faults " + o.Faults)
	}
	if o.Sockets != "auto" && o.Sockets != "" {
		text.WriteString(" --sockets " + o.Sockets)
	}
	for _, set := range []struct {
		name string
		n    int
	}{{"count", o.Count}, {"clients", o.Clients}, {"rate", o.Rate}} {
		if set.n > 0 {
			fmt.Fprintf(&text, " --%s %d", set.name, set.n)
		}
	}
	return text.String()
}

// splitNames cuts a list of faults.
func splitNames(names string) []string {
	var all []string
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); strings.EqualFold(name, mixture) {
			name = mixture
		}
		all = append(all, name)
	}
	return all
}

// figures are the rows for JSON.
func figures(rows []row) []map[string]any {
	var all []map[string]any
	for i := range rows {
		r := &rows[i]
		one := map[string]any{
			"faults": r.scene.name, "engine": r.scene.engine, "nodes": r.scene.nodes, "stats": r.verdict.Stats, "ok": r.ok(),
			"silenceMs": map[string]int64{
				"p50": check.Quantile(r.silences, 0.5).Milliseconds(), "p99": check.Quantile(r.silences, 0.99).Milliseconds(),
				"max": check.Quantile(r.silences, 1).Milliseconds(),
			},
		}
		for _, c := range check.Classes() {
			one[c.String()] = r.verdict.Counts[c]
		}
		all = append(all, one)
	}
	return all
}
