package protocol

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The appenders of this file write JSON without reflection and without a buffer of their own: what they make is built
// where it will be sent from.

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD. Beside what JSON demands, U+2028, U+2029 and
// "<" are escaped, so that the text is safe wherever somebody pastes it into a page.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if plain[c] {
				i++
				continue
			}
			dst = appendEscape(append(dst, s[from:i]...), rune(c))
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			dst = appendEscape(append(dst, s[from:i]...), r)
			from = i + size
		}
		i += size
	}
	return append(append(dst, s[from:]...), '"')
}

// plain tells which ASCII characters stand in a JSON string as they are.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != 0x7f
	}
	return t
}()

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// appendMember appends `,"name":`, without the comma behind an opening brace.
func appendMember(dst []byte, name string) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendStringMember(dst []byte, name, value string) []byte {
	return appendString(appendMember(dst, name), value)
}

func appendUintMember(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendMember(dst, name), v, 10)
}

func appendBoolMember(dst []byte, name string, v bool) []byte {
	return strconv.AppendBool(appendMember(dst, name), v)
}

// appendMillisMember appends t in milliseconds since 1970, and 0 for a time before.
func appendMillisMember(dst []byte, name string, t time.Time) []byte {
	return strconv.AppendInt(appendMember(dst, name), max(0, t.UnixMilli()), 10)
}

// appendDurationMember appends d in whole milliseconds, rounded up, and 0 for a negative one.
func appendDurationMember(dst []byte, name string, d time.Duration) []byte {
	return strconv.AppendInt(appendMember(dst, name), max(0, int64((d+time.Millisecond-1)/time.Millisecond)), 10)
}
