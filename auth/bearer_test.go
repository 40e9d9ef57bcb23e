package auth

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"kentongan/tenant"
)

const jwtSecret = "a jwt secret of thirty-two bytes!"

func kepalaJWT() map[string]any {
	c := kepala()
	c["iat"], c["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	return c
}

// jws writes a compact JWS whose signature comes from sign.
func jws(t testing.TB, head map[string]any, claims any, sign func(input []byte) []byte) string {
	t.Helper()
	h, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := strict64.EncodeToString(h) + "." + strict64.EncodeToString(c)
	return input + "." + strict64.EncodeToString(sign([]byte(input)))
}

func signHS256(secret string) func([]byte) []byte {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(input)
		return m.Sum(nil)
	}
}

func hs256(t testing.TB, secret string, claims any) string {
	t.Helper()
	return jws(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims, signHS256(secret))
}

const apiKeyText = "k-0123456789abcdef"

// tryBearer authenticates token and returns the error.
func tryBearer(t *testing.T, a *Authenticator, token string) (*Identity, error) {
	t.Helper()
	return a.Authenticate(t.Context(), get("/api/ws", "Authorization: Bearer "+token))
}

func TestHS256(t *testing.T) {
	a := newAuth(t, Options{JWTSecret: jwtSecret, Issuer: "https://app.example.id", Audience: "kentongan"})
	good := func(change map[string]any) map[string]any {
		c := kepalaJWT()
		c["iss"], c["aud"] = "https://app.example.id", []string{"other", "kentongan"}
		for k, v := range change {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return c
	}
	now := time.Now().Unix()
	for _, c := range []struct {
		name   string
		head   map[string]any
		claims any
		secret string
		want   error
	}{
		{name: "Good", claims: good(nil)},
		{name: "OneAudience", claims: good(map[string]any{"aud": "kentongan"})},
		{name: "WithinTolerance", claims: good(map[string]any{"exp": now - 10})},
		{name: "Expired", claims: good(map[string]any{"exp": now - 20}), want: ErrExpired},
		{name: "NoExpiry", claims: good(map[string]any{"exp": nil}), want: ErrBadCredential},
		{name: "IssuedInTheFuture", claims: good(map[string]any{"iat": now + 60}), want: ErrBadCredential},
		{name: "NotYet", claims: good(map[string]any{"nbf": now + 60}), want: ErrBadCredential},
		{name: "WrongIssuer", claims: good(map[string]any{"iss": "https://app.example.id/"}), want: ErrBadCredential},
		{name: "NoIssuer", claims: good(map[string]any{"iss": nil}), want: ErrBadCredential},
		{name: "IssuerIsList", claims: good(map[string]any{"iss": []string{"https://app.example.id"}}), want: ErrBadCredential},
		{name: "WrongAudience", claims: good(map[string]any{"aud": "kentong"}), want: ErrBadCredential},
		{name: "NoAudience", claims: good(map[string]any{"aud": nil}), want: ErrBadCredential},
		{name: "NoTenant", claims: good(map[string]any{"sppgId": nil}), want: ErrNoTenant},
		{name: "OtherSecret", claims: good(nil), secret: strings.Repeat("x", 32), want: ErrBadCredential},
		{name: "None", head: map[string]any{"alg": "none"}, claims: good(nil), want: ErrBadCredential},
		{name: "HS512", head: map[string]any{"alg": "HS512"}, claims: good(nil), want: ErrBadCredential},
		{name: "LowerCase", head: map[string]any{"alg": "hs256"}, claims: good(nil), want: ErrBadCredential},
		{name: "PublicAlg", head: map[string]any{"alg": "RS256"}, claims: good(nil), want: ErrBadCredential},
		{name: "Critical", head: map[string]any{"alg": "HS256", "crit": []string{"exp"}}, claims: good(nil), want: ErrBadCredential},
		{name: "BringsItsKeySet", head: map[string]any{"alg": "HS256", "jku": "https://evil.example/keys"}, claims: good(nil), want: ErrBadCredential},
		{name: "BringsItsCertificate", head: map[string]any{"alg": "HS256", "x5u": "https://evil.example/cert"}, claims: good(nil), want: ErrBadCredential},
		{name: "BringsItsKey", head: map[string]any{"alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "AA"}}, claims: good(nil), want: ErrBadCredential},
		{name: "Unencoded", head: map[string]any{"alg": "HS256", "b64": false}, claims: good(nil), want: ErrBadCredential},
		{name: "OtherType", head: map[string]any{"alg": "HS256", "typ": "dpop+jwt"}, claims: good(nil), want: ErrBadCredential},
		{name: "AccessToken", head: map[string]any{"alg": "HS256", "typ": "at+JWT"}, claims: good(nil)},
		{name: "DuplicateClaim", claims: json.RawMessage(`{"sub":"a","sub":"b"}`), want: ErrBadCredential},
		{name: "NoObject", claims: json.RawMessage(`"text"`), want: ErrBadCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.head == nil {
				c.head = map[string]any{"alg": "HS256", "typ": "JWT"}
			}
			if c.secret == "" {
				c.secret = jwtSecret
			}
			token := jws(t, c.head, c.claims, signHS256(c.secret))
			id, err := tryBearer(t, a, token)
			if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
				t.Fatalf("%v, %v; want %v", id, err, c.want)
			}
			if err == nil && (id.Kind != KindBearer || id.Tenant != "sppg_7" || id.Server) {
				t.Fatalf("identity %+v", id)
			}
			if err != nil && strings.Contains(err.Error(), token[len(token)-20:]) {
				t.Fatalf("the error quotes the token: %v", err)
			}
		})
	}
}

func TestBearerScheme(t *testing.T) {
	a := newAuth(t, Options{JWTSecret: jwtSecret})
	token, cookie := hs256(t, jwtSecret, kepalaJWT()), "Cookie: "+SessionCookie+"="+mint(t, map[string]any{"sub": "usr_2", "sppgId": "sppg_8"})
	for _, c := range []struct {
		name  string
		lines []string
		sub   string
		want  error
	}{
		{"AnyCase", []string{"Authorization: bEARER " + token}, "usr_1", nil},
		{"BeforeCookie", []string{"Authorization: Bearer " + token, cookie}, "usr_1", nil},
		{"BasicOfAProxy", []string{"Authorization: Basic dTpw", cookie}, "usr_2", nil},
		{"BadOneIsNotPassedOver", []string{"Authorization: Bearer x", cookie}, "", ErrBadCredential},
		{"EmptyOneIsNotPassedOver", []string{"Authorization: Bearer", cookie}, "", ErrBadCredential},
		{"SessionAsBearer", []string{"Authorization: Bearer " + mint(t, kepala())}, "", ErrBadCredential},
		{"PercentGarbage", []string{"Authorization: Bearer %E0%A4%A"}, "", ErrBadCredential},
		{"Nothing", nil, "", ErrNoCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := a.Authenticate(t.Context(), get("/", c.lines...))
			if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) || err == nil && id.Subject != c.sub {
				t.Fatalf("%v, %v; want %q, %v", id, err, c.sub, c.want)
			}
		})
	}
}

// hostileTokens are expensive to those who read them carelessly.
func hostileTokens() map[string]string {
	bomb := strict64.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`))
	deep := strict64.EncodeToString([]byte(`{"alg":` + strings.Repeat("[", 1000)))
	return map[string]string{
		"100,000 dots":     strings.Repeat(".", 100_000),
		"10,000 dots":      strings.Repeat(".", 10_000),
		"1 MB":             strings.Repeat("A", 1<<20),
		"1 MB in parts":    strings.Repeat("A", 1<<18) + "." + strings.Repeat("A", 1<<19) + "." + strings.Repeat("A", 1<<18),
		"deep header":      deep + ".e30.AA",
		"deep JWE header":  deep + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"compressed JWE":   bomb + "..AAAAAAAAAAAAAAAA." + strings.Repeat("A", 8000) + ".AAAAAAAAAAAAAAAAAAAAAA",
		"slow password":    strict64.EncodeToString([]byte(`{"alg":"PBES2-HS512+A256KW","p2c":2147483647,"enc":"A256GCM"}`)) + ".AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"wide header":      strict64.EncodeToString([]byte(`{"x":"`+strings.Repeat("y", 10_000)+`"}`)) + ".e30.AA",
		"nothing but dots": "....",
		"two dots":         "..",
		"empty":            "",
	}
}

func TestHostileTokensCostLittle(t *testing.T) {
	a := newAuth(t, Options{JWTSecret: jwtSecret, JWKSURL: "https://127.0.0.1:1/never-asked"})
	for name, token := range hostileTokens() {
		for where, line := range map[string]string{"bearer": "Authorization: Bearer " + token, "cookie": "Cookie: " + SessionCookie + "=" + token} {
			if where == "cookie" && token == "" {
				continue // a cookie without value is no cookie
			}
			r := get("/", line)
			if _, err := a.Authenticate(t.Context(), r); !errors.Is(err, ErrBadCredential) {
				t.Errorf("%s as %s: %v, want ErrBadCredential", name, where, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = a.Authenticate(t.Context(), r)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 256<<10 {
				t.Errorf("%s as %s: %d bytes of memory", name, where, used)
			}
		}
	}
}

func TestAPIKeys(t *testing.T) {
	a := newAuth(t, Options{APIKeys: []APIKey{
		{Name: "app", Key: apiKeyText}, {Name: "kitchen", Key: "k-another-0123456789", Tenant: "sppg_7"},
	}})
	id, err := tryBearer(t, a, apiKeyText)
	if err != nil || id.Subject != "app" || !id.Server || id.Tenant != tenant.Global || !id.Expires.IsZero() || !id.MaySee("any") {
		t.Errorf("key of all kitchens: %+v, %v", id, err)
	}
	id, err = tryBearer(t, a, "k-another-0123456789")
	if err != nil || id.Tenant != "sppg_7" || id.MaySee("sppg_8") {
		t.Errorf("key of one kitchen: %+v, %v", id, err)
	}
	for _, key := range []string{apiKeyText[1:], apiKeyText + "x", strings.ToUpper(apiKeyText), "app", "app:" + apiKeyText} {
		if id, err := tryBearer(t, a, key); !errors.Is(err, ErrBadCredential) {
			t.Errorf("%q: %v, %v; want ErrBadCredential", key, id, err)
		}
	}
	if id, err := a.Authenticate(t.Context(), get("/?ticket="+apiKeyText, "Cookie: "+SessionCookie+"="+apiKeyText)); err == nil {
		t.Errorf("outside of the Authorization header: %v", id)
	}
}

func TestAPIKeyWithoutARequest(t *testing.T) {
	a := newAuth(t, Options{APIKeys: []APIKey{{Name: "kitchen", Key: apiKeyText, Tenant: "sppg_7"}}})
	if id, err := a.APIKey(netip.Addr{}, apiKeyText); err != nil || id.Subject != "kitchen" || !id.Server || id.Tenant != "sppg_7" {
		t.Errorf("the key: %+v, %v", id, err)
	}
	for _, key := range []string{"", "kitchen", apiKeyText + "x", strings.Repeat("x", 1<<20)} {
		if id, err := a.APIKey(netip.Addr{}, key); id != nil || !errors.Is(err, ErrBadCredential) || strings.Contains(err.Error(), apiKeyText) {
			t.Errorf("%.40q: %v, %v; want ErrBadCredential", key, id, err)
		}
	}
}

func TestParseAPIKey(t *testing.T) {
	for _, c := range []struct {
		text string
		want APIKey
		good bool
	}{
		{"app:0123456789abcdef", APIKey{"app", "0123456789abcdef", ""}, true},
		{"app:with:colons:01234567", APIKey{"app", "with:colons:01234567", ""}, true},
		{"app@sppg_7:0123456789abcdef", APIKey{"app", "0123456789abcdef", "sppg_7"}, true},
		{"app", APIKey{}, false},
		{"app:tooshortsecret", APIKey{}, false},
		{":0123456789abcdef", APIKey{}, false},
		{"a b:0123456789abcdef", APIKey{}, false},
		{"app@:0123456789abcdef", APIKey{}, false},
		{"app@a*:0123456789abcdef", APIKey{}, false},
		{"app:0123456789 abcdef", APIKey{}, false},
		{"0123456789abcdef", APIKey{}, false},
		{"0123456789+/secret:rest-of-the-secret", APIKey{}, false},
	} {
		got, err := ParseAPIKey(c.text)
		if (err == nil) != c.good || c.good && got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "0123456789") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%q: the error holds the key: %v", c.text, err)
		}
	}
	k := APIKey{Name: "app", Key: apiKeyText}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	if text := fmt.Sprintf("%v %+v %s", k, k, k) + log.String(); strings.Contains(text, apiKeyText) {
		t.Errorf("printed with its secret: %s", text)
	}
}

func TestAllRefusalsLookAlike(t *testing.T) {
	var want string
	for _, err := range []error{ErrNoCredential, ErrBadCredential, ErrExpired, ErrRevoked, fmt.Errorf("with a secret detail: %w", ErrBadCredential)} {
		w := httptest.NewRecorder()
		Deny(w, err)
		got := fmt.Sprint(w.Code, w.Header(), w.Body)
		if want == "" {
			want = got
		}
		if got != want || w.Code != http.StatusUnauthorized {
			t.Errorf("%v: %s\nwant %s", err, got, want)
		}
	}
	for err, want := range map[error]int{ErrNoTenant: 403, ErrOrigin: 403, ErrForbidden: 403, ErrTokenInQuery: 400, ErrUnavailable: 503, errors.New("secret detail"): 500, nil: 200} {
		if Status(err) != want {
			t.Errorf("status of %v is %d, want %d", err, Status(err), want)
		}
		if err == nil {
			continue
		}
		w := httptest.NewRecorder()
		Deny(w, fmt.Errorf("secret detail: %w", err))
		if w.Code != want || strings.Contains(w.Body.String(), "secret detail") || !slices.Contains(Reasons(), Reason(err)) {
			t.Errorf("%v: %d %s, reason %s; want %d", err, w.Code, w.Body, Reason(err), want)
		}
	}
}
