package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// off is how a listener is switched off.
const off = "off"

// checkListen accepts host:port, :port and port 0.
func checkListen(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%s is no address to listen on; write :3001 or 127.0.0.1:3001", quote(s))
	}
	if host != "" && !isHost(host) {
		return "", fmt.Errorf("%s has a bad host; write an IP address, a host name or nothing before the port", quote(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("%s has a bad port; write a number from 0 to 65535", quote(s))
	}
	return net.JoinHostPort(host, port), nil
}

// checkAdminListen is checkListen that also accepts off.
func checkAdminListen(s string) (string, error) {
	if s == off {
		return "", nil
	}
	return checkListen(s)
}

// onThisMachine reports whether only programs of this machine reach what listens on address, which checkListen has accepted.
func onThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// isHost reports whether s can be the host of an address: a name or an IP address without brackets.
func isHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	if strings.ContainsRune(s, ':') {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	return hostName.MatchString(s)
}

// parseWeb reads a http or https URL without credentials and fragment. Its errors do not repeat the text, which may hold
// a password; they read on after the name of the setting.
func parseWeb(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is no URL; write https://host or https://host:port")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with https:// or http://")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	case !isHost(u.Hostname()):
		return nil, errors.New("has no valid host; write https://host or https://host:port")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("must not have a part after #")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a bad port; write a number from 1 to 65535")
		}
	}
	return u, nil
}

// checkOrigin accepts an origin and returns it as browsers spell it: lower case, no default port.
func checkOrigin(s string) (string, error) {
	switch s {
	case "*":
		return "", errors.New("* would let every page of the web use the visitor's session; list each origin")
	case "null":
		return "", errors.New("null is the origin of every sandboxed page; list real origins")
	}
	u, err := parseWeb(s)
	if err != nil {
		return "", fmt.Errorf("origin %s %w", quote(s), err)
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return "", fmt.Errorf("origin %s has a path; an origin is scheme, host and port alone: %s", quote(s), quote(origin(u)))
	}
	return origin(u), nil
}

// origin spells the origin of u as browsers do.
func origin(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.ContainsRune(host, ':') {
		host = "[" + host + "]"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		port = strconv.FormatUint(n, 10)
	}
	if port == "" || port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + host + ":" + port
}

// checkPublicURL accepts an origin, or one with a path before our routes, and cuts the slash at the end.
func checkPublicURL(s string) (string, error) {
	u, err := parseWeb(s)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", errors.New("must not have a part after ?")
	}
	return origin(u) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// checkJWKSURL accepts https, and http on this machine: who writes the keys signs the tokens.
func checkJWKSURL(s string) (string, error) {
	u, err := parseWeb(s)
	if err != nil {
		return "", err
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if local := u.Hostname() == "localhost" || err == nil && ip.IsLoopback(); u.Scheme == "http" && !local {
		return "", errors.New("must begin with https://, for who can change the keys on their way can sign tokens (http is " +
			"for this machine only)")
	}
	return u.String(), nil
}
