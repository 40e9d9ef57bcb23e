package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// run writes a module with one test file of the given body, tests it, and returns the report.
func run(t *testing.T, body string) (string, totals) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example\n\ngo 1.26\n",
		"a_test.go": "package a\n\nimport \"testing\"\n\n" + body,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
	cmd.Dir = dir
	events, _ := cmd.Output() // fails when the tests do
	var out strings.Builder
	sum, err := report(strings.NewReader(string(events)), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), sum
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       totals
		good       bool
		prints     []string
		hides      []string
	}{
		{
			name: "Passes", good: true, want: totals{passed: 3, packages: 1},
			body:   `func TestA(t *testing.T) { t.Log("chatter"); t.Run("Sub", func(*testing.T) {}) }; func TestB(*testing.T) {}`,
			prints: []string{"--- PASS: TestA", "--- PASS: TestB", "ok  \texample\t"}, hides: []string{"chatter", "=== RUN", "Sub"},
		},
		{
			name: "FailsWithItsLog", want: totals{passed: 2, failed: 2, packages: 1, brokenPackages: 1},
			body: `func TestA(t *testing.T) { t.Run("Good", func(t *testing.T) { t.Log("chatter") })
t.Run("Sub", func(t *testing.T) { t.Error("got 1; want 2") }) }; func TestB(*testing.T) {}`,
			prints: []string{"--- FAIL: TestA", "--- FAIL: TestA/Sub", "got 1; want 2", "FAIL\texample\t"}, hides: []string{"chatter", "Good"},
		},
		{
			name: "SkipIsAFailure", want: totals{passed: 1, skipped: 1, packages: 1},
			body:   `func TestA(t *testing.T) { t.Skip("no Redis") }; func TestB(*testing.T) {}`,
			prints: []string{"--- SKIP: TestA", "no Redis"},
		},
		{
			name: "SkippedPartIsAFailure", want: totals{passed: 1, skipped: 1, packages: 1},
			body: `func TestA(t *testing.T) { t.Run("Sub", func(t *testing.T) { t.Skip("no Redis") }) }`,
		},
		{
			name: "PanicShowsItsTrace", want: totals{failed: 1, packages: 1, brokenPackages: 1},
			body: `func TestA(*testing.T) { panic("at the disco") }`, prints: []string{"at the disco", "goroutine "},
		},
		{
			name: "DoesNotCompile", want: totals{packages: 1, brokenPackages: 1},
			body: `func TestA(*testing.T) { undefinedName() }`, prints: []string{"undefined: undefinedName", "[build failed]"},
		},
		{name: "NoTestsAreNotGood", want: totals{}, body: `var _ testing.TB`, prints: []string{"[no tests to run]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, sum := run(t, c.body)
			failures := sum.failures
			if sum.failures = nil; !reflect.DeepEqual(sum, c.want) || sum.good() != c.good {
				t.Errorf("got %+v, good %v; want %+v, good %v\n%s", sum, sum.good(), c.want, c.good, out)
			}
			if len(failures) != c.want.failed {
				t.Errorf("%d failed tests are repeated; want %d", len(failures), c.want.failed)
			}
			for _, s := range c.prints {
				if !strings.Contains(out, s) {
					t.Errorf("%q is not in the report:\n%s", s, out)
				}
			}
			for _, s := range c.hides {
				if strings.Contains(out, s) {
					t.Errorf("%q is in the report:\n%s", s, out)
				}
			}
		})
	}
}

func TestReportShowsWhatWasCutOff(t *testing.T) {
	events := `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"still busy\n"}
no JSON
`
	var out strings.Builder
	sum, err := report(strings.NewReader(events), &out)
	if err != nil || sum.good() || sum.brokenPackages != 1 {
		t.Errorf("got %+v, %v; want one broken package", sum, err)
	}
	if want := "no JSON\nstill busy\n"; out.String() != want {
		t.Errorf("got %q; want %q", out.String(), want)
	}
}

func TestReportRepeatsWhatFailedFirst(t *testing.T) {
	_, sum := run(t, `func TestA(t *testing.T) { t.Error("got 1; want 2"); for range 100 { t.Log("the log of a server") } }`)
	got := sum.first()
	if !strings.HasPrefix(got, "\nFAILED example TestA\n") || !strings.Contains(got, "got 1; want 2") || strings.Count(got, "\n") > repeatLines+2 {
		t.Errorf("repeated is %q", got)
	}
}
