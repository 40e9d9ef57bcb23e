package app_test

import (
	"net/http"
	"slices"
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
			_, before := readUntil(t, readScreen, `{"type":"fresh"`)
			t.Logf("fresh %v after it was back", time.Since(healed))
			const gap = `{"type":"gap","channel":"production:updates:k1"` // PUBLISH was not heard for a while
			if !slices.ContainsFunc(before, func(text string) bool { return strings.HasPrefix(text, gap) }) {
				readUntil(t, readScreen, gap)
			}
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

// TestHangingRedisIsAnswered publishes through HTTP and the Redis door while Redis hangs. It goes on only after both were answered, and
// what they sent again with the same id comes once.
func TestHangingRedisIsAnswered(t *testing.T) {
	redis := testenv.StartRedis(t)
	s := start(t, "REDIS_URL=redis://"+redis.Addr, "KENTONGAN_REDIS_DOOR=127.0.0.1:0")
	eventually(t, "readiness", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return status == http.StatusOK
	})
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	server := http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
	post := func() (int, string) {
		return s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"updates:k1","data":"by HTTP","id":"once"}`, server)
	}
	door := redisClient(t, s.redis, apiKey)
	publish := door.B().Publish().Channel("updates:k1").Message(`"by the door"`).Build()
	if err := door.Do(t.Context(), door.B().Ping().Build()).Error(); err != nil {
		t.Fatal(err)
	}
	redis.Pause()
	began := time.Now()
	status, body := post()
	t.Logf("POST is answered after %v: %d %s", time.Since(began), status, body)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"UNAVAILABLE"`) {
		t.Errorf("POST while Redis hangs is answered with %d %s, want 503 UNAVAILABLE", status, body)
	}
	began = time.Now()
	err := door.Do(t.Context(), publish).Error()
	t.Logf("PUBLISH at the door is answered after %v: %v", time.Since(began), err)
	if err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("PUBLISH at the door while Redis hangs is answered with %v, want not ready", err)
	}
	redis.Resume()
	woken := time.Now()
	eventually(t, "POST to be taken", func() bool { status, _ := post(); return status == http.StatusOK })
	t.Logf("taken %v after it goes on", time.Since(woken))
	// PUBLISH was not heard for a while, so every reader is told a gap, which may stand for what came just before it.
	readScreen := func() string { return read(t, screen) }
	_, first := readUntil(t, readScreen, `{"type":"gap","channel":"updates:k1"`)
	s.publish("updates:k1", `"last"`)
	_, rest := readUntil(t, readScreen, `"last"`)
	times := map[string]int{}
	for _, text := range append(first, rest...) {
		times[text]++
	}
	if times[`"by HTTP"`] > 1 || times[`"by the door"`] > 1 {
		t.Errorf("the screen reads %q and %q, want nothing twice", first, rest)
	}
}
