package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime/redis"
)

func TestExamine(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes")
	e, err := redis.Examine(t.Context(), redis.Options{Address: server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if e.Major() < redis.MinVersion || e.RoundTrip <= 0 || e.Slowest < e.RoundTrip || e.MaxClients < 1000 || len(e.Refused) > 0 ||
		len(e.Weaknesses) > 0 {
		t.Errorf("got %+v", e)
	}
	if e.Skew.Abs() > e.Slowest+time.Millisecond { // half of the quickest round trip is what may be missed, and the clocks' own steps
		t.Errorf("the clock of this machine is %s away from itself, and no round trip took longer than %s", e.Skew, e.Slowest)
	}
	c := admin(t, server.Addr)
	if keys, err := do(t, c, "KEYS", "*").AsStrSlice(); err != nil || len(keys) != 0 {
		t.Errorf("it has left %q behind (%v)", keys, err)
	}
	if _, err := do(t, c, "ACL", "SETUSER", "narrow", "on", ">pw", "~kentongan:*", "&*", "+@all", "-eval", "-psubscribe", "-config").ToString(); err != nil {
		t.Fatal(err)
	}
	e, err = redis.Examine(t.Context(), redis.Options{Address: server.Addr, Username: "narrow", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(e.Refused, "\n"); len(e.Refused) != 2 || !strings.Contains(got, "run scripts: ") || !strings.Contains(got, "subscribe: ") {
		t.Errorf("refused:\n%s\nwant scripts and subscribing", got)
	}
	if len(e.Weaknesses) != 1 || e.Weaknesses[0].Name != "unknown" {
		t.Errorf("got weaknesses %+v, want that they are unknown", e.Weaknesses)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, o := range map[string]redis.Options{
		"WRONGPASS": {Address: server.Addr, Username: "narrow", Password: "wrong"}, "connection refused": {Address: "127.0.0.1:1"},
	} {
		if _, err := redis.Examine(ctx, o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}
