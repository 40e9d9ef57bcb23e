//go:build unix

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kentongan/internal/testenv/browser"
)

// The same as with Redis, with none anywhere: the app's server publishes by HTTP.
func TestHTTPPublishReachesTheScreensOfItsKitchenOnly(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	chromium := browser.Shared(t)
	url := "http://" + appHost(t, srv.Addr) + "/screen.html"
	seven, eight := newScreen(t, chromium, cook("sppg_7"), url), newScreen(t, chromium, cook("sppg_8"), url)
	seven.waitState("open")
	eight.waitState("open")
	for offset, marker := range []string{"first", "second"} {
		if got := srv.publish("production:updates:sppg_7", update(marker)); got != uint64(offset+1) {
			t.Errorf("offset of the %s publication: got %d; want %d", marker, got, offset+1)
		}
	}
	srv.publish("production:updates:sppg_8", update("other"))
	srv.publish("system-alert", `{"type":"system_alert","message":"to-all"}`)
	seven.waitFor("to-all")
	eight.waitFor("to-all")
	seven.wantOnly("first", "second", "to-all")
	eight.wantOnly("other", "to-all")
}

// A browser resumes an event stream by itself, with nothing but the id of the last event, and misses nothing.
func TestEventStreamResumesByItself(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	network := newLine(t, appHost(t, srv.Addr))
	s := newScreen(t, browser.Shared(t), cook("sppg_7"),
		"http://"+network.Addr+"/events.html?channels=production:updates:sppg_7,production:alerts:sppg_7")
	s.waitState("open")
	srv.publish("production:updates:sppg_7", update("one"))
	s.waitFor("one")
	network.Cut()
	s.waitState("broken")
	srv.publish("production:updates:sppg_7", update("two"))
	srv.publish("production:alerts:sppg_7", update("three"))
	network.Mend()
	s.waitState("open")
	srv.publish("production:updates:sppg_7", update("four"))
	s.waitFor("three")
	s.waitFor("four")
	// The order within a channel holds; between channels it is not promised.
	var updates []string
	for _, m := range s.messages() {
		var event struct{ Channel string }
		if err := json.Unmarshal([]byte(m), &event); err != nil {
			t.Fatalf("event %s: %v", m, err)
		}
		if event.Channel == "production:updates:sppg_7" {
			updates = append(updates, m)
		}
	}
	if len(s.messages()) != 4 || len(updates) != 3 ||
		!strings.Contains(updates[0], "one") || !strings.Contains(updates[1], "two") || !strings.Contains(updates[2], "four") {
		t.Errorf("the page shows\n%s\nwant one, two, four of the updates, and three of the alerts", strings.Join(s.messages(), "\n"))
	}
}

func TestFirstPageShowsTheMessage(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+srv.Addr+"/")
	s.waitText("Terhubung")
	srv.publish("production:updates:sppg_7", update("batch-on-the-first-page"))
	s.waitText("batch-on-the-first-page")
	srv.publish("production:updates:sppg_8", update("batch-of-others"))
	srv.publish("system-alert", `{"type":"system_alert","message":"the-last-one"}`)
	s.waitText("the-last-one")
	s.wait("!document.body.innerText.includes('batch-of-others')")
}

// The live view says that its line is down, comes back by itself, and shows what it missed.
func TestFirstPageResumes(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	network := newLine(t, srv.Addr)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+network.Addr+"/")
	s.waitText("Terhubung")
	srv.publish("production:updates:sppg_7", update("before-the-cut"))
	s.waitText("before-the-cut")
	network.Cut()
	s.waitText("Terputus")
	srv.publish("production:updates:sppg_7", update("during-the-cut"))
	network.Mend()
	s.waitText("during-the-cut")
	s.wait("document.getElementById('lamp-word').textContent === 'Terhubung'")
}

func TestWithoutSessionThereIsNoSocket(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	host := appHost(t, srv.Addr)
	s := &screen{t, browser.Profile(t, browser.Shared(t))}
	s.open("http://" + host + "/screen.html")
	s.waitState("closed 1006")
	status, body := srv.get("/api/ws")
	var answer struct {
		Success bool
		Error   struct{ Code string }
	}
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusUnauthorized || err != nil || answer.Success || answer.Error.Code == "" {
		t.Errorf("GET /api/ws without a session: got %d %s; want 401 with a JSON error", status, body)
	}
}

func TestSIGTERMSendsTheScreensAway(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+appHost(t, srv.Addr)+"/screen.html")
	s.waitState("open")
	srv.stop() // checks the exit code
	s.waitState("closed 4000")
}
