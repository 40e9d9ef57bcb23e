package auth

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kentongan/tenant"
)

func TestNewRefusesAllThatIsWrongAtOnce(t *testing.T) {
	_, err := New(Options{
		SessionSecrets:    []string{"geheim-short", testSecret},
		SessionCookie:     "a b",
		JWTSecret:         "geheim-sixteen-by",
		JWKSURL:           "http://idp.example",
		SocketTokenSecret: "default-secret",
		AllowedOrigins:    []string{"*"},
		APIKeys:           []APIKey{{Name: "app", Key: "geheim"}},
		Claims:            ClaimPaths{Tenant: strings.Repeat("x", 300)},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"session secret 1", "cookie name", "JWT secret", "JWKS URL", "well-known", "allowed origin", "API key", "claim path"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "geheim") {
		t.Errorf("the error holds a secret: %v", err)
	}
	for _, o := range []Options{
		{SessionSecrets: []string{"default-secret"}},
		{SocketTokenSecret: "fifteen bytes.."},
		{APIKeys: []APIKey{{Name: "a", Key: apiKeyText}, {Name: "a", Key: apiKeyText + "2"}}},
		{APIKeys: []APIKey{{Name: "a", Key: apiKeyText}, {Name: "b", Key: apiKeyText}}},
		{APIKeys: []APIKey{{Name: "a", Key: apiKeyText, Tenant: "a:b"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestOptionsAreLoggedWithoutSecrets(t *testing.T) {
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("x", "options", Options{SessionSecrets: []string{testSecret}, JWTSecret: jwtSecret}, "sign_in", SignInOptions{Secret: testSecret})
	if text := log.String(); strings.Contains(text, testSecret) || strings.Contains(text, jwtSecret) {
		t.Errorf("logged: %s", text)
	}
}

func TestZeroOptionsLetNobodyIn(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Cookie: " + SessionCookie + "=" + mint(t, kepala()), "Cookie: " + SessionCookie + "=" + hs256(t, "", kepalaJWT()),
		"Authorization: Bearer " + hs256(t, "", kepalaJWT()), "Authorization: Bearer ", "Authorization: Bearer x"} {
		if id, err := a.Authenticate(t.Context(), get("/", line)); !errors.Is(err, ErrBadCredential) {
			t.Errorf("%.60s: %v, %v; want ErrBadCredential", line, id, err)
		}
	}
	if _, err := a.Authenticate(t.Context(), get("/")); !errors.Is(err, ErrNoCredential) {
		t.Errorf("nothing: %v, want ErrNoCredential", err)
	}
}

func TestMintSessionRefuses(t *testing.T) {
	for name, mint := range map[string]func() (string, error){
		"ShortSecret": func() (string, error) { return MintSession("short", SessionCookie, nil, time.Hour) },
		"CookieName":  func() (string, error) { return MintSession(testSecret, "a;b", nil, time.Hour) },
		"NoLife":      func() (string, error) { return MintSession(testSecret, SessionCookie, nil, 0) },
		"Claims": func() (string, error) {
			return MintSession(testSecret, SessionCookie, map[string]any{"x": func() {}}, time.Hour)
		},
	} {
		if token, err := mint(); err == nil {
			t.Errorf("%s: %q", name, token)
		}
	}
}

func TestMayReplace(t *testing.T) {
	old := Identity{Kind: KindSession, Subject: "u", Tenant: "s", Role: "SPPG_KEPALA"}
	change := func(f func(*Identity)) *Identity {
		next := old
		f(&next)
		return &next
	}
	for _, c := range []struct {
		name string
		next *Identity
		want bool
	}{
		{"Same", change(func(*Identity) {}), true},
		{"ByTicket", change(func(i *Identity) { i.Kind = KindTicket }), true},
		{"OtherRole", change(func(i *Identity) { i.Role = "SPPG_VIEWER" }), true},
		{"Later", change(func(i *Identity) { i.Expires = At(time.Now()) }), true},
		{"OtherUser", change(func(i *Identity) { i.Subject = "v" }), false},
		{"OtherKitchen", change(func(i *Identity) { i.Tenant = "r" }), false},
		{"NoKitchen", change(func(i *Identity) { i.Tenant = tenant.Global }), false},
		{"NowPlatform", change(func(i *Identity) { i.Platform = true }), false},
		{"NowServer", change(func(i *Identity) { i.Server = true }), false},
		{"Nobody", nil, false},
	} {
		if got := old.MayReplace(c.next); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMaySeeMoney(t *testing.T) {
	for role, want := range map[string]bool{
		"PLATFORM_SUPERADMIN": true, "SPPG_KEPALA": true, "SPPG_ADMIN": true, "SPPG_AKUNTAN": true, "SPPG_PRODUKSI_MANAGER": true,
		"PLATFORM_SUPPORT": false, "SPPG_AHLI_GIZI": false, "SPPG_DISTRIBUSI_MANAGER": false, "SPPG_STAFF_DAPUR": false, "SPPG_STAFF_QC": false, "SPPG_VIEWER": false, "": false,
	} {
		if got := MaySeeMoney(role); got != want {
			t.Errorf("%q: %v, want %v", role, got, want)
		}
	}
}
