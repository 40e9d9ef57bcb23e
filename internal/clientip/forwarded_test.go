package clientip_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kentongan/internal/clientip"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestClient(t *testing.T) {
	trusted := prefixes("10.0.0.0/8", "2001:db8:1::/48")
	for name, c := range map[string]struct {
		peer   string
		header clientip.Header
		lines  []string
		want   string
	}{
		"NoProxy":             {"203.0.113.7", "", []string{"198.51.100.1"}, "203.0.113.7"},
		"OneProxy":            {"10.0.0.1", "", []string{"198.51.100.1"}, "198.51.100.1"},
		"MappedProxy":         {"::ffff:10.0.0.1", "", []string{"198.51.100.1"}, "198.51.100.1"},
		"NoHeader":            {"10.0.0.1", "", nil, "10.0.0.1"},
		"EmptyHeader":         {"10.0.0.1", "", []string{""}, "10.0.0.1"},
		"TwoProxies":          {"10.0.0.1", "", []string{"198.51.100.1, 10.2.0.1"}, "198.51.100.1"},
		"TwoLines":            {"10.0.0.1", "", []string{"198.51.100.1", "10.2.0.1"}, "198.51.100.1"},
		"ForgedInFront":       {"10.0.0.1", "", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"ForgedLineInFront":   {"10.0.0.1", "", []string{"1.2.3.4", "198.51.100.1"}, "198.51.100.1"},
		"ForgedProxyInFront":  {"10.0.0.1", "", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		"OnlyProxies":         {"10.0.0.1", "", []string{"10.3.0.1, 10.2.0.1"}, "10.3.0.1"},
		"WithPort":            {"10.0.0.1", "", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"Six":                 {"10.0.0.1", "", []string{"2001:db8::1"}, "2001:db8::1"},
		"SixWithPort":         {"2001:db8:1::1", "", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		"Unreadable":          {"10.0.0.1", "", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"UnreadableBehind":    {"10.0.0.1", "", []string{"nonsense, 10.2.0.1"}, "10.2.0.1"},
		"Zone":                {"10.0.0.1", "", []string{"fe80::1%eth0"}, "10.0.0.1"},
		"Endless":             {"10.0.0.1", "", []string{strings.Repeat("10.0.0.2,", 500) + "10.0.0.2"}, "10.0.0.2"},
		"Forwarded":           {"10.0.0.1", clientip.Forwarded, []string{`for=198.51.100.1;proto=https;by=10.0.0.1`}, "198.51.100.1"},
		"ForwardedSix":        {"10.0.0.1", clientip.Forwarded, []string{`proto=https; For="[2001:db8::1]:4711"`}, "2001:db8::1"},
		"ForwardedTwo":        {"10.0.0.1", clientip.Forwarded, []string{`for=1.2.3.4, for=198.51.100.1, for=10.2.0.1`}, "198.51.100.1"},
		"ForwardedObfuscated": {"10.0.0.1", clientip.Forwarded, []string{`for=_hidden`}, "10.0.0.1"},
		"ForwardedTwice":      {"10.0.0.1", clientip.Forwarded, []string{`for=1.2.3.4;for=198.51.100.1`}, "10.0.0.1"},
		"ForwardedNobody":     {"10.0.0.1", clientip.Forwarded, []string{`proto=https`}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			header, other := clientip.XForwardedFor, clientip.Forwarded
			if c.header == clientip.Forwarded {
				header, other = other, header
			}
			p := clientip.Proxies{Trusted: trusted, Header: c.header}
			// What the client itself put into the header that does not count changes nothing.
			h := http.Header{string(header): c.lines, string(other): {"for=6.6.6.6", "6.6.6.6"}}
			if got := p.Client(netip.MustParseAddr(c.peer), h); got.String() != c.want {
				t.Errorf("the client is %v, want %s", got, c.want)
			}
		})
	}
	if (*clientip.Proxies)(nil).Trusts(netip.MustParseAddr("127.0.0.1")) {
		t.Error("without a list somebody is trusted")
	}
}

func TestAsker(t *testing.T) {
	p := clientip.Proxies{Trusted: prefixes("10.0.0.0/8", "203.0.113.99/32")}
	for _, c := range []struct{ peer, line, want string }{
		{"203.0.113.7:4711", "", "203.0.113.7"},
		{"203.0.113.7:4711", "198.51.100.1", "203.0.113.7"},
		{"10.0.0.1:4711", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:4711", "192.168.0.7", "invalid IP"},
		{"10.0.0.1:4711", "", "invalid IP"},
		{"10.0.0.1:4711", "203.0.113.99", "invalid IP"},
		{"127.0.0.1:4711", "198.51.100.1", "invalid IP"},
		{"pipe", "198.51.100.1", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.line != "" {
			r.Header.Set("X-Forwarded-For", c.line)
		}
		if got := p.Asker(r).String(); got != c.want {
			t.Errorf("from %s with %q it is %s, want %s", c.peer, c.line, got, c.want)
		}
	}
}

// TestNobodyForges has a client write anything before what the proxies add: it never changes who the client is.
func TestNobodyForges(t *testing.T) {
	p := clientip.Proxies{Trusted: prefixes("10.0.0.0/8")}
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.SliceOf(rapid.OneOf(
			rapid.String(), rapid.SampledFrom([]string{"10.0.0.9", "1.2.3.4", ",", "", "unknown", "10.0.0.1, 10.0.0.2"}),
		)).Draw(t, "lines of the client")
		added := "203.0.113.7"
		for range rapid.IntRange(0, 3).Draw(t, "more proxies") {
			added += ", 10.1.0.1"
		}
		lines := append(junk, added)
		if rapid.Bool().Draw(t, "joined") && len(junk) > 0 {
			lines = append(junk[:len(junk)-1:len(junk)-1], junk[len(junk)-1]+", "+added)
		}
		if got := p.Client(netip.MustParseAddr("10.0.0.1"), http.Header{"X-Forwarded-For": lines}); got.String() != "203.0.113.7" {
			t.Fatalf("%q makes the client %v", lines, got)
		}
	})
}
