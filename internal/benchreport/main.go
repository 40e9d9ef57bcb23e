// Command benchreport reads what "go test -bench" prints on standard input, passes it on, and ends it with a table of those figures that
// have an aim, and whether it was met. A figure that should be there and is not counts as missed.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := report(os.Stdin, os.Stdout, aims); err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

// aim is what a figure shall be. Where it is compared with something in the same run, that is in it.
type aim struct {
	pkg, benchmark string // the last word of the package's path, and how the benchmark's name begins
	unit           string
	most           bool // limit is the most it may be, else the least
	limit          float64
	what           string
}

// aims are those of the production service: changes a second with events out against bare durable inserts in the same run, an alert
// pass over 10,000 open batches, and a kitchen's day among 1,000,000 rows against one row by its primary key.
var aims = []aim{
	{"sqlite", "BenchmarkChanges/", "×bare", false, 0.5, "changes, events out, to bare inserts"},
	{"postgres", "BenchmarkChanges/", "×bare", false, 0.5, "changes, events out, to bare inserts"},
	{"sqlite", "BenchmarkCommit/", "×bare", false, 0.5, "commits to bare inserts"},
	{"postgres", "BenchmarkCommit/", "×bare", false, 0.5, "commits to bare inserts"},
	{"watch", "BenchmarkPass/", "pass-ms", true, 50, "alert pass over 10,000 open batches"},
	{"sqlite", "BenchmarkDay", "×one-key", true, 3, "a kitchen's day to a read by key"},
	{"postgres", "BenchmarkDay", "×one-key", true, 3, "a kitchen's day to a read by key"},
}

// figure is a line of a benchmark.
type figure struct {
	pkg, name string
	values    []value
}

type value struct {
	unit string
	n    float64
}

// report copies in to out, and writes the table behind it. It returns an error if a package failed, or in could not be read.
func report(in io.Reader, out io.Writer, aims []aim) error {
	var figures []figure
	var pkg string
	failed := false
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if _, err := fmt.Fprintln(out, line); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = path.Base(name)
		}
		failed = failed || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL")
		if f, ok := parse(line); ok {
			f.pkg = pkg
			figures = append(figures, f)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := table(out, figures, aims); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if failed {
		return fmt.Errorf("a benchmark failed: its figures are not there")
	}
	return nil
}

// parse reads "BenchmarkX/y-2   1   12.5 unit   3 other".
func parse(line string) (figure, bool) {
	words := strings.Fields(line)
	if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
		return figure{}, false
	}
	f := figure{name: words[0]}
	if i := strings.LastIndexByte(f.name, '-'); i > 0 {
		f.name = f.name[:i] // how many processors
	}
	for i := 2; i+1 < len(words); i += 2 {
		n, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return figure{}, false
		}
		f.values = append(f.values, value{words[i+1], n})
	}
	return f, true
}

func table(out io.Writer, figures []figure, aims []aim) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\twhere\tfigure\taim\t\tbeside it") //nolint:errcheck // Flush tells
	for _, a := range aims {
		found := false
		for _, f := range figures {
			if f.pkg != a.pkg || !strings.HasPrefix(f.name, a.benchmark) {
				continue
			}
			for _, v := range f.values {
				if v.unit == a.unit {
					found = true
					fmt.Fprintf(w, "%s\t%s\t%.4g %s\t%s\t%s\t%s\n", //nolint:errcheck // as above
						a.what, where(f), v.n, v.unit, a, a.verdict(v.n), f.others(a.unit))
				}
			}
		}
		if !found {
			fmt.Fprintf(w, "%s\t%s\t-\t%s\tMISSED: not measured\t\n", a.what, a.pkg, a) //nolint:errcheck // as above
		}
	}
	return w.Flush() //nolint:wrapcheck // the caller says what it was
}

func where(f figure) string {
	_, sub, _ := strings.Cut(f.name, "/")
	return strings.TrimSpace(f.pkg + " " + strings.ReplaceAll(sub, "/", " "))
}

func (f figure) others(unit string) string {
	var list []string
	for _, v := range f.values {
		if v.unit != unit && v.unit != "ns/op" {
			list = append(list, fmt.Sprintf("%.4g %s", v.n, v.unit))
		}
	}
	return strings.Join(list, ", ")
}

func (a aim) String() string {
	if a.most {
		return fmt.Sprintf("≤ %g", a.limit)
	}
	return fmt.Sprintf("≥ %g", a.limit)
}

func (a aim) verdict(n float64) string {
	if a.most && n <= a.limit || !a.most && n >= a.limit {
		return "met"
	}
	return "MISSED"
}
