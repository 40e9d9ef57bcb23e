package app_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/auth"
)

const (
	jwtSecret = "a-jwt-secret-of-at-least-32-bytes"
	issuer    = "https://login.example.id/"
	audience  = "kentongan"
)

func b64(v any) string {
	text, ok := v.([]byte)
	if !ok {
		text, _ = json.Marshal(v) // of maps of texts and numbers
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// hs256 signs a token by hand, so that it may hold what no library writes.
func hs256(secret string, head, claims any) string {
	input := b64(head) + "." + b64(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

// counting is a server that counts who comes, and answers with body.
func counting(t *testing.T, body []byte) (string, *atomic.Int64) {
	t.Helper()
	calls := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Connection", "close")
		_, _ = w.Write(body) // the test fails elsewhere if it does not arrive
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

// TestHostileCredentials sends tokens that prove nothing. All of them get the same 401, and none makes the server fetch
// anything.
func TestHostileCredentials(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "n": b64(private.N.Bytes()), "e": b64(big.NewInt(int64(private.E)).Bytes()),
	}}})
	jwks, fetches := counting(t, keys)
	evil, evilCalls := counting(t, keys)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)}))
	a := newArena(t, "KENTONGAN_JWT_SECRET="+jwtSecret, "KENTONGAN_JWKS_URL="+jwks, "KENTONGAN_JWT_ISSUER="+issuer, "KENTONGAN_JWT_AUDIENCE="+audience)

	head := func(pairs ...any) map[string]any {
		h := map[string]any{"alg": "HS256", "typ": "JWT"}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i].(string)] = pairs[i+1]
		}
		return h
	}
	now := time.Now().Unix()
	good := map[string]any{"sub": "u1", "sppgId": "a", "iss": issuer, "aud": audience, "iat": now, "exp": now + 3600}
	with := func(name string, value any) map[string]any {
		c := maps.Clone(good)
		c[name] = value
		return c
	}
	mint := func(secret, cookie string) string {
		token, err := auth.MintSession(secret, cookie, map[string]any{"sub": "u1", "sppgId": "a"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	session := mint(secret, auth.SessionCookie)
	dot := strings.LastIndex(session, ".")
	pbes2 := map[string]any{"alg": "PBES2-HS512+A256KW", "enc": "A256CBC-HS512", "p2c": 2_000_000_000, "p2s": "AAAA"}
	bearers := map[string]string{
		"AlgNone":              b64(head("alg", "none")) + "." + b64(good) + ".",
		"AlgNoneWithSignature": hs256(jwtSecret, head("alg", "none"), good),
		"AlgNoneInOtherCase":   b64(head("alg", "nOnE")) + "." + b64(good) + ".",
		"NoSignature":          b64(head()) + "." + b64(good) + ".",
		"PublicKeyAsSecret":    hs256(public, head("kid", "k1"), good),
		"ModulusAsSecret":      hs256(string(private.N.Bytes()), head("kid", "k1"), good),
		"KeySetAsSecret":       hs256(string(keys), head("kid", "k1"), good),
		"EmptySecret":          hs256("", head(), good),
		"SessionSecret":        hs256(secret, head(), good),
		"Expired":              hs256(jwtSecret, head(), with("exp", now-60)),
		"NoExpiry":             hs256(jwtSecret, head(), with("exp", nil)),
		"ExpiryAsText":         hs256(jwtSecret, head(), with("exp", "tomorrow")),
		"ExpiryBeyondTime":     hs256(jwtSecret, head(), with("exp", 1e300)),
		"Future":               hs256(jwtSecret, head(), with("nbf", now+3600)),
		"IssuedInFuture":       hs256(jwtSecret, head(), with("iat", now+3600)),
		"OtherAudience":        hs256(jwtSecret, head(), with("aud", "other")),
		"OtherIssuer":          hs256(jwtSecret, head(), with("iss", "https://evil.example/")),
		"KidOfAnother":         hs256("x", head("kid", "unknown"), good),
		"KidIsAPath":           hs256("", head("kid", "../../../../dev/null"), good),
		"KidIsSQL":             hs256("x", head("kid", "' UNION SELECT 'x' --"), good),
		"KidIsNumber":          hs256(jwtSecret, head("kid", 7), good),
		"JKU":                  hs256(jwtSecret, head("jku", evil), good),
		"X5U":                  hs256(jwtSecret, head("x5u", evil), good),
		"JWK":                  hs256("x", head("jwk", map[string]any{"kty": "oct", "k": b64([]byte("x"))}), good),
		"Critical":             hs256(jwtSecret, head("crit", []string{"exp"}), good),
		"DuplicateClaims":      hs256(jwtSecret, head(), []byte(`{"sub":"u1","sppgId":"a","sppgId":"b","iss":"`+issuer+`","aud":"kentongan","exp":9999999999}`)),
		"DuplicateHeader":      hs256(jwtSecret, []byte(`{"alg":"none","alg":"HS256"}`), good),
		"JWE":                  session,
		"PBES2":                b64(pbes2) + ".AAAA.AAAA.AAAA.AAAA",
		"HundredsOfDots":       strings.Repeat(".", 10_000),
		"Garbage":              "\xff\xfe" + strings.Repeat("ÿ", 100),
	}
	for _, alg := range []string{"HS384", "HS512", "RS256", "ES256", "EdDSA", "dir", ""} {
		bearers["Alg"+alg] = hs256(jwtSecret, head("alg", alg, "kid", "k1"), good)
	}
	cookies := map[string]string{
		"OtherSecret":     mint("another-secret-of-at-least-32-bytes", auth.SessionCookie),
		"OtherCookieName": mint(secret, "other.session-token"),
		"SignedNotSealed": hs256(secret, head(), good),
		"Cut":             session[:dot],
		"TagCut":          session[:len(session)-4],
		"CiphertextCut":   session[:dot-8] + session[dot:],
		"Bomb":            b64(map[string]any{"alg": "dir", "enc": "A256CBC-HS512", "zip": "DEF"}) + "..AAAA." + b64([]byte(deflated(t, strings.Repeat("a", 1<<20)))) + ".AAAA",
		"PBES2":           b64(pbes2) + ".AAAA.AAAA.AAAA.AAAA",
		"Dots":            strings.Repeat(".", 10_000),
		"Empty":           "",
	}

	first := ""
	refused := func(name, line string) {
		t.Run(name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				for _, at := range []string{"/api/ws", "/"} {
					conn := a.connect(t)
					conn.send(a.fill(goodUpgrade, "{cookie}", line, "/api/ws", at))
					status, _, body := conn.answer()
					conn.hangUp()
					if first == "" {
						first = body
					}
					if status != http.StatusUnauthorized || body != first {
						t.Errorf("%s answers %d %s, want 401 and %s", at, status, body, first)
					}
				}
			})
		})
	}
	refused("Nothing", "")
	for name, token := range bearers {
		refused("Bearer"+name, "Authorization: Bearer "+token+"\r\n")
	}
	for name, token := range cookies {
		refused("Cookie"+name, "Cookie: "+auth.SessionCookie+"="+token+"\r\n")
	}
	if n := evilCalls.Load(); n > 0 {
		t.Errorf("tokens made the server fetch %d times what they name", n)
	}
	if n := fetches.Load(); n > 3 {
		t.Errorf("tokens with unknown keys made the server fetch its key set %d times", n)
	}

	t.Run("TokenOf1MB", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			send := a.fill(goodUpgrade, "{cookie}", "Authorization: Bearer "+strings.Repeat("a", 1<<20)+"\r\n")
			var before, after runtime.MemStats
			status := 0
			for tries := 0; status == 0 && tries < 10; tries++ { // as in TestHostileHandshakes, the answer may be lost on the way
				conn := a.connect(t)
				runtime.ReadMemStats(&before)
				conn.send(send)
				status, _, _ = conn.answer()
				runtime.ReadMemStats(&after)
				conn.hangUp()
			}
			if status != http.StatusRequestHeaderFieldsTooLarge || after.TotalAlloc-before.TotalAlloc > 2<<20 { // sending it copies it once
				t.Errorf("answered %d and took %d bytes, want 431 and less than 1 MiB more than the token", status, after.TotalAlloc-before.TotalAlloc)
			}
		})
	})
	t.Run("GoodOnes", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			token := hs256(jwtSecret, head(), good)
			for _, path := range []string{"/api/ws?tenant=b", "/api/ws?channels=production:updates:b"} {
				conn := a.connect(t)
				conn.send(a.fill(goodUpgrade, "{cookie}", "Authorization: Bearer "+token+"\r\n", "/api/ws", path))
				if status, _, body := conn.answer(); status != http.StatusNotFound {
					t.Errorf("a token of kitchen a at %s was answered with %d %s, want 404", path, status, body)
				}
				conn.hangUp()
			}
			a.upgrade(t, "Authorization: Bearer "+token+"\r\n").hangUp()
		})
	})
	t.Run("TokenInTheAddress", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			token := hs256(jwtSecret, head(), good)
			for _, query := range []string{"?token=", "?access_token=", "?%74oken=", "?channels=updates:a&token="} {
				conn := a.connect(t)
				conn.send(a.fill(goodUpgrade, "/api/ws", "/api/ws"+query+token))
				if status, _, body := conn.answer(); status != http.StatusBadRequest {
					t.Errorf("%s was answered with %d %s, want 400", query, status, body)
				}
				conn.hangUp()
			}
			if strings.Contains(a.logs.String(), token) {
				t.Error("the token stands in the log")
			}
		})
	})
	for name, token := range bearers {
		if len(token) > 20 && strings.Contains(a.logs.String(), token) {
			t.Errorf("the token %s stands in the log", name)
		}
	}
}
