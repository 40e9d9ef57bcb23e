package auth

import (
	"net/http"
	"slices"
	"testing"
)

func TestChunkNumber(t *testing.T) {
	for suffix, want := range map[string]int{
		".0": 0, ".9": 9, ".10": 10, ".31": 31, ".32": -1, ".99": -1, ".100": -1, ".00": -1, ".01": -1, ".": -1, "": -1, "0": -1,
		".+1": -1, ".-1": -1, ".1.2": -1, ".x": -1, ". 1": -1, ".1x": -1, ".٣": -1,
	} {
		if n, ok := chunkNumber(suffix); ok != (want >= 0) || ok && n != want {
			t.Errorf("%q: %d, %v; want %d", suffix, n, ok, want)
		}
	}
}

// TestTokensOfCookies says which texts are tried, and in which order.
func TestTokensOfCookies(t *testing.T) {
	for _, c := range []struct {
		name, header string
		want         []string
	}{
		{"Plain", "s=abc", []string{"abc"}},
		{"Twice", "s=abc; s=def", []string{"abc", "def"}},
		{"TooOften", "s=1; s=2; s=3; s=4; s=5", []string{"1", "2", "3", "4"}},
		{"Chunks", "s.0=aaa; s.1=bbb; s.2=c", []string{"aaabbbc"}},
		{"AnyOrder", "s.2=c; s.0=aaa; s.1=bbb", []string{"aaabbbc"}},
		{"ByNumber", "s.0=0; s.1=1; s.10=a; s.2=2; s.3=3; s.4=4; s.5=5; s.6=6; s.7=7; s.8=8; s.9=9", []string{"0123456789a"}},
		{"EndOfALongerOne", "s.0=aaa; s.1=b; s.2=xxx; s.3=x", []string{"aaab", "aaabxxxx"}},
		{"BeyondAHole", "s.0=aaa; s.1=b; s.3=x", []string{"aaab"}},
		{"WithoutFirst", "s.1=b; s.2=c; s=abc", []string{"abc"}},
		{"ChunksBeforePlain", "s=abc; s.0=aaa; s.1=b", []string{"aaab", "abc"}},
		{"LastLonger", "s.0=a; s.1=bbb; s.2=c", []string{"abbbc"}},
		{"OneChunk", "s.0=aaa", []string{"aaa"}},
		{"SameChunkTwice", "s.0=aaa; s.1=b; s.1=c", []string{"aaab"}},
		{"Spaces", " \ts=abc \t;;x", []string{"abc"}},
		{"Neighbours", "sx=1; xs=2; s.x=3; S=4; s =5", nil},
		{"NoValue", "s=; s; s.0=", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var cookies sessionCookies
			cookies.collect(http.Header{"Cookie": {c.header}}, []string{"s"})
			if got := cookies[0].tokens(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
