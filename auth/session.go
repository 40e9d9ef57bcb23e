package auth

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tolerance is how far the app's clock and ours may differ. It is the one of Auth.js.
const tolerance = 15 * time.Second

// sessions opens session cookies. It is immutable after newSessions.
type sessions struct {
	names []string
	cbc   [][]namedKey // by name, then by secret: Auth.js v5
	gcm   [][]namedKey // by name: v4 and v5 keys of each secret
}

// namedKey is a derived key with the kid that its writer puts into the header; v4 writes none.
type namedKey struct {
	sessionKey
	kid string
}

// newSessions derives all keys: one for each secret, cookie name and version, once. Neither the name nor the version is
// guessed from the other: the app of one team writes v5 tokens under v4 names.
func newSessions(secrets []string, extraCookie string) (*sessions, error) {
	s := &sessions{names: usualCookies}
	if extraCookie != "" {
		if !validCookieName(extraCookie) {
			return nil, fmt.Errorf("session cookie name %q: not a cookie name", shorten(extraCookie, 64))
		}
		s.names = append([]string{extraCookie}, without(usualCookies, extraCookie)...)
	}
	if len(secrets) == 0 {
		return s, nil
	}
	var v4 []namedKey
	for _, secret := range secrets {
		key, err := deriveV4(secret)
		if err != nil {
			return nil, err
		}
		k, err := newGCMKey(key)
		if err != nil {
			return nil, err
		}
		v4 = append(v4, namedKey{k, ""})
	}
	for _, name := range s.names {
		cbc, gcm, err := deriveAllV5(secrets, name)
		if err != nil {
			return nil, err
		}
		s.cbc = append(s.cbc, cbc)
		s.gcm = append(s.gcm, append(gcm, v4...))
	}
	return s, nil
}

func deriveAllV5(secrets []string, name string) (cbc, gcm []namedKey, err error) {
	for _, secret := range secrets {
		long, err := deriveV5(secret, name, cbcKeyBytes)
		if err != nil {
			return nil, nil, err
		}
		c, err := newCBCKey(long)
		if err != nil {
			return nil, nil, err
		}
		cbc = append(cbc, namedKey{c, thumbprint(long)})
		short, err := deriveV5(secret, name, gcmKeyBytes)
		if err != nil {
			return nil, nil, err
		}
		g, err := newGCMKey(short)
		if err != nil {
			return nil, nil, err
		}
		gcm = append(gcm, namedKey{g, thumbprint(short)})
	}
	return cbc, gcm, nil
}

// without returns a copy of names without name.
func without(names []string, name string) []string {
	var rest []string
	for _, n := range names {
		if n != name {
			rest = append(rest, n)
		}
	}
	return rest
}

// open returns the claims text that token carries if it was in the cookie names[i]. The header's enc decides how it is
// opened; kid, if there is one, picks the key, else each secret is tried. The text lies in the memory of into.
func (s *sessions) open(i int, token string, into *scratch) ([]byte, error) {
	if len(token) > maxSessionBytes {
		return nil, fmt.Errorf("token of %d bytes: %w", len(token), ErrBadCredential)
	}
	sealed, err := parseSealed(token, into)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBadCredential)
	}
	if sealed.alg != "dir" {
		return nil, fmt.Errorf("key management other than dir: %w", ErrBadCredential)
	}
	var keys [][]namedKey
	switch sealed.enc {
	case encCBC:
		keys = s.cbc
	case encGCM:
		keys = s.gcm
	default:
		return nil, fmt.Errorf("content encryption is neither %s nor %s: %w", encCBC, encGCM, ErrBadCredential)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no session secret is configured: %w", ErrBadCredential)
	}
	for _, k := range keys[i] {
		if sealed.kid != "" && sealed.kid != k.kid {
			continue
		}
		if text, err := k.open(&sealed); err == nil {
			return text, nil
		}
	}
	return nil, fmt.Errorf("no secret opens it: %w", ErrBadCredential)
}

// fromCookies reads the first session that is good. If none is, it returns the error that says most; ErrNoCredential if the
// request has no session cookie.
func (a *Authenticator) fromCookies(r *http.Request) (*Identity, error) {
	best := ErrNoCredential
	var cookies sessionCookies
	cookies.collect(r.Header, a.sessions.names)
	for i := range cookies {
		for _, token := range cookies[i].tokens() {
			id, err := a.fromSession(i, token)
			if err == nil {
				return id, nil
			}
			if rank(err) > rank(best) {
				best = fmt.Errorf("cookie %s: %w", a.sessions.names[i], err)
			}
		}
	}
	return nil, best
}

// fromSession reads one session token. Three parts instead of five are what a custom jwt.encode of the app writes; they
// are tried only if an HMAC key is configured.
func (a *Authenticator) fromSession(cookie int, token string) (*Identity, error) {
	var text []byte
	var err error
	into := scratches.Get().(*scratch) //nolint:forcetypeassert,errcheck // New makes nothing else
	defer into.release()
	if len(token) <= maxBearerBytes && strings.Count(token, ".") == 2 && a.hmacKey != nil {
		text, err = a.openHS256(token)
	} else {
		text, err = a.sessions.open(cookie, token, into)
	}
	if err != nil {
		return nil, err
	}
	if err = a.tree.read(text, &into.claims); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBadCredential)
	}
	return a.identify(KindSession, &into.claims)
}
