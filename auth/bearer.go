package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// signed is a compact JWS, cut and decoded but not yet believed.
type signed struct {
	header
	input     string // what was signed: the first two parts as sent
	payload   []byte
	signature []byte
}

// parseSigned cuts a compact JWS. Its cost is bounded whatever token is: no more than three dots are looked for.
func parseSigned(token string) (signed, error) {
	var s signed
	var parts [3]string
	if !cut(token, parts[:]) || parts[1] == "" || parts[2] == "" {
		return s, errors.New("not three parts")
	}
	if len(parts[0]) > maxHeaderBytes {
		return s, errors.New("header is too long")
	}
	text, err := appendBase64(nil, []byte(parts[0]))
	if err != nil {
		return s, err
	}
	if s.payload, err = appendBase64(nil, []byte(parts[1])); err != nil {
		return s, err
	}
	if s.signature, err = appendBase64(nil, []byte(parts[2])); err != nil {
		return s, err
	}
	s.input = token[:len(parts[0])+1+len(parts[1])]
	if s.header, err = readHeader(text); err != nil {
		return s, err
	}
	if t := strings.ToLower(s.typ); t != "" && t != "jwt" && t != "at+jwt" && t != "application/at+jwt" {
		return s, errors.New("typ is that of another sort of token")
	}
	return s, nil
}

// openHS256 returns the payload of a token that was signed with the configured HMAC key.
func (a *Authenticator) openHS256(token string) ([]byte, error) {
	s, err := parseSigned(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBadCredential)
	}
	return a.verifyHS256(&s)
}

func (a *Authenticator) verifyHS256(s *signed) ([]byte, error) {
	if a.hmacKey == nil || s.alg != "HS256" {
		return nil, fmt.Errorf("no key for this alg: %w", ErrBadCredential)
	}
	m := hmac.New(sha256.New, a.hmacKey)
	m.Write([]byte(s.input))
	if !hmac.Equal(m.Sum(nil), s.signature) {
		return nil, fmt.Errorf("signature does not match: %w", ErrBadCredential)
	}
	return s.payload, nil
}

// bearerToken returns the token of the Authorization header. Other schemes are not ours: a proxy in front of a test
// installation may want Basic.
func bearerToken(h http.Header) (string, bool) {
	for _, v := range h["Authorization"] {
		scheme, token, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, "bearer") {
			return strings.Trim(token, " "), true
		}
	}
	return "", false
}

// fromBearer reads an API key or a JWT.
func (a *Authenticator) fromBearer(ctx context.Context, token string) (*Identity, error) {
	if len(token) > maxBearerBytes {
		return nil, fmt.Errorf("bearer token of %d bytes: %w", len(token), ErrBadCredential)
	}
	if id := a.keys.find(token); id != nil {
		return id, nil
	}
	id, err := a.fromJWT(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	return id, nil
}

func (a *Authenticator) fromJWT(ctx context.Context, token string) (*Identity, error) {
	if a.hmacKey == nil && a.jwks == nil {
		return nil, fmt.Errorf("no such API key, and JWTs are not configured: %w", ErrBadCredential)
	}
	s, err := parseSigned(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBadCredential)
	}
	var payload []byte
	// An alg belongs to a key and never the other way round: HS256 has the one secret, and a key of the set that alg for
	// which it was published. So a public key is never an HMAC secret, and "none" has no key at all.
	switch {
	case s.alg == "HS256":
		payload, err = a.verifyHS256(&s)
	case slices.Contains(publicAlgs, jose.SignatureAlgorithm(s.alg)) && a.jwks != nil:
		payload, err = a.verifyPublic(ctx, token, &s)
	default:
		err = fmt.Errorf("no key for this alg: %w", ErrBadCredential)
	}
	if err != nil {
		return nil, err
	}
	c := new(claims)
	if err := a.tree.read(payload, c); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBadCredential)
	}
	if a.issuer != "" && (c[slotIssuer].kind != '"' || string(c[slotIssuer].text) != a.issuer) {
		return nil, fmt.Errorf("claim iss is not the configured issuer: %w", ErrBadCredential)
	}
	aud := c[slotAudience]
	if named := aud.kind == '"' && string(aud.text) == a.audience; a.audience != "" && !named && !slices.Contains(aud.list, a.audience) {
		return nil, fmt.Errorf("claim aud is not the configured audience: %w", ErrBadCredential)
	}
	return a.identify(KindBearer, c)
}

// verifyPublic returns the payload if the key that the token names signed it.
func (a *Authenticator) verifyPublic(ctx context.Context, token string, s *signed) ([]byte, error) {
	alg := jose.SignatureAlgorithm(s.alg)
	key, err := a.jwks.key(ctx, s.kid, alg)
	if err != nil {
		return nil, err
	}
	j, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return nil, fmt.Errorf("not understood: %w", ErrBadCredential) // the library's text may quote the token
	}
	payload, err := j.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("signature does not match: %w", ErrBadCredential)
	}
	return payload, nil
}
