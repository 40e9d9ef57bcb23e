package protocol_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"kentongan/realtime/protocol"
)

func TestCloseCodes(t *testing.T) {
	names := map[string]bool{}
	last := protocol.Code(0)
	for _, c := range protocol.Codes() {
		if !c.Code.Sendable() || c.Code <= last || names[c.Name] {
			t.Errorf("%d %s: not sendable, out of order, or the name comes twice", c.Code, c.Name)
		}
		if c.Code.String() != c.Name || c.Code.Reason() != c.Text || c.Text == "" || c.Meaning == "" || len(c.Text) > 123 || !utf8.ValidString(c.Text) {
			t.Errorf("%d: incomplete row %+v", c.Code, c)
		}
		names[c.Name], last = true, c.Code
	}
	if got := protocol.Code(4321).String(); got != "4321" {
		t.Errorf("a code without a name prints as %q", got)
	}
}

func TestComeBack(t *testing.T) {
	for code := protocol.Code(4000); code < 5000; code++ {
		if got, want := code.ComeBack(), code < 4500; got != want {
			t.Errorf("%d: ComeBack %v, want %v", code, got, want)
		}
	}
	for code, want := range map[protocol.Code]bool{
		1000: false, 1001: true, 1002: false, 1003: false, 1005: true, 1006: true, 1007: false, 1008: false, 1009: false,
		1011: true, 1012: true, 1013: true, 1014: true, 3000: false,
	} {
		if got := code.ComeBack(); got != want {
			t.Errorf("%d: ComeBack %v, want %v", code, got, want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	seen := map[protocol.ErrorCode]bool{}
	for _, e := range protocol.ErrorCodes() {
		if seen[e.Code] || e.Meaning == "" || e.Status < 400 || e.Status > 599 || strings.ToUpper(string(e.Code)) != string(e.Code) {
			t.Errorf("bad or doubled row %+v", e)
		}
		if e.Code.Status() != e.Status || e.Code.Temporary() != e.Temporary {
			t.Errorf("%s: its methods differ from its row", e.Code)
		}
		seen[e.Code] = true
	}
	if protocol.ErrorCode("NEW").Status() != 500 || protocol.ErrorCode("NEW").Temporary() {
		t.Error("a code without a row must be a 500 that is not temporary")
	}
}
