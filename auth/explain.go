package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// CookieReport says what became of a session cookie that somebody has pasted. It holds names, and neither a secret nor the token; the
// Identity is what the cookie says.
type CookieReport struct {
	Cookie  string // name of the cookie, as it was pasted or as it was tried; empty: there is none
	Secret  int    // which of the secrets opens it, counted from 0; -1: none
	Version string // "Auth.js v5" or "NextAuth v4", with the encryption; empty: it was not opened
	Salt    string // name of the cookie that its key was derived for; empty with NextAuth v4

	Identity *Identity // who comes in with it; nil: nobody
	Expires  time.Time // zero: it was not opened
	Claims   []string  // names of its claims, those of objects with a dot; empty: it was not opened

	Problem string // what is wrong; empty: the server lets its owner in
	Right   string // what would be right
}

// maxPasted bounds what is looked at: more than a browser sends.
const maxPasted = 256 << 10

// ExplainCookie tries a pasted Cookie header, with or without its name, or the value of a session cookie alone, as an Authenticator with
// these options does, and finds out why it is refused if it is. Of the options it needs those of sessions.
func ExplainCookie(o Options, pasted string) CookieReport {
	a, err := New(o)
	if err != nil {
		return CookieReport{Secret: -1, Problem: "the settings of credentials are wrong: " + err.Error(), Right: "correct them first"}
	}
	x := explainer{a: a, opts: o}
	pasted = strings.Trim(strings.TrimSpace(pasted), `"'`)
	switch {
	case len(pasted) > maxPasted:
		return x.bad("", "it has %d bytes, which is more than a browser sends", "paste the cookie of one request", len(pasted))
	case pasted == "":
		return x.bad("", "it is empty", "paste the Cookie header of a request of the app's page, out of the browser's tools")
	case !strings.Contains(pasted, "="):
		return x.value(pasted)
	}
	if head, rest, ok := strings.Cut(pasted, ":"); ok && strings.EqualFold(strings.TrimSpace(head), "cookie") {
		pasted = rest
	}
	return x.header(pasted)
}

type explainer struct {
	a    *Authenticator
	opts Options
}

func (explainer) bad(cookie, problem, right string, args ...any) CookieReport {
	return CookieReport{Cookie: cookie, Secret: -1, Problem: fmt.Sprintf(problem, args...), Right: right}
}

// value tries a token whose cookie nobody named: under each name that is looked for.
func (x explainer) value(token string) CookieReport {
	for _, name := range x.a.sessions.names {
		if r := x.token(name, token); r.Secret >= 0 && r.Salt != "" && r.Salt != name {
			return x.token(r.Salt, token) // it was made for that name, and most likely comes under it
		} else if r.Secret >= 0 {
			return r
		}
	}
	return x.token(x.a.sessions.names[0], token)
}

// header tries the cookies of a request.
func (x explainer) header(line string) CookieReport {
	best := CookieReport{Secret: -1}
	var cookies sessionCookies
	cookies.collect(map[string][]string{"Cookie": {line}}, x.a.sessions.names)
	for i := range cookies {
		cookie := &cookies[i]
		for _, token := range cookie.tokens() {
			r := x.token(x.a.sessions.names[i], token)
			if r.Problem == "" {
				return r
			}
			if best.Cookie == "" || r.Secret >= 0 && best.Secret < 0 {
				best = r
			}
		}
		if len(cookie.chunks) > 0 && cookie.chunks[0] == "" && best.Cookie == "" {
			best = x.bad(x.a.sessions.names[i], "its first piece (%s.0) is missing", "paste all pieces of the cookie",
				x.a.sessions.names[i])
		}
	}
	if best.Cookie != "" {
		return best
	}
	return x.stranger(line)
}

// stranger looks for a session under a name that nobody looks for.
func (x explainer) stranger(line string) CookieReport {
	var names []string
	for pair := range strings.SplitSeq(line, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			continue
		}
		base := strings.TrimSuffix(name, ".0")
		names = append(names, printableName(name))
		sealed, err := parseSealed(value, new(scratch))
		if err == nil && sealed.alg == "dir" || base != name && strings.HasPrefix(value, "eyJ") {
			r := x.bad(printableName(base), "it looks like a session, under a name that the server does not look for",
				"set KENTONGAN_AUTH_COOKIE="+printableName(base))
			if own := x.token(base, value); base == name && own.Secret >= 0 {
				r.Secret, r.Version, r.Salt, r.Claims, r.Expires = own.Secret, own.Version, own.Salt, own.Claims, own.Expires
			}
			return r
		}
	}
	const most = 12
	return x.bad("", "there is no session cookie among these: %s",
		"paste the header of a request that the browser sends while somebody is signed in; the server looks for "+
			strings.Join(x.a.sessions.names, ", ")+"; another name is set with KENTONGAN_AUTH_COOKIE",
		strings.Join(names[:min(len(names), most)], ", "))
}

// printableName makes a name that was pasted fit for one line. It may be a secret at the wrong place, so only the beginning is shown.
func printableName(s string) string {
	return shorten(strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, s), 64)
}

// token tries one token in the cookie called name.
func (x explainer) token(name, token string) CookieReport {
	if r, known := x.shape(name, token); known {
		return r
	}
	salts := append([]string{name}, without(x.a.sessions.names, name)...)
	for _, variant := range variants {
		for i, secret := range x.opts.SessionSecrets {
			if variant.change != nil {
				changed := variant.change(secret)
				if changed == secret || changed == "" {
					continue
				}
				secret = changed
			}
			if r, opened := x.open(name, salts, secret, token); opened {
				r.Secret = i
				if variant.text != "" {
					r.Identity, r.Problem, r.Right = nil, variant.text, variant.right
				}
				return r
			}
		}
	}
	r := x.bad(name, "none of the %d session secrets opens it: the app that made it has another secret",
		"set AUTH_SECRET (or NEXTAUTH_SECRET) to the value that the app runs with now; sign in anew if it has changed since",
		len(x.opts.SessionSecrets))
	if len(x.opts.SessionSecrets) == 0 {
		r = x.bad(name, "no session secret is set", "set AUTH_SECRET or NEXTAUTH_SECRET to the app's secret")
	}
	return r
}

// variants are what happens to a secret on its way from one .env file to another.
var variants = []struct {
	change      func(string) string
	text, right string
}{
	{},
	{strings.TrimSpace, "the app's secret is the same without the white space around ours", "take the white space around the secret away"},
	{
		func(s string) string { return strings.Trim(s, `"'`) }, "the app's secret is the same without the quotes around ours",
		"take the quotes around the secret away",
	},
	{func(s string) string { return s + "\n" }, "the app's secret ends with a line break", "set the secret with the line break at its end"},
	{func(s string) string { return `"` + s + `"` }, "the app's secret has quotes around it", "set the secret with its quotes"},
}

// shape says what is wrong with a token that cannot be one, whatever the secret; known is false if it can.
func (x explainer) shape(name, token string) (r CookieReport, known bool) {
	if len(token) > maxSessionBytes {
		return x.bad(name, "it has %d bytes, and at most %d are taken", "keep less in the session", len(token), maxSessionBytes), true
	}
	if strings.Count(token, ".") == 2 {
		if x.a.hmacKey == nil {
			return x.bad(name, "it is a signed token, not a sealed one: the app has a jwt.encode of its own",
				"set KENTONGAN_JWT_SECRET to the key that it signs with (HS256)"), true
		}
		text, err := x.a.openHS256(token)
		if err != nil {
			return x.bad(name, "it is a signed token that KENTONGAN_JWT_SECRET does not verify",
				"set KENTONGAN_JWT_SECRET to the key that the app's jwt.encode signs with (HS256)"), true
		}
		r = CookieReport{Cookie: name, Secret: -1, Version: "signed with HS256"}
		x.read(&r, text)
		return r, true
	}
	sealed, err := parseSealed(token, new(scratch))
	switch {
	case err != nil && strings.Count(token, ".") == 0:
		return x.bad(name, "it is no token but a short id: the app keeps its sessions in a database",
			`set session: { strategy: "jwt" } in the app's auth configuration`), true
	case err != nil:
		return x.bad(name, "it is no session token, or not all of one (%s)", "paste the whole value, all pieces of it", err), true
	case sealed.alg != "dir":
		return x.bad(name, "it is sealed with alg %s, which Auth.js does not write", "sign in with the app itself",
			printableName(sealed.alg)), true
	case sealed.enc != encCBC && sealed.enc != encGCM:
		return x.bad(name, "it is sealed with enc %s, which neither Auth.js v5 nor NextAuth v4 writes", "sign in with the app itself",
			printableName(sealed.enc)), true
	}
	return r, false
}

// open tries the keys that secret makes: of v5 for each salt, and of v4.
func (x explainer) open(name string, salts []string, secret, token string) (r CookieReport, opened bool) {
	r = CookieReport{Cookie: name}
	try := func(k sessionKey, err error) bool {
		if err != nil {
			return false
		}
		sealed, err := parseSealed(token, new(scratch))
		if err != nil {
			return false
		}
		text, err := k.open(&sealed)
		if err != nil {
			return false
		}
		x.read(&r, text)
		return true
	}
	for _, salt := range salts {
		long, err1 := deriveV5(secret, salt, cbcKeyBytes)
		short, err2 := deriveV5(secret, salt, gcmKeyBytes)
		if err1 != nil || err2 != nil {
			return r, false // the length of a key is ours
		}
		cbc, err := newCBCKey(long)
		v5 := try(cbc, err)
		r.Version = "Auth.js v5, " + encCBC
		if !v5 {
			gcm, err := newGCMKey(short)
			v5, r.Version = try(gcm, err), "Auth.js v5, "+encGCM
		}
		if !v5 {
			continue
		}
		if r.Salt = salt; salt != name {
			r.Identity = nil
			r.Problem = fmt.Sprintf("it was made for the cookie %s and comes in %s: something on the way has renamed it", salt, name)
			r.Right = "let the cookie keep the name that the app gives it"
		}
		return r, true
	}
	v4, err := deriveV4(secret)
	if err != nil {
		return r, false // as above
	}
	gcm, err := newGCMKey(v4)
	r.Version = "NextAuth v4, " + encGCM
	return r, try(gcm, err)
}

// read looks at the claims as an Authenticator does.
func (x explainer) read(r *CookieReport, text []byte) {
	r.Claims = claimNames(text)
	c := new(claims)
	if err := x.a.tree.read(text, c); err != nil {
		r.Problem, r.Right = "its claims cannot be read: "+err.Error(), "sign in with the app itself"
		return
	}
	if expires, found, err := c[slotExpires].when(); err == nil && found {
		r.Expires = expires
	}
	id, err := x.a.identify(KindSession, c)
	if err == nil {
		r.Identity = id
		return
	}
	r.Problem = "it is opened and lets nobody in: " + err.Error()
	switch {
	case errors.Is(err, ErrExpired):
		r.Right = "sign in again; if that does not help, compare the clocks of the app and of this server"
	case errors.Is(err, ErrNoTenant):
		r.Right = "let the app's jwt callback put the kitchen into the claim sppgId, or say where it is with KENTONGAN_CLAIM_TENANT; " +
			"it has " +
			strings.Join(r.Claims, ", ")
	default:
		r.Right = "let the app's jwt callback write sub, sppgId and userRole as docs/protocol.md says; it has " +
			strings.Join(r.Claims, ", ")
	}
}

// claimNames returns the names of the claims, those of objects at the top with a dot, in order. An app may have many.
func claimNames(text []byte) []string {
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil
	}
	var names []string
	for name, value := range all {
		names = append(names, printableName(name))
		if object, ok := value.(map[string]any); ok {
			for inner := range object {
				names = append(names, printableName(name+"."+inner))
			}
		}
	}
	slices.Sort(names)
	const most = 40
	return names[:min(len(names), most)]
}
