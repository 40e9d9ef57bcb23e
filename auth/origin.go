package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// origin is a web origin, taken apart. The port is always there.
type origin struct{ scheme, host, port string }

// parseOrigin reads an origin as browsers write it: lower case, without a path, without the usual port. Any other
// spelling, and "null", is none: a look-alike is not made equal by reading it kindly.
func parseOrigin(s string) (origin, bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return origin{}, false
	}
	host, port, ok := splitHost(rest)
	if !ok || port == usualPort(scheme) {
		return origin{}, false
	}
	if port == "" {
		port = usualPort(scheme)
	}
	return origin{scheme, host, port}, true
}

func usualPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// splitHost reads host[:port] in lower case; port is "" if there is none.
func splitHost(s string) (host, port string, ok bool) {
	if len(s) > 255+len(":65535") {
		return "", "", false
	}
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", false
		}
		ip, err := netip.ParseAddr(s[1:end])
		if err != nil || !ip.Is6() || ip.Zone() != "" || ip.String() != s[1:end] {
			return "", "", false
		}
		host, s = s[:end+1], s[end+1:]
	} else {
		end := strings.IndexByte(s, ':')
		if end < 0 {
			end = len(s)
		}
		host, s = s[:end], s[end:]
		if !validHost(host) {
			return "", "", false
		}
	}
	if s == "" {
		return host, "", true
	}
	port = s[1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if s[0] != ':' || err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
		return "", "", false
	}
	return host, port, true
}

// validHost reports whether s is a host name or an IPv4 address in lower case, without a dot at the end.
func validHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// parseOrigins reads the configured list. It forgives what a person may write: capital letters and the usual port.
func parseOrigins(list []string) (map[origin]bool, error) {
	all := map[origin]bool{}
	var errs []error
	for _, s := range list {
		text := strings.ToLower(s)
		text = strings.TrimSuffix(text, ":"+usualPort(strings.SplitN(text, ":", 2)[0]))
		o, ok := parseOrigin(text)
		if !ok {
			errs = append(errs, fmt.Errorf("allowed origin %q: want scheme://host or scheme://host:port, "+
				"with http or https, without path and without *", shorten(s, 128)))
			continue
		}
		all[o] = true
	}
	return all, errors.Join(errs...)
}

// allows reports whether a page of the origin that r names may use this server. With a list of origins it is that list and
// nothing else, so it must also hold our own. Without one it is the host that the request was sent to. What a proxy says
// about the scheme is not believed, so only on a connection with TLS of our own the scheme is known; elsewhere an
// http page of the same host passes, to which a browser sends no cookie that was set for https.
func (a *Authenticator) allows(r *http.Request, text string) bool {
	o, ok := parseOrigin(text)
	if !ok {
		return false
	}
	if len(a.origins) > 0 {
		return a.origins[o]
	}
	host, port, ok := splitHost(strings.ToLower(r.Host))
	if port == "" {
		port = usualPort(o.scheme)
	}
	return ok && host == o.host && port == o.port && (r.TLS == nil || o.scheme == "https")
}

// CheckOrigin returns ErrOrigin if r, authenticated by a credential of this kind, may come from a page that is not
// allowed. It is asked on upgrades, on event streams, on every read and on every write.
//
//   - An Origin that is there must be allowed, whatever the credential is: a foreign page has no business here.
//   - Without Origin, a credential that a program must hold and set itself (bearer token, API key, socket token) passes: what
//     no browser adds by itself, no foreign page can borrow.
//   - Without Origin, a cookie or a ticket passes only on a plain GET or HEAD. Browsers send Origin with every upgrade, every
//     write, and every fetch or EventSource of another origin; they leave it out where the page's own origin reads.
//     What remains are reads by elements of foreign pages (img, script), to which browsers do not give the answer
//     (application/json with nosniff), and which change nothing here. Where "Sec-Fetch-Site" says that the page is another
//     one, they are refused as well; browsers send it on https and localhost, but not on the http address of a kitchen's own network.
//     "none" is no page at all but a person, who typed the address or chose a bookmark: of the log of a day, for example.
func (a *Authenticator) CheckOrigin(r *http.Request, kind Kind) error {
	switch origins := r.Header["Origin"]; {
	case len(origins) > 1:
		return fmt.Errorf("%d Origin headers: %w", len(origins), ErrOrigin)
	case len(origins) == 1:
		if !a.allows(r, origins[0]) {
			return fmt.Errorf("origin %q for host %q: %w", shorten(origins[0], 128), shorten(r.Host, 128), ErrOrigin)
		}
		return nil
	}
	if kind != KindSession && kind != KindTicket {
		return nil
	}
	site := r.Header["Sec-Fetch-Site"]
	upgrade := len(r.Header["Upgrade"]) > 0 || len(r.Header["Sec-Websocket-Key"]) > 0
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads && !upgrade && (len(site) == 0 || len(site) == 1 && (site[0] == "same-origin" || site[0] == "none")) {
		return nil
	}
	return fmt.Errorf("a %s without Origin: %w", kind, ErrOrigin)
}

// CORS lets the pages of the allowed origins read the answers of next and answers their preflights. It names the one origin
// that asks, and only if it is listed; to all others it adds nothing, so their browser keeps the answer from them. With no
// list there is no foreign origin to allow.
func (a *Authenticator) CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origins := r.Header["Origin"]
		o, ok := origin{}, false
		if len(origins) == 1 {
			o, ok = parseOrigin(origins[0])
		}
		listed := ok && a.origins[o]
		if listed {
			h.Set("Access-Control-Allow-Origin", origins[0])
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", "Content-Disposition, ETag, Idempotency-Replayed, Location, Retry-After, X-Request-Id")
		}
		if r.Method != http.MethodOptions || len(r.Header["Access-Control-Request-Method"]) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if !listed {
			Deny(w, ErrOrigin)
			return
		}
		h.Set("Access-Control-Allow-Methods", "DELETE, GET, PATCH, POST, PUT")
		h.Set("Access-Control-Allow-Headers",
			"Authorization, Content-Type, Device-Time, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Person-Id, Person-Pin, "+
				"X-Request-Id")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
