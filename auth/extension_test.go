package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/auth"
	"kentongan/tenant"
)

func anyIdentity(t *rapid.T, label string, now time.Time) *auth.Identity {
	word := rapid.SampledFrom([]string{"", "a", "b"})
	id := &auth.Identity{
		Kind: auth.KindSession, Subject: word.Draw(t, label+" subject"), Tenant: tenant.ID(word.Draw(t, label+" tenant")),
		Role: word.Draw(t, label+" role"), UserType: word.Draw(t, label+" type"),
		Platform: rapid.Bool().Draw(t, label+" platform"), Server: rapid.IntRange(0, 9).Draw(t, label+" server") == 9,
	}
	if n := rapid.IntRange(0, 5).Draw(t, label+" expires"); n > 0 {
		id.Expires = auth.At(now.Add(time.Duration(n) * time.Hour))
	}
	if n := rapid.IntRange(0, 5).Draw(t, label+" issued"); n > 0 {
		id.IssuedAt = auth.At(now.Add(-time.Duration(n) * time.Hour))
	}
	return id
}

// TestExtensionsOnlyExtend: whoever has renewed whatever, a session elsewhere is left as it is or lives longer, and nothing else of it
// changes; it lives no longer than the new credential, of the same person with the same rights.
func TestExtensionsOnlyExtend(t *testing.T) {
	now := time.UnixMilli(1_767_243_600_000)
	extended := 0
	rapid.Check(t, func(t *rapid.T) {
		old, next := anyIdentity(t, "old", now), anyIdentity(t, "next", now)
		if rapid.IntRange(0, 3).Draw(t, "somebody else") < 3 {
			expires, issued := next.Expires, next.IssuedAt
			*next = *old
			next.Expires, next.IssuedAt = expires, issued
		}
		e, ok := auth.ExtensionBy(next)
		if !ok {
			if !next.Server && !next.Expires.IsZero() && next.Subject != "" {
				t.Fatalf("%+v extends nothing", next)
			}
			return
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := auth.ParseExtension(text, now)
		if err != nil || !back.Expires.Equal(e.Expires) || back.Subject != e.Subject {
			t.Fatalf("%s is read as %+v, %v", text, back, err)
		}
		before := *old
		got := back.Apply(old)
		if *old != before {
			t.Fatal("the old identity was changed; it is shared")
		}
		if got == nil {
			return
		}
		extended++
		if got.Expires <= old.Expires || old.Expires.IsZero() || got.Expires > next.Expires || got.IssuedAt < old.IssuedAt {
			t.Fatalf("%+v extends %+v to %+v", next, old, got)
		}
		if got.Subject != next.Subject || got.Tenant != next.Tenant || got.Role != next.Role || got.UserType != next.UserType ||
			got.Platform != next.Platform || got.Server {
			t.Fatalf("%+v extends %+v", next, old)
		}
		got.Expires, got.IssuedAt = old.Expires, old.IssuedAt
		if *got != *old {
			t.Fatalf("more than its life has changed: %+v, it was %+v", got, old)
		}
	})
	if extended == 0 {
		t.Error("nothing was ever extended: nothing is proved")
	}
}

func TestBadExtensions(t *testing.T) {
	now := time.UnixMilli(1_767_243_600_000)
	const good = `{"sub":"u","tenant":"k","role":"r","userType":"t","platform":false,"issuedAt":1767243500000,"expires":1767243700000}`
	if _, err := auth.ParseExtension([]byte(good), now); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"NoSubject":      {`"sub":"u"`, `"sub":""`},
		"ControlSubject": {`"sub":"u"`, `"sub":"u\n"`},
		"LongSubject":    {`"sub":"u"`, `"sub":"` + strings.Repeat("u", 2000) + `"`},
		"BadTenant":      {`"tenant":"k"`, `"tenant":"k/l"`},
		"Ended":          {`1767243700000`, `1767243600000`},
		"NeverEnds":      {`1767243700000`, `99767243700000`},
		"Overflow":       {`1767243700000`, `9223372036854775808`},
		"IssuedLater":    {`1767243500000`, `1767343500000`},
		"Unknown":        {`"platform"`, `"server"`},
		"Twice":          {`"role":"r"`, `"role":"r","role":"s"`},
		"More":           {`{`, `{"server":true,`},
		"Behind":         {`}`, `} {}`},
		"Long":           {`{`, strings.Repeat(" ", 5000) + `{`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, change[0], change[1], 1)
			if text == good {
				t.Fatal("nothing was changed")
			}
			if e, err := auth.ParseExtension([]byte(text), now); !errors.Is(err, auth.ErrBadExtension) {
				t.Errorf("%.200s is read as %+v, %v", text, e, err)
			}
		})
	}
}

func FuzzExtension(f *testing.F) {
	f.Add(`{"sub":"u","tenant":"k","role":"r","userType":"t","platform":false,"issuedAt":1767243500000,"expires":1767243700000}`)
	f.Add(`{"sub":"u","expires":1e300}`)
	now := time.UnixMilli(1_767_243_600_000)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := auth.ParseExtension([]byte(text), now)
		if err != nil {
			return
		}
		if e.Subject == "" || !e.Expires.After(now) || e.Expires.After(now.Add(400*24*time.Hour)) {
			t.Fatalf("%q is read as %+v", text, e)
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := auth.ParseExtension(again, now); err != nil || back != e {
			t.Fatalf("%q comes back as %+v, %v; it was %+v", text, back, err, e)
		}
	})
}
