package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/config"
)

// settings reads them, and reports whether they can be read.
func (p *patient) settings() bool {
	cfg, err := config.Load(config.Input{Environ: p.opts.Environ, File: p.opts.File, Serve: true})
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, one := range problems {
			p.found(Broken, one.Where, one.Text, "kentongan config doc has every setting")
		}
		return false
	}
	if err != nil {
		p.found(Broken, "settings", err.Error(), "kentongan config doc has every setting")
		return false
	}
	p.cfg = cfg
	p.detail = "serves " + cfg.Server.Listen + ", engine: " + cfg.Engine()
	for _, origin := range cfg.Server.AllowedOrigins {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && !local(u.Hostname()) {
			p.found(Warning, "KENTONGAN_ALLOWED_ORIGINS", "pages of "+origin+" come over an open line, where anybody can change them",
				"serve them over https, and write https:// here")
		}
	}
	if u, err := url.Parse(cfg.Server.PublicURL); err == nil && u.Scheme == "http" && !local(u.Hostname()) {
		p.found(Warning, "KENTONGAN_PUBLIC_URL", "cookies and messages go over an open line", "put TLS in front, and write https:// here")
	}
	if d := cfg.Connections.PingInterval; d >= time.Minute {
		p.found(Warning, "KENTONGAN_PING_INTERVAL", fmt.Sprintf("quiet connections get a sign of life every %s; many proxies cut "+
			"them after 60s", d),
			"25s, the default, or at least well below the idle timeout of every proxy on the way")
	}
	if host, _, err := net.SplitHostPort(cfg.Server.RedisDoor); err == nil && cfg.Server.RedisDoor != "" && !private(host) {
		p.found(Warning, "KENTONGAN_REDIS_DOOR", "it listens on "+cfg.Server.RedisDoor+", also for the internet if this machine has "+
			"an address there; "+
			"keys go over it in the clear", "listen on an address of a private network")
	}
	return true
}

// local reports whether host is this machine.
func local(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// private reports whether host is an address that the internet does not reach.
func private(host string) bool {
	if local(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

// secrets looks at how easily they are guessed, and whether one is used for two things.
func (p *patient) secrets(context.Context) error {
	type named struct{ where, value, purpose string }
	var all []named
	add := func(where, purpose string, s config.Secret) {
		if s != "" {
			all = append(all, named{where, s.Reveal(), purpose})
		}
	}
	for i, s := range p.cfg.Auth.SessionSecrets {
		add(p.sessionSecret(i), "sessions", s)
	}
	add("KENTONGAN_JWT_SECRET", "tokens", p.cfg.Auth.JWTSecret)
	add("KENTONGAN_SOCKET_TOKEN_SECRET", "sessions", p.cfg.Auth.SocketTokenSecret) // the app may use one for both
	for _, k := range p.cfg.Auth.APIKeys {
		add("KENTONGAN_API_KEYS, "+k.Name, "API key "+k.Name, k.Key)
	}
	first := map[string]named{}
	for _, s := range all {
		other, used := first[s.value]
		if !used {
			first[s.value] = s
			if why := weakness(s.value); why != "" {
				p.found(Warning, s.where, "can be guessed: "+why, "a random one, made with: openssl rand -base64 32")
			}
		} else if other.purpose != s.purpose {
			p.found(Warning, s.where, "is the same as "+other.where+": who learns one has both", "one for each purpose")
		}
	}
	p.detail = fmt.Sprintf("%d looked at", len(all))
	return nil
}

// sessionSecret names the i-th of the session secrets by its variable.
func (p *patient) sessionSecret(i int) string {
	if names := p.cfg.Variables("auth.session_secrets"); i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("session secret %d", i+1)
}

// words are what people make secrets of who do not want to make one.
var words = []string{
	"secret", "password", "passwort", "rahasia", "changeme", "change-me", "example", "default", "nextauth", "authjs", "kentongan",
	"bergizi",
	"admin", "test", "12345", "qwerty", "abcdef", "sppg", "your-", "local", "dapur",
}

// leastBits is what a secret should have: nobody tries 2^96 of anything.
const leastBits = 96

// weakness says why a secret can be guessed, without any part of it; empty: nothing speaks for that. It counts how many bits the characters
// have if they were drawn by chance, without the words that people know and without repetitions.
func weakness(s string) string {
	rest := strings.ToLower(s)
	known := 0
	for _, w := range words {
		if n := strings.Count(rest, w); n > 0 {
			known += n
			rest = strings.ReplaceAll(rest, w, "")
		}
	}
	bits := entropy(rest)
	switch {
	case bits >= leastBits:
		return ""
	case known > 0:
		return fmt.Sprintf("it has words in it that everybody tries, and beside them about %.0f bits; it should have %d", bits, leastBits)
	}
	return fmt.Sprintf("it has %d characters, and at most about %.0f bits; it should have %d", len(s), bits, leastBits)
}

// entropy is the number of bits of s by how often its characters come, as if each was drawn by itself, and of the part before it repeats.
func entropy(s string) float64 {
	for n := 1; n <= len(s)/2; n++ { // "abcabcabc" is "abc"
		if strings.HasPrefix(strings.Repeat(s[:n], len(s)/n+1), s) {
			s = s[:n]
			break
		}
	}
	counts := map[rune]float64{}
	total := 0.0
	for _, r := range s {
		counts[r]++
		total++
	}
	bits := 0.0
	for _, n := range counts {
		bits -= n * math.Log2(n/total)
	}
	return bits
}

// cookie explains the one that was pasted.
func (p *patient) cookie(context.Context) error {
	if p.opts.Cookie == "" {
		return skip("none was pasted; --cookie - reads one from standard input")
	}
	c := p.cfg.Auth
	secrets := make([]string, len(c.SessionSecrets))
	for i, s := range c.SessionSecrets {
		secrets[i] = s.Reveal()
	}
	r := auth.ExplainCookie(auth.Options{
		SessionSecrets: secrets, SessionCookie: c.Cookie, Claims: auth.ClaimPaths(c.Claims), PlatformRoles: c.PlatformRoles,
		JWTSecret: c.JWTSecret.Reveal(),
	}, p.opts.Cookie)
	var seen []string
	if r.Secret >= 0 {
		seen = append(seen, "opened by "+p.sessionSecret(r.Secret))
	}
	if r.Version != "" && (r.Secret >= 0 || !r.Expires.IsZero()) {
		seen = append(seen, r.Version)
	}
	if r.Salt != "" {
		seen = append(seen, "salt "+r.Salt)
	}
	if r.Identity != nil {
		who := fmt.Sprintf("lets in %s of kitchen %s as %s", r.Identity.Subject, r.Identity.Tenant, r.Identity.Role)
		if r.Identity.Platform {
			who = fmt.Sprintf("lets in %s with the platform role %s", r.Identity.Subject, r.Identity.Role)
		}
		seen = append(seen, who)
	}
	if !r.Expires.IsZero() {
		seen = append(seen, "until "+r.Expires.UTC().Format(time.RFC3339))
	}
	p.detail = strings.Join(seen, ", ")
	if r.Problem != "" {
		where := "the pasted cookie"
		if r.Cookie != "" {
			where = "cookie " + r.Cookie
		}
		p.found(Broken, where, r.Problem, r.Right)
	}
	return nil
}

// certificate looks at the one that the server shows itself.
func (p *patient) certificate(context.Context) error {
	s := p.cfg.Server
	if s.TLSCert == "" {
		return skip("the server does not speak TLS itself")
	}
	pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		p.found(Broken, s.TLSCert, err.Error(), "a PEM file with the certificate chain, and the key that belongs to it")
		return nil
	}
	leaf := pair.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			p.found(Broken, s.TLSCert, err.Error(), "a PEM file with a certificate chain")
			return nil
		}
	}
	p.detail = "valid until " + leaf.NotAfter.UTC().Format(time.RFC3339)
	switch left := time.Until(leaf.NotAfter); {
	case left <= 0:
		p.found(Broken, s.TLSCert, "it has expired at "+leaf.NotAfter.UTC().Format(time.RFC3339), "a new certificate")
	case time.Now().Before(leaf.NotBefore):
		p.found(Broken, s.TLSCert, "it is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339),
			"the right time on this machine, or another certificate")
	case left < 14*24*time.Hour:
		p.found(Warning, s.TLSCert, fmt.Sprintf("it expires in %.0f days", left.Hours()/24), "renew it")
	}
	if u, err := url.Parse(s.PublicURL); err == nil && u.Host != "" {
		if err := leaf.VerifyHostname(u.Hostname()); err != nil {
			p.found(Broken, s.TLSCert, "it is not for "+u.Hostname(), "a certificate with the host of KENTONGAN_PUBLIC_URL")
		}
	}
	return nil
}
