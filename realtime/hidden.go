package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// HiddenFields are members of JSON objects that only some readers may see, by their names: what things cost. A nil *HiddenFields
// hides nothing. It is immutable after NewHiddenFields, so that everybody may use it at once.
type HiddenFields struct {
	names   []string
	marks   []Mark
	needles [][]byte
}

// Mark says that some members of an object are hidden because of what another one says: {"code":"COST_OVER","value":12.5}.
type Mark struct {
	Member string   // "code"
	Values []string // "COST_OVER": texts that hide
	Hides  []string // "value": the members that are left out then
}

// maxHiddenFields bounds the names: each is looked for in every publication.
const maxHiddenFields = 32

// NewHiddenFields returns nil if there are no names: then marks hide nothing either.
func NewHiddenFields(names []string, marks ...Mark) (*HiddenFields, error) {
	if len(names) > maxHiddenFields {
		return nil, fmt.Errorf("%d hidden fields: at most %d are looked for", len(names), maxHiddenFields)
	}
	h := &HiddenFields{}
	for _, name := range names {
		if err := CheckHiddenField(name); err != nil {
			return nil, err
		}
		if !slices.Contains(h.names, name) {
			h.names, h.needles = append(h.names, name), append(h.needles, []byte(name))
		}
	}
	for _, m := range marks {
		for _, word := range slices.Concat([]string{m.Member}, m.Values, m.Hides) {
			if err := CheckHiddenField(word); err != nil {
				return nil, err
			}
		}
		h.marks = append(h.marks, m)
		for _, value := range m.Values {
			if !slices.Contains(h.names, value) {
				h.needles = append(h.needles, []byte(value))
			}
		}
	}
	if len(h.names) == 0 {
		return nil, nil //nolint:nilnil // nil hides nothing, and that costs nothing
	}
	return h, nil
}

// CheckHiddenField says what is wrong with a name. Names of ASCII letters, digits, _ and - are spelled in one way in JSON, or with
// \u00 in them: so it is quickly known that data does not have them.
func CheckHiddenField(name string) error {
	if name == "" || len(name) > 64 {
		return errors.New("the name of a hidden field is 1 to 64 bytes long")
	}
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || !letter(c) && (c < '0' || c > '9') && c != '_' && c != '-' {
			return fmt.Errorf("hidden field %.64q: want A-Z a-z 0-9 _ -", name)
		}
	}
	return nil
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// escaped begins the one other way to spell a name.
var escaped = []byte(`\u00`)

// In reports whether data may have hidden fields. False is certain; true is not, so Without is asked next. It allocates nothing.
func (h *HiddenFields) In(data []byte) bool {
	if h == nil {
		return false
	}
	for _, needle := range h.needles {
		if bytes.Contains(data, needle) {
			return true
		}
	}
	return bytes.Contains(data, escaped)
}

// Without returns data, one JSON text, without the hidden fields of all its objects, however deep they stand, also in texts that
// are JSON themselves, as an app makes them that encodes twice. All else stays as it is written, but for white space. It returns
// data itself if there is nothing to take out, and null for what is no JSON: the doors let none in, and what cannot be read is not
// shown.
func (h *HiddenFields) Without(data []byte) []byte {
	if !h.In(data) {
		return data
	}
	if !json.Valid(data) {
		return []byte("null")
	}
	s := stripper{fields: h, out: make([]byte, 0, len(data))}
	s.value(data)
	if !s.found {
		return data
	}
	return s.out
}

// stripper copies valid JSON and leaves members out.
type stripper struct {
	fields *HiddenFields
	out    []byte
	found  bool
}

// value copies the value at the beginning of p, with the space around it, and returns what follows.
func (s *stripper) value(p []byte) (rest []byte) {
	p = s.space(p)
	if len(p) == 0 {
		return p
	}
	switch p[0] {
	case '{':
		p = s.object(p)
	case '[':
		p = s.array(p)
	case '"':
		n := skipString(p)
		s.text(p[:n])
		p = p[n:]
	default:
		n := skipValue(p)
		s.out = append(s.out, p[:n]...)
		p = p[n:]
	}
	return s.space(p)
}

// space copies white space.
func (s *stripper) space(p []byte) []byte {
	rest := skipSpace(p)
	s.out = append(s.out, p[:len(p)-len(rest)]...)
	return rest
}

func (s *stripper) array(p []byte) []byte {
	s.out, p = append(s.out, '['), p[1:]
	if rest := skipSpace(p); rest[0] == ']' {
		s.out = append(s.out, ']')
		return rest[1:]
	}
	for {
		p = s.value(p)
		s.out = append(s.out, p[0])
		if p[0] == ']' {
			return p[1:]
		}
		p = p[1:] // the comma
	}
}

func (s *stripper) object(p []byte) []byte {
	hides := s.marked(p)
	s.out, p = append(s.out, '{'), skipSpace(p[1:])
	kept := 0
	for p[0] != '}' {
		begin := len(s.out)
		if kept > 0 {
			s.out = append(s.out, ',')
		}
		n := skipString(p)
		hidden := isOneOf(p[:n], s.fields.names) || isOneOf(p[:n], hides)
		s.out, p = append(s.out, p[:n]...), p[n:]
		p = s.space(p)
		s.out = append(s.out, ':')
		p = s.value(p[1:])
		if hidden {
			s.out, s.found = s.out[:begin], true
		} else {
			kept++
		}
		if p[0] == ',' {
			p = skipSpace(p[1:])
		}
	}
	s.out = append(s.out, '}')
	return p[1:]
}

// marked returns what else is hidden in the object that p begins with. Of a member that comes twice each value counts: which
// one a reader takes is not ours to know.
func (s *stripper) marked(p []byte) (hides []string) {
	for _, m := range s.fields.marks {
		for value := range members(p, m.Member) {
			if value[0] == '"' && isOneOf(value[:skipString(value)], m.Values) {
				hides = append(hides, m.Hides...)
			}
		}
	}
	return hides
}

// isOneOf reports whether the string literal p spells one of names.
func isOneOf(p []byte, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return named(p, name) })
}

// text copies a string literal. One that is a JSON object or array itself is stripped, too.
func (s *stripper) text(p []byte) {
	if s.fields.In(p) {
		inner := appendUnquoted(nil, p)
		if first := skipSpace(inner); len(first) > 0 && (first[0] == '{' || first[0] == '[') && json.Valid(inner) {
			if outer := s.fields.Without(inner); len(outer) < len(inner) {
				quoted, err := json.Marshal(string(outer))
				if err == nil {
					s.out, s.found = append(s.out, quoted...), true
					return
				}
			}
		}
	}
	s.out = append(s.out, p...)
}
