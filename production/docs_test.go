package production

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants returns the constants of a type in this package, by what they say: Code, Guard …
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name, ok := v.Type.(*ast.Ident)
			if !ok || name.Name != typ {
				continue
			}
			word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		t.Fatalf("%s has no constants of type %s", file, typ)
	}
	return words
}

// TestDocumentation compares the tables of docs/production.md with the code.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	// rows returns the first cells of the table below a header.
	rows := func(header string) []string {
		_, table, ok := strings.Cut(doc, "\n"+header+"\n")
		if !ok {
			t.Fatalf("no table %q", header)
		}
		table, _, _ = strings.Cut(table, "\n\n")
		var cells []string
		for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table+"\n", -1) {
			cells = append(cells, m[1])
		}
		return cells
	}
	same := func(what string, got, want []string) {
		t.Helper()
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			t.Errorf("%s: the page has\n%q; the code\n%q", what, got, want)
		}
	}
	same("codes", rows("| code | means |\n|---|---|"), constants(t, "refusal.go", "Code"))
	same("guards", rows("| guard | holds if |\n|---|---|"), constants(t, "refusal.go", "Guard"))
	same("alerts", rows("| code | when | severity | ends by itself |\n|---|---|---|---|"), constants(t, "alert.go", "AlertCode"))
	same("flags", rows("| flag | means |\n|---|---|"), constants(t, "observe.go", "Flag"))
	for _, w := range constants(t, "service.go", "Warning") {
		if !strings.Contains(doc, "`"+w+"`") {
			t.Errorf("the page does not name the warning %s", w)
		}
	}

	for _, s := range steps {
		var guards []string
		for _, g := range s.guards {
			guards = append(guards, "`"+g.name+"`")
		}
		row := fmt.Sprintf("| `%s` | `%s` | `%s` | %s |", s.from, s.to, s.right, strings.Join(guards, " "))
		if !strings.Contains(doc, row) {
			t.Errorf("the page has no row %s", row)
		}
	}
	if want := limitRows() + "\n"; !strings.Contains(doc, want) {
		t.Errorf("the page's limits are not\n%s", want)
	}
	if want := rightRows(t) + "\n"; !strings.Contains(doc, want) {
		t.Errorf("the page's rights are not\n%s", want)
	}
}

func limitRows() string {
	var b strings.Builder
	for i := range limitTable {
		d := &limitTable[i]
		def, unit, stricter := fmt.Sprint(d.Default), d.Unit, ""
		if d.degree != nil {
			def, unit = tenths(int64(d.Default)), "°C"
		}
		if d.Safety {
			stricter = strings.ToLower(string(d.Stricter))
		}
		if d.Safety && d.Loosest != d.Default {
			stricter += fmt.Sprintf(", at least %d", d.Loosest)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, def, unit, stricter)
	}
	return b.String()
}

func rightRows(t *testing.T) string {
	short := map[Role]string{
		Superadmin: "SA", Support: "SU", Head: "KE", Admin: "AD", Nutritionist: "GZ", Accountant: "AK", Manager: "PM", Distribution: "DM",
		KitchenStaff: "DP", QCStaff: "QC", Viewer: "VW", Server: "SV",
	}
	var b strings.Builder
	for _, word := range constants(t, "role.go", "Right") {
		var roles []string
		for _, r := range append(slices.Clone(Roles), Server) {
			if r.May(Right(word)) {
				roles = append(roles, short[r])
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", word, strings.Join(roles, " "))
	}
	return b.String()
}
