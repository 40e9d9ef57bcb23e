package app_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryDependencyHasItsReason compares the direct requirements of go.mod with the table of docs/decisions.
func TestEveryDependencyHasItsReason(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("../docs/decisions/0001-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) { // no "// indirect" behind it
		required[m[1]] = true
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(string(table), -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			explained[m[1]] = true
		}
	}
	for _, module := range slices.Sorted(maps.Keys(required)) {
		if !explained[module] {
			t.Errorf("go.mod requires %s; docs/decisions/0001-dependencies.md does not say why", module)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(explained)) {
		if !required[module] {
			t.Errorf("docs/decisions/0001-dependencies.md has %s, which go.mod does not require directly", module)
		}
	}
}

// TestOperationsListsTheMetrics compares the table of docs/operations.md with the code: names, labels and meanings.
func TestOperationsListsTheMetrics(t *testing.T) {
	var source []byte
	for _, name := range []string{"metrics.go", "metrics_cache.go", "metrics_edge.go", "metrics_traces.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(kentongan_[a-z_]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(doc), -1) {
		rows[m[1]] = m[2]
	}
	found := regexp.MustCompile(`desc\("([a-z_]+)",\s*"([^"]+)"((?:,\s*"[a-z]+")*)\)`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 20 {
		t.Fatalf("found %d metrics in metrics.go; the pattern no longer fits", len(found))
	}
	names := map[string]bool{"kentongan_delivery_seconds": true} // the one histogram
	for _, m := range found {
		name, help := "kentongan_"+m[1], m[2]
		names[name] = true
		labels := "–"
		if all := regexp.MustCompile(`"([a-z]+)"`).FindAllStringSubmatch(m[3], -1); len(all) > 0 {
			var list []string
			for _, l := range all {
				list = append(list, "`"+l[1]+"`")
			}
			labels = strings.Join(list, ", ")
		}
		if want := labels + " | " + help; rows[name] != want {
			t.Errorf("docs/operations.md says of %s: %q; want %q", name, rows[name], want)
		}
	}
	for name := range rows {
		if !names[name] {
			t.Errorf("docs/operations.md lists %s, which metrics.go does not have", name)
		}
	}
}

// TestOperationsQuotesTheLog checks that every log line of docs/operations.md stands in the code.
func TestOperationsQuotesTheLog(t *testing.T) {
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "## Log lines worth an alert")
	if !ok {
		t.Fatal("docs/operations.md has no section of log lines")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var source strings.Builder
	for _, dir := range []string{"../app", "../auth", "../cache", "../realtime"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lines := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1)
	if len(lines) == 0 {
		t.Fatal("no log lines found")
	}
	for _, m := range lines {
		if !strings.Contains(source.String(), `"`+m[1]+`"`) {
			t.Errorf("nothing logs %q", m[1])
		}
	}
}

// TestLinksLeadSomewhere checks the relative links and images of all pages.
func TestLinksLeadSomewhere(t *testing.T) {
	pages := []string{"../README.md", "../README.id.md", "../ARCHITECTURE.md", "../SECURITY.md"}
	for _, pattern := range []string{"../docs/*.md", "../docs/decisions/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(string(text), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("no links found")
	}
}

// TestHandbookQuotesTheBoard checks that the words that the handbook sets in bold, as those of the screen, are on the board.
func TestHandbookQuotesTheBoard(t *testing.T) {
	words := strings.ToLower(readText(t, "../web/board/words.id.ts"))
	found := regexp.MustCompile(`\*\*([^*]+)\*\*`).FindAllStringSubmatch(readText(t, "../docs/handbook.id.md"), -1)
	if len(found) < 40 {
		t.Fatalf("the handbook quotes %d words", len(found))
	}
	emphasis := []string{"tebal", "Teruslah mencatat."} // no words of the screen
	for _, m := range found {
		word, _, _ := strings.Cut(m[1], "…")
		if !slices.Contains(emphasis, m[1]) && !strings.Contains(words, strings.ToLower(strings.TrimSpace(word))) {
			t.Errorf("the board does not say %q", m[1])
		}
	}
}
