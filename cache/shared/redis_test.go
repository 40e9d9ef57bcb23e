//go:build unix

package shared_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/cache/shared"
	"kentongan/cache/shared/sharedtest"
	"kentongan/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, addr string) *shared.Redis {
	t.Helper()
	r, err := shared.NewRedis(shared.Options{Address: addr, Prefixes: []string{"t:"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestRedis(t *testing.T) {
	sharedtest.Run(t, func(t *testing.T) (shared.Tier, shared.Tier) {
		addr := testenv.Redis(t)
		return open(t, addr), open(t, addr)
	})
}

func TestSimulated(t *testing.T) {
	sharedtest.Run(t, func(t *testing.T) (shared.Tier, shared.Tier) {
		s := sharedtest.NewServer()
		a, b := sharedtest.NewNode(s, nil), sharedtest.NewNode(s, nil)
		t.Cleanup(a.Close)
		t.Cleanup(b.Close)
		return a, b
	})
}

func TestLook(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"no bound":            {nil, 1},
		"bound, and evicting": {[]string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}, 0},
		"bound, and refusing": {[]string{"--maxmemory", "64mb", "--maxmemory-policy", "noeviction"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, testenv.StartRedis(t, c.args...).Addr)
			swapped, err := r.Swap(t.Context(), shared.Swap{Key: "t:x", Any: true, Value: "{}", TTL: time.Minute})
			if err != nil || !swapped.Done {
				t.Fatal(swapped, err)
			}
			got, err := r.Look(t.Context())
			if err != nil || len(got.Warnings) != c.want || got.UsedBytes < 100_000 || got.Names != 1 {
				t.Errorf("got %+v, %v; want %d warnings and 1 name", got, err, c.want)
			}
		})
	}
}
