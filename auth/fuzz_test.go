package auth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func FuzzCookies(f *testing.F) {
	f.Add("authjs.session-token=a", "b=c")
	f.Add("authjs.session-token.0=a; authjs.session-token.1=b; authjs.session-token.10=c", "authjs.session-token.31=d; authjs.session-token=e")
	f.Add("__Secure-authjs.session-token.00=a;;=;authjs.session-tokenx=1", "next-auth.session-token==;")
	f.Fuzz(func(t *testing.T, first, second string) {
		var found sessionCookies
		found.collect(http.Header{"Cookie": {first, second}}, usualCookies)
		for i := range found {
			c := &found[i]
			if c.whole > maxSameCookie || len(c.chunks) > maxChunks {
				t.Fatalf("%d whole and %d chunks", c.whole, len(c.chunks))
			}
			tokens := c.tokens()
			if len(tokens) > maxSameCookie+2 {
				t.Fatalf("%d tokens to try", len(tokens))
			}
			size := 0
			for _, token := range tokens {
				size += len(token)
			}
			if size > 2*(len(first)+len(second)) {
				t.Fatalf("%d bytes to try from %d", size, len(first)+len(second))
			}
			for _, token := range c.same[:c.whole] {
				if !strings.Contains(first+";"+second, usualCookies[i]+"="+token) {
					t.Fatalf("%q is not a value of %s", token, usualCookies[i])
				}
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	f.Add(vector)
	f.Add(hs256(f, jwtSecret, kepalaJWT()))
	f.Add("eyJhbGciOiJub25lIn0.e30.AA")
	for _, token := range hostileTokens() {
		if len(token) < 2000 {
			f.Add(token)
		}
	}
	a, err := New(Options{SessionSecrets: []string{"a secret that sealed none of these"}, JWTSecret: strings.Repeat("y", 32)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if s, err := parseSealed(token, new(scratch)); err == nil {
			// What was read is all that there is: written again it is the same text.
			b64 := strict64.EncodeToString
			if again := string(s.aad) + ".." + b64(s.iv) + "." + b64(s.ciphertext) + "." + b64(s.tag); again != token {
				t.Fatalf("%q was read as %q", token, again)
			}
		}
		if s, err := parseSigned(token); err == nil {
			if again := s.input + "." + strict64.EncodeToString(s.signature); again != token {
				t.Fatalf("%q was read as %q", token, again)
			}
		}
		for cookie := range usualCookies {
			if id, err := a.fromSession(cookie, token); !errors.Is(err, ErrBadCredential) {
				t.Fatalf("%v, %v; want ErrBadCredential", id, err)
			}
		}
		if id, err := a.fromBearer(t.Context(), token); !errors.Is(err, ErrBadCredential) {
			t.Fatalf("%v, %v; want ErrBadCredential", id, err)
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"sub":"u","sppgId":"s","userRole":"SPPG_KEPALA","exp":4102444800,"iat":1,"aud":["a","b"],"user":{"sppgId":"t"}}`))
	f.Add([]byte(`{"sub":1,"user":{"user":{"sppgId":[[]]}},"exp":1e10,"nbf":-0}`))
	f.Add([]byte(`{"user.sppgId":"x","user":{"sppgId":"y","sppgId":"z"}}`))
	a, err := New(Options{Claims: ClaimPaths{Tenant: "user.sppgId"}, Now: func() time.Time { return time.Unix(1, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := new(claims)
		if err := a.tree.read(text, c); err != nil {
			return
		}
		id, err := a.identify(KindBearer, c)
		if err != nil {
			if Reason(err) == ReasonOther {
				t.Fatalf("error without a reason: %v", err)
			}
			return
		}
		if id.Tenant == "" && !id.Platform || id.Subject == "" || id.Server || id.Expires <= At(time.Unix(1, 0)) {
			t.Fatalf("%s became %+v", text, id)
		}
	})
}

func FuzzParseAPIKey(f *testing.F) {
	f.Add("app:0123456789abcdef")
	f.Add("app@sppg_7:0123456789abcdef")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseAPIKey(text)
		if err == nil && (len(k.Key) < MinSecretBytes || k.Name == "" || !strings.HasSuffix(text, ":"+k.Key)) {
			t.Fatalf("%q became %+v", text, k)
		}
	})
}
