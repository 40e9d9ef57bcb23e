package auth

import (
	"strings"
	"testing"
	"time"
)

func BenchmarkAuthenticateSession(b *testing.B) {
	secrets := []string{testSecret, "the secret before this one, 32 bytes"}
	plain := mint(b, kepala())
	long := kepala()
	long["permissions"] = strings.Repeat("x", 30_000)
	forged := plain[:len(plain)-4] + "AAAA"
	hook := []string{"Cookie: theme=dark; authjs.csrf-token=abc%7Cdef; " + SessionCookie + "=" + plain}
	for _, c := range []struct {
		name  string
		lines []string
		good  bool
	}{
		{"V5", hook, true},
		{"V5Long", []string{"Cookie: " + SessionCookie + "=" + mint(b, long)}, true},
		{"V4", []string{"Cookie: next-auth.session-token=" + sealV4(b, kepala())}, true},
		{"Forged", []string{"Cookie: " + SessionCookie + "=" + forged}, false},
		{"ForgedV4", []string{"Cookie: next-auth.session-token=" + sealV4(b, kepala()) + "A"}, false},
		{"None", []string{"Cookie: theme=dark"}, false},
		{"Garbage", []string{"Cookie: " + SessionCookie + "=" + strings.Repeat("A.", 20_000)}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := newAuth(b, Options{SessionSecrets: secrets})
			r := get("/api/ws", c.lines...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), r); (err == nil) != c.good {
					b.Fatal(err)
				}
			}
		})
	}
}

// sealV4 writes a session as NextAuth v4 does.
func sealV4(t testing.TB, claims map[string]any) string {
	t.Helper()
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	key, err := deriveV4(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return sealGCM(t, key, `{"alg":"dir","enc":"A256GCM"}`, claims)
}

func BenchmarkAuthenticateBearer(b *testing.B) {
	a := newAuth(b, Options{JWTSecret: jwtSecret, APIKeys: []APIKey{{Name: "app", Key: apiKeyText}}})
	for name, token := range map[string]string{"HS256": hs256(b, jwtSecret, kepalaJWT()), "APIKey": apiKeyText} {
		b.Run(name, func(b *testing.B) {
			r := get("/api/ws", "Authorization: Bearer "+token)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
