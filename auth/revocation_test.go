package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/tenant"
)

func TestParseRevocation(t *testing.T) {
	at := time.UnixMilli(1790000000123)
	for _, c := range []struct {
		text string
		want Revocation
		says string // in the error
	}{
		{text: `{"sub":"u","issuedBefore":1790000000123}`, want: Revocation{"u", "", at}},
		{text: `{"tenant":"s","issuedBefore":1790000000123}`, want: Revocation{"", "s", at}},
		{text: ` {"issuedBefore":1.790000000123e12,"sub":"u","tenant":"s"} `, want: Revocation{"u", "s", at}},
		{text: `{"sub":"u","issuedBefore":"2026-09-21T14:13:20.123Z"}`, want: Revocation{"u", "", at}},
		{text: `{"sub":"u","issuedBefore":"2026-09-21T21:13:20.123+07:00"}`, want: Revocation{"u", "", at}},
		{text: `{"sub":"u","issuedBefore":1790000000}`, says: "seconds"},
		{text: `{"sub":"u","issuedBefore":1790000000123.5}`, says: "whole"},
		{text: `{"sub":"u","issuedBefore":-1790000000123}`, says: "seconds"},
		{text: `{"sub":"u","issuedBefore":1e300}`, says: "whole"},
		{text: `{"sub":"u","issuedBefore":"yesterday"}`, says: "no time like"},
		{text: `{"sub":"u","issuedBefore":"2026-09-21"}`, says: "no time like"},
		{text: `{"sub":"u","issuedBefore":true}`, says: "missing"},
		{text: `{"sub":"u","issuedBefore":null}`, says: "missing"},
		{text: `{"sub":"u"}`, says: "missing"},
		{text: `{"issuedBefore":1790000000123}`, says: "neither sub nor tenant"},
		{text: `{"sub":"","tenant":"","issuedBefore":1790000000123}`, says: "neither sub nor tenant"},
		{text: `{"sub":"u","tenant":"a:b","issuedBefore":1790000000123}`, says: "tenant id must be"},
		{text: `{"sub":"a\nb","issuedBefore":1790000000123}`, says: "control characters"},
		{text: `{"sub":"` + strings.Repeat("u", 257) + `","issuedBefore":1790000000123}`, says: "256"},
		{text: `{"sub":"u","tenent":"s","issuedBefore":1790000000123}`, says: "no other member"},
		{text: `{"sub":"u","Tenant":"s","issuedBefore":1790000000123}`, says: "no other member"},
		{text: `{"sub":"u","sub":"v","issuedBefore":1790000000123}`, says: "want"},
		{text: `{"sub":7,"issuedBefore":1790000000123}`, says: "want"},
		{text: `[]`, says: "want"},
		{text: ``, says: "want"},
		{text: `{"sub":"u","issuedBefore":1790000000123}x`, says: "want"},
		{text: strings.Repeat(" ", maxRevocationBytes+1), says: "at most"},
	} {
		got, err := ParseRevocation([]byte(c.text))
		if c.says == "" {
			if err != nil || got.Subject != c.want.Subject || got.Tenant != c.want.Tenant || !got.IssuedBefore.Equal(c.want.IssuedBefore) {
				t.Errorf("%s: %+v, %v; want %+v", c.text, got, err, c.want)
			}
			continue
		}
		if !errors.Is(err, ErrBadRevocation) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s: %v, want ErrBadRevocation with %q", c.text, err, c.says)
		}
	}
}

func FuzzParseRevocation(f *testing.F) {
	f.Add([]byte(`{"sub":"u","tenant":"s","issuedBefore":1790000000123}`))
	f.Add([]byte(`{"tenant":"s","issuedBefore":"2026-09-21T14:13:20.123Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRevocation(text)
		if err != nil {
			if !errors.Is(err, ErrBadRevocation) || len(err.Error()) > 500 {
				t.Fatalf("error of %d bytes: %v", len(err.Error()), err)
			}
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseRevocation(again)
		if err != nil || second.Subject != r.Subject || second.Tenant != r.Tenant || second.IssuedBefore.Before(r.IssuedBefore) {
			t.Fatalf("%s became %s: %+v, %v", text, again, second, err)
		}
	})
}

// TestRevokedEqualsCovers compares the list with asking each revocation by itself.
func TestRevokedEqualsCovers(t *testing.T) {
	now := time.Now()
	names := rapid.SampledFrom([]string{"", "a", "b", "c"})
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return now.Add(-time.Duration(rapid.IntRange(0, 10).Draw(t, "minutes ago")) * time.Minute)
	})
	rapid.Check(t, func(t *rapid.T) {
		l := NewRevocations(RevocationOptions{Now: func() time.Time { return now }})
		var added []Revocation
		for range rapid.IntRange(0, 8).Draw(t, "revocations") {
			r := Revocation{names.Draw(t, "sub"), tenant.ID(names.Draw(t, "tenant")), moment.Draw(t, "before")}
			if err := l.Add(r); err == nil {
				added = append(added, r)
			} else if r.Subject != "" || r.Tenant != "" {
				t.Fatal(err)
			}
		}
		copied := NewRevocations(RevocationOptions{Now: func() time.Time { return now }})
		for _, r := range l.All() {
			if err := copied.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		id := &Identity{Subject: names.Draw(t, "who"), Tenant: tenant.ID(names.Draw(t, "where")), IssuedAt: At(moment.Draw(t, "issued")), Server: rapid.Bool().Draw(t, "server")}
		want := slices.ContainsFunc(added, func(r Revocation) bool { return r.Covers(id) })
		if got := l.Revoked(id); got != want {
			t.Fatalf("%+v after %+v: %v, want %v", id, added, got, want)
		}
		if got := copied.Revoked(id); got != want {
			t.Fatalf("a list made from All: %v, want %v", got, want)
		}
	})
}

func TestRevocationsAreBoundedAndErrOnRefusing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewRevocations(RevocationOptions{MaxEntries: 100})
		born := time.Now()
		for i := range 1000 {
			time.Sleep(time.Second)
			if err := l.Add(Revocation{Subject: fmt.Sprint("u", i), IssuedBefore: time.Now()}); err != nil {
				t.Fatal(err)
			}
			if l.entries > 100 || l.entries != len(l.All()) {
				t.Fatalf("%d entries counted, %d there, want at most 100", l.entries, len(l.All()))
			}
		}
		for i := range 1000 {
			id := &Identity{Subject: fmt.Sprint("u", i), IssuedAt: At(born.Add(time.Duration(i) * time.Second))}
			if !l.Revoked(id) {
				t.Fatalf("user %d is no longer revoked", i)
			}
		}
		if l.Revoked(&Identity{Subject: "u999", IssuedAt: At(time.Now())}) || l.Revoked(&Identity{Subject: "new", IssuedAt: At(time.Now().Add(-time.Second))}) {
			t.Error("who signed in just now is refused")
		}
	})
}

func TestManyUsersOfOneKitchenBecomeTheKitchen(t *testing.T) {
	l := NewRevocations(RevocationOptions{})
	now := time.Now()
	for i := range maxTenantEntries + 1 {
		if err := l.Add(Revocation{fmt.Sprint("u", i), "noisy", now}); err != nil {
			t.Fatal(err)
		}
	}
	before := now.Add(-time.Second)
	if l.entries != 1 || !l.Revoked(&Identity{Subject: "other", Tenant: "noisy", IssuedAt: At(before)}) {
		t.Errorf("%d entries, want 1 for the whole kitchen", l.entries)
	}
	if l.Revoked(&Identity{Subject: "u1", Tenant: "quiet", IssuedAt: At(before)}) {
		t.Error("another kitchen is affected")
	}
}

func TestRevocationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewRevocations(RevocationOptions{LongestLife: 8 * time.Hour})
		add := func(r Revocation) {
			t.Helper()
			if err := l.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		add(Revocation{Subject: "u", IssuedBefore: time.Now()})
		add(Revocation{Tenant: "s", IssuedBefore: time.Now()})
		add(Revocation{"u", "r", time.Now()})
		time.Sleep(9 * time.Hour)
		add(Revocation{Subject: "v", IssuedBefore: time.Now()})
		if all := l.All(); len(all) != 1 || l.entries != 1 || len(l.tenants) != 0 {
			t.Errorf("after their life: %v with %d entries, want only the new one", all, l.entries)
		}
		add(Revocation{Subject: "w", IssuedBefore: time.Now().Add(-9 * time.Hour)})
		if len(l.All()) != 1 {
			t.Error("one that was dead from the start was kept")
		}
		if err := l.Add(Revocation{Subject: "x", IssuedBefore: time.Now().Add(maxRevocationAhead + time.Second)}); !errors.Is(err, ErrBadRevocation) {
			t.Errorf("a moment that is not yet: %v, want ErrBadRevocation", err)
		}
	})
}

func TestOnAddHearsAfterItTookEffect(t *testing.T) {
	l := NewRevocations(RevocationOptions{})
	var mu sync.Mutex
	heard := 0
	l.OnAdd(func(r Revocation) {
		mu.Lock()
		defer mu.Unlock()
		heard++
		if !l.Revoked(&Identity{Subject: r.Subject, IssuedAt: At(r.IssuedBefore.Add(-time.Second))}) {
			t.Error("told before it took effect")
		}
	})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if err := l.Add(Revocation{Subject: fmt.Sprint(i), IssuedBefore: time.Now()}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if heard != 20 {
		t.Errorf("heard %d, want 20", heard)
	}
}

func TestRevokedSessionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, Options{JWTSecret: jwtSecret})
		old := get("/", "Cookie: "+SessionCookie+"="+mint(t, kepala()))
		bearer := get("/", "Authorization: Bearer "+hs256(t, jwtSecret, kepalaJWT()))
		noIssue := kepalaJWT()
		delete(noIssue, "iat")
		undated := get("/", "Authorization: Bearer "+hs256(t, jwtSecret, noIssue))
		time.Sleep(time.Minute)
		if err := a.Revocations().Add(Revocation{"usr_1", "sppg_7", time.Now()}); err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]*http.Request{"session": old, "bearer": bearer, "token without iat": undated} {
			if id, err := a.Authenticate(t.Context(), r); !errors.Is(err, ErrRevoked) {
				t.Errorf("%s: %v, %v; want ErrRevoked", name, id, err)
			}
		}
		if _, err := a.Authenticate(t.Context(), get("/", "Cookie: "+SessionCookie+"="+mint(t, kepala()))); err != nil {
			t.Errorf("signed in again: %v", err)
		}
	})
}

func TestRevokeHandler(t *testing.T) {
	now := time.Now().UnixMilli()
	session := func(role string) string {
		return "Cookie: " + SessionCookie + "=" + mint(t, map[string]any{"sub": "u", "sppgId": "s", "userRole": role})
	}
	server, bound := "Authorization: Bearer "+apiKeyText, "Authorization: Bearer k-another-0123456789"
	const asJSON = "Content-Type: application/json; charset=utf-8"
	user := fmt.Sprintf(`{"sub":"u","issuedBefore":%d}`, now)
	for _, c := range []struct {
		name, method, body string
		lines              []string
		status             int
		tenant             tenant.ID // of what is announced
	}{
		{"Server", "POST", user, []string{server, asJSON}, 200, ""},
		{"ServerOfOneKitchen", "POST", user, []string{bound, asJSON}, 200, "sppg_7"},
		{"ServerOfThatKitchen", "POST", fmt.Sprintf(`{"tenant":"sppg_7","issuedBefore":%d}`, now), []string{bound, asJSON}, 200, "sppg_7"},
		{"ServerOfAnotherKitchen", "POST", fmt.Sprintf(`{"tenant":"sppg_8","issuedBefore":%d}`, now), []string{bound, asJSON}, 403, ""},
		{"Superadmin", "POST", user, []string{session("PLATFORM_SUPERADMIN"), ownOrigin, asJSON}, 200, ""},
		{"SuperadminFromElsewhere", "POST", user, []string{session("PLATFORM_SUPERADMIN"), "Origin: https://evil.example", asJSON}, 403, ""},
		{"SuperadminWithoutOrigin", "POST", user, []string{session("PLATFORM_SUPERADMIN"), asJSON}, 403, ""},
		{"Support", "POST", user, []string{session("PLATFORM_SUPPORT"), ownOrigin, asJSON}, 403, ""},
		{"Kitchen", "POST", user, []string{session("SPPG_KEPALA"), ownOrigin, asJSON}, 403, ""},
		{"Nobody", "POST", user, []string{asJSON}, 401, ""},
		{"Get", "GET", user, []string{server, asJSON}, 405, ""},
		{"Form", "POST", user, []string{server, "Content-Type: text/plain"}, 415, ""},
		{"NoType", "POST", user, []string{server}, 415, ""},
		{"TooLong", "POST", strings.Repeat(" ", maxRevocationBytes+1), []string{server, asJSON}, 413, ""},
		{"Bad", "POST", `{}`, []string{server, asJSON}, 422, ""},
		{"Ahead", "POST", fmt.Sprintf(`{"sub":"u","issuedBefore":%d}`, now+3_600_000), []string{server, asJSON}, 422, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{APIKeys: []APIKey{{Name: "app", Key: apiKeyText}, {Name: "kitchen", Key: "k-another-0123456789", Tenant: "sppg_7"}}})
			var announced []Revocation
			h := a.RevokeHandler(func(_ context.Context, r Revocation) error {
				announced = append(announced, r)
				return nil
			})
			r := httptest.NewRequest(c.method, "/api/revoke", strings.NewReader(c.body))
			r.Header = request(c.method, "/", c.lines...).Header
			w := serve(h, r)
			if w.Code != c.status || len(announced) != map[bool]int{true: 1}[c.status == 200] {
				t.Fatalf("%d %s, announced %v; want %d", w.Code, w.Body, announced, c.status)
			}
			if len(announced) == 1 && (announced[0].Tenant != c.tenant || announced[0].IssuedBefore.UnixMilli() != now) {
				t.Errorf("announced %+v, want tenant %q", announced[0], c.tenant)
			}
		})
	}
}

func TestRevokeHandlerTellsWhenItDidNotReachAll(t *testing.T) {
	a := newAuth(t, Options{APIKeys: []APIKey{{Name: "app", Key: apiKeyText}}})
	post := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/api/revoke", strings.NewReader(fmt.Sprintf(`{"sub":"u","issuedBefore":%d}`, time.Now().UnixMilli())))
		r.Header.Set("Authorization", "Bearer "+apiKeyText)
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	w := serve(a.RevokeHandler(func(context.Context, Revocation) error { return errors.New("redis is out") }), post())
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "redis") {
		t.Errorf("%d %v %s, want 503 with Retry-After", w.Code, w.Header(), w.Body)
	}
	if w := serve(a.RevokeHandler(nil), post()); w.Code != 200 || len(a.Revocations().All()) != 1 {
		t.Errorf("without announce: %d with %d entries, want 200 with 1", w.Code, len(a.Revocations().All()))
	}
}
