package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// errRESPAnswer says that what came from Redis is no answer. Nothing that comes after it could be trusted.
var errRESPAnswer = errors.New("redis answers what is no RESP")

// respValues reads the answers of a Redis as they are, byte for byte, in RESP2 or RESP3.
type respValues struct {
	r    *bufio.Reader
	most int // bytes of one answer that are kept
}

func newRESPValues(r io.Reader, most int) *respValues {
	return &respValues{r: bufio.NewReaderSize(r, 4*respLine), most: most}
}

// next returns the next answer as it came, in memory of its own, and how many bytes it had. One that is longer than what is kept is read
// over, and nil. What comes without having been asked for (pushes of RESP3) is read over too.
func (v *respValues) next() (raw []byte, size int, err error) {
	for {
		next, err := v.r.Peek(1)
		if err != nil {
			return nil, 0, err
		}
		pushed := next[0] == '>'
		if raw, size, err = v.value(); err != nil || !pushed {
			return raw, size, err
		}
	}
}

// value reads one value with all that is in it: how many parts are still to come is all that has to be known for that.
func (v *respValues) value() (raw []byte, size int, err error) {
	for left := 1; left > 0; left-- {
		line, err := v.line()
		if err != nil {
			return nil, 0, err
		}
		kind := line[0]
		if v.keeps(raw, &size, len(line)) {
			raw = append(raw, line...)
		}
		switch kind {
		case '+', '-', ':', '_', ',', '#', '(':
			continue
		}
		n, null, err := respCount(line[1 : len(line)-2])
		if err != nil {
			return nil, 0, err
		}
		if null {
			continue
		}
		switch kind {
		case '$', '=', '!':
			raw, err = v.bulk(raw, &size, n+2)
			if err != nil {
				return nil, 0, err
			}
		case '*', '~', '>':
			left += n
		case '%':
			left += 2 * n
		case '|': // what is known about the value that follows
			left += 2*n + 1
		default:
			return nil, 0, fmt.Errorf("%w: a value that begins with %q", errRESPAnswer, kind)
		}
	}
	if size > v.most {
		raw = nil
	}
	return raw, size, nil
}

// keeps counts n bytes and reports whether they are still to be kept.
func (v *respValues) keeps(raw []byte, size *int, n int) bool {
	kept := len(raw) == *size // nothing was left out before
	*size += n
	return kept && *size <= v.most
}

// bulk reads n bytes, the line break behind them included.
func (v *respValues) bulk(raw []byte, size *int, n int) ([]byte, error) {
	if !v.keeps(raw, size, n) {
		_, err := v.r.Discard(n)
		return nil, err
	}
	for n > 0 { // into memory that grows as they come
		piece := min(n, max(len(raw), respTrust))
		raw = slices.Grow(raw, piece)
		begin := len(raw)
		raw = raw[:begin+piece]
		if _, err := io.ReadFull(v.r, raw[begin:]); err != nil {
			return nil, err
		}
		n -= piece
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		return nil, fmt.Errorf("%w: no line break behind a string", errRESPAnswer)
	}
	return raw, nil
}

// line returns one line with its end, valid until the next read.
func (v *respValues) line() ([]byte, error) {
	b, err := v.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line is too long", errRESPAnswer)
	case err != nil:
		return nil, err
	case len(b) < 3 || b[len(b)-2] != '\r':
		return nil, fmt.Errorf("%w: a line without its end", errRESPAnswer)
	}
	return b, nil
}

// respCount reads the number of a header.
func respCount(b []byte) (n int, null bool, err error) {
	if string(b) == "-1" {
		return 0, true, nil
	}
	for _, digit := range b {
		if digit < '0' || digit > '9' || n > respMaxBulk {
			return 0, false, fmt.Errorf("%w: a length of %.20q", errRESPAnswer, b)
		}
		n = n*10 + int(digit-'0')
	}
	if len(b) == 0 || n > respMaxBulk {
		return 0, false, fmt.Errorf("%w: a length of %.20q", errRESPAnswer, b)
	}
	return n, false, nil
}
