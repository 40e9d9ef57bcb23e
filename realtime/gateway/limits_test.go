package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
)

const askV1 = "Sec-WebSocket-Protocol: kentongan.v1\r\n"

// text reads the next text message and answers pings on the way.
func (p *peer) text() string {
	p.n.t.Helper()
	for {
		switch h := p.next(); h.op {
		case ws.OpText:
			return h.text
		case ws.OpPing:
			p.send(ws.NewPongFrame([]byte(h.text)))
		case ws.OpClose:
			p.n.t.Fatalf("closed with %d", h.code())
		default:
		}
	}
}

// object reads the next message with key at its top, and returns what stands there.
func (p *peer) object(key string) map[string]any {
	p.n.t.Helper()
	for range 1000 { // in a bubble heartbeats come for ever at no cost
		var push map[string]any
		text := p.text()
		if err := json.Unmarshal([]byte(text), &push); err != nil {
			p.n.t.Fatalf("message %q: %v", text, err)
		}
		if inner, ok := push[key].(map[string]any); ok {
			return inner
		}
	}
	p.n.t.Fatalf("no %s comes", key)
	return nil
}

func (p *peer) say(text string) {
	p.n.t.Helper()
	p.send(ws.NewTextFrame([]byte(text)))
}

// TestBacklogBound fills the queue of a reader that does not read to the bound, in one publication and in many. A pipe takes nothing
// that is not read, so all of it waits.
func TestBacklogBound(t *testing.T) {
	const bound = 10_000
	for _, c := range []struct {
		name   string
		frames []int // bytes, with the header
		slow   bool
	}{
		{"OneFrameAtTheBound", []int{bound}, false},
		{"OneFrameAbove", []int{bound + 1}, true},
		{"ManyAtTheBound", []int{2000, 2000, 2000, 2000, 2000}, false},
		{"ManyAbove", []int{2000, 2000, 2000, 2000, 1990, 11}, true},
		{"AtTheBoundThenTheSmallest", []int{bound, 3}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, gateway.Options{MaxBacklogBytes: bound}, func(t *testing.T, n *clocked) {
				p := n.dial("")
				synctest.Wait() // until the head no longer counts
				for _, size := range c.frames {
					data := size - 4 // of the header of a frame with 126 bytes and more
					if size < 126 {
						data = size - 2
					}
					if data == 1 {
						n.publish("a", "updates", "1")
					} else {
						n.publish("a", "updates", `"`+strings.Repeat("x", data-2)+`"`)
					}
					synctest.Wait()
				}
				if got := n.gateway.Stats().Slow; (got == 1) != c.slow {
					t.Errorf("%d readers are slow with %v waiting, bound %d", got, c.frames, bound)
				}
				if c.slow {
					if end, _ := p.until(ws.OpClose); end.code() != 4001 {
						t.Errorf("closed with %d, want 4001", end.code())
					}
					return
				}
				for _, size := range c.frames {
					if got := p.text(); len(got) != size-4 {
						t.Errorf("reads %d bytes, want %d", len(got), size-4)
					}
				}
				synctest.Wait()
				if waits := n.gateway.Stats().QueuedBytes; waits != 0 {
					t.Errorf("%d bytes wait when all is read", waits)
				}
			})
		})
	}
}

// TestLongReplayToASlowReader sends much more history than may wait, to somebody who takes his time.
func TestLongReplayToASlowReader(t *testing.T) {
	const missed, live, bound = 10_000, 100, 256 << 10
	names := namesOf(t, realtime.Pattern{Spelling: "updates:{tenant}", Retention: realtime.Retention{Size: missed + live, Age: time.Hour}})
	inBubble(t, gateway.Options{Names: names, MaxBacklogBytes: bound}, func(t *testing.T, n *clocked) {
		p := n.dial(askV1)
		p.say(`{"id":1,"subscribe":{"channel":"updates:a"}}`)
		epoch := p.object("subscribed")["epoch"]
		p.say(`{"id":2,"unsubscribe":{"channel":"updates:a"}}`)
		p.object("unsubscribed")
		data := `"` + strings.Repeat("x", 200) + `"`
		for range missed {
			n.publish("a", "updates", data)
		}
		p.say(fmt.Sprintf(`{"id":3,"subscribe":{"channel":"updates:a","since":{"epoch":%q,"offset":0}}}`, epoch))
		if got := p.object("subscribed"); got["recovered"] != true {
			t.Fatalf("answered %v, want recovered", got)
		}
		most := uint64(0)
		for want := 1; want <= missed+live; want++ {
			if got := p.object("message")["offset"]; got != float64(want) {
				t.Fatalf("offset %v, want %d", got, want)
			}
			if want%100 == 0 {
				n.publish("a", "updates", data) // while the replay runs, so that it has to catch up with what is live
				time.Sleep(50 * time.Millisecond)
				most = max(most, n.gateway.Stats().QueuedBytes)
			}
		}
		if most > bound/2 {
			t.Errorf("%d bytes of a replay waited at once; it should leave room for what is live", most)
		}
		if st := n.gateway.Stats(); st.Slow > 0 || st.Replayed < missed {
			t.Errorf("%d slow, %d replayed, want 0 and %d", st.Slow, st.Replayed, missed)
		}
	})
}

func TestMaxConnections(t *testing.T) {
	inBubble(t, gateway.Options{MaxConnections: 2}, func(t *testing.T, n *clocked) {
		first := n.dial("")
		n.dial("")
		for _, path := range []string{"/api/ws", "/api/sse"} {
			lines := ""
			if path == "/api/ws" {
				lines = handshake
			}
			if header := n.request(path, lines).status(http.StatusServiceUnavailable); header.Get("Retry-After") == "" {
				t.Errorf("%s: who finds the server full is not told when to come back", path)
			}
		}
		n.user = "panic" // as soon as its credential is looked at
		for _, lines := range []string{handshake, ""} {
			path := "/api/ws"
			if lines == "" {
				path = "/api/sse"
			}
			if header := n.request(path, lines).status(http.StatusServiceUnavailable); header.Get("Retry-After") == "" {
				t.Errorf("%s: a full server looks at credentials before it refuses", path)
			}
		}
		n.user = "u1@a"
		_ = first.conn.Close()
		synctest.Wait()
		n.dial("")
	})
}

// TestPlacesAreGivenBack refuses upgrades late, after a place was taken for them.
func TestPlacesAreGivenBack(t *testing.T) {
	inBubble(t, gateway.Options{MaxConnections: 1}, func(t *testing.T, n *clocked) {
		for range 5 {
			n.request("/api/ws?channels=nothing", handshake).status(http.StatusNotFound)
			n.request("/api/ws?tenant=b", handshake).status(http.StatusNotFound)
			p := n.dial("")
			_ = p.conn.Close()
			synctest.Wait()
		}
		if left := n.gateway.Connections(); left != 0 {
			t.Errorf("%d places are taken by nobody", left)
		}
	})
}

func TestChannelLimit(t *testing.T) {
	names := namesOf(t, realtime.Pattern{Spelling: "orders:{tenant}:*", Retention: realtime.DefaultRetention})
	list := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("orders:a:%d", i)
		}
		return strings.Join(all, ",")
	}
	inBubble(t, gateway.Options{Names: names}, func(t *testing.T, n *clocked) {
		p := n.request("/api/ws?channels="+list(100), handshake+askV1)
		p.status(http.StatusSwitchingProtocols)
		if got := p.object("welcome")["channels"].([]any); len(got) != 100 {
			t.Errorf("the welcome has %d channels, want 100", len(got))
		}
		p.say(`{"id":1,"subscribe":{"channel":"orders:a:one-more"}}`)
		if got := p.object("error"); got["code"] != "TOO_MANY_CHANNELS" {
			t.Errorf("the 101st channel is answered with %v", got)
		}
		p.say(`{"id":2,"unsubscribe":{"channel":"orders:a:7"}}`)
		p.object("unsubscribed")
		p.say(`{"id":3,"subscribe":{"channel":"orders:a:one-more"}}`)
		p.object("subscribed")
		n.request("/api/ws?channels="+list(101), handshake+askV1).status(http.StatusTooManyRequests)
		n.request("/api/sse?channels="+list(101), "").status(http.StatusTooManyRequests)
	})
}

func TestThirdUnreadableMessageEnds(t *testing.T) {
	inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
		p := n.dial(askV1)
		for range 2 {
			p.say(`hello`)
			p.object("error")
		}
		for range 10 { // words that are not known are no such mistake
			p.say(`{"id":1,"frobnicate":{}}`)
			p.object("error")
			time.Sleep(time.Second)
		}
		p.say(`{"id":2,"ping":{}}`)
		p.object("pong")
		p.say(`hello`)
		if end, _ := p.until(ws.OpClose); end.code() != 4501 {
			t.Errorf("closed with %d, want 4501", end.code())
		}
	})
}
