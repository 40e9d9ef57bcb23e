package tracing

import (
	"context"
	"encoding/hex"
	"errors"
	"time"
)

// Context is a place in a trace that is recorded: what those who go on there need to know. It is never changed once it was handed on.
type Context struct {
	Trace [16]byte
	Span  [8]byte

	// Heard is when this process learned of it; zero for places that came out of this process.
	Heard time.Time
}

// HeardAt returns c as it was learned of at a moment; nil for a nil Context.
func (c *Context) HeardAt(at time.Time) *Context {
	if c == nil {
		return nil
	}
	heard := *c
	heard.Heard = at
	return &heard
}

// Bytes is the length of a Context between nodes.
const Bytes = 16 + 8

// errContext says that bytes of another node are no Context.
var errContext = errors.New("tracing: no place in a trace")

// Append appends c as nodes hand it on.
func (c *Context) Append(b []byte) []byte { return append(append(b, c.Trace[:]...), c.Span[:]...) }

// Read reads what Append wrote. What stands behind it is of a newer program, and passed over.
func Read(b []byte, heard time.Time) (*Context, error) {
	if len(b) < Bytes {
		return nil, errContext
	}
	c := &Context{Trace: [16]byte(b), Span: [8]byte(b[16:]), Heard: heard}
	if c.Trace == [16]byte{} || c.Span == [8]byte{} {
		return nil, errContext
	}
	return c, nil
}

// Header is the name of the field, of W3C Trace Context, by which requests carry their place.
const Header = "traceparent"

// String returns c as the value of that field.
func (c *Context) String() string {
	b := make([]byte, 0, traceparentBytes)
	b = hex.AppendEncode(append(b, "00-"...), c.Trace[:])
	b = hex.AppendEncode(append(b, '-'), c.Span[:])
	return string(append(b, "-01"...))
}

// traceparentBytes is the length of a traceparent of version 00: "00-", 32 digits, "-", 16 digits, "-", 2 digits.
const traceparentBytes = 3 + 32 + 1 + 16 + 1 + 2

// Parse reads a traceparent. sampled says whether who wrote it records the trace; ok is false if it is none, and then it counts as not
// there, as W3C Trace Context wants it. Of a version that is newer than 00 the beginning is read.
func Parse(s string) (c Context, sampled, ok bool) {
	if len(s) < traceparentBytes || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return Context{}, false, false
	}
	var version, flags [1]byte
	if !lowerHex(version[:], s[:2]) || !lowerHex(c.Trace[:], s[3:35]) || !lowerHex(c.Span[:], s[36:52]) || !lowerHex(flags[:], s[53:55]) {
		return Context{}, false, false
	}
	switch {
	case version[0] == 0xff, c.Trace == [16]byte{}, c.Span == [8]byte{},
		version[0] == 0 && len(s) != traceparentBytes, len(s) > traceparentBytes && s[traceparentBytes] != '-':
		return Context{}, false, false
	}
	return c, flags[0]&1 == 1, true
}

// lowerHex decodes s into dst, and reports whether it is all digits in lower case, as the specification has them.
func lowerHex(dst []byte, s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// place is what a context.Context knows: where it is, or that its trace is not recorded.
type place struct{ at *Context }

type placeKey struct{}

var unrecorded = &place{}

// From returns where ctx is; nil: in no trace that is recorded. decided is false if nobody has decided that yet.
func From(ctx context.Context) (at *Context, decided bool) {
	p, ok := ctx.Value(placeKey{}).(*place)
	if !ok {
		return nil, false
	}
	return p.at, true
}

// With returns a context that is at at; nil: in a trace that is not recorded.
func With(ctx context.Context, at *Context) context.Context {
	p := unrecorded
	if at != nil {
		p = &place{at}
	}
	return context.WithValue(ctx, placeKey{}, p)
}
