package auth

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SignInOptions sets up sign-in by link.
type SignInOptions struct {
	Secret      string        // the session secret; the key of the links is derived from it, for this use alone
	Secure      bool          // pages are https, though a proxy may speak plain HTTP to us; also true on TLS of our own
	LinkLife    time.Duration // zero: 12 h
	SessionLife time.Duration // zero: 8 h, as the app
	Now         func() time.Time
	Log         *slog.Logger // nil discards
	Audit       *slog.Logger // of who came in; nil: Log
}

// LogValue leaves the secret out.
func (o SignInOptions) LogValue() slog.Value { return slog.StringValue("sign-in options") }

// SignIn gives sessions to whoever has a link. It is for where there is no app to sign in at: demonstrations, and kitchens whose tablets
// and wall are paired by a link that an operator has made.
//
// A link can be used again and again within its life. One that works once is used up by the preview of the messenger that it is
// sent with, before a person has seen it. So a link is as good as a password for as long as it lives: it goes to who is to have it and to
// nobody else, and lives no longer than it takes to get there. Nothing is stored: the link carries its claims, sealed.
type SignIn struct {
	o    SignInOptions
	link *gcmKey
}

// link is what a sign-in link carries.
type link struct {
	Claims  map[string]any `json:"claims"`
	Expires int64          `json:"expires"`        // in seconds
	Life    int64          `json:"life,omitempty"` // of the session, in seconds; zero: as the server has it
}

// maxLinkBytes bounds the ticket of a link.
const maxLinkBytes = 4 << 10

// linkAAD keeps a link from being taken for anything else that may ever be sealed under its key.
var linkAAD = []byte("kentongan sign-in link 1")

// NewSignIn returns an error if the secret can be guessed.
func NewSignIn(o SignInOptions) (*SignIn, error) {
	if err := checkSecret("session secret", o.Secret, MinSecretBytes); err != nil {
		return nil, err
	}
	if o.LinkLife <= 0 {
		o.LinkLife = 12 * time.Hour
	}
	if o.SessionLife <= 0 {
		o.SessionLife = 8 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Log
	}
	key, err := hkdf.Key(sha256.New, []byte(o.Secret), nil, string(linkAAD), gcmKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive link key: %w", err)
	}
	k, err := newGCMKey(key)
	if err != nil {
		return nil, err
	}
	return &SignIn{o, k}, nil
}

// Link returns the path and query of a link that signs in with claims, to be put behind the address of the server.
func (s *SignIn) Link(claims map[string]any) (string, error) { return s.LinkFor(claims, 0) }

// LinkFor is Link for a session that lasts as long as life, from when the link is opened, whatever the server has for others.
func (s *SignIn) LinkFor(claims map[string]any, life time.Duration) (string, error) {
	text, err := json.Marshal(link{claims, s.o.Now().Add(s.o.LinkLife).Unix(), int64(life / time.Second)})
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	nonce := make([]byte, gcmIVBytes)
	_, _ = rand.Read(nonce) // it never fails: without randomness the process ends
	ticket := strict64.EncodeToString(s.link.aead.Seal(nonce, nonce, text, linkAAD))
	if len(ticket) > maxLinkBytes {
		return "", errors.New("sign-in link: too many claims")
	}
	return "/signin?ticket=" + url.QueryEscape(ticket), nil
}

// open returns the claims of a ticket that Link made and that is still alive, and how long the session lasts.
func (s *SignIn) open(ticket string) (claims map[string]any, life time.Duration, err error) {
	if len(ticket) > maxLinkBytes {
		return nil, 0, ErrBadCredential
	}
	sealed, err := appendBase64(nil, []byte(ticket))
	if err != nil || len(sealed) < gcmIVBytes {
		return nil, 0, ErrBadCredential
	}
	text, err := s.link.aead.Open(nil, sealed[:gcmIVBytes], sealed[gcmIVBytes:], linkAAD)
	if err != nil {
		return nil, 0, ErrBadCredential
	}
	var l link
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, 0, ErrBadCredential
	}
	if s.o.Now().Unix() >= l.Expires {
		return nil, 0, ErrExpired
	}
	life = s.o.SessionLife
	if l.Life > 0 {
		life = time.Duration(l.Life) * time.Second
	}
	return l.Claims, life, nil
}

// ServeHTTP answers GET /signin?ticket=…: it sets the session cookie and leads to the first page, or says in plain words that the
// link is good no more.
func (s *SignIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address of this page is a key
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Use GET.", http.StatusMethodNotAllowed)
		return
	}
	claims, life, err := s.open(r.URL.Query().Get("ticket"))
	if err != nil {
		s.o.Log.InfoContext(r.Context(), "sign-in link refused", "err", err)
		linkPage(w)
		return
	}
	name, secure := SessionCookie, s.o.Secure || r.TLS != nil
	if secure {
		name = SecureSessionCookie
	}
	token, err := MintSession(s.o.Secret, name, claims, life)
	if err != nil {
		http.Error(w, "The session could not be made.", http.StatusInternalServerError)
		return
	}
	s.o.Audit.InfoContext(r.Context(), "signed in by link", "sub", claims["sub"], "life_s", int64(life.Seconds()))
	SetSession(w, name, token, secure, life)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// linkPage is for a person whose link does not work.
func linkPage(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusGone)
	_, _ = w.Write([]byte(linkPageText)) // a browser that has gone is no error of ours
}

const linkPageText = `<!doctype html>
<html lang="id">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tautan tidak berlaku · Link not valid</title>
<main>
<h1>Tautan masuk ini tidak berlaku lagi</h1>
<p>Tautan sudah kedaluwarsa, tidak lengkap, atau dibuat dengan kunci yang lain.
Mintalah tautan baru kepada orang yang menjalankan server.</p>
<section lang="en">
<h2>This sign-in link is no longer valid</h2>
<p>It has expired, is incomplete, or was made with another key.
Ask whoever runs the server for a new one.</p>
</section>
</main>
`

// SignOutHandler answers POST /signout: it removes all session cookies that the request brought and leads to the first page. The session
// itself lives on until it expires; only a [Revocation] ends it everywhere.
func (a *Authenticator) SignOutHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onlyPost(w, r) {
			return
		}
		if err := a.CheckOrigin(r, KindSession); err != nil {
			a.deny(w, r, err)
			return
		}
		var cookies sessionCookies
		cookies.collect(r.Header, a.sessions.names)
		for i, name := range a.sessions.names {
			c := &cookies[i]
			secure := r.TLS != nil || strings.HasPrefix(name, "__Secure-") || strings.HasPrefix(name, "__Host-")
			if c.whole > 0 {
				http.SetCookie(w, sessionCookieOf(name, "", secure, 0))
			}
			for n, chunk := range c.chunks {
				if chunk != "" {
					http.SetCookie(w, sessionCookieOf(fmt.Sprintf("%s.%d", name, n), "", secure, 0))
				}
			}
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
}
