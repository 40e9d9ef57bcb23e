package cache

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// drawEntry draws any entry that this package could write.
func drawEntry(t *rapid.T) entry {
	text := rapid.StringN(1, 20, 80).Filter(utf8.ValidString)
	tags := rapid.SliceOfNDistinct(text.Filter(func(s string) bool { return checkTag(s) == nil }), 0, 4, rapid.ID[string]).Draw(t, "tags")
	numbers := rapid.Int64Range(0, 1<<52)
	e := entry{
		version: rapid.Int64Range(0, 1<<62).Draw(t, "version"), tags: tags, missing: rapid.Bool().Draw(t, "missing"),
		created: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "created")).UTC(), tenant: tenant.ID(rapid.StringMatching(`[A-Za-z0-9_-]{0,20}`).Draw(t, "tenant")),
		took: time.Duration(rapid.Int64Range(0, 60_000).Draw(t, "took")) * time.Millisecond, epochs: []epoch{{shared.Star, numbers.Draw(t, "star")}},
	}
	e.expires = e.created.Add(time.Duration(rapid.Int64Range(1, 604_800).Draw(t, "ttl")) * time.Second)
	for _, tag := range tags {
		e.epochs = append(e.epochs, epoch{tag, numbers.Draw(t, "number")})
	}
	data, err := json.Marshal(rapid.SliceOf(text).Draw(t, "data"))
	if err != nil {
		t.Fatal(err)
	}
	e.data = data
	return e
}

func TestEntryIsReadAsWritten(t *testing.T) {
	var z zipper
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		own := rapid.Bool().Draw(t, "own")
		text := string(e.encode())
		if own {
			text = string(e.encodeOwn(rapid.SampledFrom([]int{0, 1, 100}).Draw(t, "from"), &z))
		}
		got, err := decode(text, own, &z)
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		byField := func(a, b epoch) int { return strings.Compare(a.field, b.field) }
		slices.SortFunc(e.epochs, byField)
		slices.SortFunc(got.epochs, byField)
		if got.version != e.version || !slices.Equal(got.epochs, e.epochs) || !slices.Equal(got.tags, e.tags) || got.missing != e.missing ||
			!got.created.Equal(e.created) || !got.expires.Equal(e.expires) || got.took != e.took || !bytes.Equal(got.data, e.data) {
			t.Fatalf("got  %+v\nwant %+v", got, e)
		}
		slow, err := decodeAny(text, own, &z)
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		slices.SortFunc(slow.epochs, byField)
		if fast, ok := decodeOurs(text, own); ok {
			slices.SortFunc(fast.epochs, byField)
			if !own && !bytes.Equal(fast.data, slow.data) || fast.version != slow.version || !slices.Equal(fast.epochs, slow.epochs) ||
				!slices.Equal(fast.tags, slow.tags) || fast.missing != slow.missing || !fast.created.Equal(slow.created) ||
				!fast.expires.Equal(slow.expires) || fast.took != slow.took {
				t.Fatalf("quickly %+v\nslowly  %+v", fast, slow)
			}
		} else if !strings.Contains(text, `\`) {
			t.Fatalf("not read quickly: %q", text)
		}
		if v := shared.VersionOf(text); v != e.version {
			t.Fatalf("the scripts read version %d of %d", v, e.version)
		}
		if shared.IsMarker(text) {
			t.Fatal("an entry is taken for a marker")
		}
		if !own && !json.Valid([]byte(text)) {
			t.Fatalf("the app cannot read %q", text)
		}
	})
}

func FuzzDecode(f *testing.F) {
	var z zipper
	e := entry{epochs: []epoch{{"*", 1}}, created: time.Unix(1, 0), expires: time.Unix(2, 0), data: []byte(`{"a":1}`)}
	f.Add(string(e.encode()), false)
	f.Add(string(e.encodeOwn(1, &z)), true)
	f.Add(`{"data":{"a":1},"createdAt":"2026-01-02T03:04:05.000Z","expiresAt":"2026-01-02T03:09:05.000Z","version":"1.0","sppgId":"k","tags":["a"]}`, false)
	f.Add("0e1", false)
	f.Fuzz(func(t *testing.T, text string, own bool) {
		e, err := decode(text, own, &z)
		if err != nil {
			return
		}
		if len(e.data) == 0 || e.version < 0 || e.epochs != nil && !hasStar(e.epochs) {
			t.Fatalf("%q is read as %+v", text, e)
		}
		shared.VersionOf(text)
		shared.Identity(text)
	})
}

func FuzzParseName(f *testing.F) {
	f.Add("bergizi:cache:k1:menus:today")
	f.Add("cache:global:prices")
	f.Add("kentongan:cache:own::x")
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseName(s)
		if ok && n.redis() != s {
			t.Fatalf("%q is read as %+v, which is %q", s, n, n.redis())
		}
	})
}

// TestNamesAreApart: two different names are never one in Redis.
func TestNamesAreApart(t *testing.T) {
	draw := func(t *rapid.T, label string) name {
		return name{
			tenant.ID(rapid.SampledFrom([]string{"", "a", "b", "ab", "global", "cache"}).Draw(t, label)),
			rapid.StringMatching(`[a-c:]{1,6}`).Draw(t, label), rapid.Bool().Draw(t, label),
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if checkName(a) != nil || checkName(b) != nil {
			return
		}
		if a != b && a.redis() == b.redis() {
			t.Fatalf("%+v and %+v are both %q", a, b, a.redis())
		}
		if got, ok := parseName(a.redis()); !ok || got != a {
			t.Fatalf("%q is read as %+v, want %+v", a.redis(), got, a)
		}
	})
	for _, p := range prefixes() {
		for _, q := range prefixes() {
			if p != q && strings.HasPrefix(p, q) {
				t.Errorf("%q begins with %q: Redis refuses to listen to both", p, q)
			}
		}
	}
}

func TestMarkers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floor := rapid.Int64Range(0, 1<<62).Draw(t, "floor")
		lease, only := shared.LeaseOf(floor, shared.NewToken()), shared.FloorOf(floor)
		if !shared.IsMarker(lease) || !shared.IsLease(lease) || shared.FloorIn(lease) != floor {
			t.Fatalf("lease %q", lease)
		}
		if !shared.IsMarker(only) || shared.IsLease(only) || shared.FloorIn(only) != floor {
			t.Fatalf("floor %q", only)
		}
		// JSON for zero, or as good as: that is what the app takes for a miss.
		if !json.Valid([]byte(lease)) || !json.Valid([]byte(only)) {
			t.Fatalf("no JSON: %q %q", lease, only)
		}
	})
}
