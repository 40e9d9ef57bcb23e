package auth

import (
	"net/http"
	"strconv"
	"strings"
)

// usualCookies are the names that Auth.js and NextAuth use by default, the secure ones first: a page without TLS can
// write the others.
var usualCookies = []string{
	"__Secure-authjs.session-token",
	"authjs.session-token",
	"__Secure-next-auth.session-token",
	"next-auth.session-token",
}

// Bounds of what one request may make us try. 32 chunks of 3.9 KB are twice the longest session that is accepted.
const (
	maxChunks     = 32
	maxSameCookie = 4 // browsers send one name several times, once for each path and domain that it was set for
)

// sessionCookie is what a request brought under one cookie name.
type sessionCookie struct {
	same   [maxSameCookie]string
	whole  int      // how many of same there are
	chunks []string // by number; "" is missing
}

// maxSessionCookies is how many names there are at most: the usual ones, and the one that is configured.
const maxSessionCookies = 5

// sessionCookies are all of one request, in the order of their names.
type sessionCookies [maxSessionCookies]sessionCookie

// tokens returns the session tokens that the cookies of one name may stand for, the likeliest first: the chunks up to the
// first that is shorter than the one before (all but the last chunk of a session have one length, so what follows is
// left over from a longer session), all chunks, and then the cookie without a number, which may be left over itself or
// be the new one beside old chunks. Only the key decides which of them is true.
func (c *sessionCookie) tokens() []string {
	if len(c.chunks) == 0 || c.chunks[0] == "" {
		return c.same[:c.whole]
	}
	run := c.chunks
	for i, chunk := range run {
		if chunk == "" {
			run = run[:i]
			break
		}
	}
	end := 1
	for end < len(run) && len(run[end-1]) == len(run[0]) {
		end++
	}
	var tokens []string
	if end < len(run) && len(run[end-1]) <= len(run[0]) {
		tokens = append(tokens, strings.Join(run[:end], ""))
	}
	tokens = append(tokens, strings.Join(run, ""))
	return append(tokens, c.same[:c.whole]...)
}

// collect finds, in the order of names, what the Cookie headers hold under exactly each name or under the name, a
// dot and a number. A neighbour such as "authjs.session-tokenx" is somebody else's.
//
// It does not use http.Request.Cookies, which allocates for each of the app's other cookies.
func (found *sessionCookies) collect(h http.Header, names []string) {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || value == "" {
				continue
			}
			for i, wanted := range names {
				rest, ok := strings.CutPrefix(name, wanted)
				if !ok {
					continue
				}
				found[i].add(rest, value)
			}
		}
	}
}

// add files value under the suffix that stood behind the name of the cookie: none, or a dot and a number.
func (c *sessionCookie) add(suffix, value string) {
	if suffix == "" {
		if c.whole < maxSameCookie {
			c.same[c.whole] = value
			c.whole++
		}
		return
	}
	n, ok := chunkNumber(suffix)
	if !ok {
		return
	}
	if c.chunks == nil {
		c.chunks = make([]string, 0, 4)
	}
	for len(c.chunks) <= n {
		c.chunks = append(c.chunks, "")
	}
	if c.chunks[n] == "" { // of two with one name the browser sends that of the longer path first
		c.chunks[n] = value
	}
}

// chunkNumber reads ".0" to ".31". Auth.js never writes leading zeros.
func chunkNumber(suffix string) (int, bool) {
	digits, ok := strings.CutPrefix(suffix, ".")
	if !ok || digits == "" || len(digits) > 2 || len(digits) == 2 && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 8)
	return int(n), err == nil && n < maxChunks
}

// validCookieName reports whether s is a cookie name of RFC 6265: a token of RFC 9110.
func validCookieName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return false
		}
	}
	return true
}
