package intake

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// errRESP ends a connection: what came cannot be read as commands. Its text is for the client.
var errRESP = errors.New("Protocol error") //nolint:staticcheck // it is spelled as in Redis

// The limits of reading.
const (
	// respLine bounds what is no argument: headers, and commands that are typed as a line.
	respLine = 4 << 10

	// respStranger and respStrangerArgs bound what is taken from somebody who has not signed in: enough for HELLO with a key and
	// a name.
	respStranger     = 8 << 10
	respStrangerArgs = 16

	// respMaxBulk is the longest argument that is read over; Redis allows no longer one either.
	respMaxBulk = 512 << 20

	// respTrust is up to which announced length memory is set aside before the bytes come.
	respTrust = 64 << 10
)

// respCommand is one command of a client.
type respCommand struct {
	args [][]byte // valid until the next command; each has memory of its own, to be kept by whom it is for
	long int      // bytes of the argument that was too long, which args has as nil; zero: none was
}

// respReader reads commands: arrays of strings as clients send them, or words on a line as people type them. It never holds
// more than its limits, and sets nothing aside because it was announced.
type respReader struct {
	r        *bufio.Reader
	maxArgs  int
	maxBytes int  // of all arguments of one command
	skips    bool // an argument past maxBytes is read over; else it is an error
	inside   bool // a command has begun: its rest must not take long
	args     [][]byte
}

func newRESPReader(r io.Reader) *respReader {
	reader := &respReader{r: bufio.NewReaderSize(r, 2*respLine)}
	reader.distrust()
	return reader
}

// distrust sets the limits for somebody who has not signed in.
func (r *respReader) distrust() {
	r.maxArgs, r.maxBytes, r.skips = respStrangerArgs, respStranger, false
}

// trust raises the limits for somebody who has signed in.
func (r *respReader) trust(maxArgs, maxBytes int) {
	r.maxArgs, r.maxBytes, r.skips = maxArgs, maxBytes, true
}

// next returns the next command, which has one argument at least. errRESP or an error of the connection ends the reading.
func (r *respReader) next() (respCommand, error) {
	for {
		r.inside = false
		kind, err := r.r.ReadByte()
		if err != nil {
			return respCommand{}, err
		}
		r.inside = true
		var c respCommand
		if kind == '*' {
			c, err = r.array()
		} else {
			_ = r.r.UnreadByte() // it was just read
			c, err = r.words()
		}
		if err != nil || len(c.args) > 0 {
			return c, err
		}
	}
}

// words reads a command that was typed.
func (r *respReader) words() (respCommand, error) {
	line, err := r.line()
	if err != nil {
		return respCommand{}, err
	}
	fields := bytes.Fields(line)
	if len(fields) > r.maxArgs {
		return respCommand{}, fmt.Errorf("%w: too many words", errRESP)
	}
	for i, f := range fields {
		fields[i] = bytes.Clone(f)
	}
	// A web page can make a browser send lines of its choice to any port, behind these.
	if len(fields) > 0 && (bytes.EqualFold(fields[0], []byte("POST")) || bytes.EqualFold(fields[0], []byte("Host:"))) {
		return respCommand{}, fmt.Errorf("%w: this is no HTTP", errRESP)
	}
	return respCommand{args: fields}, nil
}

func (r *respReader) array() (respCommand, error) {
	count, err := r.number("multibulk")
	if err != nil || count <= 0 {
		return respCommand{}, err
	}
	if count > r.maxArgs {
		return respCommand{}, fmt.Errorf("%w: invalid multibulk length", errRESP)
	}
	c, left := respCommand{args: r.args[:0]}, r.maxBytes
	for range count {
		kind, err := r.r.ReadByte()
		if err != nil {
			return c, err
		}
		if kind != '$' {
			return c, fmt.Errorf("%w: expected '$', got %q", errRESP, kind)
		}
		size, err := r.number("bulk")
		if err != nil {
			return c, err
		}
		if size < 0 || size > respMaxBulk || size > left && !r.skips {
			return c, fmt.Errorf("%w: invalid bulk length", errRESP)
		}
		var arg []byte
		if size > left {
			c.long = max(c.long, size)
			_, err = r.r.Discard(size)
		} else {
			left -= size
			arg, err = r.bytes(size)
		}
		if err != nil {
			return c, err
		}
		if end, err := r.line(); err != nil {
			return c, err
		} else if len(end) > 0 {
			return c, fmt.Errorf("%w: no line break behind an argument", errRESP)
		}
		c.args = append(c.args, arg)
	}
	if r.args = c.args; len(r.args) > respStrangerArgs {
		r.args = nil // a long one does not keep its memory
	}
	return c, nil
}

// bytes reads n bytes into memory that grows as they come.
func (r *respReader) bytes(n int) ([]byte, error) {
	b := make([]byte, 0, min(n, respTrust))
	for len(b) < n {
		piece := min(n-len(b), max(len(b), respTrust))
		b = slices.Grow(b, piece)
		if _, err := io.ReadFull(r.r, b[len(b):len(b)+piece]); err != nil {
			return nil, err
		}
		b = b[:len(b)+piece]
	}
	return b, nil
}

// line returns the rest of a line without its end, valid until the next read.
func (r *respReader) line() ([]byte, error) {
	b, err := r.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(b) > respLine:
		return nil, fmt.Errorf("%w: too big inline request", errRESP)
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(b[:len(b)-1], []byte("\r")), nil
}

// number reads the rest of a header. A null is -1, and so is every other negative number.
func (r *respReader) number(what string) (int, error) {
	b, err := r.line()
	if err != nil {
		return 0, err
	}
	if len(b) > 0 && b[0] == '-' {
		return -1, nil
	}
	n := 0
	for _, digit := range b {
		if digit < '0' || digit > '9' || n > respMaxBulk/10 {
			return 0, fmt.Errorf("%w: invalid %s length", errRESP, what)
		}
		n = n*10 + int(digit-'0')
	}
	if len(b) == 0 {
		return 0, fmt.Errorf("%w: invalid %s length", errRESP, what)
	}
	return n, nil
}
