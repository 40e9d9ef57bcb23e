package clientip

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Header is the one in which the proxies write where a request came from.
type Header string

// The headers that are understood. Only one counts, and it has to be the one that the proxies in front write themselves: the other one
// they hand on as the client has sent it.
const (
	XForwardedFor Header = "X-Forwarded-For"
	Forwarded     Header = "Forwarded" // RFC 7239
)

// Proxies are those that are believed. The zero value believes nobody. It may be used by many at once.
type Proxies struct {
	Trusted []netip.Prefix
	Header  Header // empty means XForwardedFor
}

// Trusts reports whether addr is that of a proxy that is believed.
func (p *Proxies) Trusts(addr netip.Addr) bool {
	return p != nil && Within(p.Trusted, addr)
}

// Within reports whether addr is in one of the prefixes.
func Within(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// Tells reports whether addr tells somebody apart from all others: not one of this machine or a private network, for a proxy that
// nobody has
// named has one, and so has everybody behind it; nor that of a proxy that is trusted.
func (p *Proxies) Tells(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsLoopback() && !addr.IsPrivate() && !addr.IsLinkLocalUnicast() && !p.Trusts(addr)
}

// Asker returns who sent r, over a connection whose peer r.RemoteAddr has; not valid if that tells nobody apart.
func (p *Proxies) Asker(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	if client := p.Client(peer.Addr(), r.Header); p.Tells(client) {
		return client
	}
	return netip.Addr{}
}

// maxHops is how many proxies may stand in a row; nobody has as many, and each costs a look at the list of those that are trusted.
const maxHops = 20

// Client returns who sent a request that came from peer. Each proxy adds the address that it was asked from at the end, so the list is
// read from there, for as long as what stands there is itself a proxy that is trusted: before the first one that is not, anything may
// stand. An address that cannot be read ends it, too, and then it is the proxy that counts.
func (p *Proxies) Client(peer netip.Addr, h http.Header) netip.Addr {
	peer = peer.Unmap()
	if !p.Trusts(peer) {
		return peer
	}
	name := p.Header
	if name == "" {
		name = XForwardedFor
	}
	lines := h[http.CanonicalHeaderKey(string(name))]
	for i, hops := len(lines)-1, 0; i >= 0; i-- {
		rest := lines[i]
		for more := true; more; hops++ {
			var last string
			if rest, last, more = cutLast(rest); hops >= maxHops {
				return peer
			}
			if name == Forwarded {
				last = forwardedFor(last)
			}
			addr, ok := parseNode(last)
			if !ok {
				return peer
			}
			if peer = addr; !p.Trusts(peer) {
				return peer
			}
		}
	}
	return peer
}

// cutLast takes the last item off a list with commas. Commas in quotes do not occur: no address has one.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// forwardedFor returns the value of "for" of an element of RFC 7239; empty if it has none, or several.
func forwardedFor(element string) (node string) {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "for") {
			continue
		}
		if node != "" {
			return ""
		}
		node = strings.TrimSpace(value)
		if len(node) > 1 && node[0] == '"' && node[len(node)-1] == '"' {
			node = node[1 : len(node)-1]
		}
	}
	return node
}

// parseNode reads an address with or without a port: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
func parseNode(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if len(s) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535") {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
			addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		} else {
			var with netip.AddrPort
			with, err = netip.ParseAddrPort(s)
			addr = with.Addr()
		}
	}
	return addr.Unmap(), err == nil && addr.Zone() == ""
}
