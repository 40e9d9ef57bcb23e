package tenant_test

import (
	"errors"
	"strings"
	"testing"

	"kentongan/tenant"
)

func TestParse(t *testing.T) {
	for _, s := range []string{"a", "sppg_7", "clx0-Z_9", strings.Repeat("x", tenant.MaxBytes)} {
		id, err := tenant.Parse(s)
		if err != nil || string(id) != s {
			t.Errorf("Parse(%q) = %q, %v; want itself", s, id, err)
		}
	}
	for _, s := range []string{"", " ", "a b", "a:b", "a*", "a\n", "a\x00", "á", "{a}", "a/b", "a.b", strings.Repeat("x", tenant.MaxBytes+1)} {
		id, err := tenant.Parse(s)
		if !errors.Is(err, tenant.ErrInvalid) || id != tenant.Global {
			t.Errorf("Parse(%q) = %q, %v; want ErrInvalid", s, id, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("sppg_7")
	f.Add("a\x00b")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := tenant.Parse(s)
		if err != nil {
			if len(err.Error()) > 4*tenant.MaxBytes+120 {
				t.Fatalf("the error quotes %d bytes of input", len(err.Error()))
			}
			return
		}
		if strings.ContainsAny(string(id), ":*?[]{} \r\n\x00/") || len(id) > tenant.MaxBytes {
			t.Fatalf("Parse accepted %q", s)
		}
	})
}
