package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kentongan/realtime"
)

//go:embed schemas/*.json
var files embed.FS

// base is where schemas are, as they see it. Nothing is ever fetched from there.
const base = "https://kentongan.invalid/schemas/"

// draft is the only version of JSON Schema that is taken.
const draft = "https://json-schema.org/draft/2020-12/schema"

// ErrSchema says that a schema cannot be used; errors that wrap it say why.
var ErrSchema = errors.New("bad schema")

// defaults are the schemas of realtime.DefaultPatterns by spelling.
var defaults = map[string]string{
	"production:updates:{tenant}":      "production-updates.json",
	"production:alerts:{tenant}":       "production-alerts.json",
	"menu:updates:{tenant}":            "update.json",
	"inventory:updates:{tenant}":       "update.json",
	"distribution:updates:{tenant}":    "update.json",
	"hrd:updates:{tenant}":             "update.json",
	"procurement:updates:{tenant}":     "update.json",
	"notifications:{tenant}":           "notice.json",
	"updates:{tenant}":                 "notice.json",
	"sppg:{tenant}:production:created": "production-created.json",
	"dashboard-update-{tenant}":        "notice.json",
	"notification-{tenant}":            "notice.json",
	"system-alert":                     "notice.json",
}

// Schema is one compiled schema. It may be used by many at once.
type Schema struct {
	name     string
	text     []byte
	compiled *jsonschema.Schema
}

// Name is the file that it came from.
func (s *Schema) Name() string { return s.name }

// Text is the schema as it was written. It must not be written to.
func (s *Schema) Text() []byte { return s.text }

// nothing loads nothing: a schema that refers to somewhere else is refused when it is compiled.
type nothing struct{}

// Load implements jsonschema.URLLoader.
func (nothing) Load(string) (any, error) {
	return nil, errors.New("is outside of the file; a schema may refer to its own parts only")
}

// Compile makes a Schema of text, which came from the file name. Its error wraps ErrSchema.
func Compile(name string, text []byte) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no JSON: %w", ErrSchema, name, err)
	}
	if object, ok := doc.(map[string]any); ok {
		if version, named := object["$schema"]; named && version != draft {
			return nil, fmt.Errorf("%w: %s: $schema must be %q", ErrSchema, name, draft)
		}
		if _, named := object["$id"]; named {
			return nil, fmt.Errorf("%w: %s: leave $id away; a schema is known by its file", ErrSchema, name)
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(nothing{})
	if err := addShipped(c, name); err != nil {
		return nil, err
	}
	url := base + path.Base(name)
	if err := c.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSchema, name, err)
	}
	compiled, err := c.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrSchema, name, strings.ReplaceAll(oneLine(err), base, ""))
	}
	return &Schema{name: name, text: text, compiled: compiled}, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// addShipped lets a schema refer to those of the binary by name, but for the one whose name it has itself.
func addShipped(c *jsonschema.Compiler, name string) error {
	for _, shipped := range Shipped() {
		if shipped == path.Base(name) {
			continue
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(read(shipped)))
		if err == nil {
			err = c.AddResource(base+shipped, doc)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSchema, shipped, err)
		}
	}
	return nil
}

// Shipped returns the names of the schemas in the binary, in order.
func Shipped() []string {
	names, err := fs.Glob(files, "schemas/*.json")
	if err != nil {
		panic("schema: " + err.Error()) // the glob is wrong: a mistake in the code
	}
	for i := range names {
		names[i] = path.Base(names[i])
	}
	slices.Sort(names)
	return names
}

func read(shipped string) []byte {
	text, err := files.ReadFile("schemas/" + shipped)
	if err != nil {
		panic("schema: " + err.Error()) // a name that is not there: a mistake in the code
	}
	return text
}

// ShippedText returns a schema of the binary, by a name out of Shipped.
func ShippedText(name string) []byte { return read(name) }

// compiled are the schemas of the binary that patterns have, by name.
var compiled = sync.OnceValue(func() map[string]*Schema {
	all := map[string]*Schema{}
	for _, name := range defaults {
		if all[name] != nil {
			continue
		}
		s, err := Compile(name, read(name))
		if err != nil {
			panic("schema: " + err.Error()) // a schema of ours is wrong; a test compiles them all
		}
		all[name] = s
	}
	return all
})

// Default returns the schema of a default pattern by its spelling; ok is false for any other spelling.
func Default(spelling string) (s *Schema, ok bool) {
	name, ok := defaults[spelling]
	if !ok {
		return nil, false
	}
	return compiled()[name], true
}

// Check returns nil if data, one JSON text, fits, else what does not.
func (s *Schema) Check(data []byte) *realtime.Mismatch {
	value, err := decode(data)
	if err != nil {
		return &realtime.Mismatch{Faults: []realtime.Fault{{Problem: "must be one JSON text in UTF-8"}}}
	}
	err = s.compiled.Validate(value)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return &realtime.Mismatch{Faults: faultsOf(wrong)}
	}
	return &realtime.Mismatch{Faults: []realtime.Fault{{Problem: "cannot be compared with it"}}} // a value that JSON does not have
}

// decode reads data as the library wants it: numbers stay what they are.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err //nolint:wrapcheck // the caller says what it was
	}
	return value, nil
}
