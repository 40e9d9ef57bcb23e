package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBadInputIsSentBySomeTest checks that docs/bad-input.md has all its rows, and that every test that it names is in the code.
func TestBadInputIsSentBySomeTest(t *testing.T) {
	page, err := os.ReadFile("../docs/bad-input.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \|$`).FindAllStringSubmatch(string(page), -1)
	if len(rows) < 50 {
		t.Errorf("there are %d rows, want 50 or more", len(rows))
	}
	for n, row := range rows {
		if row[1] != fmt.Sprint(n+1) {
			t.Errorf("row %d is numbered %s", n+1, row[1])
		}
		cells := strings.Split(row[2], " | ")
		named := regexp.MustCompile("`([a-z0-9/]+)` `(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 3 || len(named) == 0 {
			t.Errorf("row %s names no test: %s", row[1], row[2])
		}
		for _, m := range named {
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("row %s: package %s has no %s", row[1], m[1], m[2])
			}
		}
	}
}

// hasTest reports whether the package has the test.
func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// TestSecurityPageQuotesTests does the same for SECURITY.md.
func TestSecurityPageQuotesTests(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)` `(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 10 {
		t.Fatalf("SECURITY.md names %d tests; the pattern no longer fits", len(named))
	}
	for _, m := range named {
		if !hasTest(t, m[1], m[2]) {
			t.Errorf("package %s has no %s", m[1], m[2])
		}
	}
}
