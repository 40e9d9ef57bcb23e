package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"kentongan/internal/answer"
)

// guardAdmin lets to the admin routes only who may: whoever has the token, or without a token whoever is on this machine, where config
// makes it listen. Everybody on this machine includes the pages in its browsers, which must not read who is connected, nor send anything:
// a page says with its Origin that it is one, and one that makes its own name point to 127.0.0.1 is known by that name.
func guardAdmin(token string, audit *slog.Logger, routes http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz" || r.URL.Path == "/readyz": // what orchestrators ask, and anybody may know
		case fromPage(r):
			if r.Method != http.MethodGet && r.Method != http.MethodHead { // somebody makes an operator's browser do it
				audit.Warn("admin act refused", "method", r.Method, "path", r.URL.EscapedPath(), "remote", r.RemoteAddr)
			}
			answer.Error(w, http.StatusForbidden, "FORBIDDEN", "pages of other sites may not ask the admin listener")
			return
		case token == "" && !localName(r.Host):
			answer.Error(w, http.StatusForbidden, "FORBIDDEN", "without KENTONGAN_ADMIN_TOKEN this answers only as 127.0.0.1 or localhost")
			return
		case token != "":
			got := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="kentongan admin"`)
				answer.Error(w, http.StatusUnauthorized, "UNAUTHENTICATED", "send the KENTONGAN_ADMIN_TOKEN as Authorization: Bearer")
				return
			}
		}
		routes.ServeHTTP(w, r)
	})
}

// fromPage reports whether a page of another site sent r. Programs send neither header, and what a person types in has "none".
func fromPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		return true
	}
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin != "" && host != r.Host
}

// localName reports whether host, of a Host header, is a name that only this machine has.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
