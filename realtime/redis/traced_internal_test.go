package redis

import (
	"testing"

	"kentongan/internal/tracing"
)

// TestTraceIsOfTheNextCopyOnly has the place in a trace taken by the copy that it was told for, and by no other one.
func TestTraceIsOfTheNextCopyOnly(t *testing.T) {
	var in interner
	at := &tracing.Context{Trace: [16]byte{1}, Span: [8]byte{2}}
	copyOf := func(kind copyKind, tok token, data string) *stampedCopy {
		c, err := parseCopy(encodeCopy(kind, 1, 1, tok, "e", "n", data), &in)
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	mine, other := token{1}, token{2}
	told := copyOf(copyTrace, mine, string(at.Append(nil)))
	var tr traced
	if got := tr.take(copyOf(copyPublication, mine, "1")); got != nil {
		t.Errorf("untold, the trace is %v", got)
	}
	tr.hear(told)
	if got := tr.take(copyOf(copyPublication, mine, "1")); got == nil || got.Trace != at.Trace || got.Span != at.Span || got.Heard.IsZero() {
		t.Errorf("told, the trace is %v", got)
	}
	if got := tr.take(copyOf(copyPublication, mine, "1")); got != nil {
		t.Errorf("a second copy has the trace %v", got)
	}
	tr.hear(told)
	if got := tr.take(copyOf(copyPublication, other, "1")); got != nil {
		t.Errorf("another publication has the trace %v", got)
	}
	if got := tr.take(copyOf(copyPublication, mine, "1")); got != nil {
		t.Errorf("once another one has come, the trace is %v", got)
	}
	tr.hear(told)
	tr.hear(copyOf(copyTrace, mine, "of a program that says it otherwise"[:tracing.Bytes-1]))
	if got := tr.take(copyOf(copyPublication, mine, "1")); got != nil {
		t.Errorf("of what cannot be read, the trace is %v", got)
	}
}

func TestTokenForScripts(t *testing.T) {
	tok := token{1, 2, 3}
	if got := tok.with(nil); got != string(tok[:]) {
		t.Errorf("without a trace it is %q", got)
	}
	at := &tracing.Context{Trace: [16]byte{9}, Span: [8]byte{8}}
	if got := tok.with(at); got != string(tok[:])+string(at.Append(nil)) {
		t.Errorf("with a trace it is %q", got)
	}
}
