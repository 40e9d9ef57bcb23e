package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "kentongan"
	heading = "## Who may import whom"
)

// rule is one row of the table: which packages of ours a package may import. A name that ends in /... also stands
// for everything below it.
type rule struct {
	pkg      string
	may      []string
	anything bool
}

// TestImportsFollowTheTable compares the code with ARCHITECTURE.md, so that the map cannot lie.
func TestImportsFollowTheTable(t *testing.T) {
	doc, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := readRules(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for _, system := range []string{"linux", "darwin"} { // some files are for one system only
		if err := addImports(imports, system); err != nil {
			t.Fatal(err)
		}
	}
	for _, complaint := range check(rules, imports) {
		t.Error(complaint)
	}
}

// readRules reads the rows `| name, name | name, name |` below the heading. "nothing" is the empty list.
func readRules(doc string) ([]rule, error) {
	_, section, ok := strings.Cut(doc, "\n"+heading+"\n")
	if !ok {
		return nil, fmt.Errorf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	name := regexp.MustCompile("`([a-z0-9/.]+)`")
	var rules []rule
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		r := rule{anything: strings.TrimSpace(cells[2]) == "anything"}
		for _, m := range name.FindAllStringSubmatch(cells[2], -1) {
			r.may = append(r.may, m[1])
		}
		if len(r.may) == 0 && !r.anything && strings.TrimSpace(cells[2]) != "nothing of ours" {
			return nil, fmt.Errorf("row %q: write `names`, anything, or nothing of ours", line)
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			rules = append(rules, rule{m[1], r.may, r.anything})
		}
	}
	return rules, nil
}

// addImports adds what the packages of the module import of each other when built for a system; tests left out.
func addImports(imports map[string][]string, system string) error {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w", system, err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list for %s: %w", system, err)
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		imports[name] = append(imports[name], nil...)
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, module+"/"); ok && !slices.Contains(imports[name], ours) {
				imports[name] = append(imports[name], ours)
			}
		}
	}
}

// check returns every difference between rules and imports: an import that no rule allows, a package without a rule, a rule
// without a package.
func check(rules []rule, imports map[string][]string) []string {
	var complaints []string
	used := map[string]bool{}
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		at := slices.IndexFunc(rules, func(r rule) bool { return covers(r.pkg, pkg) })
		if at < 0 {
			complaints = append(complaints, fmt.Sprintf("package %s has no row in the table", pkg))
			continue
		}
		r := rules[at]
		used[r.pkg] = true
		for _, i := range imports[pkg] {
			if r.anything || strings.HasPrefix(i, "internal/") || covers(r.pkg, i) ||
				slices.ContainsFunc(r.may, func(name string) bool { return covers(name, i) }) {
				continue
			}
			complaints = append(complaints, fmt.Sprintf("%s imports %s; the table does not allow it", pkg, i))
		}
	}
	for _, r := range rules {
		if !used[r.pkg] {
			complaints = append(complaints, fmt.Sprintf("the table has a row for %s, which does not exist", r.pkg))
		}
	}
	return complaints
}

func covers(name, pkg string) bool {
	root, below := strings.CutSuffix(name, "/...")
	return pkg == root || below && strings.HasPrefix(pkg, root+"/")
}

func TestCheckFindsEachDifference(t *testing.T) {
	rules, err := readRules("# x\n\n" + heading + "\n\n| package | may import |\n|---|---|\n" +
		"| `a` | nothing of ours |\n| `b`, `c/...` | `a` |\n| `d` | anything |\n\n## Next\n| `e` | `a` |\n")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string][]string{"a": {"internal/x"}, "b": {"a"}, "c": {"a", "c/sub"}, "c/sub": {"a"}, "d": {"a", "b", "c/sub"}}
	if got := check(rules, good); len(got) != 0 {
		t.Errorf("got %q; want no complaints", got)
	}
	for _, c := range []struct {
		name   string
		spoil  func(map[string][]string)
		expect string
	}{
		{"ForbiddenImport", func(m map[string][]string) { m["a"] = []string{"b"} }, "a imports b; the table does not allow it"},
		{"ForbiddenImportBelow", func(m map[string][]string) { m["c/sub"] = []string{"b"} }, "c/sub imports b; the table does not allow it"},
		{"SiblingOfAnAllowedOne", func(m map[string][]string) { m["b"] = []string{"a/sub"} }, "b imports a/sub; the table does not allow it"},
		{"PackageWithoutRow", func(m map[string][]string) { m["e"] = nil }, "package e has no row in the table"},
		{"RowWithoutPackage", func(m map[string][]string) { delete(m, "d") }, "the table has a row for d, which does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			imports := maps.Clone(good)
			c.spoil(imports)
			if got := check(rules, imports); len(got) != 1 || got[0] != c.expect {
				t.Errorf("got %q; want %q", got, c.expect)
			}
		})
	}
	if _, err := readRules("\n" + heading + "\n| `a` | whatever |\n"); err == nil {
		t.Error("a row that says nothing was read without an error")
	}
}

// TestTheMapNamesWhatExists checks every path of ARCHITECTURE.md, and every function that stands behind the path of its
// file.
func TestTheMapNamesWhatExists(t *testing.T) {
	doc, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9_/]+\\.(?:go|ts|lua))`(?:\\s+`(\\w+)`)?").FindAllStringSubmatch(string(doc), -1)
	if len(named) < 10 {
		t.Fatalf("found %d paths; want the stories' worth of them", len(named))
	}
	for _, m := range named {
		path, word := m[1], m[2]
		source, err := os.ReadFile("../" + path)
		if err != nil {
			t.Errorf("the map names %s: %v", path, err)
			continue
		}
		declared := regexp.MustCompile(`(?m)^(export )?(async )?(func|function|type|const|class) (\([^)]*\) )?` + word + `\b`)
		if word != "" && !declared.Match(source) {
			t.Errorf("the map names %s in %s, which does not declare it", word, path)
		}
	}
}
