package realtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"
)

// MaxSnapshotKeyBytes is the longest key of a snapshot; a publication with a longer one is in the history alone.
const MaxSnapshotKeyBytes = 255

// maxKeyPath is how many members deep a key may stand.
const maxKeyPath = 8

// parseKeyPath reads "productionId" or "data.id": the names of members, from the outermost object inwards.
func parseKeyPath(s string) ([]string, error) {
	path := strings.Split(s, ".")
	if len(path) > maxKeyPath {
		return nil, errors.New("the snapshot's key stands at most 8 members deep")
	}
	for _, name := range path {
		if name == "" || !utf8.ValidString(name) || len(name) > MaxSnapshotKeyBytes {
			return nil, errors.New(`the snapshot's key is a name such as productionId, or several with dots between, such as data.id`)
		}
	}
	return path, nil
}

// SnapshotKey returns the text at path in data, one JSON text: a string, or a number as it is written. ok is false if there is none,
// or one that is empty or too long. It reads no more than it has to. Data that is no JSON may give any answer.
//
// Of a member that comes twice the last one counts, as for JSON.parse.
func SnapshotKey(data []byte, path []string) (key string, ok bool) {
	var buffer [64]byte // most keys are shorter
	b, ok := AppendSnapshotKey(buffer[:0], data, path)
	return string(b), ok
}

// AppendSnapshotKey appends what [SnapshotKey] returns to b; nothing if ok is false. It allocates for strings with escapes only.
func AppendSnapshotKey(b, data []byte, path []string) (_ []byte, ok bool) {
	value := skipSpace(data)
	for _, name := range path {
		value, ok = member(value, name)
		if !ok {
			return b, false
		}
	}
	key := b
	switch {
	case len(value) == 0:
	case value[0] == '"':
		key = appendUnquoted(b, value[:skipString(value)])
	case value[0] == '-' || value[0] >= '0' && value[0] <= '9':
		end := bytes.IndexAny(value, ",]} \t\r\n")
		if end < 0 {
			end = len(value)
		}
		key = append(key, value[:end]...)
	}
	if n := len(key) - len(b); n == 0 || n > MaxSnapshotKeyBytes {
		return b, false
	}
	return key, true
}

// member returns what begins with the value of the member called name of the object that p begins with.
func member(p []byte, name string) (value []byte, ok bool) {
	for v := range members(p, name) {
		value, ok = v, true
	}
	return value, ok
}

// members returns what begins with the values of all members called name of the object that p begins with.
func members(p []byte, name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(p) == 0 || p[0] != '{' {
			return
		}
		p := skipSpace(p[1:])
		for len(p) > 0 && p[0] == '"' {
			end := skipString(p)
			isIt := named(p[:end], name)
			p = skipSpace(p[end:])
			if len(p) == 0 || p[0] != ':' {
				return
			}
			p = skipSpace(p[1:])
			if isIt && len(p) > 0 && !yield(p) {
				return
			}
			p = skipSpace(p[skipValue(p):])
			if len(p) == 0 || p[0] != ',' {
				return
			}
			p = skipSpace(p[1:])
		}
	}
}

// named reports whether the string literal p spells name.
func named(p []byte, name string) bool {
	if len(p) == len(name)+2 && string(p[1:len(p)-1]) == name {
		return bytes.IndexByte(p, '\\') < 0
	}
	return bytes.IndexByte(p, '\\') >= 0 && string(appendUnquoted(nil, p)) == name
}

func skipSpace(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\n' || p[0] == '\r' || p[0] == '\t') {
		p = p[1:]
	}
	return p
}

// skipString returns the length of the string literal that p begins with.
func skipString(p []byte) int {
	for i := 1; i < len(p); i++ {
		at := bytes.IndexByte(p[i:], '"')
		if at < 0 {
			break
		}
		i += at
		escapes := 0
		for p[i-1-escapes] == '\\' { // p[0] is the quote before
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
	return len(p)
}

// skipValue returns the length of the value that p begins with, without what follows it.
func skipValue(p []byte) int {
	depth := 0
	for i := 0; i < len(p); {
		switch p[i] {
		case '"':
			i += skipString(p[i:])
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i // of the object around it
			}
			depth--
			i++
		case ',':
			if depth == 0 {
				return i
			}
			i++
		default:
			i++
			continue
		}
		if depth == 0 && i > 0 && i < len(p) && (p[i-1] == '"' || p[i-1] == '}' || p[i-1] == ']') {
			return i
		}
	}
	return len(p)
}

// appendUnquoted appends what the string literal p spells to b; nothing if it is none.
func appendUnquoted(b, p []byte) []byte {
	if len(p) < 2 || p[len(p)-1] != '"' {
		return b
	}
	if bytes.IndexByte(p, '\\') < 0 {
		return append(b, p[1:len(p)-1]...)
	}
	var s string
	if json.Unmarshal(p, &s) != nil {
		return b
	}
	return append(b, s...)
}
