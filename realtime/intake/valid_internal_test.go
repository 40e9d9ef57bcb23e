package intake

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzValidJSON compares the fast way with the slow one, which says what is meant.
func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		"", " ", "null", " 1 ", "1 2", `{"a":1,"a":2}`, `"\ud83d"`, `"\ud83d\ude00"`, "\"\xff\"", `{"a":[1,2,{"b":"c"}]}`, "\xef\xbb\xbf1", `"` + "\x01" + `"`,
		"01", "1e400", "-", "[1,]", "nul", "{}{}", "\"\u2028\"", "/*x*/1",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := validJSON(b), utf8.Valid(b) && json.Valid(b); got != want {
			t.Errorf("validJSON(%q) = %v, want %v", b, got, want)
		}
	})
}
