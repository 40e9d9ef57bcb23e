package protocol_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kentongan/realtime/protocol"
)

const docPath = "../../docs/protocol.md"

func closeTable() string {
	var b strings.Builder
	b.WriteString("| code | name | reason on the wire | come back | meaning |\n|---|---|---|---|---|\n")
	for _, c := range protocol.Codes() {
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s |\n", c.Code, c.Name, c.Text, yes(c.Code.ComeBack()), c.Meaning)
	}
	return b.String()
}

func errorTable() string {
	var b strings.Builder
	b.WriteString("| code | HTTP | temporary | meaning |\n|---|---|---|---|\n")
	for _, e := range protocol.ErrorCodes() {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", e.Code, e.Status, yes(e.Temporary), e.Meaning)
	}
	return b.String()
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

// examples are the fenced blocks that say which golden frame they show.
var examples = regexp.MustCompile("(?s)<!-- frame: (\\S+) -->\n```(?:json|text)\n(.*?\n)```\n")

// TestDocument compares docs/protocol.md with what the package does. With -update it writes the page's tables and examples.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	shown := examples.FindAllStringSubmatch(page, -1)
	if marks := strings.Count(page, "<!-- frame: "); marks != len(shown) || marks < 20 {
		t.Errorf("%d of %d examples can be read", len(shown), marks)
	}
	want := page
	for _, m := range shown {
		golden, err := os.ReadFile(filepath.Join("testdata", "frames", m[1]))
		if err != nil {
			t.Fatal(err)
		}
		want = strings.Replace(want, m[0], strings.Replace(m[0], m[2], string(golden), 1), 1)
	}
	for name, table := range map[string]string{"close codes": closeTable(), "error codes": errorTable()} {
		mark := regexp.MustCompile(`<!-- table: ` + name + ` -->\n(\|.*\n)*`)
		if !mark.MatchString(want) {
			t.Fatalf("the page has no place for the table of %s", name)
		}
		want = mark.ReplaceAllLiteralString(want, "<!-- table: "+name+" -->\n"+table)
	}
	if *update {
		if err := os.WriteFile(docPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page != want {
		t.Errorf("docs/protocol.md is not what the code says; run the test with -update and look at the difference")
	}
}
