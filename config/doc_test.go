package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTable checks what every row promises: a default and an example that pass the row's own checks, and one owner for
// each variable and key.
func TestTable(t *testing.T) {
	owner := map[string]string{}
	for _, s := range settings() {
		if s.meaning == "" || s.kind == nil || s.example == "" || s.def == "" && s.unset == "" {
			t.Errorf("%s: want a meaning, a kind, an example, and a default or what unset means", s.key)
			continue
		}
		for _, value := range []string{s.def, s.example} {
			if value == "" {
				continue
			}
			var d draft
			if err := s.kind.set(&d, itemsOf(s.kind, value)); err != nil {
				t.Errorf("%s: %q: %v", s.key, value, err)
			}
		}
		for _, name := range append(slices.Clone(s.env), s.key) {
			if other, ok := owner[name]; ok {
				t.Errorf("%s belongs to %s and to %s", name, other, s.key)
			}
			owner[name] = s.key
		}
		if !strings.HasSuffix(s.meaning, ".") {
			t.Errorf("%s: want a full stop at the end of %q", s.key, s.meaning)
		}
	}
}

func TestDocIsWritten(t *testing.T) {
	const path = "../docs/configuration.md"
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Doc() {
		t.Errorf("%s is not what the table says; write it with: go run ./cmd/kentongan config doc > docs/configuration.md", path)
	}
}
