package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/internal/testenv"
)

// upgrade tries to connect, and returns the status of the answer. Who is let in stays until the test ends.
func (s *server) upgrade(t *testing.T, header http.Header) int {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+s.public+"/api/ws", &websocket.DialOptions{HTTPHeader: header})
	if conn != nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
		return http.StatusSwitchingProtocols
	}
	if resp == nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// awaits waits until an upgrade is answered in this way; those that are let in until then leave again.
func (s *server) awaits(t *testing.T, header http.Header, want int) {
	t.Helper()
	eventually(t, fmt.Sprint("an upgrade that is answered with ", want), func() bool {
		conn, resp, err := websocket.Dial(t.Context(), "ws://"+s.public+"/api/ws", &websocket.DialOptions{HTTPHeader: header})
		if conn != nil {
			_ = conn.CloseNow()
		}
		if resp == nil {
			t.Fatal(err)
		}
		return resp.StatusCode == want
	})
}

// TestConnectionsOfAllNodes has a kitchen and a person be full by what they have on another node, and no longer when they leave it, or it
// ends.
func TestConnectionsOfAllNodes(t *testing.T) {
	addr := testenv.Redis(t)
	limits := []string{"KENTONGAN_MAX_TENANT_CONNECTIONS=3", "KENTONGAN_MAX_USER_CONNECTIONS=2"}
	a, b := startRedis(t, addr, limits...), startRedis(t, addr, limits...)

	u1, u2, u3 := a.cookie("u1", "k1", "SPPG_KEPALA"), a.cookie("u2", "k1", "SPPG_KEPALA"), b.cookie("u3", "k1", "SPPG_KEPALA")
	first := a.dial(u1)
	a.dial(u1)
	b.awaits(t, with(u1, "Origin", "http://"+b.public), http.StatusTooManyRequests)
	if status := b.upgrade(t, u3); status != http.StatusSwitchingProtocols {
		t.Errorf("another person of the kitchen is answered with %d at the other node", status)
	}
	a.awaits(t, u2, http.StatusTooManyRequests) // the kitchen has its three
	if status := a.upgrade(t, a.cookie("u9", "k2", "SPPG_KEPALA")); status != http.StatusSwitchingProtocols {
		t.Errorf("another kitchen is answered with %d", status)
	}
	_ = first.CloseNow()
	b.awaits(t, with(u1, "Origin", "http://"+b.public), http.StatusSwitchingProtocols)
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	eventually(t, "room for three at the node that is left", func() bool {
		return b.upgrade(t, with(u1, "Origin", "http://"+b.public)) == http.StatusSwitchingProtocols
	})
	eventually(t, "room for a third", func() bool {
		return b.upgrade(t, b.cookie("u4", "k1", "SPPG_KEPALA")) == http.StatusSwitchingProtocols
	})
}

// TestPublicationsOfAllNodes has a kitchen take all of its rate at one node: what the other lets through is an equal part.
func TestPublicationsOfAllNodes(t *testing.T) {
	const rate = 40
	addr := testenv.Redis(t)
	a := startRedis(t, addr, fmt.Sprint("KENTONGAN_TENANT_PUBLISH_RATE=", rate))
	b := startRedis(t, addr, fmt.Sprint("KENTONGAN_TENANT_PUBLISH_RATE=", rate))
	// atOnce publishes more than the rate in one list, and returns how many of it were stored.
	atOnce := func(s *server, kitchen string) int {
		one := `,{"channel":"production:updates:` + kitchen + `","data":1}`
		status, body := s.do(http.MethodPost, s.public+"/api/publish", "["+strings.Repeat(one, 3*rate)[1:]+"]", apiHeader())
		if status != http.StatusMultiStatus || !strings.Contains(body, "RATE_LIMITED") {
			t.Fatalf("a list beyond the rate is answered with %d %.300s", status, body)
		}
		return strings.Count(body, `"offset":`)
	}
	if n := atOnce(a, "k1"); n < rate {
		t.Fatalf("%d of a burst of %d are let through", n, rate)
	}
	// While the one goes on, the other has half: its bucket holds half of a second's.
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				a.do(http.MethodPost, a.public+"/api/publish", `{"channel":"production:updates:k1","data":1}`, apiHeader())
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	eventually(t, "the other node to let less through", func() bool {
		time.Sleep(time.Second) // until its bucket is full again
		return atOnce(b, "k1") < rate
	})
	if n := atOnce(b, "k2"); n < rate {
		t.Errorf("another kitchen has %d of its %d", n, rate)
	}
}
