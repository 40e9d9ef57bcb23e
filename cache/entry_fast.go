package cache

import (
	"strconv"
	"strings"
	"time"

	"kentongan/cache/shared"
)

// decodeOurs reads a text that this package has written, without parsing the data: that is parsed once, as a value of the
// caller's type. It reports false for everything that is not exactly so, such as a name with an escape in it; decode reads that, too.
func decodeOurs(text string, own bool) (entry, bool) {
	s := scan{rest: text, ok: true}
	var e entry
	e.version = s.number(`{"version":`)
	s.skip(`,"epochs":{`)
	e.epochs = make([]epoch, 0, 4)
	for s.ok && !s.found(`}`) {
		if len(e.epochs) > 0 {
			s.skip(`,`)
		}
		field := s.text()
		if field == shared.Star {
			field = shared.Star
		} else {
			field = strings.Clone(field) // it is kept, and must not keep the whole text
		}
		e.epochs = append(e.epochs, epoch{field, s.number(`:`)})
	}
	e.missing = s.found(`,"missing":true`)
	if strings.HasPrefix(s.rest, `,"loadMs":`) {
		e.took = time.Duration(s.number(`,"loadMs":`)) * time.Millisecond
	}
	s.skip(`,"createdAt":`)
	e.created = s.time()
	s.skip(`,"expiresAt":`)
	e.expires = s.time()
	if s.found(`,"sppgId":`) {
		s.text()
	}
	s.skip(`,"tags":[`)
	e.tags = make([]string, 0, max(0, len(e.epochs)-1)) // an epoch each, and that of all
	for s.ok && !s.found(`]`) {
		if len(e.tags) > 0 {
			s.skip(`,`)
		}
		e.tags = append(e.tags, e.known(s.text()))
	}
	if own {
		s.skip("}\n")
		return e, s.ok && s.rest != "" && hasStar(e.epochs)
	}
	s.skip(`,"data":`)
	data, closed := strings.CutSuffix(s.rest, "}")
	e.data = []byte(data)
	return e, s.ok && closed && data != "" && hasStar(e.epochs)
}

// known returns a tag as it is among the epochs, where it has been copied already.
func (e *entry) known(tag string) string {
	for i := range e.epochs {
		if e.epochs[i].field == tag {
			return e.epochs[i].field
		}
	}
	return strings.Clone(tag)
}

// scan reads a text from left to right. After the first surprise ok is false, and what it returns means nothing.
type scan struct {
	rest string
	ok   bool
}

// found takes a word, if it comes next.
func (s *scan) found(word string) bool {
	rest, ok := strings.CutPrefix(s.rest, word)
	s.rest = rest
	return ok
}

// skip takes a word that has to come next.
func (s *scan) skip(word string) {
	if !s.found(word) {
		s.ok = false
	}
}

// number takes a word and a number behind it.
func (s *scan) number(word string) int64 {
	s.skip(word)
	i := 0
	for i < len(s.rest) && s.rest[i] >= '0' && s.rest[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s.rest[:i], 10, 64)
	if err != nil {
		s.ok = false
		return 0
	}
	s.rest = s.rest[i:]
	return n
}

// text takes a JSON text without escapes.
func (s *scan) text() string {
	s.skip(`"`)
	i := strings.IndexAny(s.rest, `"\`)
	if i < 0 || s.rest[i] != '"' {
		s.ok = false
		return ""
	}
	text := s.rest[:i]
	s.rest = s.rest[i+1:]
	return text
}

func (s *scan) time() time.Time {
	t, err := time.Parse(isoTime, s.text())
	if err != nil {
		s.ok = false
	}
	return t
}
