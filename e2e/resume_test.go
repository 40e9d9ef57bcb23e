//go:build unix

package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/internal/testenv/browser"
)

// wantAll checks that each of the markers is on the page, and that they came first in this order: what comes again is no news.
func (s *screen) wantAll(markers ...string) {
	s.t.Helper()
	var first []string
	for _, m := range s.messages() {
		at := slices.IndexFunc(markers, func(marker string) bool { return strings.Contains(m, `"`+marker+`"`) })
		if at < 0 {
			s.t.Errorf("the page shows %s; want only %q", m, markers)
		} else if !slices.Contains(first, markers[at]) {
			first = append(first, markers[at])
		}
	}
	if !slices.Equal(first, markers) {
		s.t.Errorf("the page shows %q; want %q", first, markers)
	}
}

// A page with nothing but new WebSocket loses its line, comes back, and has everything.
func TestBarePageMissesNothing(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	network := newLine(t, appHost(t, srv.Addr))
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+network.Addr+"/tablet.html")
	s.waitState("open")
	srv.publish("production:updates:sppg_7", update("before"))
	s.waitFor("before")
	markers := []string{"before"}
	for i := range 5 {
		network.Cut()
		s.waitState("closed")
		for j := range 3 {
			markers = append(markers, fmt.Sprint("missed-", i, "-", j))
			srv.publish("production:updates:sppg_7", update(markers[len(markers)-1]))
		}
		srv.publish("production:updates:sppg_8", update("of-another-kitchen"))
		network.Mend()
		s.waitState("open")
		markers = append(markers, fmt.Sprint("live-", i))
		srv.publish("production:updates:sppg_7", update(markers[len(markers)-1]))
		s.waitFor(markers[len(markers)-1])
	}
	s.wantAll(markers...)
}

// The line dies without a word: the server goes on sending into it, and believes in it still when the page is back.
func TestBarePageMissesNothingOnALineThatDiesSilently(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	network := newLine(t, appHost(t, srv.Addr))
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+network.Addr+"/tablet.html")
	s.waitState("open")
	srv.publish("production:updates:sppg_7", update("before"))
	s.waitFor("before")
	network.Vanish()
	srv.publish("production:updates:sppg_7", update("into-nothing"))
	srv.publish("production:updates:sppg_7", update("as-well"))
	network.HangUp()
	s.waitFor("as-well")
	srv.publish("production:updates:sppg_7", update("after"))
	s.waitFor("after")
	s.wantAll("before", "into-nothing", "as-well", "after")
}

// The server is killed, and the page comes back to another one.
func TestBarePageMovesToAnotherNode(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	// All are there from the start: one that comes later cannot know what was published by plain PUBLISH before, and says so.
	first, second, third := serve(t, "REDIS_URL=redis://"+addr), serve(t, "REDIS_URL=redis://"+addr), serve(t, "REDIS_URL=redis://"+addr)
	pages := newLine(t, first.Addr)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+appHost(t, pages.Addr)+"/tablet.html")
	s.waitState("open")
	first.publish("production:updates:sppg_7", update("before"))
	s.waitFor("before")
	eventually(t, "the position is in Redis", func() bool { return deviceKeys(t, addr) > 0 })
	first.kill()
	s.waitState("closed")
	second.publish("production:updates:sppg_7", update("missed"))
	second.publish("system-alert", `{"type":"system_alert","message":"missed-too"}`)
	pages.LeadTo(second.Addr)
	s.waitState("open")
	s.waitFor("missed-too")
	second.publish("production:updates:sppg_7", update("live"))
	s.waitFor("live")
	second.stop() // in good order: the page is sent away
	s.waitState("closed")
	third.publish("production:updates:sppg_7", update("missed-again"))
	pages.LeadTo(third.Addr)
	s.waitFor("missed-again")
	seen := strings.Join(s.messages(), "\n")
	for _, marker := range []string{"before", "missed", "missed-too", "live", "missed-again"} {
		if !strings.Contains(seen, `"`+marker+`"`) {
			t.Errorf("the page misses %q; it shows\n%s", marker, seen)
		}
	}
	if strings.Contains(seen, `"gap"`) {
		t.Errorf("the page is told a gap:\n%s", seen)
	}
}

// deviceKeys returns how many devices the Redis at addr remembers.
func deviceKeys(t testing.TB, addr string) (n int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("EVAL \"return #redis.call('KEYS', 'kentongan:*:dev:*')\" 0\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(conn, ":%d\r\n", &n); err != nil {
		t.Fatalf("count devices: %v", err)
	}
	return n
}
