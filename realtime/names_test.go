package realtime_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/tenant"
)

func names(t testing.TB, spellings ...string) *realtime.Names {
	t.Helper()
	n, err := newNames(spellings)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newNames(spellings []string) (*realtime.Names, error) {
	patterns := make([]realtime.Pattern, len(spellings))
	for i, s := range spellings {
		patterns[i] = realtime.Pattern{Spelling: s}
	}
	return realtime.NewNames(patterns)
}

func defaults(t testing.TB) *realtime.Names {
	t.Helper()
	n, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDefaultNames(t *testing.T) {
	n := defaults(t)
	for wire, want := range map[string]realtime.Channel{
		"production:updates:clx1":      {Tenant: "clx1", Name: "production:updates"},
		"production:alerts:a-b_C9":     {Tenant: "a-b_C9", Name: "production:alerts"},
		"sppg:clx1:production:created": {Tenant: "clx1", Name: "sppg:production:created"},
		"dashboard-update-clx1":        {Tenant: "clx1", Name: "dashboard-update"},
		"dashboard-update-a-b":         {Tenant: "a-b", Name: "dashboard-update"},
		"notification-clx1":            {Tenant: "clx1", Name: "notification"},
		"notifications:clx1":           {Tenant: "clx1", Name: "notifications"},
		"updates:updates":              {Tenant: "updates", Name: "updates"},
		"system-alert":                 {Name: "system-alert"},
	} {
		got, _, err := n.Parse(wire)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", wire, got, err, want)
		}
		if got := n.Spell(want); got != wire {
			t.Errorf("Spell(%+v) = %q, want %q", want, got, wire)
		}
		if got := n.Retention(want); got != realtime.DefaultRetention {
			t.Errorf("Retention(%+v) = %+v, want the default", want, got)
		}
	}
	if got := len(n.Of("k1")); got != 12 {
		t.Errorf("a tenant has %d channels, want 12", got)
	}
	if got := n.Of(tenant.Global); len(got) != 1 || got[0] != "system-alert" {
		t.Errorf("the global channels are %q", got)
	}
}

func TestHostileNames(t *testing.T) {
	n := names(t, "a:{tenant}", "b:{tenant}:*", "c-{tenant}", "alert")
	long := strings.Repeat("x", tenant.MaxBytes+1)
	for _, wire := range []string{
		"", "a", "a:", "a:{tenant}", "a:*", "a:?", "a:[x]", "a:k 1", "a:k\n", "a:k\x00", "a:k:", "a:k:b", ":a:k", " a:k", "a:k ", "A:k", "a::k",
		"a:" + long, "b:k", "b:k:", "b::x", "b:k:x:y", "b:k:*", "b:" + long + ":x", "c-", "c", "alert:", "alert ", "ALERT", "xalert", "alertx",
		"a:é", "a:\xff", "a:k/../l", "a:k%00", "a:{k}", "a:k.l", "b:k:" + strings.Repeat("x", realtime.MaxNameBytes), "kentongan:{k}:live",
	} {
		if ch, _, err := n.Parse(wire); !errors.Is(err, realtime.ErrNoChannel) || ch != (realtime.Channel{}) {
			t.Errorf("Parse(%q) = %+v, %v; want ErrNoChannel", wire, ch, err)
		}
	}
	for _, ch := range []realtime.Channel{{Name: "a"}, {Tenant: "k", Name: "alert"}, {Tenant: "k", Name: "b:*"}, {Tenant: "k", Name: "b:x:y"}, {Tenant: "k"}, {}} {
		if got := n.Spell(ch); got != "" {
			t.Errorf("Spell(%+v) = %q, want nothing", ch, got)
		}
		if got := n.Retention(ch); got != (realtime.Retention{}) {
			t.Errorf("Retention(%+v) = %+v, want none", ch, got)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for name, patterns := range map[string][]realtime.Pattern{
		"empty":                      {{}},
		"only the tenant":            {{Spelling: "{tenant}"}},
		"two tenants":                {{Spelling: "a:{tenant}:{tenant}"}},
		"unknown mark":               {{Spelling: "a:{kitchen}"}},
		"glob":                       {{Spelling: "a:[bc]"}},
		"space":                      {{Spelling: "a b"}},
		"newline":                    {{Spelling: "a\n"}},
		"letters after the tenant":   {{Spelling: "a:{tenant}b"}},
		"dash after the tenant":      {{Spelling: "{tenant}-a"}},
		"letters after a segment":    {{Spelling: "a:*b"}},
		"two segments without end":   {{Spelling: "a:**"}},
		"segment beside tenant":      {{Spelling: "a:{tenant}*"}},
		"too long":                   {{Spelling: strings.Repeat("a", realtime.MaxNameBytes)}},
		"snapshot without history":   {{Spelling: "a", SnapshotKey: "id"}},
		"snapshot without a name":    {{Spelling: "a", Retention: realtime.DefaultRetention, SnapshotKey: "data..id"}},
		"snapshot too deep":          {{Spelling: "a", Retention: realtime.DefaultRetention, SnapshotKey: "a.b.c.d.e.f.g.h.i"}},
		"size without age":           {{Spelling: "a", Retention: realtime.Retention{Size: 1}}},
		"age without size":           {{Spelling: "a", Retention: realtime.Retention{Age: time.Second}}},
		"negative":                   {{Spelling: "a", Retention: realtime.Retention{Size: -1, Age: time.Second}}},
		"twice":                      {{Spelling: "a:{tenant}"}, {Spelling: "a:{tenant}"}},
		"same name":                  {{Spelling: "a:{tenant}"}, {Spelling: "a-{tenant}"}},
		"one name, two tenants":      {{Spelling: "a:{tenant}:b"}, {Spelling: "{tenant}:x:b"}},
		"one name, global or not":    {{Spelling: "a:*"}, {Spelling: "a:{tenant}"}},
		"one name, tenant elsewhere": {{Spelling: "a:*:{tenant}"}, {Spelling: "a:{tenant}:*:c"}, {Spelling: "a:{tenant}:d"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := realtime.NewNames(patterns); !errors.Is(err, realtime.ErrPattern) {
				t.Errorf("got %v, want ErrPattern", err)
			}
		})
	}
	_, err := newNames([]string{"a b", "c", "d\n"})
	if err == nil || strings.Count(err.Error(), "bad channel pattern") != 2 {
		t.Errorf("two mistakes give %v, want both", err)
	}
	if n := names(t, "orders:{tenant}:alerts", "orders:{tenant}:*", "x:*", "x:y"); n == nil {
		t.Error("patterns that agree about their names are refused")
	}
}

// drawNames draws patterns that often match the same names: each is one text of a few segments with marks in place of
// some. What NewNames refuses is left out.
func drawNames(t *rapid.T) *realtime.Names {
	segment := rapid.SampledFrom([]string{"a", "b", "a", "b", "ab", "-a", "{tenant}", "*", "*"})
	var spellings []string
	n, _ := newNames([]string{"start:{tenant}"})
	for range rapid.IntRange(1, 6).Draw(t, "patterns") {
		s := strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "pattern"), rapid.SampledFrom([]string{":", ":", ".", "-"}).Draw(t, "separator"))
		if more, err := newNames(append(spellings, s)); err == nil {
			n, spellings = more, append(spellings, s)
		}
	}
	return n
}

// drawWire fills the marks of one of the patterns, so that the name is matched by it, and perhaps by another.
func drawWire(t *rapid.T, n *realtime.Names) string {
	wire := rapid.SampledFrom(n.Patterns()).Draw(t, "pattern").Spelling
	fill := rapid.SampledFrom([]string{"a", "b", "ab", "-a", "b-"})
	for strings.Contains(wire, "*") {
		wire = strings.Replace(wire, "*", fill.Draw(t, "segment"), 1)
	}
	return strings.Replace(wire, "{tenant}", fill.Draw(t, "tenant"), 1)
}

// TestNamesAgree draws patterns, and names that often match: what is parsed is spelled and parsed to itself again, is
// received by a glob, and is one channel only.
func TestNamesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNames(t)
		for range 20 {
			wire := drawWire(t, n)
			ch, p, err := n.Parse(wire)
			if err != nil {
				t.Fatalf("%q fills a pattern and is %v", wire, err)
			}
			if got := n.Spell(ch); got == "" {
				t.Fatalf("%q is %+v by %q, and is spelled as nothing", wire, ch, p.Spelling)
			} else if again, _, err := n.Parse(got); err != nil || again != ch {
				t.Fatalf("%q is %+v by %q, is spelled %q, and is %+v, %v then", wire, ch, p.Spelling, got, again, err)
			}
			globbed := false
			for _, g := range n.Globs() {
				globbed = globbed || globMatch(g, wire)
			}
			if !globbed {
				t.Fatalf("%q is accepted, and none of the globs %q matches it", wire, n.Globs())
			}
			// Each pattern alone says the same, or does not match: no order of patterns moves a name to another tenant.
			for _, only := range n.Patterns() {
				alone, err := newNames([]string{only.Spelling})
				if err != nil {
					t.Fatal(err)
				}
				if other, _, err := alone.Parse(wire); err == nil && other != ch {
					t.Fatalf("%q is %+v by %q and %+v by %q", wire, ch, p.Spelling, other, only.Spelling)
				}
			}
		}
	})
}

// TestTenantsShareNoSpelling spells the channels of two tenants.
func TestTenantsShareNoSpelling(t *testing.T) {
	id := rapid.StringMatching(`[ab_\-]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		n := drawNames(t)
		one, two := tenant.ID(id.Draw(t, "one")), tenant.ID(id.Draw(t, "two"))
		if one == two {
			return
		}
		spelled := map[string]bool{}
		for _, wire := range n.Of(one) {
			spelled[wire] = true
			if ch, _, err := n.Parse(wire); err != nil || ch.Tenant != one {
				t.Fatalf("%q of tenant %q is %+v, %v", wire, one, ch, err)
			}
		}
		for _, wire := range n.Of(two) {
			if spelled[wire] {
				t.Fatalf("%q is a name of %q and of %q", wire, one, two)
			}
		}
	})
}

// globMatch is Redis's matching for "*".
func globMatch(glob, name string) bool {
	if glob == "" {
		return name == ""
	}
	if glob[0] == '*' {
		for i := 0; i <= len(name); i++ {
			if globMatch(glob[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	return name != "" && name[0] == glob[0] && globMatch(glob[1:], name[1:])
}

func FuzzParse(f *testing.F) {
	n := names(f, "production:updates:{tenant}", "sppg:{tenant}:production:created", "note-{tenant}", "orders:{tenant}:*", "x:*:{tenant}.*", "alert")
	for _, wire := range []string{"production:updates:k", "sppg:k:production:created", "note-a-b", "orders:k:7", "x:a:k.b", "alert", "a\x00", "orders:{k}:*"} {
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire string) {
		ch, _, err := n.Parse(wire)
		if err != nil {
			if !errors.Is(err, realtime.ErrNoChannel) {
				t.Fatal(err)
			}
			return
		}
		if ch.Tenant != tenant.Global && !tenant.Valid(ch.Tenant) || strings.ContainsAny(ch.Name, "*{}?[] \r\n\x00") || len(wire) > realtime.MaxNameBytes {
			t.Fatalf("Parse(%q) = %+v", wire, ch)
		}
		if got := n.Spell(ch); got != wire {
			t.Fatalf("Parse(%q) = %+v, which is spelled %q", wire, ch, got)
		}
	})
}

func FuzzNewNames(f *testing.F) {
	f.Add("a:{tenant}", "b:*", "b:k")
	f.Add("a:{tenant}:*", "{tenant}:x:b", "a:x:b")
	f.Fuzz(func(t *testing.T, one, two, wire string) {
		n, err := newNames([]string{one, two})
		if err != nil {
			if !errors.Is(err, realtime.ErrPattern) {
				t.Fatal(err)
			}
			return
		}
		if ch, _, err := n.Parse(wire); err == nil {
			if again, _, err := n.Parse(n.Spell(ch)); err != nil || again != ch {
				t.Fatalf("%q is %+v, and %q is %+v, %v", wire, ch, n.Spell(ch), again, err)
			}
		}
	})
}

func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		epoch := rapid.SampledFrom([]string{"e", "f", ""})
		head := realtime.Position{Epoch: "e", Offset: rapid.Uint64Range(0, 20).Draw(t, "head")}
		oldest := uint64(0)
		if head.Offset > 0 {
			oldest = rapid.Uint64Range(0, head.Offset).Draw(t, "oldest")
		}
		since := realtime.Position{Epoch: epoch.Draw(t, "epoch"), Offset: rapid.Uint64Range(0, 22).Draw(t, "since")}
		keeps := oldest > 0 || rapid.Bool().Draw(t, "keeps")
		from, cause := realtime.Resume(since, head, oldest, keeps)
		held := func(o uint64) bool { return oldest > 0 && o >= oldest && o <= head.Offset }
		if cause != "" {
			// A gap is told only if something is missing, or nobody can know.
			if since == (realtime.Position{}) {
				t.Fatalf("a zero position has gap %q", cause)
			}
			if since.Epoch == head.Epoch && since.Offset <= head.Offset {
				missing := false
				for o := since.Offset + 1; o <= head.Offset; o++ {
					missing = missing || !held(o)
				}
				if !missing {
					t.Fatalf("nothing is missing between %v and %v, and the gap is %q", since, head, cause)
				}
			}
			return
		}
		for o := from; o <= head.Offset; o++ {
			if !held(o) {
				t.Fatalf("from %d to %d: %d is not held", from, head.Offset, o)
			}
		}
		if since != (realtime.Position{}) && (since.Epoch != head.Epoch || from != since.Offset+1) {
			t.Fatalf("%v is continued from %d of %v", since, from, head)
		}
	})
}

func TestNewEpoch(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		e := realtime.NewEpoch()
		if len(e) < 8 || len(e) > 16 || strings.Trim(e, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Fatalf("epoch %q", e)
		}
		if seen[e] {
			t.Fatalf("epoch %q twice", e)
		}
		seen[e] = true
	}
}

func ExampleNames_Parse() {
	n, _ := realtime.NewNames(realtime.DefaultPatterns())
	ch, _, _ := n.Parse("production:updates:clx123")
	fmt.Println(ch.Tenant, ch.Name)
	// Output: clx123 production:updates
}
