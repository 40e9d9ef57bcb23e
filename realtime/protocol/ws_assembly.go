package protocol

import "unicode/utf8"

// assembly is where a message is put together that came in more than one piece. It is taken from a pool for that time
// only, and grows with what really came, never with what a header announces.
type assembly struct {
	data    []byte
	text    utf8Check
	control []byte // a control frame that came in pieces
}

// maxPooled is the largest buffer that goes back into the pool: the default limit of a message and what inflate appends.
const maxPooled = DefaultMaxMessageBytes + 4<<10

var assemblies = pool[assembly]{fresh: func() *assembly {
	return &assembly{data: make([]byte, 0, 4<<10), control: make([]byte, 0, maxControl)}
}}

func (a *assembly) release() {
	if cap(a.data) > maxPooled {
		a.data = nil
	}
	a.data, a.control, a.text = a.data[:0], a.control[:0], utf8Check{}
	assemblies.put(a)
}

func (r *Reader) assembly() *assembly {
	if r.asm == nil {
		r.asm = assemblies.take()
	}
	return r.asm
}

func (r *Reader) drop() {
	if r.asm != nil {
		r.asm.release()
		r.asm = nil
	}
}

// dropControl forgets the control frame, and the assembly too unless a message is half read.
func (r *Reader) dropControl() {
	if r.asm == nil {
		return
	}
	r.asm.control = r.asm.control[:0]
	if r.msg == OpContinuation {
		r.drop()
	}
}

// utf8Check checks text that comes in pieces, cut anywhere. It fails at the first byte that no valid text can have there.
type utf8Check struct {
	tail [utf8.UTFMax]byte // the beginning of a rune
	n    uint8
}

func (c *utf8Check) feed(p []byte) bool {
	if c.n > 0 {
		for len(p) > 0 && !utf8.FullRune(c.tail[:c.n]) {
			c.tail[c.n] = p[0]
			c.n++
			p = p[1:]
		}
		if !utf8.FullRune(c.tail[:c.n]) {
			return true
		}
		if !utf8.Valid(c.tail[:c.n]) {
			return false
		}
		c.n = 0
	}
	end := len(p)
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				end = i
			}
			break
		}
	}
	if !utf8.Valid(p[:end]) {
		return false
	}
	c.n = uint8(copy(c.tail[:], p[end:])) //nolint:gosec // at most 3
	return true
}

// complete reports whether the text does not end inside of a rune.
func (c *utf8Check) complete() bool { return c.n == 0 }
