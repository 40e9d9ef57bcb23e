package redis

import (
	"time"

	"kentongan/internal/tracing"
)

// A publication that belongs to a trace is announced by two copies: first where it stands in the trace, then the publication. One script
// sends both, so nothing comes between them. A node that does not know the first passes over it, and has the second one all the same.

// traced remembers a trace until the copy that it is about. It is for one goroutine.
type traced struct {
	token token
	at    *tracing.Context // nil: the copy before was of something else
}

// hear takes a copy of the kind copyTrace. What it says may be of a newer program, in a way that cannot be read: then there is no trace.
func (t *traced) hear(c *stampedCopy) {
	t.token = c.token
	t.at, _ = tracing.Read(c.data, time.Now())
}

// take returns the trace of the copy c, if it was told before it.
func (t *traced) take(c *stampedCopy) *tracing.Context {
	at := t.at
	if at == nil {
		return nil
	}
	t.at = nil
	if c.kind != copyPublication || c.token != t.token {
		return nil
	}
	return at
}

// with returns the token as scripts take it, with the place in a trace behind it, if there is one.
func (t *token) with(trace *tracing.Context) string {
	return string(t.append(make([]byte, 0, tokenBytes+tracing.Bytes), trace))
}

func (t *token) append(b []byte, trace *tracing.Context) []byte {
	if b = append(b, t[:]...); trace != nil {
		b = trace.Append(b)
	}
	return b
}

// beginStamp begins the span of a batch of n publications that goes to Redis now: below the first that is traced, and linked to the
// others. It is nil if none is.
func beginStamp(t *tracing.Tracer, n int, trace func(i int) *tracing.Context) *tracing.Span {
	if t == nil {
		return nil
	}
	var first *tracing.Context
	var others []*tracing.Context
	for i := range n {
		switch at := trace(i); {
		case at == nil:
		case first == nil:
			first = at
		default:
			others = append(others, at)
		}
	}
	span := t.Child(first, "stamp", tracing.Client, time.Time{}, others...)
	span.Text("db.system.name", "redis")
	span.Number("kentongan.batch", n)
	return span
}
