package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in the settings.
type Problem struct {
	Where string // "KENTONGAN_LISTEN", "kentongan.yaml:7: server.listen"
	Text  string // what is wrong and what would be right, in one line, without any secret
}

// Problems are all mistakes that Load found, in the order of the table. As an error it is one line for each.
type Problems []Problem //nolint:errname,recvcheck // it is read as config.Problems, and add grows it

// Error returns the problems as lines.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Where + ": " + one.Text
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(where, format string, args ...any) {
	*p = append(*p, Problem{Where: where, Text: fmt.Sprintf(format, args...)})
}

// maxQuoted is how much of a bad value an error repeats: enough to recognise it.
const maxQuoted = 64

// quote returns s as a Go string on one line, clipped. It is only for values that are no secrets. What stands before an
// @ is left out all the same, since people put credentials into addresses.
func quote(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		s = "…" + s[at:]
	}
	if len(s) > maxQuoted {
		cut := maxQuoted
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// many is a mistake in several items of one value; each becomes a line of its own.
type many []error

func (m many) Error() string { return errors.Join(m...).Error() }

// explode returns the single mistakes of err.
func explode(err error) []error {
	if list, ok := errors.AsType[many](err); ok {
		return list
	}
	return []error{err}
}
