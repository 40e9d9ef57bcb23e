package redis_test

import (
	"fmt"
	"slices"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/realtime/redis"
)

// TestUsage has nodes come, report, and leave.
func TestUsage(t *testing.T) {
	addr, prefix := testenv.Redis(t), newPrefix()
	node := func() *redis.Usage { return open(t, redis.Options{Address: addr, Prefix: prefix}).Usage() }
	a, b, c := node(), node(), node()
	hears := func(u *redis.Usage, report string, want ...string) {
		t.Helper()
		others, err := u.Exchange(t.Context(), []byte(report))
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, o := range others {
			got = append(got, string(o))
		}
		if slices.Sort(got); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("who reports %q hears %q, want %q", report, got, want)
		}
	}
	hears(a, "a1")
	hears(b, "b:1", "a1")
	hears(a, "a2", "b:1")
	hears(c, "", "a2", "b:1")
	hears(a, "a3", "", "b:1")
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	hears(a, "a4", "")
	hears(b, "b:2", "", "a4") // it was not the end
}
