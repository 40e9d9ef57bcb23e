package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kentongan/realtime"
	"kentongan/realtime/schema"
)

// document returns what AsyncAPI makes of patterns, decoded.
func document(t *testing.T, patterns []realtime.Pattern, rules []schema.Rule) any {
	t.Helper()
	names, err := realtime.NewNames(patterns)
	if err != nil {
		t.Fatal(err)
	}
	text, err := schema.AsyncAPI(names, rules, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func defaultRules(t *testing.T) (rules []schema.Rule) {
	t.Helper()
	for _, p := range realtime.DefaultPatterns() {
		s, _ := schema.Default(p.Spelling)
		rules = append(rules, schema.Rule{Spelling: p.Spelling, Mode: schema.Report, Schema: s})
	}
	return rules
}

// TestAsyncAPI compares the document with the published structure of AsyncAPI 3.0, and follows all of its references.
func TestAsyncAPI(t *testing.T) {
	text, err := os.ReadFile("testdata/asyncapi-3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	structure, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://asyncapi.invalid/3.0.0.json", structure); err != nil {
		t.Fatal(err)
	}
	published, err := c.Compile("https://asyncapi.invalid/3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	own, err := schema.Compile("orders/order.json", []byte(`{"$ref":"#/$defs/order","$defs":{"order":{"properties":{"of":{"$ref":"production-fields.json#/$defs/id"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	same, err := schema.Compile("other/order.json", []byte(`{"type":"array"}`))
	if err != nil {
		t.Fatal(err)
	}
	patterns := append(realtime.DefaultPatterns(), realtime.Pattern{Spelling: "orders:{tenant}:*"}, realtime.Pattern{Spelling: "bills:{tenant}:*:x.*"},
		realtime.Pattern{Spelling: "free:{tenant}"})
	doc := document(t, patterns, append(defaultRules(t), schema.Rule{Spelling: "orders:{tenant}:*", Mode: schema.Refuse, Schema: own},
		schema.Rule{Spelling: "bills:{tenant}:*:x.*", Mode: schema.Off, Schema: same}))
	if err := published.Validate(doc); err != nil {
		t.Errorf("it is no AsyncAPI 3.0 document: %#v", err)
	}
	broken := document(t, realtime.DefaultPatterns(), defaultRules(t)).(map[string]any) //nolint:forcetypeassert // it is an object
	for _, operation := range broken["operations"].(map[string]any) {                   //nolint:forcetypeassert // as above
		operation.(map[string]any)["action"] = "shout" //nolint:forcetypeassert // as above
	}
	if published.Validate(broken) == nil {
		t.Error("the structure takes what is wrong, and proves nothing")
	}
	refs := 0
	var follow func(v any)
	follow = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if !resolves(doc, ref) {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, member := range v {
				follow(member)
			}
		case []any:
			for _, item := range v {
				follow(item)
			}
		}
	}
	follow(doc)
	if refs < 40 {
		t.Errorf("%d references, want more", refs)
	}
	written, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"address":"orders:{tenant}:{segment1}"`, `"address":"bills:{tenant}:{segment1}:x.{segment2}"`, `"order-2"`, `"Any"`, `"x-validation":"refuse"`} {
		if !strings.Contains(string(written), want) {
			t.Errorf("it lacks %s", want)
		}
	}
}

// resolves follows a JSON Pointer.
func resolves(doc any, ref string) bool {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		object, ok := doc.(map[string]any)
		if !ok {
			return false
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if doc, ok = object[part]; !ok {
			return false
		}
	}
	return true
}

// TestAsyncAPISchemasMeanTheSame compiles the schemas as they stand in the document: they take and refuse the same messages.
func TestAsyncAPISchemasMeanTheSame(t *testing.T) {
	doc := document(t, realtime.DefaultPatterns(), defaultRules(t))
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("https://doc.invalid/asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("https://doc.invalid/asyncapi.json#/components/messages/production-updates/payload/schema")
	if err != nil {
		t.Fatal(err)
	}
	original, _ := schema.Default("production:updates:{tenant}")
	for _, data := range []string{
		string(benchData), `{"type":"production_update","data":{"status":"DONE"}}`, `{"type":"production_update","data":{"id":""}}`, `{}`, `[]`,
		`{"type":"production_created","data":{"cookedAt":true}}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if fits, want := compiled.Validate(value) == nil, original.Check([]byte(data)) == nil; fits != want {
			t.Errorf("%s: the document says %v, the server %v", data, fits, want)
		}
	}
}
