package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// idp is an identity provider: it signs tokens and publishes its keys.
type idp struct {
	*httptest.Server
	asked atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
}

func newIDP(t *testing.T, keys ...jose.JSONWebKey) *idp {
	t.Helper()
	p := &idp{}
	p.publish(keys...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) set(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *idp) publish(keys ...jose.JSONWebKey) {
	p.set(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
	})
}

// signer is a key pair of the test.
type signer struct {
	jose.JSONWebKey // the public half
	private         crypto.Signer
}

func newSigner(t testing.TB, kid string, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{jose.JSONWebKey{Key: private.Public(), KeyID: kid, Algorithm: string(alg), Use: "sig"}, private}
}

// sign returns a token of claims, signed with alg and naming the signer's kid.
func (s signer) sign(t testing.TB, alg jose.SignatureAlgorithm, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: s.private, KeyID: s.KeyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clock is a clock that a test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) forward(d time.Duration) { c.offset.Add(int64(d)) }

func TestJWKSAlgorithms(t *testing.T) {
	for _, alg := range publicAlgs {
		t.Run(string(alg), func(t *testing.T) {
			s := newSigner(t, "k1", alg)
			a := newAuth(t, Options{JWKSURL: newIDP(t, s.JSONWebKey).URL})
			token := s.sign(t, alg, kepalaJWT())
			id, err := tryBearer(t, a, token)
			if err != nil || id.Kind != KindBearer || id.Tenant != "sppg_7" {
				t.Fatalf("%+v, %v", id, err)
			}
			for i := range 12 { // a change in each part, wherever its dots are
				b := []byte(token)
				at := len(b) * (2*i + 1) / 24
				b[at] ^= 1
				if id, err := tryBearer(t, a, string(b)); err == nil {
					t.Fatalf("byte %d changed: accepted as %v", at, id)
				}
			}
			other := newSigner(t, "k1", alg)
			if _, err := tryBearer(t, a, other.sign(t, alg, kepalaJWT())); !errors.Is(err, ErrBadCredential) {
				t.Fatalf("signed by another key of the same kid: %v, want ErrBadCredential", err)
			}
		})
	}
}

func TestJWKSPinsTheAlgorithm(t *testing.T) {
	rs := newSigner(t, "rs", jose.RS256)
	plain := rs
	plain.Algorithm = ""
	ec := newSigner(t, "ec", jose.ES256)
	publicPEM, err := x509.MarshalPKIXPublicKey(rs.Key)
	if err != nil {
		t.Fatal(err)
	}
	pemText := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicPEM}))
	for _, c := range []struct {
		name  string
		set   jose.JSONWebKey
		token string
		good  bool
	}{
		{"Named", rs.JSONWebKey, rs.sign(t, jose.RS256, kepalaJWT()), true},
		{"OtherHash", rs.JSONWebKey, rs.sign(t, jose.RS512, kepalaJWT()), false},
		{"OtherPadding", rs.JSONWebKey, rs.sign(t, jose.PS256, kepalaJWT()), false},
		{"RSAWithoutAlgIsRS256", plain.JSONWebKey, rs.sign(t, jose.RS256, kepalaJWT()), true},
		{"RSAWithoutAlgIsNotPS256", plain.JSONWebKey, rs.sign(t, jose.PS256, kepalaJWT()), false},
		{"OtherType", ec.JSONWebKey, rs.sign(t, jose.RS256, kepalaJWT()), false},
		{"PublicKeyAsSecret", rs.JSONWebKey, jws(t, map[string]any{"alg": "HS256", "kid": "rs"}, kepalaJWT(), signHS256(pemText)), false},
		{"None", rs.JSONWebKey, jws(t, map[string]any{"alg": "none", "kid": "rs"}, kepalaJWT(), func([]byte) []byte { return []byte("x") }), false},
		{"KidIsPath", rs.JSONWebKey, jws(t, map[string]any{"alg": "RS256", "kid": "../../dev/null"}, kepalaJWT(), signHS256("")), false},
		{"KidIsSQL", rs.JSONWebKey, jws(t, map[string]any{"alg": "RS256", "kid": "x' OR '1'='1"}, kepalaJWT(), signHS256("")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{JWKSURL: newIDP(t, c.set).URL, JWTSecret: jwtSecret})
			id, err := tryBearer(t, a, c.token)
			if (err == nil) != c.good || err != nil && !errors.Is(err, ErrBadCredential) {
				t.Fatalf("%v, %v; want good %v", id, err, c.good)
			}
		})
	}
}

// TestJWKSSharedKid has keys of one kid: in one set, of the same and of another family, and in the sets of two servers. A kid says which
// key is meant, and is never a reason to believe another one.
func TestJWKSSharedKid(t *testing.T) {
	ec, otherEC, rs := newSigner(t, "k", jose.ES256), newSigner(t, "k", jose.ES256), newSigner(t, "k", jose.RS256)
	known, unknown := newSigner(t, "other", jose.ES256), newSigner(t, "k", jose.ES384)
	bare := func(s signer) signer { s.KeyID = ""; return s }
	for _, c := range []struct {
		name  string
		set   []jose.JSONWebKey
		token string
		good  bool
	}{
		{"EachFamilyHasItsOwn/EC", []jose.JSONWebKey{rs.JSONWebKey, ec.JSONWebKey}, ec.sign(t, jose.ES256, kepalaJWT()), true},
		{"EachFamilyHasItsOwn/RSA", []jose.JSONWebKey{ec.JSONWebKey, rs.JSONWebKey}, rs.sign(t, jose.RS256, kepalaJWT()), true},
		{"OnlyTheOtherFamilyHasIt/EC", []jose.JSONWebKey{rs.JSONWebKey}, ec.sign(t, jose.ES256, kepalaJWT()), false},
		{"OnlyTheOtherFamilyHasIt/RSA", []jose.JSONWebKey{ec.JSONWebKey}, rs.sign(t, jose.RS256, kepalaJWT()), false},
		{"OnlyTheOtherCurveHasIt", []jose.JSONWebKey{ec.JSONWebKey, rs.JSONWebKey}, unknown.sign(t, jose.ES384, kepalaJWT()), false},
		{"SecretUnderTheKidOfAKey", []jose.JSONWebKey{rs.JSONWebKey},
			jws(t, map[string]any{"alg": "HS256", "kid": "k"}, kepalaJWT(), signHS256("not the secret")), false},
		// Which of two is meant would be a guess, so neither is: the provider has to give them names.
		{"TwoOfOneFamily/First", []jose.JSONWebKey{ec.JSONWebKey, otherEC.JSONWebKey}, ec.sign(t, jose.ES256, kepalaJWT()), false},
		{"TwoOfOneFamily/Second", []jose.JSONWebKey{ec.JSONWebKey, otherEC.JSONWebKey}, otherEC.sign(t, jose.ES256, kepalaJWT()), false},
		{"TwoOfOneFamily/ThirdIsNotHarmed", []jose.JSONWebKey{ec.JSONWebKey, otherEC.JSONWebKey, known.JSONWebKey},
			known.sign(t, jose.ES256, kepalaJWT()), true},
		{"TwoOfOneFamily/WithoutKid", []jose.JSONWebKey{ec.JSONWebKey, otherEC.JSONWebKey}, bare(ec).sign(t, jose.ES256, kepalaJWT()), false},
		{"OneForEncryption", []jose.JSONWebKey{{Key: otherEC.Key, KeyID: "k", Algorithm: "ES256", Use: "enc"}, ec.JSONWebKey},
			otherEC.sign(t, jose.ES256, kepalaJWT()), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{JWKSURL: newIDP(t, c.set...).URL, JWTSecret: jwtSecret})
			id, err := tryBearer(t, a, c.token)
			if (err == nil) != c.good || err != nil && !errors.Is(err, ErrBadCredential) {
				t.Fatalf("%v, %v; want good %v", id, err, c.good)
			}
		})
	}

	// Two sets at once, as two servers of one process have them: nothing that one has learnt of a kid is known to the other.
	t.Run("TwoSets", func(t *testing.T) {
		a, b := newAuth(t, Options{JWKSURL: newIDP(t, ec.JSONWebKey).URL}), newAuth(t, Options{JWKSURL: newIDP(t, otherEC.JSONWebKey).URL})
		for range 3 {
			for name, token := range map[string]string{"a": ec.sign(t, jose.ES256, kepalaJWT()), "b": otherEC.sign(t, jose.ES256, kepalaJWT())} {
				for server, door := range map[string]*Authenticator{"a": a, "b": b} {
					_, err := tryBearer(t, door, token)
					if (err == nil) != (name == server) || err != nil && !errors.Is(err, ErrBadCredential) {
						t.Errorf("the token of %s at %s: %v", name, server, err)
					}
				}
			}
		}
	})

	// A kid that is given to a new key: from the next reading of the set on, the old key is worth nothing.
	t.Run("TakenOver", func(t *testing.T) {
		p := newIDP(t, ec.JSONWebKey)
		var c clock
		a := newAuth(t, Options{JWKSURL: p.URL, Now: c.now})
		before, after := ec.sign(t, jose.ES256, longLived()), otherEC.sign(t, jose.ES256, longLived())
		if _, err := tryBearer(t, a, before); err != nil {
			t.Fatal(err)
		}
		p.publish(otherEC.JSONWebKey)
		c.forward(jwksFreshFor + time.Second)
		if _, err := tryBearer(t, a, after); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if _, err := tryBearer(t, a, before); !errors.Is(err, ErrBadCredential) {
			t.Errorf("the old key: %v, want ErrBadCredential", err)
		}
	})
}

func TestJWKSIsAskedSparingly(t *testing.T) {
	old, next := newSigner(t, "old", jose.ES256), newSigner(t, "next", jose.ES256)
	p := newIDP(t, old.JSONWebKey)
	var c clock
	a := newAuth(t, Options{JWKSURL: p.URL, Now: c.now})
	oldToken, nextToken := old.sign(t, jose.ES256, longLived()), next.sign(t, jose.ES256, longLived())
	expect := func(step, token string, want error, asked int64) {
		t.Helper()
		if id, err := tryBearer(t, a, token); (err == nil) != (want == nil) || !errors.Is(err, want) || p.asked.Load() != asked {
			t.Fatalf("%s: %v, %v after %d requests; want %v after %d", step, id, err, p.asked.Load(), want, asked)
		}
	}
	expect("first use", oldToken, nil, 1)
	expect("second use", oldToken, nil, 1)
	expect("unknown kid at once", nextToken, ErrBadCredential, 1)
	c.forward(jwksRefreshEvery)
	expect("unknown kid later", nextToken, ErrBadCredential, 2)
	for range 100 {
		expect("flood of unknown kids", nextToken, ErrBadCredential, 2)
	}
	p.publish(old.JSONWebKey, next.JSONWebKey)
	c.forward(jwksRefreshEvery)
	expect("new key", nextToken, nil, 3)
	expect("old key beside it", oldToken, nil, 3)
	p.publish(next.JSONWebKey)
	c.forward(jwksFreshFor + time.Second)
	expect("old key was taken out", oldToken, ErrBadCredential, 4)
	p.set(http.NotFound)
	c.forward(jwksFreshFor + time.Second)
	expect("provider is out", nextToken, nil, 5)
	expect("provider is out, asked just now", nextToken, nil, 5)
	c.forward(jwksUsableFor)
	expect("provider is out for a day", nextToken, ErrUnavailable, 6)
}

// longLived claims outlast the steps of a test's clock.
func longLived() map[string]any {
	c := kepalaJWT()
	c["exp"] = time.Now().Add(1000 * time.Hour).Unix()
	return c
}

func TestJWKSIsReadOnceForAllWhoWait(t *testing.T) {
	s := newSigner(t, "k", jose.ES256)
	p := newIDP(t)
	arrived, open := make(chan struct{}), make(chan struct{})
	p.set(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived) // a second request would panic here
		<-open
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.JSONWebKey}})
	})
	a := newAuth(t, Options{JWKSURL: p.URL})
	token := s.sign(t, jose.ES256, kepalaJWT())
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			_, err := tryBearer(t, a, token)
			results <- err
		}()
	}
	<-arrived
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := a.Authenticate(gone, get("/", "Authorization: Bearer "+token)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a waiter who left: %v, want ErrUnavailable", err)
	}
	close(open)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("a waiter: %v", err)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestJWKSHostileAnswers(t *testing.T) {
	s := newSigner(t, "k", jose.ES256)
	good, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.JSONWebKey}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newIDP(t, s.JSONWebKey)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...jose.JSONWebKey) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
		}
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	encryption := s.JSONWebKey
	encryption.Use = "enc"
	for name, answer := range map[string]http.HandlerFunc{
		"Redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"Status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(good)
		},
		"TooLong":       text(string(good) + strings.Repeat(" ", jwksMaxBytes)),
		"Endless":       func(w http.ResponseWriter, _ *http.Request) { endless(w) },
		"NotJSON":       text("<html>"),
		"NoKeys":        text(`{"keys":[]}`),
		"TooManyKeys":   text(`{"keys":[` + strings.Repeat("{},", jwksMaxKeys) + `{}]}`),
		"WeakRSA":       set(jose.JSONWebKey{Key: weak.Public(), KeyID: "k"}),
		"Symmetric":     set(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "k", Algorithm: "HS256"}),
		"Private":       set(jose.JSONWebKey{Key: s.private, KeyID: "k", Algorithm: "ES256"}),
		"ForEncryption": set(encryption),
		"AlgOfOther":    set(jose.JSONWebKey{Key: s.Key, KeyID: "k", Algorithm: "RS256"}),
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.set(answer)
			a := newAuth(t, Options{JWKSURL: p.URL})
			id, err := tryBearer(t, a, s.sign(t, jose.ES256, kepalaJWT()))
			if !errors.Is(err, ErrUnavailable) {
				t.Fatalf("%v, %v; want ErrUnavailable", id, err)
			}
		})
	}
	if n := elsewhere.asked.Load(); n != 0 {
		t.Errorf("a redirect was followed")
	}
}

// endless writes until the reader has had enough.
func endless(w http.ResponseWriter) {
	for {
		if _, err := w.Write(make([]byte, 1<<12)); err != nil {
			return
		}
	}
}

func TestJWKSWithUnusableKeysBesideGoodOnes(t *testing.T) {
	s := newSigner(t, "k", jose.EdDSA)
	good, err := json.Marshal(s.JSONWebKey)
	if err != nil {
		t.Fatal(err)
	}
	p := newIDP(t)
	p.set(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"new-type","kid":"x"},{"kty":"RSA","kid":"k"},%s,null,{"kty":"oct","k":"AAAA","kid":"k"}]}`, good)
	})
	a := newAuth(t, Options{JWKSURL: p.URL})
	token := s.sign(t, jose.EdDSA, kepalaJWT())
	if _, err := tryBearer(t, a, token); err != nil {
		t.Fatal(err)
	}
	s.KeyID = ""
	if _, err := tryBearer(t, a, s.sign(t, jose.EdDSA, kepalaJWT())); err != nil {
		t.Fatalf("without kid, where only one key has the alg: %v", err)
	}
}

func TestTokensCauseNoOtherRequest(t *testing.T) {
	s := newSigner(t, "k", jose.ES256)
	p, evil := newIDP(t, s.JSONWebKey), newIDP(t, s.JSONWebKey)
	a := newAuth(t, Options{JWKSURL: p.URL})
	for _, member := range []string{"jku", "x5u"} {
		token := jws(t, map[string]any{"alg": "ES256", "kid": "evil", member: evil.URL}, kepalaJWT(), signHS256(""))
		if _, err := tryBearer(t, a, token); !errors.Is(err, ErrBadCredential) {
			t.Errorf("%s: %v, want ErrBadCredential", member, err)
		}
	}
	if evil.asked.Load() != 0 || p.asked.Load() != 0 {
		t.Errorf("%d requests to where the token points, %d to the key set; want none", evil.asked.Load(), p.asked.Load())
	}
}

func TestJWKSURL(t *testing.T) {
	for address, good := range map[string]bool{
		"https://idp.example/keys": true, "http://localhost:8080/keys": true, "http://127.0.0.1/keys": true, "http://[::1]/keys": true,
		"http://idp.example/keys": false, "http://localhost.evil.example/": false, "ftp://idp.example/": false, "idp.example/keys": false,
		"https://user:geheim@idp.example/": false, "https://": false, ":": false,
	} {
		_, err := New(Options{JWKSURL: address})
		if (err == nil) != good {
			t.Errorf("%s: %v, want good %v", address, err, good)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error holds the password: %v", address, err)
		}
	}
}
