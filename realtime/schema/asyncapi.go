package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kentongan/realtime"
)

// asyncFormat is how AsyncAPI names the version of JSON Schema.
const asyncFormat = "application/schema+json;version=draft-2020-12"

// asyncDocument is an AsyncAPI 3.0 document, as far as there is something to say.
type asyncDocument struct {
	AsyncAPI    string                    `json:"asyncapi"`
	Info        map[string]string         `json:"info"`
	ContentType string                    `json:"defaultContentType"`
	Channels    map[string]asyncChannel   `json:"channels"`
	Operations  map[string]asyncOperation `json:"operations"`
	Components  map[string]any            `json:"components"`
}

type asyncRef struct {
	Ref string `json:"$ref"`
}

type asyncChannel struct {
	Address    string                       `json:"address"`
	Parameters map[string]map[string]string `json:"parameters,omitempty"`
	Messages   map[string]asyncRef          `json:"messages"`
	Validation Mode                         `json:"x-validation"`
}

type asyncOperation struct {
	Action   string     `json:"action"`
	Summary  string     `json:"summary"`
	Channel  asyncRef   `json:"channel"`
	Messages []asyncRef `json:"messages"`
}

type asyncMessage struct {
	Name    string       `json:"name"`
	Title   string       `json:"title"`
	Summary string       `json:"summary,omitempty"`
	Payload *asyncSchema `json:"payload,omitempty"`
}

type asyncSchema struct {
	Format string `json:"schemaFormat"`
	Schema any    `json:"schema"`
}

// anyMessage is the message of channels without a schema.
const anyMessage = "Any"

// AsyncAPI returns an AsyncAPI 3.0 document of the channels of names, with the schemas of rules: what this server sends to who follows
// them. version is that of the program.
func AsyncAPI(names *realtime.Names, rules []Rule, version string) ([]byte, error) {
	if version == "" {
		version = "0"
	}
	b := asyncBuilder{messages: map[string]asyncMessage{}, schemas: map[string]asyncSchema{}, keys: map[*Schema]string{}}
	d := asyncDocument{
		AsyncAPI: "3.0.0", ContentType: "application/json", Channels: map[string]asyncChannel{}, Operations: map[string]asyncOperation{},
		Info: map[string]string{
			"title": "Kentongan", "version": version,
			"description": "What is published in the channels of kitchens, and sent over WebSocket and SSE. docs/protocol.md has the " +
				"envelopes around it.",
		},
	}
	for i, p := range names.Patterns() {
		r := Rule{Spelling: p.Spelling, Mode: Off}
		if at := slices.IndexFunc(rules, func(r Rule) bool { return r.Spelling == p.Spelling }); at >= 0 {
			r = rules[at]
		}
		message, err := b.message(r.Schema)
		if err != nil {
			return nil, err
		}
		key := fmt.Sprintf("%02d-%s", i+1, asyncKey(p.Spelling))
		c := asyncChannel{Messages: map[string]asyncRef{message: {"#/components/messages/" + message}}, Validation: r.Mode}
		c.Address, c.Parameters = asyncAddress(p.Spelling)
		d.Channels[key] = c
		d.Operations["send-"+key] = asyncOperation{
			Action: "send", Summary: "What is published in it goes to everybody who follows it.", Channel: asyncRef{"#/channels/" + key},
			Messages: []asyncRef{{"#/channels/" + key + "/messages/" + message}},
		}
	}
	d.Components = map[string]any{"messages": b.messages, "schemas": b.schemas}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("write AsyncAPI document: %w", err)
	}
	return out.Bytes(), nil
}

// asyncBuilder collects the components.
type asyncBuilder struct {
	messages map[string]asyncMessage
	schemas  map[string]asyncSchema
	keys     map[*Schema]string
}

// message returns the key of the message that has schema s.
func (b *asyncBuilder) message(s *Schema) (string, error) {
	if s == nil {
		b.messages[anyMessage] = asyncMessage{Name: anyMessage, Title: "Any", Summary: "One JSON text. There is no schema for it."}
		return anyMessage, nil
	}
	if key, known := b.keys[s]; known {
		return key, nil
	}
	key := strings.TrimSuffix(asyncKey(path.Base(s.Name())), ".json")
	for n := 2; ; n++ { // two files of one name
		if _, taken := b.messages[key]; !taken {
			break
		}
		key = fmt.Sprintf("%s-%d", strings.TrimSuffix(asyncKey(path.Base(s.Name())), ".json"), n)
	}
	b.keys[s] = key
	doc, err := b.bundle(s.Text(), key)
	if err != nil {
		return "", fmt.Errorf("schema %s: %w", s.Name(), err)
	}
	m := asyncMessage{Name: key, Title: key, Payload: &asyncSchema{asyncFormat, doc}}
	if object, ok := doc.(map[string]any); ok {
		if title, ok := object["title"].(string); ok && title != "" {
			m.Title = title
		}
		m.Summary, _ = object["description"].(string)
	}
	b.messages[key] = m
	return key, nil
}

// bundle reads a schema and has its references point to where it and others stand in the document.
func (b *asyncBuilder) bundle(text []byte, key string) (any, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says which
	}
	return doc, b.point(doc, "#/components/messages/"+key+"/payload/schema")
}

// point rewrites the references of a schema that stands at home.
func (b *asyncBuilder) point(v any, home string) error {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			ref, isText := member.(string)
			if (name == "$ref" || name == "$dynamicRef") && isText {
				file, fragment, _ := strings.Cut(ref, "#")
				if file == "" {
					v[name] = home + fragment
					continue
				}
				to, err := b.shared(file)
				if err != nil {
					return err
				}
				v[name] = to + fragment
				continue
			}
			if err := b.point(member, home); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := b.point(item, home); err != nil {
				return err
			}
		}
	}
	return nil
}

// shared puts a schema of the binary among the components, and returns where it stands.
func (b *asyncBuilder) shared(file string) (string, error) {
	key := strings.TrimSuffix(asyncKey(file), ".json")
	home := "#/components/schemas/" + key + "/schema"
	if _, there := b.schemas[key]; there {
		return home, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(read(file))) // it was compiled with it, so it is there
	if err != nil {
		return "", err //nolint:wrapcheck // the caller says which
	}
	b.schemas[key] = asyncSchema{asyncFormat, doc}
	return home, b.point(doc, home)
}

var outsideKey = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// asyncKey makes a key of components out of a name.
func asyncKey(name string) string { return strings.Trim(outsideKey.ReplaceAllString(name, "-"), "-") }

// asyncAddress spells a pattern as AsyncAPI does, with its parameters.
func asyncAddress(spelling string) (address string, parameters map[string]map[string]string) {
	parameters = map[string]map[string]string{}
	if strings.Contains(spelling, "{tenant}") {
		parameters["tenant"] = map[string]string{"description": "Id of the kitchen (SPPG)."}
	}
	for n := 1; strings.Contains(spelling, "*"); n++ {
		name := fmt.Sprintf("segment%d", n)
		parameters[name] = map[string]string{"description": "One segment of A-Z a-z 0-9 _ -."}
		spelling = strings.Replace(spelling, "*", "{"+name+"}", 1)
	}
	return spelling, parameters
}
