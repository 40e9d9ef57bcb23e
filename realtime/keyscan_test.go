package realtime_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"kentongan/realtime"
)

// decodedKey is SnapshotKey by encoding/json.
func decodedKey(data []byte, path []string) (string, bool) {
	value := json.RawMessage(data)
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil || object == nil {
			return "", false
		}
		var ok bool
		if value, ok = object[name]; !ok {
			return "", false
		}
	}
	value = bytes.TrimSpace(value)
	var text string
	switch {
	case value[0] == '"':
		if json.Unmarshal(value, &text) != nil {
			return "", false
		}
	case strings.IndexByte("-0123456789", value[0]) >= 0:
		text = string(value)
	}
	return text, text != "" && len(text) <= realtime.MaxSnapshotKeyBytes
}

func TestSnapshotKey(t *testing.T) {
	for _, c := range []struct{ data, path, want string }{
		{`{"type":"production_update","productionId":"p1","data":{}}`, "productionId", "p1"},
		{` { "a" : [ {"productionId":"no"} , "}" , "\\\"" ] , "productionId" : "p1" } `, "productionId", "p1"},
		{`{"data":{"id":17},"id":"no"}`, "data.id", "17"},
		{`{"data":{"id":-1.5e3 },"id":"no"}`, "data.id", "-1.5e3"},
		{`{"id":"first","id":"last"}`, "id", "last"},
		{`{"i\u0064":"escaped name"}`, "id", "escaped name"},
		{`{"id":"a\nb\u00e9"}`, "id", "a\nbé"},
		{`{"id":""}`, "id", ""},
		{`{"id":null}`, "id", ""},
		{`{"id":true}`, "id", ""},
		{`{"id":{"id":"deeper"}}`, "id", ""},
		{`{"id":["x"]}`, "id", ""},
		{`{"ID":"other case"}`, "id", ""},
		{`["id","x"]`, "id", ""},
		{`"id"`, "id", ""},
		{`{}`, "id", ""},
		{`{"id":"` + strings.Repeat("x", 255) + `"}`, "id", strings.Repeat("x", 255)},
		{`{"id":"` + strings.Repeat("x", 256) + `"}`, "id", ""},
	} {
		got, ok := realtime.SnapshotKey([]byte(c.data), strings.Split(c.path, "."))
		if !ok {
			got = ""
		}
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s at %s: got %q, %v; want %q", c.data, c.path, got, ok, c.want)
		}
	}
}

// FuzzSnapshotKey compares with encoding/json on what is JSON, and survives what is none.
func FuzzSnapshotKey(f *testing.F) {
	for _, s := range []string{
		`{"id":"p1","data":{"id":2}}`, `{"a":"\\","id":"\"}"}`, `{"id":1}`, `{"data":{"x":[1,{"id":3}],"id":"\ud83d\ude00"}}`, `{"id":"\ud800"}`,
		`[]`, `{`, `{"id"`, `{"id":`, `{"id":"`, `{"id":"\`, `{"id":1,}`, "{\"id\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, path := range [][]string{{"id"}, {"data", "id"}, {"a"}} {
			got, ok := realtime.SnapshotKey(data, path)
			if ok && (got == "" || len(got) > realtime.MaxSnapshotKeyBytes) {
				t.Fatalf("%q: key %q", data, got)
			}
			if !json.Valid(data) || !bytes.Equal(bytes.ToValidUTF8(data, nil), data) {
				continue // the doors refuse it
			}
			if want, wantOK := decodedKey(data, path); ok != wantOK || ok && got != want {
				t.Fatalf("%q at %v: got %q, %v; want %q, %v", data, path, got, ok, want, wantOK)
			}
		}
	})
}

func BenchmarkSnapshotKey(b *testing.B) {
	data := []byte(`{"type":"production_update","data":{"x":"` + strings.Repeat("y", 220) + `","n":[1,2,3]},"productionId":"p1","timestamp":1}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := realtime.SnapshotKey(data, []string{"productionId"}); !ok {
			b.Fatal("no key")
		}
	}
}
