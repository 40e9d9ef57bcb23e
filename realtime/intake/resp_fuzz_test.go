package intake

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// FuzzRESPReader reads hostile bytes: no panic, no more held than allowed, and the same commands however they are cut into
// packets.
func FuzzRESPReader(f *testing.F) {
	for _, seed := range []string{
		"*1\r\n$4\r\nPING\r\n", "PING\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "*0\r\n*-1\r\nPING a\r\n", "*1\r\n$-1\r\n",
		"*1\r\n$9223372036854775807\r\n", "*9223372036854775807\r\n", "*1\r\n$9999\r\n", "*2\r\n$100\r\n" + strings.Repeat("x", 100) + "\r\n$1\r\na\r\n",
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, trusted bool) {
		whole, errWhole := readCommands(t, bytes.NewReader(in), trusted)
		bytewise, errBytewise := readCommands(t, iotest.OneByteReader(bytes.NewReader(in)), trusted)
		if whole != bytewise || (errWhole == nil) != (errBytewise == nil) {
			t.Errorf("read %q (%v) at once and %q (%v) byte by byte", whole, errWhole, bytewise, errBytewise)
		}
	})
}

func readCommands(t *testing.T, r io.Reader, trusted bool) (string, error) {
	reader := newRESPReader(r)
	if trusted {
		reader.trust(8, 64)
	}
	var all strings.Builder
	for {
		c, err := reader.next()
		if err != nil {
			if err == io.EOF { //nolint:errorlint // a reader says it plainly
				err = nil
			}
			return all.String(), err
		}
		held := 0
		for _, a := range c.args {
			held += len(a)
			all.WriteString(respArray1(a))
		}
		if typed := respLine; len(c.args) == 0 || len(c.args) > reader.maxArgs || held > max(reader.maxBytes, typed) {
			t.Errorf("a command with %d arguments and %d bytes was let through", len(c.args), held)
		}
		all.WriteString("|")
	}
}

// FuzzRESPValues reads hostile answers: no panic, no more held than allowed, each answer byte for byte as it came, and the same ones
// however they are cut into packets.
func FuzzRESPValues(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR a\r\n", ":1\r\n", "$3\r\na\r\n\r\n", "$-1\r\n", "*2\r\n$1\r\na\r\n*-1\r\n", "*0\r\n:1\r\n", "%1\r\n+a\r\n:1\r\n", "~1\r\n_\r\n",
		">2\r\n+a\r\n+b\r\n:1\r\n", "|1\r\n+ttl\r\n:1\r\n$1\r\na\r\n", ",1.5\r\n#t\r\n(123456789012345678901\r\n", "=5\r\ntxt:a\r\n!3\r\nERR\r\n",
		"*1000000\r\n", "$536870913\r\n", "*9223372036854775807\r\n", "$100\r\n" + strings.Repeat("x", 100) + "\r\n:1\r\n", "\r\n", "$1\r\nabc", "?\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, errWhole := readValues(t, bytes.NewReader(in), in)
		bytewise, errBytewise := readValues(t, iotest.OneByteReader(bytes.NewReader(in)), in)
		if !slices.Equal(whole, bytewise) || (errWhole == nil) != (errBytewise == nil) {
			t.Errorf("read %q (%v) at once and %q (%v) byte by byte", whole, errWhole, bytewise, errBytewise)
		}
	})
}

func readValues(t *testing.T, r io.Reader, in []byte) ([]string, error) {
	const most = 64
	values := newRESPValues(r, most)
	var all []string
	for {
		raw, size, err := values.next()
		if err != nil {
			if err == io.EOF { //nolint:errorlint // a reader says it plainly
				err = nil
			}
			return all, err
		}
		if raw == nil != (size > most) || raw != nil && len(raw) != size || !bytes.Contains(in, raw) || size > len(in) {
			t.Errorf("%q is read as %q, of %d bytes", in, raw, size)
		}
		all = append(all, string(raw))
	}
}

func respArray1(a []byte) string {
	w := respWords{}
	w.bulk(string(a))
	return string(w.b)
}

// TestGlobMatch compares with what path.Match of the standard library says, where both know the same signs: no slash, "^" for
// not, and no malformed pattern.
func TestGlobMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`([ab:]|\*|\?|\[\^?[ab:]{1,3}\]|\[a-b\]|\\[ab*?]){0,8}`).Draw(t, "glob")
		name := rapid.StringMatching(`[ab:*?]{0,12}`).Draw(t, "name")
		want, err := path.Match(glob, name)
		if err != nil {
			t.Skip(err)
		}
		if got := globMatch(glob, name); got != want {
			t.Errorf("%q matches %q: %v, want %v", glob, name, got, want)
		}
	})
	for _, row := range []struct {
		glob, name string
		want       bool
	}{
		{"[", "[", false}, {"[a", "a", true}, {`a\`, `a\`, true}, {"[]a]", "a", false}, {"**a**", "bab", true}, {"[b-a]", "a", true}, {"", "", true},
		{strings.Repeat("*a", 120), strings.Repeat("a", 250), true}, {strings.Repeat("*a", 120) + "b", strings.Repeat("a", 250), false},
	} {
		if got := globMatch(row.glob, row.name); got != row.want {
			t.Errorf("%q matches %q: %v, want %v", row.glob, row.name, got, row.want)
		}
	}
}
