package doctor

import (
	"testing"

	"pgregory.net/rapid"

	"kentongan/realtime"
)

func TestNearest(t *testing.T) {
	var patterns []string
	for _, p := range realtime.DefaultPatterns() {
		patterns = append(patterns, p.Spelling)
	}
	for name, want := range map[string]string{
		"production:update:sppg_7": "production:updates:{tenant}", "prodution:updates:sppg_7": "production:updates:{tenant}",
		"production:alert:sppg_7": "production:alerts:{tenant}", "production-updates:sppg_7": "production:updates:{tenant}",
		"notification:sppg_7": "notifications:{tenant}", "systemalert": "system-alert", "Menu:Updates:k1": "menu:updates:{tenant}",
		"bull:jobs:1": "", "orders:new:sppg_7": "", "x": "", "": "", "__keyspace@0__:a": "",
	} {
		if got, ok := nearest(patterns, name); got != want && ok || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", name, got, ok, want)
		}
	}
}

// TestDistance: a name that a pattern matches is no character away, and each edit costs one at most.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, err := realtime.NewNames(realtime.DefaultPatterns())
		if err != nil {
			t.Fatal(err)
		}
		kitchen := rapid.StringMatching(`[A-Za-z0-9_-]{1,20}`).Draw(t, "kitchen")
		for _, p := range names.Patterns() {
			name := spell(p.Spelling, kitchen)
			if d := distance(p.Spelling, name); d != 0 {
				t.Fatalf("%q is %d away from %q", name, d, p.Spelling)
			}
			at := rapid.IntRange(0, len(name)).Draw(t, "at")
			for _, other := range []string{name[:at] + name[min(at+1, len(name)):], name[:at] + "!" + name[min(at+1, len(name)):]} {
				if d := distance(p.Spelling, other); d > 2 { // two, where the only character of a kitchen goes
					t.Fatalf("%q is %d away from %q", other, d, p.Spelling)
				}
			}
		}
	})
}

func spell(pattern, kitchen string) string {
	out := ""
	for len(pattern) > 0 {
		if len(pattern) >= len(tenantMark) && pattern[:len(tenantMark)] == tenantMark {
			out, pattern = out+kitchen, pattern[len(tenantMark):]
			continue
		}
		out, pattern = out+pattern[:1], pattern[1:]
	}
	return out
}

func TestWeakness(t *testing.T) {
	for s, weak := range map[string]bool{
		"Zq1v8yXo3mT5u0cKJ7rWfB2nH4sLdE6gPaQiVxYtO9A=": false, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": false,
		"my-super-secret-password-for-sppg": true, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": true, "abcdabcdabcdabcdabcdabcdabcdabcd": true,
		"1234567890123456": true, "correct-horse-battery-staple-dan-nasi-goreng": false,
	} {
		if why := weakness(s); (why != "") != weak {
			t.Errorf("%q: got %q, want it weak: %v", s, why, weak)
		}
	}
}
