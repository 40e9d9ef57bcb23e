package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kentongan/tenant"
)

// Edge says what stands between the server and its clients, and what each of them may take.
type Edge struct {
	TrustedProxies  []string // prefixes, or "private"; see Prefixes. Those that say in a header whom a request came from
	ForwardedHeader string   // which header: "X-Forwarded-For" or "Forwarded"
	ProxyPeers      []string // as TrustedProxies. Those whose connections begin with a header of the PROXY protocol

	RedirectListen string // host:port of the listener that sends http to https; empty: off
	ACME           ACME

	TenantConnections  int // of one kitchen on this node; 0: no limit
	UserConnections    int // of one user on this node; 0: no limit
	AddressConnections int // from one public address on this node; 0: no limit
	UpgradeRate        int // upgrades a second of one public address; 0: no limit
	TenantPublishRate  int // publications a second to one kitchen; 0: no limit
	TenantHistoryBytes int // of the history of one kitchen

	TenantWeights map[tenant.ID]int // 1 to MaxWeight; who is not in it has 1. See WeightOf
}

// ACME says how certificates are got. Without Domains they are not.
type ACME struct {
	Domains   []string // in lower case
	Email     string   // for notices of the authority; may be empty
	Directory string   // URL of the authority
	Storage   string   // directory of keys and certificates
	Roots     string   // PEM file with what vouches for the authority's own TLS; empty: the system's
}

// TLS reports whether the public listener speaks TLS.
func (c Config) TLS() bool { return c.Server.TLSCert != "" || len(c.Edge.ACME.Domains) > 0 }

// private is the word for the networks that are nobody's on the internet.
const private = "private"

var privateNetworks = []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"}

// Prefixes returns the networks of a checked list.
func Prefixes(list []string) (all []netip.Prefix) {
	for _, s := range list {
		if s == private {
			all = append(all, Prefixes(privateNetworks)...)
			continue
		}
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// checkNetwork accepts an address, a network, or private.
func checkNetwork(s string) (string, error) {
	if s == private {
		return s, nil
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()).String(), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s is no network; write 10.0.0.0/8, an address, or private", quote(s))
	case prefix.Bits() == 0:
		return "", fmt.Errorf("%s would let everybody say who they are; list the proxies", quote(s))
	case prefix.Addr().Is4In6():
		return "", fmt.Errorf("%s is a network of IPv4 in the spelling of IPv6; write it as IPv4", quote(s))
	case prefix != prefix.Masked():
		return "", fmt.Errorf("%s has bits behind its length; write %s", quote(s), prefix.Masked())
	}
	return prefix.String(), nil
}

var forwardedHeaders = []string{"X-Forwarded-For", "Forwarded"}

// checkForwarded accepts the name of one of the two headers.
func checkForwarded(s string) (string, error) {
	for _, name := range forwardedHeaders {
		if strings.EqualFold(s, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s is neither X-Forwarded-For nor Forwarded", quote(s))
}

// checkDomain accepts a name that an authority could give a certificate for.
func checkDomain(s string) (string, error) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	switch {
	case strings.HasPrefix(s, "*."):
		return "", fmt.Errorf("%s cannot be had: certificates for all names below one need a record in the DNS; list the names", quote(s))
	case !hostName.MatchString(s) || !strings.Contains(s, ".") || len(s) > 253:
		return "", fmt.Errorf("%s is no domain name; write dapur.example.id", quote(s))
	}
	return s, nil
}

// checkDirectory accepts an https URL.
func checkDirectory(s string) (string, error) {
	u, err := parseWeb(s)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" {
		return "", fmt.Errorf("%s must begin with https://", quote(s))
	}
	return u.String(), nil
}

// checkEmail accepts what may be an address; the authority looks closer.
func checkEmail(s string) (string, error) {
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || !hostName.MatchString(host) || strings.ContainsAny(s, " \t\r\n,;<>\"") {
		return "", fmt.Errorf("%s is no mail address", quote(s))
	}
	return s, nil
}

func (l *loader) joinEdge() {
	e, s := &l.d.Edge, &l.d.Server
	where := func(key string) string { return l.sources[key].where(key) }
	if s.TLSCert != "" && len(e.ACME.Domains) > 0 {
		l.problems.add(where("edge.acme.domains"), "contradicts %s: certificates come from files or from an authority",
			where("server.tls_cert"))
	}
	if l.d.TLS() && l.d.Connections.Sockets == SocketsEpoll {
		l.problems.add(where("connections.sockets"), "contradicts TLS: epoll serves plain TCP only; write auto")
	}
	if len(e.ACME.Domains) == 0 {
		for _, key := range []string{"edge.acme.email", "edge.acme.directory", "edge.acme.storage", "edge.acme.roots"} {
			if l.sources[key].given() {
				l.problems.add(where(key), "is set without KENTONGAN_ACME_DOMAINS: name what certificates are wanted for")
			}
		}
	}
	if e.RedirectListen != "" {
		switch {
		case !l.d.TLS():
			l.problems.add(where("edge.redirect_listen"), "is set without TLS: there is no https to send anybody to")
		case !strings.HasPrefix(s.PublicURL, "https://"):
			l.problems.add(where("edge.redirect_listen"), "needs KENTONGAN_PUBLIC_URL with https://: that is where it sends everybody")
		}
	}
	if l.sources["edge.forwarded_header"].given() && len(e.TrustedProxies) == 0 {
		l.problems.add(where("edge.forwarded_header"), "is set without KENTONGAN_TRUSTED_PROXIES: nobody is believed")
	}
	for _, other := range []struct{ key, address string }{
		{"server.listen", s.Listen}, {"server.admin_listen", s.AdminListen}, {"server.redis_door", s.RedisDoor},
	} {
		l.samePort("edge.redirect_listen", e.RedirectListen, other.key, other.address)
	}
	if most := l.d.Limits.HistoryBytes; !l.d.Redis.Enabled() && e.TenantHistoryBytes > most && l.sources["history.tenant_bytes"].given() {
		l.problems.add(where("history.tenant_bytes"), "is more than %s, which bounds all kitchens together", where("history.memory_bytes"))
	}
	slices.Sort(e.ACME.Domains)
}
