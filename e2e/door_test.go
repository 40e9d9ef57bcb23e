//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/internal/testenv/browser"
)

// client is an app whose single Redis client is pointed at the door.
type client struct {
	t    *testing.T
	node *testenv.NodeProcess
}

func newClient(t *testing.T, script, door string) client {
	t.Helper()
	return client{t, testenv.StartNode(t, "testdata/"+script, "redis://default:"+apiKey+"@"+door+"/1")}
}

// do sends one command and returns its answer as JSON, or "error: " and the text of the error.
func (c client) do(words ...string) string {
	c.t.Helper()
	line, err := json.Marshal(words)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.node.Ask(string(line))
}

// want compares an answer; "…" at the end stands for anything.
func (c client) want(answer string, words ...string) {
	c.t.Helper()
	got := c.do(words...)
	if begin, open := strings.CutSuffix(answer, "…"); got != answer && (!open || !strings.HasPrefix(got, begin)) {
		c.t.Errorf("%.80q is answered with %.200s, want %s", words, got, answer)
	}
}

// An app that has one Redis client for its cache and its publications is pointed at the door without a changed line. Redis goes and
// comes back: the client hears what is wrong before its own time is over, and goes on by itself.
func TestOneClientForCacheAndPublications(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"door-ioredis.mjs", "door-node-redis.mjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel() // much of it is waiting for what Redis does not answer
			redis := testenv.StartRedis(t)
			srv := serve(t, "REDIS_URL=redis://"+redis.Addr+"/1", "KENTONGAN_REDIS_DOOR=127.0.0.1:0", "KENTONGAN_REDIS_DOOR_PASS=e2e",
				"KENTONGAN_MAX_PUBLISH_BYTES=64KiB")
			eventually(t, "/readyz answers 200", func() bool {
				status, _ := srv.get("/readyz")
				return status == http.StatusOK
			})
			s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+appHost(t, srv.Addr)+"/screen.html")
			s.waitState("open")
			app := newClient(t, script, srv.Door)
			app.want(`"OK"`, "SETEX", "bergizi:cache:sppg_7:menu", "300", `{"data":"nasi"}`)
			app.want(`1`, "PUBLISH", "production:updates:sppg_7", update("by-the-one-client"))
			app.want(`"{\"data\":\"nasi\"}"`, "GET", "bergizi:cache:sppg_7:menu")
			s.waitFor("by-the-one-client")

			for _, row := range [][]string{
				{"error: ERR bad channel…", "PUBLISH", "nothing:sppg_7", "1"},
				{"error: ERR invalid JSON…", "PUBLISH", "production:updates:sppg_7", "{"},
				{"error: ERR too large…", "PUBLISH", "production:updates:sppg_7", `"` + strings.Repeat("x", 64<<10) + `"`},
				{"error: NOPERM 'get' is not passed on…", "GET", "kentongan:anything"},
				{"error: NOPERM 'flushall' is never passed on…", "FLUSHALL"},
			} {
				app.want(row[0], row[1:]...)
			}

			redis.Kill()
			app.want("error: ERR not ready: Redis…", "GET", "bergizi:cache:sppg_7:menu")
			app.want("error: ERR not ready: the engine cannot be reached…", "PUBLISH", "production:updates:sppg_7", update("never"))
			redis.Restart()
			eventually(t, "the client is answered again", func() bool { return app.do("GET", "bergizi:cache:sppg_7:menu") == "null" })
			eventually(t, "the client publishes again", func() bool {
				return app.do("PUBLISH", "production:updates:sppg_7", update("after-the-crash")) == "1"
			})
			s.waitFor("after-the-crash")
			redis.Pause()
			app.want("error: ERR not ready: Redis does not answer…", "SET", "a", "1")
			app.want("error: ERR not ready: the engine cannot be reached…", "PUBLISH", "production:updates:sppg_7", update("perhaps"))
			redis.Resume()
			eventually(t, "the client is answered again", func() bool { return app.do("SET", "a", "2") == `"OK"` })
			app.want(`"2"`, "GET", "a")
			eventually(t, "the client publishes again", func() bool {
				return app.do("PUBLISH", "production:updates:sppg_7", update("after-the-pause")) == "1"
			})
			s.waitFor("after-the-pause")
		})
	}
}

// A server that publishes faster than it may is told when to come again, at either door; another one does not wait for it.
func TestPublishRate(t *testing.T) {
	t.Parallel()
	srv := serve(t, "KENTONGAN_REDIS_DOOR=127.0.0.1:0", "KENTONGAN_PUBLISH_RATE=1")
	app := newClient(t, "door-ioredis.mjs", srv.Door)
	app.want("0", "PUBLISH", "updates:sppg_7", "1")
	limited := func() bool {
		return strings.HasPrefix(app.do("PUBLISH", "updates:sppg_7", "2"), "error: ERR rate: this key publishes more than 1 a second")
	}
	eventually(t, "the second in a second to be refused", limited)
	eventually(t, "HTTP to refuse as well", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.Addr+"/api/publish", strings.NewReader(`{"channel":"updates:sppg_7","data":3}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+apiKey)
		status, body := do(t, req)
		if status != http.StatusOK && (status != http.StatusTooManyRequests || !strings.Contains(body, `"RATE_LIMITED"`)) {
			t.Fatalf("answered %d %s", status, body)
		}
		return status == http.StatusTooManyRequests
	})
	eventually(t, "its turn", func() bool { return fmt.Sprint(app.do("PUBLISH", "updates:sppg_7", "4")) == "0" })
}
