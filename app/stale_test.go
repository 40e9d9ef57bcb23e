package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
)

// readUntil reads until a message begins with prefix, and returns it and what came before.
func readUntil(t *testing.T, read func() string, prefix string) (found string, before []string) {
	t.Helper()
	for range 100 {
		text := read()
		if strings.HasPrefix(text, prefix) {
			return text, before
		}
		before = append(before, text)
	}
	t.Fatalf("nothing begins with %s; read %q", prefix, before)
	return "", nil
}

// TestWeakRedisIsReady has a Redis that keeps nothing on disk: /readyz says so, and is 200.
func TestWeakRedisIsReady(t *testing.T) {
	s := start(t, "REDIS_URL=redis://"+testenv.Redis(t))
	var body string
	eventually(t, "readiness with a word about appendonly", func() bool {
		var status int
		status, body = s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return status == http.StatusOK && strings.Contains(body, `"weak":true`)
	})
	if !strings.Contains(body, `"redis setting appendonly"`) || !strings.Contains(body, `"ready":true`) {
		t.Errorf("/readyz answers %s", body)
	}
}

// TestStaleIsTold stops Redis: the screens that are open are told, and so is who comes meanwhile; when it is back, they are told that
// too, and what is published then arrives.
func TestStaleIsTold(t *testing.T) {
	for name, harm := range map[string]struct{ begin, end func(*testenv.RedisServer) }{
		"Killed": {(*testenv.RedisServer).Kill, (*testenv.RedisServer).Restart},
		"Paused": {(*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			redis := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
			s := start(t, "REDIS_URL=redis://"+redis.Addr)
			ready := func() bool {
				status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
				return status == http.StatusOK
			}
			eventually(t, "readiness", ready)
			screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
			s.publish("production:updates:k1", `"before"`)
			readScreen := func() string { return read(t, screen) }
			readUntil(t, readScreen, `"before"`)
			broken := time.Now()
			harm.begin(redis)
			stale, _ := readUntil(t, readScreen, `{"type":"stale"`)
			t.Logf("told after %v: %s", time.Since(broken), stale)
			if !strings.Contains(stale, `"reason":"engine"`) {
				t.Errorf("told %s, want the reason engine", stale)
			}
			// The kitchen is followed already, so its next screen gets in, and is told first thing.
			late := s.dial(s.cookie("u2", "k1", "SPPG_KEPALA"))
			if got := read(t, late); !strings.HasPrefix(got, `{"type":"stale"`) {
				t.Errorf("who comes meanwhile reads %s first, want stale", got)
			}
			if ready() {
				t.Error("ready while clients are told that data may be stale")
			}
			harm.end(redis)
			healed := time.Now()
			readUntil(t, readScreen, `{"type":"fresh"`)
			t.Logf("fresh %v after it was back", time.Since(healed))
			eventually(t, "a publication that is taken", func() bool {
				server := http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
				status, _ := s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"production:updates:k1","data":"after"}`, server)
				return status == http.StatusOK
			})
			readUntil(t, readScreen, `"after"`)
			readUntil(t, func() string { return read(t, late) }, `"after"`)
		})
	}
}
