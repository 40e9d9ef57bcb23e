package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"kentongan/realtime"
)

// MaxOffset is the largest offset and number that a command may have: what a JavaScript client can count to (2^53).
const MaxOffset = 1 << 53

// maxEpochBytes is the longest epoch, see realtime.Position.
const maxEpochBytes = 32

// member is one field of an object. Value points into the parsed text.
type member struct {
	name  string
	value []byte
}

// decoders are pooled for their buffers. jsontext refuses what is not UTF-8 and names that come twice, at any depth.
var decoders = pool[jsontext.Decoder]{fresh: func() *jsontext.Decoder { return jsontext.NewDecoder(bytes.NewReader(nil)) }}

// members reads data as one object and returns its fields. If it is none, the fields before the mistake are returned too,
// among which the id may be.
func members(data []byte) ([]member, *CommandError) {
	if tooDeep(data) {
		return nil, badRequest("", "nested deeper than %d", MaxCommandDepth)
	}
	dec := decoders.take()
	defer func() {
		dec.Reset(bytes.NewReader(nil)) // so that a pooled decoder does not keep data alive
		decoders.put(dec)
	}()
	dec.Reset(bytes.NewReader(data))
	if dec.PeekKind() != '{' {
		return nil, badRequest("", "the message must be one JSON object")
	}
	fields, err := readMembers(dec, data)
	if err == nil {
		return fields, nil
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fields, badRequest("", "a field comes twice in one object")
	}
	return fields, badRequest("", "not one JSON object: mistake after byte %d", dec.InputOffset())
}

func readMembers(dec *jsontext.Decoder, data []byte) ([]member, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	var fields []member
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return fields, fmt.Errorf("read field name: %w", err)
		}
		m := member{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return fields, fmt.Errorf("read field: %w", err)
		}
		end := int(dec.InputOffset())
		m.value = data[end-len(value) : end : end]
		fields = append(fields, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return fields, fmt.Errorf("read end of object: %w", err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fields, errors.Join(errTrailing, err)
	}
	return fields, nil
}

var errTrailing = errors.New("something behind the object")

// tooDeep reports whether data is nested deeper than MaxCommandDepth. It runs before the decoder, whose own limit is
// 10,000.
func tooDeep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			depth++
			if depth > MaxCommandDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// text returns the string in value, and false if it is none. The value is valid JSON.
func text(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, value)
	return string(s), err == nil
}

// elements returns the values of an array, and false if value is none. The value is valid JSON.
func elements(value []byte) ([][]byte, bool) {
	if value[0] != '[' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	if _, err := dec.ReadToken(); err != nil {
		return nil, false
	}
	var out [][]byte
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		out = append(out, bytes.Clone(v))
	}
	return out, true
}

// wholeNumber returns the number in value if it is written in digits alone and at most 2^53: neither 1.0 nor 1e3, for
// which clients and servers disagree how they are to be echoed.
func wholeNumber(value []byte) (uint64, bool) {
	if value[0] < '0' || value[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(value), 10, 64)
	return n, err == nil && n <= MaxOffset
}

func parseID(value []byte) (ID, bool) {
	if s, ok := text(value); ok && s != "" && len(s) <= maxIDBytes {
		return ID(appendString(nil, s)), true
	}
	if n, ok := wholeNumber(value); ok && n > 0 {
		return ID(value), true
	}
	return "", false
}

// parseSince reads {"epoch","offset"}; null is no position. bad says that one was given and cannot be read.
func parseSince(value []byte) (p realtime.Position, bad bool) {
	if value[0] == 'n' {
		return realtime.Position{}, false
	}
	if value[0] != '{' {
		return realtime.Position{}, true
	}
	fields, err := members(value)
	if err != nil || len(fields) != 2 {
		return realtime.Position{}, true
	}
	for _, f := range fields {
		ok := false
		switch f.name {
		case "epoch":
			p.Epoch, ok = text(f.value)
			ok = ok && validEpoch(p.Epoch)
		case "offset":
			p.Offset, ok = wholeNumber(f.value)
		}
		if !ok {
			return realtime.Position{}, true
		}
	}
	return p, false
}

// validEpoch reports whether s is 1 to 32 letters and digits.
func validEpoch(s string) bool {
	if s == "" || len(s) > maxEpochBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
