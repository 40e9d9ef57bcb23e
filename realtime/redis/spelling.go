package redis

import (
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// spelling spells the words of one batch in one piece of memory, which goes with the last of them. Words that are spelled are not written
// to again, for the connection may still have to send them when their batch has been given up. The zero value is ready for use.
type spelling struct{ b []byte }

// newSpelling returns one with room for so many words of so many bytes, about.
func newSpelling(words, bytes int) *spelling { return &spelling{make([]byte, 0, words*bytes)} }

// again begins anew in the memory of what was spelled before, if that has room for so many words of so many bytes, about. Nobody may need
// those words any more.
func (s *spelling) again(words, bytes int) { s.b = slices.Grow(s.b[:0], words*bytes) }

// word returns what b has more than the spelling had.
func (s *spelling) word(b []byte) string {
	word := b[len(s.b):]
	s.b = b
	return rueidis.BinaryString(word)
}

func (s *spelling) number(n int64) string { return s.word(strconv.AppendInt(s.b, n, 10)) }

func (s *spelling) offset(n uint64) string { return s.word(strconv.AppendUint(s.b, n, 10)) }

// token spells t as scripts take it, with the place in a trace behind it, if there is one.
func (s *spelling) token(t *token, trace *tracing.Context) string {
	return s.word(t.append(s.b, trace))
}

// key spells the key of data, which stands at path, behind a "k".
func (s *spelling) key(data []byte, path []string) string {
	b, _ := realtime.AppendSnapshotKey(append(s.b, 'k'), data, path)
	return s.word(b)
}
