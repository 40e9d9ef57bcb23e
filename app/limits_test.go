package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kentongan/internal/testenv"
)

// doors publish for the test, each in its way, and answer with the text of a refusal; empty: it was stored.
func (s *server) publishers(t *testing.T) map[string]func(channel, data string) (refused string) {
	t.Helper()
	redis := redisClient(t, s.redis, apiKey)
	return map[string]func(channel, data string) string{
		"HTTP": func(channel, data string) string {
			status, body := s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"`+channel+`","data":`+data+`}`, apiHeader())
			if status == http.StatusOK {
				return ""
			}
			return fmt.Sprint(status, " ", body)
		},
		"WebSocket": func(channel, data string) string {
			answer := s.publishV1(t, `{"id":1,"publish":{"channel":"`+channel+`","data":`+data+`}}`)
			if strings.Contains(answer, `"published"`) {
				return ""
			}
			return answer
		},
		"Redis": func(channel, data string) string {
			if err := redis.Do(t.Context(), redis.B().Publish().Channel(channel).Message(data).Build()).Error(); err != nil {
				return err.Error()
			}
			return ""
		},
	}
}

// withDoor starts a server of each engine with the Redis door open.
func withDoor(t *testing.T, environ []string, run func(t *testing.T, s *server)) {
	environ = append(environ, "KENTONGAN_REDIS_DOOR=127.0.0.1:0")
	t.Run("memory", func(t *testing.T) { run(t, start(t, environ...)) })
	t.Run("redis", func(t *testing.T) { run(t, startRedis(t, testenv.Redis(t), environ...)) })
}

// TestTenantPublishRate has a kitchen come too often at each door: it is told so, at all of them, and another kitchen is not.
func TestTenantPublishRate(t *testing.T) {
	withDoor(t, []string{"KENTONGAN_TENANT_PUBLISH_RATE=1"}, func(t *testing.T, s *server) {
		says := map[string]string{"HTTP": "429", "WebSocket": `"RATE_LIMITED"`, "Redis": "rate: "} // the client takes ERR off
		for name, publish := range s.publishers(t) {
			if refused := publish("updates:fresh-"+strings.ToLower(name), "1"); refused != "" {
				t.Errorf("%s: the first publication of a kitchen is refused: %s", name, refused)
			}
			var refused string
			eventually(t, "a refusal at the door "+name, func() bool { // two within a second are enough
				refused = publish("updates:k1", "1")
				return refused != ""
			})
			if !strings.Contains(refused, says[name]) || !strings.Contains(refused, "this kitchen gets more than 1 a second") {
				t.Errorf("%s refuses with %s, want %q and why", name, refused, says[name])
			}
		}
		// What goes to everybody is of no kitchen.
		for range 5 {
			if refused := s.publishers(t)["HTTP"]("system-alert", "1"); refused != "" {
				t.Errorf("what is for everybody is refused: %s", refused)
			}
		}
	})
}

// TestTenantHistoryBytes has a kitchen publish twice of what it may keep, at each door: it keeps its newest within the bound, and its
// neighbour all it has. Redis is asked now and then.
func TestTenantHistoryBytes(t *testing.T) {
	const (
		bound    = 1 << 20
		bytes    = 40 << 10
		messages = 2 * bound / bytes
	)
	withDoor(t, []string{fmt.Sprint("KENTONGAN_MAX_TENANT_HISTORY_BYTES=", bound)}, func(t *testing.T, s *server) {
		for range 5 {
			s.publish("updates:neighbour", `"`+strings.Repeat("n", 1000)+`"`)
		}
		for name, publish := range s.publishers(t) {
			kitchen := "k-" + strings.ToLower(name)
			for range messages {
				if refused := publish("updates:"+kitchen, `"`+strings.Repeat("x", bytes)+`"`); refused != "" {
					t.Fatalf("%s: %s", name, refused)
				}
			}
			var offsets []uint64
			var held int
			eventually(t, "the kitchen "+kitchen+" to be within its bound", func() bool {
				offsets, held = s.kept(t, kitchen)
				return held <= bound
			})
			if held < bound/2 || offsets[len(offsets)-1] != messages {
				t.Errorf("%s: of %d messages %v are kept, %d bytes; want the newest, within %d", name, messages, offsets, held, bound)
			}
		}
		if offsets, _ := s.kept(t, "neighbour"); len(offsets) != 5 {
			t.Errorf("of the neighbour's 5 messages %d are left", len(offsets))
		}
	})
}

// kept reads all of a kitchen's history on the channel updates, page after page.
func (s *server) kept(t *testing.T, kitchen string) (offsets []uint64, bytes int) {
	t.Helper()
	for from := ""; ; {
		status, body := s.do(http.MethodGet, s.public+"/api/history?limit=100&channel=updates:"+kitchen+from, "", apiHeader())
		var page struct {
			Epoch    string
			Messages []struct {
				Offset uint64
				Data   json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(body), &page); status != http.StatusOK || err != nil {
			t.Fatalf("history is answered with %d %.200s", status, body)
		}
		if len(page.Messages) == 0 {
			return offsets, bytes
		}
		for _, m := range page.Messages {
			offsets, bytes = append(offsets, m.Offset), bytes+len(m.Data)
		}
		from = fmt.Sprintf("&epoch=%s&offset=%d", page.Epoch, offsets[len(offsets)-1])
	}
}
