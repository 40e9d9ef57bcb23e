package rest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/auth"
	"kentongan/production"
)

// bare is an API of which only the document is asked.
func bare(t testing.TB) *API {
	t.Helper()
	a, err := auth.New(auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Auth: a, Service: production.New(nil, production.Options{}), Store: struct{ Store }{}})
}

// TestDocument compares the document with the one that was looked at: whoever changes the interface sees it here. Write it anew with
// go test ./production/rest -run TestDocument -update.
func TestDocument(t *testing.T) {
	got := get(t, bare(t), "/openapi.json").Body.Bytes()
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document is not %s: look at the difference after -update", golden)
	}
}

func TestDocument_EveryWordIsExplained(t *testing.T) {
	registry := bare(t).huma.OpenAPI().Components.Schemas
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(registry.Map())) {
		s := registry.Map()[name]
		if s.Description == "" {
			t.Errorf("schema %s has no description: add it to types", name)
		}
		for field, p := range s.Properties {
			if name == "Limits" {
				continue // LimitTable has them
			}
			if p.Description == "" {
				t.Errorf("%s.%s has no description: add it to words", name, field)
			}
			if _, own := words[name+"."+field]; own {
				used[name+"."+field] = true
			} else {
				used[field] = true
			}
		}
	}
	for name := range types {
		if registry.Map()[name] == nil {
			t.Errorf("types explains %s, which the document does not have", name)
		}
	}
	for name := range words {
		if !used[name] {
			t.Errorf("words explains %s, which no schema needs", name)
		}
	}
	for name := range needed {
		if registry.Map()[name] == nil {
			t.Errorf("needed names %s, which the document does not have", name)
		}
	}
}

func TestDocument_EveryParameterIsExplained(t *testing.T) {
	for path, item := range bare(t).huma.OpenAPI().Paths {
		raw, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		var ops map[string]struct {
			OperationID, Summary string
			Parameters           []struct{ Name, Description string }
			Responses            map[string]any
		}
		if err := json.Unmarshal(raw, &ops); err != nil {
			t.Fatal(err)
		}
		for method, op := range ops {
			if op.Summary == "" || op.OperationID == "" {
				t.Errorf("%s %s has no summary or no id", method, path)
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: parameter %s has no description", method, path, p.Name)
				}
			}
			for _, status := range []string{"401", "403", "422", "503"} {
				if op.Responses[status] == nil {
					t.Errorf("%s %s does not say that it can answer %s", method, path, status)
				}
			}
		}
	}
}

// TestAlertObject compares the schema with what Alert writes.
func TestAlertObject(t *testing.T) {
	full := production.Alert{
		ID: "a", Code: production.EatBy, Severity: production.High, Status: production.AlertResolved, ProductionID: "p", BatchNumber: "b",
		Message: production.Words{ID: "i", EN: "e"}, Value: 1, Limit: 2, Unit: "min", RaisedAt: 1, RisenAt: 2, AcknowledgedAt: 3, AcknowledgedBy: "u",
		ResolvedAt: 4, ResolvedBy: "u", CorrectiveAction: "x", Escalations: 1, EscalatedAt: 5,
	}
	for _, alert := range []production.Alert{full, {}} {
		got, err := json.Marshal(alert)
		if err != nil {
			t.Fatal(err)
		}
		var o alertObject
		d := json.NewDecoder(bytes.NewReader(got))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, back) {
			t.Errorf("the schema would write\n%s\nwant\n%s", back, got)
		}
	}
}

// TestEnumsAreWhole finds every constant of the enums of package production in the document's choices.
func TestEnumsAreWhole(t *testing.T) {
	known := map[string]bool{}
	for typ, schema := range scalars {
		for _, v := range choices(schema()) {
			known[typ.Name()+" "+v.(string)] = true
		}
	}
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t\w+\s+(\w+)\s+= "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1) {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(scalars)), func(typ reflect.Type) bool {
				return typ.Name() == m[1] && len(choices(scalars[typ]())) > 0
			}) {
				continue
			}
			found++
			if !known[m[1]+" "+m[2]] {
				t.Errorf("%s: %s %s is not in the document", file, m[1], m[2])
			}
		}
	}
	if found < 40 {
		t.Fatalf("found %d constants; the pattern no longer fits", found)
	}
}

// choices returns the words of a schema: all there are, or those that are known.
func choices(s *huma.Schema) []any {
	list := s.Enum
	for _, some := range s.AnyOf {
		list = append(list, some.Enum...)
	}
	return list
}

// TestCodesAreExplained finds every code of a refusal in titles.
func TestCodesAreExplained(t *testing.T) {
	source, err := os.ReadFile("../refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^\tCode\w+\s+Code = "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(all) < 10 {
		t.Fatalf("found %d codes; the pattern no longer fits", len(all))
	}
	doc, err := os.ReadFile("../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if titles[m[1]] == "" {
			t.Errorf("titles does not explain %s", m[1])
		}
	}
	for code := range titles {
		if !strings.Contains(string(doc), "`"+code+"`") {
			t.Errorf("docs/rest.md does not list %s", code)
		}
	}
}
