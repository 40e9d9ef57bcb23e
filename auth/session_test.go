package auth

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const (
	testSecret = "test-secret-32-bytes-long-000000!!"

	// vector is a token of Auth.js v5 whose cookie has a v4 name, as the existing app has it.
	vectorCookie = "__Secure-next-auth.session-token"
	vector       = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoiQVQxNUQxR3VPbE5jNGI4X3VOSWNuZkl5YVpSWmlVQ1A1VVl6alBhQlFSTTd2NlBJa0xLakZoQWZQMGtCdW14M0lScldja2RfcEwtVS1IZURPcTdIY0EifQ..NOLwtLta7iS86lwftkXuhg.6WQCKtiqz-9tNQH9hkyxg7iJmLnPxeuj8RACuTXhfav4Ny5o3SzUiO0as1FrAOdN7Jd96thHJ6Rluz0LhZk2l8ETSzrAuou_cpykKGsayartOAqtAifRCM2wwoZpm_vVWbSIXnAQ0bhe_foZYgclyPV2dU0KrcOemhveD8orAjMda6XrRZSw33UMothYHenyhBuP28bYtt3qTd_f2GPdf6oEeAty49uDAetoVq_W3q9Mv4ne0Z9U6RLL3p6YrCUmy-GEqM3Ic3c-LE0qOv2AhQ.f_18aJpstR5kgH_YnQRNWmS19nG4Vzm2h9Ie8Lb_CZw"
)

// newAuth returns an Authenticator with o, which reads test sessions if it names no other secret.
func newAuth(t testing.TB, o Options) *Authenticator {
	t.Helper()
	if o.SessionSecrets == nil {
		o.SessionSecrets = []string{testSecret}
	}
	a, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return a
}

// get returns a GET with the given header lines, each "Name: value".
func get(target string, lines ...string) *http.Request {
	return request(http.MethodGet, target, lines...)
}

func request(method, target string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "127.0.0.1:1000" // of whom wrong credentials are not counted
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// mint returns a session token for the cookie authjs.session-token, or for another if claims name it as "cookie".
func mint(t testing.TB, claims map[string]any) string {
	t.Helper()
	token, err := MintSession(testSecret, SessionCookie, claims, time.Hour)
	if err != nil {
		t.Fatalf("MintSession: %v", err)
	}
	return token
}

func kepala() map[string]any {
	return map[string]any{"sub": "usr_1", "sppgId": "sppg_7", "userRole": "SPPG_KEPALA", "userType": "SPPG_ADMIN", "name": "Ibu Sari"}
}

func TestDerivedKeysMatchVectors(t *testing.T) {
	for _, v := range []struct{ salt, key, kid string }{
		{"authjs.session-token", "42e78ce898846cf18c2ed6ffa4c442644d71e64f05332085df63583260b49357345aacdaf60fa21b9b756118c63b2984a4e23e0a5cbae3dfc0c118636d814f3a",
			"OigY1UxGSUYPIkYqcJJTbKs4lzP3MBTyPMkTdPMHYXgCxD7NR7vFmp3oMLazLG_Gc5DnvBsT25Vyab9dRCukKw"},
		{vectorCookie, "b9c31dcc11771f3da3f5c9baf22f08df7567f69aeafe64aa40b5213d87086c48c8bd6bc67c50657f26344b2e1ec2301e436452ddbd5cad4fc46d7184c4508c25",
			"AT15D1GuOlNc4b8_uNIcnfIyaZRZiUCP5UYzjPaBQRM7v6PIkLKjFhAfP0kBumx3IRrWckd_pL-U-HeDOq7HcA"},
	} {
		key, err := deriveV5(testSecret, v.salt, cbcKeyBytes)
		if err != nil || hex.EncodeToString(key) != v.key || thumbprint(key) != v.kid {
			t.Errorf("salt %s: key %x, kid %s, %v; want %s, %s", v.salt, key, thumbprint(key), err, v.key, v.kid)
		}
	}
	key, err := deriveV4(testSecret)
	if want := "a03ff4aa5082eef51d246604d6b8ae96fdee858d897cef0b85e81fc3e2db0e05"; err != nil || hex.EncodeToString(key) != want {
		t.Errorf("v4 key %x, %v; want %s", key, err, want)
	}
}

// vectorTimes reads the vector's times with a clock that accepts everything.
func vectorTimes(t *testing.T) (issued, expires time.Time) {
	t.Helper()
	a := newAuth(t, Options{Now: func() time.Time { return time.Unix(0, 0) }})
	id, err := a.Authenticate(context.Background(), get("/api/ws", "Cookie: "+vectorCookie+"="+vector))
	if err != nil {
		t.Fatalf("vector: %v", err)
	}
	return id.IssuedAt.Time(), id.Expires.Time().Add(-tolerance)
}

func TestVectorToken(t *testing.T) {
	issued, expires := vectorTimes(t)
	if life := expires.Sub(issued); life != 8*time.Hour {
		t.Fatalf("life of the vector is %v, want 8h", life)
	}
	for _, c := range []struct {
		name string
		now  time.Time
		want error
	}{
		{"WhenIssued", issued, nil},
		{"ClockOfTheAppIsAhead", issued.Add(-time.Minute), nil},
		{"AtTheEnd", expires, nil},
		{"WithinTolerance", expires.Add(tolerance - time.Second), nil},
		{"AfterTolerance", expires.Add(tolerance), ErrExpired},
		{"LongAfter", expires.Add(24 * time.Hour), ErrExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{Now: func() time.Time { return c.now }})
			id, err := a.Authenticate(t.Context(), get("/api/ws", "Cookie: theme=dark; "+vectorCookie+"="+vector))
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil && (id.Subject != "usr_1" || id.Tenant != "sppg_7" || id.Kind != KindSession) {
				t.Fatalf("identity %+v, want usr_1 of sppg_7", id)
			}
		})
	}
}

func TestSessionNeedsItsOwnNameAndSecret(t *testing.T) {
	now, _ := vectorTimes(t)
	clock := func() time.Time { return now }
	for _, name := range []string{"authjs.session-token", "__Secure-authjs.session-token", "next-auth.session-token", vectorCookie + "x", "x" + vectorCookie} {
		a := newAuth(t, Options{Now: clock})
		if id, err := a.Authenticate(t.Context(), get("/", "Cookie: "+name+"="+vector)); err == nil {
			t.Errorf("under the name %s: accepted as %v", name, id)
		}
	}
	a := newAuth(t, Options{Now: clock, SessionSecrets: []string{"another secret of 32 bytes ......"}})
	if _, err := a.Authenticate(t.Context(), get("/", "Cookie: "+vectorCookie+"="+vector)); !errors.Is(err, ErrBadCredential) {
		t.Errorf("with another secret: %v, want ErrBadCredential", err)
	}
}

func TestNoByteOfATokenCanBeChanged(t *testing.T) {
	now, _ := vectorTimes(t)
	a := newAuth(t, Options{Now: func() time.Time { return now }})
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(vector)
		switch i := rapid.IntRange(0, len(b)-1).Draw(t, "at"); rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 1:
			b = append(b[:i], b[i+1:]...)
		default:
			c := rapid.SampledFrom([]byte("A_-.=\r\n +/")).Draw(t, "put in")
			b = append(b[:i:i], append([]byte{c}, b[i:]...)...)
		}
		if id, err := a.fromSession(2, string(b)); err == nil {
			t.Fatalf("changed token accepted as %v", id)
		} else if strings.Contains(err.Error(), vector[200:230]) {
			t.Fatalf("the error quotes the token: %v", err)
		}
	})
	if _, err := a.fromSession(2, vector); err != nil {
		t.Fatalf("unchanged token: %v", err)
	}
}

// TestNoTokenHasASecondSpelling tries what random changes seldom hit: the bits of a part's last character that no byte needs.
func TestNoTokenHasASecondSpelling(t *testing.T) {
	now, _ := vectorTimes(t)
	a := newAuth(t, Options{Now: func() time.Time { return now }})
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
	for at := range len(vector) {
		last := at+1 == len(vector) || vector[at+1] == '.'
		for i := range len(alphabet) {
			if c := alphabet[i]; c != vector[at] && (last || c == vector[at]^1) {
				if _, err := a.fromSession(2, vector[:at]+string(c)+vector[at+1:]); err == nil {
					t.Errorf("accepted with %c at %d", c, at)
				}
			}
		}
	}
}

// seal writes a JWE with the given header, sealed with the true key, so that only the header is wrong.
func seal(t *testing.T, head, text string) string {
	t.Helper()
	key, err := deriveV5(testSecret, SessionCookie, cbcKeyBytes)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sealCBC(key, thumbprint(key), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if head == "" {
		return token
	}
	// The tag covers the header, so it is made anew.
	s, err := parseSealed(token, new(scratch))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newCBCKey(key)
	if err != nil {
		t.Fatal(err)
	}
	m := k.tools.Get().(*cbcTools)
	first := strict64.EncodeToString([]byte(head))
	tag := strict64.EncodeToString(m.tag([]byte(first), s.iv, s.ciphertext))
	return first + ".." + strict64.EncodeToString(s.iv) + "." + strict64.EncodeToString(s.ciphertext) + "." + tag
}

func TestSessionHeaders(t *testing.T) {
	text := fmt.Sprintf(`{"sub":"u","sppgId":"s","exp":%d}`, time.Now().Add(time.Hour).Unix())
	for head, good := range map[string]bool{
		"":                                    true,
		`{"alg":"dir","enc":"A256CBC-HS512"}`: true, // without kid all secrets are tried
		`{"alg":"dir","enc":"A256CBC-HS512","typ":"JWT"}`:                     true,
		`{"alg":"dir","enc":"A256CBC-HS512","kid":"another"}`:                 false,
		`{"alg":"dir","enc":"A256CBC-HS512","zip":"DEF"}`:                     false,
		`{"alg":"dir","enc":"A256CBC-HS512","crit":["exp"]}`:                  false,
		`{"alg":"dir","enc":"A256CBC-HS512","jwk":{}}`:                        false,
		`{"alg":"dir","enc":"A128CBC-HS256"}`:                                 false,
		`{"alg":"dir","enc":"A256GCM"}`:                                       false,
		`{"alg":"dir"}`:                                                       false,
		`{"alg":"none","enc":"A256CBC-HS512"}`:                                false,
		`{"alg":"RSA-OAEP","enc":"A256CBC-HS512"}`:                            false,
		`{"alg":"PBES2-HS512+A256KW","p2c":1000000000,"enc":"A256CBC-HS512"}`: false,
		`{"alg":"dir","alg":"dir","enc":"A256CBC-HS512"}`:                     false,
		`{"alg":"dir","\u0061lg":"dir","enc":"A256CBC-HS512"}`:                false,
		`{"alg":"dir","enc":"A256CBC-HS512"}{}`:                               false,
		`{"alg":"dir","enc":["A256CBC-HS512"]}`:                               false,
		`[]`:                                                                  false,
		`null`:                                                                false,
		`{`:                                                                   false,
	} {
		a := newAuth(t, Options{})
		_, err := a.Authenticate(t.Context(), get("/", "Cookie: "+SessionCookie+"="+seal(t, head, text)))
		if good != (err == nil) || err != nil && !errors.Is(err, ErrBadCredential) {
			t.Errorf("header %s: %v, want good %v", head, err, good)
		}
	}
}

func TestV5SessionsMayUseGCM(t *testing.T) {
	key, err := deriveV5(testSecret, SessionCookie, gcmKeyBytes)
	if err != nil {
		t.Fatal(err)
	}
	for head, good := range map[string]bool{
		`{"alg":"dir","enc":"A256GCM","kid":"` + thumbprint(key) + `"}`: true,
		`{"alg":"dir","enc":"A256GCM"}`:                                 true,
		`{"alg":"dir","enc":"A256GCM","kid":"another"}`:                 false,
	} {
		claims := kepala()
		claims["exp"] = time.Now().Add(time.Hour).Unix()
		r := get("/", "Cookie: "+SessionCookie+"="+sealGCM(t, key, head, claims))
		if _, err := newAuth(t, Options{}).Authenticate(t.Context(), r); (err == nil) != good {
			t.Errorf("header %s: %v, want good %v", head, err, good)
		}
	}
}

func TestSessionClaims(t *testing.T) {
	soon := time.Now().Add(time.Hour).Unix()
	claims := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	for _, c := range []struct {
		name, text string
		paths      ClaimPaths
		want       error
		tenant     string
	}{
		{name: "Usual", text: claims(`{"sub":"u","sppgId":"s","exp":%d}`, soon), tenant: "s"},
		{name: "NumbersAsIDs", text: claims(`{"sub":17,"sppgId":4,"exp":%d}`, soon), tenant: "4"},
		{name: "FractionOfASecond", text: claims(`{"sub":"u","sppgId":"s","exp":%d.25}`, soon), tenant: "s"},
		{name: "DeepUnknownClaim", text: claims(`{"x":%s1%s,"sub":"u","sppgId":"s","exp":%d}`, strings.Repeat("[", 5000), strings.Repeat("]", 5000), soon), tenant: "s"},
		{name: "DottedPath", text: claims(`{"sub":"u","sppgId":"no","user":{"x":1,"sppgId":"s"},"exp":%d}`, soon), paths: ClaimPaths{Tenant: "user.sppgId"}, tenant: "s"},
		{name: "NameWithDots", text: claims(`{"sub":"u","https://a.id/sppg":"s","exp":%d}`, soon), paths: ClaimPaths{Tenant: "https://a.id/sppg"}, tenant: "s"},
		{name: "NameWithDotsWins", text: claims(`{"sub":"u","a":{"b":"no"},"a.b":"s","exp":%d}`, soon), paths: ClaimPaths{Tenant: "a.b"}, tenant: "s"},
		{name: "EscapedName", text: claims(`{"sub":"u","\u0073ppgId":"s","exp":%d}`, soon), tenant: "s"},
		{name: "PathThroughNonObject", text: claims(`{"sub":"u","user":"s","exp":%d}`, soon), paths: ClaimPaths{Tenant: "user.sppgId"}, want: ErrNoTenant},
		{name: "NoTenant", text: claims(`{"sub":"u","exp":%d}`, soon), want: ErrNoTenant},
		{name: "NullTenant", text: claims(`{"sub":"u","sppgId":null,"exp":%d}`, soon), want: ErrNoTenant},
		{name: "EmptyTenant", text: claims(`{"sub":"u","sppgId":"","exp":%d}`, soon), want: ErrNoTenant},
		{name: "TenantOutsideAlphabet", text: claims(`{"sub":"u","sppgId":"a:b","exp":%d}`, soon), want: ErrNoTenant},
		{name: "TenantIsObject", text: claims(`{"sub":"u","sppgId":{},"exp":%d}`, soon), want: ErrNoTenant},
		{name: "TenantIsFraction", text: claims(`{"sub":"u","sppgId":1.5,"exp":%d}`, soon), want: ErrNoTenant},
		{name: "Platform", text: claims(`{"sub":"u","userRole":"PLATFORM_SUPPORT","exp":%d}`, soon)},
		{name: "PlatformWithBadTenant", text: claims(`{"sub":"u","sppgId":"*","userRole":"PLATFORM_SUPPORT","exp":%d}`, soon), want: ErrNoTenant},
		{name: "AlmostPlatform", text: claims(`{"sub":"u","userRole":"platform_support","exp":%d}`, soon), want: ErrNoTenant},
		{name: "NoSubject", text: claims(`{"sppgId":"s","exp":%d}`, soon), want: ErrBadCredential},
		{name: "SubjectWithNewline", text: claims(`{"sub":"a\nb","sppgId":"s","exp":%d}`, soon), want: ErrBadCredential},
		{name: "LongSubject", text: claims(`{"sub":%q,"sppgId":"s","exp":%d}`, strings.Repeat("u", 257), soon), want: ErrBadCredential},
		{name: "NoExpiry", text: `{"sub":"u","sppgId":"s"}`, want: ErrBadCredential},
		{name: "ExpiryIsText", text: claims(`{"sub":"u","sppgId":"s","exp":"%d"}`, soon), want: ErrBadCredential},
		{name: "ExpiryIsHuge", text: `{"sub":"u","sppgId":"s","exp":1e300}`, want: ErrBadCredential},
		{name: "ExpiryIsNegative", text: `{"sub":"u","sppgId":"s","exp":-1}`, want: ErrBadCredential},
		{name: "NotYet", text: claims(`{"sub":"u","sppgId":"s","nbf":%d,"exp":%d}`, soon-60, soon), want: ErrBadCredential},
		{name: "DuplicateClaim", text: claims(`{"sub":"u","sppgId":"s","sppgId":"t","exp":%d}`, soon), want: ErrBadCredential},
		{name: "DuplicateInside", text: claims(`{"sub":"u","x":{"a":1,"a":2},"sppgId":"s","exp":%d}`, soon), want: ErrBadCredential},
		{name: "NotUTF8", text: claims("{\"sub\":\"u\",\"x\":\"\xff\",\"sppgId\":\"s\",\"exp\":%d}", soon), want: ErrBadCredential},
		{name: "MoreBehind", text: claims(`{"sub":"u","sppgId":"s","exp":%d} 1`, soon), want: ErrBadCredential},
		{name: "Array", text: `[]`, want: ErrBadCredential},
		{name: "Empty", text: ``, want: ErrBadCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{Claims: c.paths})
			id, err := a.Authenticate(t.Context(), get("/", "Cookie: "+SessionCookie+"="+seal(t, "", c.text)))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil && string(id.Tenant) != c.tenant {
				t.Fatalf("tenant %q, want %q", id.Tenant, c.tenant)
			}
		})
	}
}

func TestMintedSessionLivesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, Options{})
		r := get("/", "Cookie: "+SessionCookie+"="+mint(t, kepala()))
		id, err := a.Authenticate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if id.Role != "SPPG_KEPALA" || id.UserType != "SPPG_ADMIN" || id.IssuedAt != At(time.Now()) {
			t.Fatalf("identity %+v", id)
		}
		time.Sleep(time.Until(id.Expires.Time()) - time.Nanosecond)
		if _, err := a.Authenticate(t.Context(), r); err != nil {
			t.Fatalf("a moment before Expires: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := a.Authenticate(t.Context(), r); !errors.Is(err, ErrExpired) {
			t.Fatalf("at Expires: %v, want ErrExpired", err)
		}
	})
}

func TestThreePartCookieNeedsAnHMACKey(t *testing.T) {
	token := hs256(t, jwtSecret, kepalaJWT())
	r := get("/", "Cookie: "+SessionCookie+"="+token)
	if _, err := newAuth(t, Options{}).Authenticate(t.Context(), r); !errors.Is(err, ErrBadCredential) {
		t.Errorf("without a key: %v, want ErrBadCredential", err)
	}
	id, err := newAuth(t, Options{JWTSecret: jwtSecret}).Authenticate(t.Context(), r)
	if err != nil || id.Kind != KindSession || id.Tenant != "sppg_7" {
		t.Errorf("with the key: %+v, %v", id, err)
	}
	for _, alg := range []string{"none", "HS512", "RS256", ""} {
		r := get("/", "Cookie: "+SessionCookie+"="+jws(t, map[string]any{"alg": alg}, kepalaJWT(), signHS256(jwtSecret)))
		if _, err := newAuth(t, Options{JWTSecret: jwtSecret}).Authenticate(t.Context(), r); !errors.Is(err, ErrBadCredential) {
			t.Errorf("alg %q: %v, want ErrBadCredential", alg, err)
		}
	}
	other := newAuth(t, Options{JWTSecret: strings.Repeat("x", 32)})
	if _, err := other.Authenticate(t.Context(), r); !errors.Is(err, ErrBadCredential) {
		t.Errorf("with another key: %v, want ErrBadCredential", err)
	}
}

// sealGCM writes a JWE with A256GCM.
func sealGCM(t testing.TB, key []byte, header string, claims map[string]any) string {
	t.Helper()
	k, err := newGCMKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	head := strict64.EncodeToString([]byte(header))
	iv := make([]byte, gcmIVBytes)
	sealed := k.aead.Seal(nil, iv, text, []byte(head))
	n := len(sealed) - gcmTagBytes
	return head + ".." + strict64.EncodeToString(iv) + "." + strict64.EncodeToString(sealed[:n]) + "." + strict64.EncodeToString(sealed[n:])
}

// TestNothingOfTheTokenBefore: the memory of one token serves the next, and what stood in it does not.
func TestNothingOfTheTokenBefore(t *testing.T) {
	a := newAuth(t, Options{})
	full := kepala()
	full["userRole"] = RoleSuperadmin
	cookie := func(claims map[string]any) *http.Request {
		return get("/api/ws", "Cookie: "+SessionCookie+"="+mint(t, claims))
	}
	first, second := cookie(full), cookie(map[string]any{"sub": strings.Repeat("u", 80)})
	for range 50 {
		before, err := a.Authenticate(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Authenticate(t.Context(), second); !errors.Is(err, ErrNoTenant) {
			t.Fatalf("%+v, %v; want ErrNoTenant", got, err)
		}
		if before.Subject != "usr_1" || before.Tenant != "sppg_7" || before.Role != RoleSuperadmin || before.UserType != "SPPG_ADMIN" {
			t.Fatalf("it became %+v", before)
		}
	}
}
