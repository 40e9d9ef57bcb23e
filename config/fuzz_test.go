package config

import (
	"strings"
	"testing"
	"time"
)

// oneLine fails if an error could break the promise of one line for each problem.
func oneLine(t *testing.T, err error) {
	t.Helper()
	for _, one := range explode(err) {
		if s := one.Error(); s == "" || strings.ContainsAny(s, "\n\r\x00\x1b") || len(s) > 600 {
			t.Fatalf("not one clear line: %q", s)
		}
	}
}

func FuzzRedisURL(f *testing.F) {
	for _, s := range []string{"redis://h", "rediss://u:p%40@h:1/2", "unix:///run/s?db=1", "redis://:p#ss@h", "redis://[::1]:7000", "redis:h:1", "valkey://h/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRedisURL(s)
		if err != nil {
			oneLine(t, err)
			return
		}
		again, err := parseRedisURL(withPassword(r))
		if err != nil || again != r {
			t.Fatalf("%q: read %+v, and read again %+v, %v", s, r, again, err)
		}
	})
}

// withPassword spells r as a whole URL.
func withPassword(r Redis) string {
	s, word, found := strings.Cut(Redis{Network: r.Network, Address: r.Address, TLS: r.TLS, DB: r.DB}.String(), "://")
	if !found {
		return s
	}
	return s + "://" + escape(r.Username) + ":" + escape(string(r.Password)) + "@" + word
}

// escape percent-encodes every byte.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + digits[s[i]>>4:s[i]>>4+1] + digits[s[i]&15:s[i]&15+1])
	}
	return b.String()
}

func FuzzAPIKeys(f *testing.F) {
	f.Add("app:0123456789abcdef,web@sppg_7:1123456789abcdef")
	f.Add("a:b\n,@:::,")
	f.Fuzz(func(t *testing.T, s string) {
		var d draft
		k := apiKeys{}
		if err := k.set(&d, k.split(s)); err != nil {
			oneLine(t, err)
			return
		}
		var again []string
		for _, key := range d.Auth.APIKeys {
			who := key.Name
			if key.Tenant != "" {
				who += "@" + string(key.Tenant)
			}
			again = append(again, who+":"+key.Key.Reveal())
		}
		if got, want := strings.Join(again, ","), strings.Join(splitList(s), ","); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzScalars(f *testing.F) {
	for _, s := range []string{"25s", "64KiB", "1 MiB", "9999999999999999999GiB", "-1", "0x10", "on", "1e3", "9223372036854775807KiB"} {
		f.Add(s)
	}
	var d draft
	n, v := 0, time.Duration(0)
	k := size{func(*draft) *int { return &n }, 1, 1 << 30}
	span := duration{func(*draft) *time.Duration { return &v }, time.Second, time.Hour}
	f.Fuzz(func(t *testing.T, s string) {
		if err := k.set(&d, []string{s}); err != nil {
			oneLine(t, err)
		} else if again, err := parseBytes(bytesText(n)); err != nil || again != n || n < 1 || n > 1<<30 {
			t.Fatalf("%q: %d is spelled %s and read as %d, %v", s, n, bytesText(n), again, err)
		}
		if err := span.set(&d, []string{s}); err != nil {
			oneLine(t, err)
		} else if again, err := time.ParseDuration(short(v)); err != nil || again != v || v < time.Second || v > time.Hour {
			t.Fatalf("%q: %v is spelled %s and read as %v, %v", s, v, short(v), again, err)
		}
	})
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example", "HTTP://A:80", "http://[::1]:3000", "https://a/", "null", "*", "https://u:p@h", "https://a:", "http://a?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := checkOrigin(s)
		if err != nil {
			oneLine(t, err)
			return
		}
		again, err := checkOrigin(o)
		if err != nil || again != o || strings.ContainsAny(strings.TrimPrefix(strings.TrimPrefix(o, "https://"), "http://"), "/@?# *") {
			t.Fatalf("%q: %q is read again as %q, %v", s, o, again, err)
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add(exampleFile)
	f.Add("a: &a [*a]\n")
	f.Add("channels: {patterns: [{spelling: x, history: {size: 1, age: 1s}}, [], {}, null]}")
	f.Add("? [a]\n: b\n")
	f.Add("%YAML 1.1\n---\n!!binary x: y\n")
	f.Fuzz(func(t *testing.T, s string) {
		l := &loader{sources: map[string]source{}}
		l.defaults()
		l.readFile("k.yaml", []byte(s))
		l.join(false)
		for _, p := range l.problems {
			if strings.ContainsAny(p.Where+p.Text, "\n\r\x00") || len(p.Where)+len(p.Text) > 1200 {
				t.Fatalf("not one line: %q: %q", p.Where, p.Text)
			}
		}
	})
}
