package seldom_test

import (
	"testing"
	"time"

	"kentongan/internal/seldom"
)

func TestOnce(t *testing.T) {
	o := seldom.Once[string]{Every: time.Minute, Most: 2}
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		key   string
		after time.Duration
		want  bool
	}{
		{"a", 0, true}, {"a", time.Second, false}, {"b", time.Second, true},
		{"c", 2 * time.Second, false}, // one too many
		{"a", 59 * time.Second, false}, {"c", time.Minute, true}, {"a", 61 * time.Second, true},
	} {
		if got := o.First(c.key, now.Add(c.after)); got != c.want {
			t.Errorf("First(%q) after %s: got %v, want %v", c.key, c.after, got, c.want)
		}
	}
}
