//go:build unix

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/internal/testenv/browser"
)

// The first thing that must be true: the app publishes with plain PUBLISH, its hook opens /api/ws with its session cookie, and
// the message is on the screens of that kitchen, and of no other.
func TestPublishReachesTheScreensOfItsKitchenOnly(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	host := appHost(t, serve(t, "REDIS_URL=redis://"+addr).Addr)
	chromium := browser.Shared(t)
	url := "http://" + host + "/screen.html"

	seven := newScreen(t, chromium, cook("sppg_7"), url)
	// The same team's older installation: NextAuth 4, and its cookie name.
	old := cook("sppg_8")
	old.encoder, old.cookie = "v4", "next-auth.session-token"
	eight := newScreen(t, chromium, old, url)
	// And the one between: Auth.js v5 under the cookie name of version 4.
	renamed := cook("sppg_8")
	renamed.cookie = "next-auth.session-token"
	eightToo := newScreen(t, chromium, renamed, url)
	screens := []*screen{seven, eight, eightToo}
	for _, s := range screens {
		s.waitState("open")
	}

	for i, script := range []string{"ioredis.mjs", "node-redis.mjs"} {
		t.Run(script, func(t *testing.T) {
			app := newPublisher(t, script, addr)
			ours, theirs, all := fmt.Sprint("batch-of-7-", i), fmt.Sprint("batch-of-8-", i), fmt.Sprint("to-all-", i)
			app.publish(t, "production:updates:sppg_7", update(ours))
			app.publish(t, "production:updates:sppg_8", update(theirs))
			// Whoever shows this last one would have shown the others before.
			app.publish(t, "system-alert", fmt.Sprintf(`{"type":"system_alert","message":%q,"timestamp":1}`, all))
			for _, s := range screens {
				s.waitFor(all)
			}
		})
	}
	seven.wantOnly("batch-of-7-0", "to-all-0", "batch-of-7-1", "to-all-1")
	for _, s := range []*screen{eight, eightToo} {
		s.wantOnly("batch-of-8-0", "to-all-0", "batch-of-8-1", "to-all-1")
	}
	if got := seven.messages()[0]; got != update("batch-of-7-0") {
		t.Errorf("the page got %s; want the published text, %s", got, update("batch-of-7-0"))
	}
}

// In development the app's hook opens ws://localhost:3001, path /, from a page on another port.
func TestDevelopmentSocketHasItsOwnPort(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	pages := appHost(t, "")
	srv := serve(t, "REDIS_URL=redis://"+addr, "KENTONGAN_ALLOWED_ORIGINS=http://"+pages)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+pages+"/screen.html?socket=ws://"+srv.Addr)
	s.waitState("open")
	newPublisher(t, "ioredis.mjs", addr).publish(t, "production:alerts:sppg_7", update("burnt"))
	s.waitFor("burnt")
}

func TestForeignPageGetsNoSocket(t *testing.T) {
	t.Parallel()
	foreign := appHost(t, "")
	srv := serve(t)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+foreign+"/screen.html?socket=ws://"+srv.Addr+"/api/ws")
	s.waitState("closed 1006") // refused at the upgrade
}

func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t)
	srv := serve(t, "REDIS_URL=redis://"+redis.Addr)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+appHost(t, srv.Addr)+"/screen.html")
	s.waitState("open")
	ready := func(want int) func() bool {
		return func() bool {
			status, _ := srv.get("/readyz")
			return status == want
		}
	}
	eventually(t, "/readyz answers 200", ready(http.StatusOK))
	redis.Kill()
	eventually(t, "/readyz answers 503", ready(http.StatusServiceUnavailable))
	if status, _ := srv.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz without Redis: got %d; want 200, or an orchestrator would restart a healthy process", status)
	}
	redis.Restart()
	eventually(t, "/readyz answers 200 again", ready(http.StatusOK))
	newPublisher(t, "ioredis.mjs", redis.Addr).publish(t, "production:updates:sppg_7", update("after-the-crash"))
	s.waitFor("after-the-crash")
	s.waitState("open") // the page has not even noticed
}

// The app ends sessions by a plain PUBLISH, too.
func TestRevocationClosesTheScreen(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	host := appHost(t, serve(t, "REDIS_URL=redis://"+addr).Addr)
	chromium := browser.Shared(t)
	url := "http://" + host + "/screen.html"
	revoked, other := newScreen(t, chromium, cook("sppg_7"), url), newScreen(t, chromium, cook("sppg_8"), url)
	revoked.waitState("open")
	other.waitState("open")
	app := newPublisher(t, "ioredis.mjs", addr)
	app.publish(t, "kentongan:revoke", fmt.Sprintf(`{"sub":"usr_sppg_7","issuedBefore":%d}`, time.Now().UnixMilli()))
	revoked.waitState("closed 4500")
	app.publish(t, "system-alert", `{"type":"system_alert","message":"still-here","timestamp":1}`)
	other.waitFor("still-here")
	revoked.open(url)
	revoked.waitState("closed 1006") // the same cookie opens nothing any more
}
