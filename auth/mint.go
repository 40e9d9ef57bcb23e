package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// The names of the session cookie of Auth.js v5.
const (
	SessionCookie       = "authjs.session-token"
	SecureSessionCookie = "__Secure-authjs.session-token" // where the page is https
)

// chunkBytes is the longest cookie value that Auth.js v5 writes in one piece.
const chunkBytes = 4096 - 160

// MintSession returns a session token as Auth.js v5 makes it, for the cookie of that name: the claims with iat, exp and jti, sealed
// with A256CBC-HS512 under a key of secret and cookieName, with its kid. An app with the same secret accepts it. It is for
// demonstrations and tests; users of an app get theirs from the app.
func MintSession(secret, cookieName string, claims map[string]any, lifetime time.Duration) (string, error) {
	if !validCookieName(cookieName) {
		return "", fmt.Errorf("session cookie name %q: not a cookie name", shorten(cookieName, 64))
	}
	if err := checkSecret("session secret", secret, MinSecretBytes); err != nil {
		return "", err
	}
	if lifetime <= 0 {
		return "", errors.New("session lifetime: want more than nothing")
	}
	now := time.Now()
	all := map[string]any{"jti": rand.Text()}
	maps.Copy(all, claims)
	all["iat"], all["exp"] = now.Unix(), now.Add(lifetime).Unix()
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	key, err := deriveV5(secret, cookieName, cbcKeyBytes)
	if err != nil {
		return "", err
	}
	return sealCBC(key, thumbprint(key), text)
}

// sealCBC writes a compact JWE with A256CBC-HS512 and alg dir.
func sealCBC(key []byte, kid string, text []byte) (string, error) {
	k, err := newCBCKey(key)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	head := b64.EncodeToString([]byte(`{"alg":"dir","enc":"` + encCBC + `","kid":"` + kid + `"}`))
	iv := make([]byte, cbcIVBytes)
	_, _ = rand.Read(iv) // it never fails: without randomness the process ends
	pad := aes.BlockSize - len(text)%aes.BlockSize
	sealed := append(bytes.Clone(text), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(k.block, iv).CryptBlocks(sealed, sealed)
	t := k.tools.Get().(*cbcTools) //nolint:forcetypeassert,errcheck // New makes nothing else
	defer k.tools.Put(t)
	tag := t.tag([]byte(head), iv, sealed)
	return head + ".." + b64.EncodeToString(iv) + "." + b64.EncodeToString(sealed) + "." + b64.EncodeToString(tag), nil
}

// SetSession writes the cookie of a session, in chunks if it is too long for one.
func SetSession(w http.ResponseWriter, name, token string, secure bool, maxAge time.Duration) {
	if len(token) <= chunkBytes {
		http.SetCookie(w, sessionCookieOf(name, token, secure, maxAge))
		return
	}
	for i := 0; token != ""; i++ {
		n := min(len(token), chunkBytes)
		http.SetCookie(w, sessionCookieOf(name+"."+strconv.Itoa(i), token[:n], secure, maxAge))
		token = token[n:]
	}
}

// sessionCookieOf has the attributes that Auth.js sets. A maxAge of zero or less removes the cookie.
func sessionCookieOf(name, value string, secure bool, maxAge time.Duration) *http.Cookie {
	seconds := int(maxAge / time.Second)
	if seconds <= 0 {
		seconds = -1
	}
	//nolint:gosec // G124: without TLS, on a developer's machine, a browser would drop a Secure cookie; the callers know
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
}
