package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	explainA = "the-first-secret-of-the-app-0001"
	explainB = "the-second-secret-of-the-app-002"
)

// TestExplainCookieOfTheApp pastes what the real encoders make, also in pieces.
func TestExplainCookieOfTheApp(t *testing.T) {
	made := authjs(t, []order{
		{"v5", "authjs.session-token", explainB, 0}, {"v4", "next-auth.session-token", explainA, 0},
		{"v5", "__Secure-authjs.session-token", explainA, 9000}, {"v5", "dapur.session", explainA, 0},
	}, nil).Cookies
	o := Options{SessionSecrets: []string{explainA, explainB}}
	for i, want := range []struct {
		secret        int
		version, salt string
	}{{1, "Auth.js v5, A256CBC-HS512", "authjs.session-token"}, {0, "NextAuth v4, A256GCM", ""}, {0, "Auth.js v5, A256CBC-HS512", "__Secure-authjs.session-token"}} {
		r := ExplainCookie(o, "Cookie: "+strings.TrimPrefix(cookieHeader(made[i]), "Cookie: "))
		if r.Secret != want.secret || r.Version != want.version || r.Salt != want.salt || r.Problem != "" || r.Identity == nil || r.Expires.IsZero() {
			t.Errorf("%d: got %+v, want %+v", i, r, want)
		}
	}
	if r := ExplainCookie(o, made[0][0].Value); r.Secret != 1 || r.Problem != "" { // the value alone
		t.Errorf("a value alone: %+v", r)
	}
	if r := ExplainCookie(o, cookieHeader(made[3])); r.Secret != 0 || r.Right != "set KENTONGAN_AUTH_COOKIE=dapur.session" {
		t.Errorf("another name: %+v", r)
	}
	o.SessionCookie = "dapur.session"
	if r := ExplainCookie(o, cookieHeader(made[3])); r.Secret != 0 || r.Problem != "" {
		t.Errorf("another name that is set: %+v", r)
	}
}

func TestExplainCookieThatIsRefused(t *testing.T) {
	mint := func(secret, name string, claims map[string]any) string {
		t.Helper()
		token, err := MintSession(secret, name, claims, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	full := map[string]any{"sub": "u1", "sppgId": "k1", "userRole": "SPPG_KEPALA"}
	const name = "authjs.session-token"
	for _, c := range []struct {
		what, pasted   string
		secrets        []string
		secret         int
		problem, right string
	}{
		{"AnotherSecret", name + "=" + mint("a-secret-that-nobody-here-knows-1", name, full), []string{explainA, explainB}, -1,
			"none of the 2 session secrets opens it", "AUTH_SECRET"},
		{"NoSecret", name + "=" + mint(explainA, name, full), nil, -1, "no session secret is set", "AUTH_SECRET"},
		{"SpaceAroundOurs", name + "=" + mint(explainA, name, full), []string{explainA + " "}, 0, "white space around ours", "take the white space"},
		{"QuotesAroundOurs", name + "=" + mint(explainA, name, full), []string{explainB, `"` + explainA + `"`}, 1, "quotes around ours", "take the quotes"},
		{"LineBreakInTheirs", name + "=" + mint(explainA+"\n", name, full), []string{explainA}, 0, "ends with a line break", "line break"},
		{"QuotesInTheirs", name + "=" + mint(`"`+explainA+`"`, name, full), []string{explainA}, 0, "has quotes around it", "with its quotes"},
		{"Renamed", name + "=" + mint(explainA, "__Secure-"+name, full), []string{explainA}, 0, "has renamed it", "keep the name"},
		{"NoKitchen", name + "=" + mint(explainA, name, map[string]any{"sub": "u1", "user": map[string]any{"sppgId": "k1"}}), []string{explainA}, 0,
			"names no kitchen", "user.sppgId"},
		{"NoSubject", name + "=" + mint(explainA, name, map[string]any{"sppgId": "k1"}), []string{explainA}, 0, "subject claim", "it has exp, iat, jti, sppgId"},
		{"DatabaseSession", name + "=5b0c6d0e-7a1f-4a39-9c7e-2f9d1c0b8a77", []string{explainA}, -1, "sessions in a database", `strategy: "jwt"`},
		{"Signed", name + "=eyJhbGciOiJIUzI1NiJ9.e30.c2ln", []string{explainA}, -1, "signed token", "KENTONGAN_JWT_SECRET"},
		{"Half", name + "=" + mint(explainA, name, full)[:200], []string{explainA}, -1, "not all of one", "all pieces"},
		{"PieceMissing", name + ".1=abc", []string{explainA}, -1, "first piece (authjs.session-token.0) is missing", "all pieces"},
		{"NoSession", "theme=dark; lang=id", []string{explainA}, -1, "no session cookie among these: theme, lang", "signed in"},
		{"Empty", "  ", []string{explainA}, -1, "is empty", "Cookie header"},
		{"TooLong", "a=" + strings.Repeat("x", 300<<10), []string{explainA}, -1, "more than a browser sends", "one request"},
		{"WrongSettings", "a=b", []string{"short"}, -1, "settings of credentials are wrong", "correct"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := ExplainCookie(Options{SessionSecrets: c.secrets}, c.pasted)
			if r.Secret != c.secret || !strings.Contains(r.Problem, c.problem) || !strings.Contains(r.Right, c.right) || r.Identity != nil {
				t.Errorf("got %+v, want secret %d, a problem with %q, and that %q is right", r, c.secret, c.problem, c.right)
			}
			said := fmt.Sprintf("%+v", r)
			for _, secret := range append(c.secrets, explainA) {
				if strings.Contains(said, strings.TrimSpace(secret)) && secret != "short" {
					t.Errorf("it holds a secret: %s", said)
				}
			}
		})
	}
}

func TestExplainExpiredCookie(t *testing.T) {
	token, err := MintSession(explainA, "authjs.session-token", map[string]any{"sub": "u1", "sppgId": "k1"}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{SessionSecrets: []string{explainA}, Now: func() time.Time { return time.Now().Add(time.Hour) }}
	if r := ExplainCookie(o, "authjs.session-token="+token); r.Secret != 0 || !strings.Contains(r.Problem, "expired") || r.Expires.IsZero() {
		t.Errorf("got %+v", r)
	}
}

// FuzzExplainCookie: whatever is pasted, it is explained, in lines that can be printed.
func FuzzExplainCookie(f *testing.F) {
	for _, seed := range []string{"", "a", "a=b", "Cookie: authjs.session-token=eyJ..a.b.c", "authjs.session-token.0=x; authjs.session-token.31=y", "=;=;\x00"} {
		f.Add(seed)
	}
	o := Options{SessionSecrets: []string{explainA}}
	f.Fuzz(func(t *testing.T, pasted string) {
		r := ExplainCookie(o, pasted)
		if r.Problem == "" {
			t.Fatalf("%q lets somebody in: %+v", pasted, r)
		}
		if text := r.Problem + r.Right + r.Cookie; strings.ContainsAny(text, "\n\r\x00") || len(text) > 4000 {
			t.Fatalf("%q: %q", pasted, text)
		}
	})
}
