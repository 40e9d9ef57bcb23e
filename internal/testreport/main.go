// Testreport reads what `go test -json` writes and prints it for people: one line a test, everything that a failed test
// wrote, the lines that go test ends its packages with, what the failed ones said first once more, and a sum at the end.
//
// It fails when a test failed, and also when one skipped itself: `make test` installs whatever a test may need, so that a
// skipped test is one that nobody runs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	begin := time.Now()
	sum, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	fmt.Print(sum.first())
	fmt.Printf("%s, %s\n", &sum, time.Since(begin).Round(time.Second))
	if !sum.good() {
		os.Exit(1)
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// totals counts tests, subtests among them, and packages that have tests.
type totals struct {
	passed, skipped, failed  int
	packages, brokenPackages int

	failures []failure
}

// failure is what one failed test wrote first: that says why, and the logs of its servers that follow do not.
type failure struct {
	test  string // with its package
	lines []string
}

// The bounds of what is repeated, so that it fits on the last page that a person or a machine keeps.
const (
	repeatTests = 10
	repeatLines = 12
	repeatBytes = 300 // of a line
)

func (t *totals) fail(e event, lines []string) {
	t.failed++
	if len(t.failures) < repeatTests {
		t.failures = append(t.failures, failure{e.Package + " " + e.Test, slices.Clone(lines[:min(repeatLines, len(lines))])})
	}
}

// first returns what the failed tests wrote first.
func (t *totals) first() string {
	var b strings.Builder
	for _, f := range t.failures {
		fmt.Fprintf(&b, "\nFAILED %s\n", f.test)
		for _, l := range f.lines {
			if len(l) > repeatBytes {
				l = strings.ToValidUTF8(l[:repeatBytes], "") + "…\n"
			}
			b.WriteString(l)
		}
	}
	return b.String()
}

// good reports whether every test ran and passed. No tests at all are not good.
func (t *totals) good() bool { return t.failed+t.skipped+t.brokenPackages == 0 && t.passed > 0 }

// String is the closing line.
func (t *totals) String() string {
	verdict := "ok"
	if !t.good() {
		verdict = "FAIL"
	}
	return fmt.Sprintf("%s: %d tests in %d packages: %d passed, %d failed, %d skipped, %d packages broken",
		verdict, t.passed+t.failed+t.skipped, t.packages, t.passed, t.failed, t.skipped, t.brokenPackages)
}

// output gathers what one package wrote, so that packages that run beside each other do not mix.
type output struct {
	lines []string
	tests map[string][]string // while they run
	ran   bool
}

// report copies r to w and returns what it counted.
func report(r io.Reader, w io.Writer) (totals, error) {
	var sum totals
	packages := map[string]*output{}
	const longestLine = 16 << 20 // one event holds one line of output, however long
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, longestLine)
	for scan.Scan() {
		var e event
		if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
			if _, err := fmt.Fprintln(w, scan.Text()); err != nil { // go itself speaks plainly
				return sum, err
			}
			continue
		}
		if e.Package == "" { // build-output: the compiler's words
			if _, err := io.WriteString(w, e.Output); err != nil {
				return sum, err
			}
			continue
		}
		p := packages[e.Package]
		if p == nil {
			p = &output{tests: map[string][]string{}}
			packages[e.Package] = p
		}
		p.take(e, &sum)
		if e.Test == "" && e.Action != "output" && e.Action != "start" { // the package has ended
			if err := p.print(w); err != nil {
				return sum, err
			}
			delete(packages, e.Package)
		}
	}
	for _, name := range sortedKeys(packages) { // go test was ended before they were
		sum.brokenPackages++
		if err := packages[name].print(w); err != nil {
			return sum, err
		}
	}
	return sum, scan.Err()
}

// take counts and keeps one event of the package. Of a test that passed the one line is kept, and of a part that passed
// nothing: not what it logged, nor its own parts.
func (p *output) take(e event, sum *totals) {
	if e.Test == "" {
		p.takePackage(e, sum)
		return
	}
	p.ran = true
	switch e.Action {
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") {
			p.tests[e.Test] = append(p.tests[e.Test], e.Output)
		}
		return
	case "pass":
		sum.passed++
		p.tests[e.Test] = slices.DeleteFunc(p.tests[e.Test], func(l string) bool { return !strings.HasPrefix(l, "--- PASS: ") })
	case "skip":
		sum.skipped++
	case "fail":
		sum.fail(e, p.tests[e.Test])
	default: // run, pause, cont, bench
		return
	}
	if top, _, isPart := strings.Cut(e.Test, "/"); !isPart {
		p.lines = append(p.lines, p.tests[top]...)
	} else if e.Action != "pass" {
		p.tests[top] = append(p.tests[top], p.tests[e.Test]...)
	}
	delete(p.tests, e.Test)
}

// takePackage is take for events of the package itself.
func (p *output) takePackage(e event, sum *totals) {
	switch e.Action {
	case "output":
		if e.Output != "PASS\n" {
			p.lines = append(p.lines, e.Output)
		}
	case "fail":
		sum.packages++
		sum.brokenPackages++
	case "pass":
		if p.ran {
			sum.packages++
		}
	default: // start; skip: no test files
	}
}

// print writes what the package wrote; tests that have not ended stand last.
func (p *output) print(w io.Writer) error {
	lines := p.lines
	for _, name := range sortedKeys(p.tests) {
		lines = append(lines, p.tests[name]...)
	}
	_, err := io.WriteString(w, strings.Join(lines, ""))
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
