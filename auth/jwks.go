package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// publicAlgs are the algorithms whose keys may be published.
var publicAlgs = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// How a key set is kept.
const (
	jwksFreshFor     = 10 * time.Minute // then it is read again when next used; a removed key dies by then
	jwksUsableFor    = 24 * time.Hour   // how long the old set serves while its server is out
	jwksRefreshEvery = 10 * time.Second // at most: tokens with invented kids cause no more requests than this
	jwksTimeout      = 5 * time.Second
	jwksMaxBytes     = 256 << 10
	jwksMaxKeys      = 64
	minRSABits       = 2048
	maxRSABits       = 8192 // the cost of a check grows with the square
)

// publicKey is one key of the set with the one alg that it may verify.
type publicKey struct {
	kid string
	alg jose.SignatureAlgorithm
	key crypto.PublicKey
}

// keySet is a JWKS behind a URL. It is read when a token needs it and never in the background; it is safe for concurrent
// use.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	reading chan struct{} // holds one token: who has it may read the URL

	mu    sync.RWMutex
	keys  []publicKey
	read  time.Time // last success
	tried time.Time // last attempt
}

// newKeySet does no I/O. The address must be https, or http on this machine.
func newKeySet(address string, transport http.RoundTripper, now func() time.Time, log *slog.Logger) (*keySet, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("JWKS URL: want https://host/path without a user name")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("JWKS URL: want https (http only on this machine), for who writes the keys signs the tokens")
	}
	if transport == nil {
		// One request in ten minutes is not worth an idle connection, which would also hold two goroutines.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	}
	s := &keySet{url: address, now: now, log: log, reading: make(chan struct{}, 1)}
	s.client = &http.Client{Timeout: jwksTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirect refused") }}
	s.reading <- struct{}{}
	return s, nil
}

// key returns the key for a token. It reads the URL if the kid is unknown or the set is old, once for all who wait, and
// returns ErrBadCredential if there is no such key, ErrUnavailable if no set was ever read or the last one is too old.
func (s *keySet) key(ctx context.Context, kid string, alg jose.SignatureAlgorithm) (crypto.PublicKey, error) {
	key, state := s.find(kid, alg)
	if state == keyFresh {
		return key, nil
	}
	if err := s.refresh(ctx, state); err != nil {
		return nil, err
	}
	key, state = s.find(kid, alg)
	switch state {
	case keyFresh, keyOld:
		return key, nil
	case keyNone:
		return nil, fmt.Errorf("no public key has this kid and alg: %w", ErrBadCredential)
	default:
		return nil, fmt.Errorf("public keys could not be read: %w", ErrUnavailable)
	}
}

// keyState is what find knows about a key.
type keyState int

const (
	keyFresh keyState = iota
	keyOld            // of a set that should be read again
	keyNone           // not in the set
	keyNoSet          // there is no set, or none that may still be used
)

// find looks for the key in the set as it is. A token without kid is served if only one key has its alg.
func (s *keySet) find(kid string, alg jose.SignatureAlgorithm) (crypto.PublicKey, keyState) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	age := s.now().Sub(s.read)
	if s.read.IsZero() || age > jwksUsableFor {
		return nil, keyNoSet
	}
	var found crypto.PublicKey
	n := 0
	for _, k := range s.keys {
		if k.alg == alg && (kid == "" || k.kid == kid) {
			found = k.key
			n++
		}
	}
	switch {
	case n != 1: // also two keys of one name: which one would be a guess
		return nil, keyNone
	case age > jwksFreshFor:
		return found, keyOld
	default:
		return found, keyFresh
	}
}

// refresh reads the set unless that was tried a moment ago. With an old key at hand it does not wait for another reader.
func (s *keySet) refresh(ctx context.Context, state keyState) error {
	if s.triedJustNow() {
		if state == keyOld {
			return nil
		}
		// The attempt may still be under way; its end is worth waiting for.
	}
	select {
	case <-s.reading:
	default:
		if state == keyOld {
			return nil
		}
		select {
		case <-s.reading:
		case <-ctx.Done():
			return fmt.Errorf("wait for public keys: %w: %w", ctx.Err(), ErrUnavailable)
		}
	}
	defer func() { s.reading <- struct{}{} }()
	if s.triedJustNow() {
		return nil
	}
	s.mu.Lock()
	s.tried = s.now()
	s.mu.Unlock()
	// The answer serves everybody, so the leaving of the one who asked does not stop it; the client's timeout does.
	keys, err := s.fetch(context.WithoutCancel(ctx))
	if err != nil {
		s.log.WarnContext(ctx, "public keys not read", "url", s.url, "err", err)
		return nil
	}
	s.mu.Lock()
	s.keys, s.read = keys, s.now()
	s.mu.Unlock()
	return nil
}

func (s *keySet) triedJustNow() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.tried.IsZero() && s.now().Sub(s.tried) < jwksRefreshEvery
}

// fetch reads and parses the set.
func (s *keySet) fetch(ctx context.Context) ([]publicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read or given up; nothing is left to learn from closing it
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for keys: status %d, want 200", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, jwksMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	if len(body) > jwksMaxBytes {
		return nil, fmt.Errorf("read keys: more than %d bytes", jwksMaxBytes)
	}
	return parseKeySet(body)
}

// parseKeySet returns the keys of a JWKS that can verify signatures. Keys for other uses, of unknown types, of weak sizes,
// and symmetric or private ones are left out, for a set may hold them beside good ones.
func parseKeySet(body []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("parse keys: %w", err)
	}
	if len(set.Keys) > jwksMaxKeys {
		return nil, fmt.Errorf("parse keys: %d keys, at most %d", len(set.Keys), jwksMaxKeys)
	}
	var keys []publicKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err != nil || !k.IsPublic() || !k.Valid() || k.Use != "" && k.Use != "sig" {
			continue
		}
		if alg, ok := pin(k); ok {
			keys = append(keys, publicKey{k.KeyID, alg, k.Key})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("parse keys: none can verify a signature")
	}
	return keys, nil
}

// pin returns the one algorithm of a key: the one it was published with if that fits its type, else the usual one of
// the type, which for RSA is RS256.
func pin(k jose.JSONWebKey) (jose.SignatureAlgorithm, bool) {
	named := jose.SignatureAlgorithm(k.Algorithm)
	var fits []jose.SignatureAlgorithm
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", false
		}
		fits = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			fits = []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			fits = []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			fits = []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		fits = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	for i, alg := range fits {
		if named == alg || named == "" && i == 0 {
			return alg, true
		}
	}
	return "", false
}
