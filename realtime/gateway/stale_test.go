package gateway_test

import (
	"bufio"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
)

// fault is an engine that a test breaks and mends.
type fault struct {
	mu     sync.Mutex
	reason protocol.StaleReason
	since  time.Time
}

func (f *fault) set(reason protocol.StaleReason, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reason, f.since = reason, since
}

func (f *fault) tell() (protocol.StaleReason, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reason, f.since
}

// told is what one client hears of freshness, with the time at which it came.
type told struct {
	mu  sync.Mutex
	all []heard
}

// hears collects what p is told until its end.
func (n *clocked) hears(p *peer) *told {
	h := &told{}
	go func() {
		for {
			f := p.next()
			if f.op == ws.OpClose {
				return
			}
			if strings.Contains(f.text, "stale") || strings.Contains(f.text, "fresh") {
				h.mu.Lock()
				h.all = append(h.all, f)
				h.mu.Unlock()
			}
		}
	}()
	return h
}

func (h *told) words() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var words []string
	for _, f := range h.all {
		_, word, _ := strings.Cut(strings.TrimPrefix(f.text, `{"type":`), `"`)
		word, _, _ = strings.Cut(word, `"`)
		words = append(words, word)
	}
	return words
}

func TestStale(t *testing.T) {
	f := &fault{}
	inBubble(t, gateway.Options{Fault: f.tell, PingInterval: time.Hour}, func(t *testing.T, n *clocked) {
		bare, v1 := n.dial(""), n.dial("Sec-WebSocket-Protocol: kentongan.v1\r\n")
		hearsBare, hearsV1 := n.hears(bare), n.hears(v1)
		want := func(what string, h *told, words ...string) {
			t.Helper()
			synctest.Wait()
			if got := strings.Join(h.words(), " "); got != strings.Join(words, " ") {
				t.Errorf("%s: told %q, want %q", what, got, words)
			}
		}
		time.Sleep(10 * time.Second)
		f.set(protocol.StaleEngine, time.Time{})
		time.Sleep(900 * time.Millisecond)
		f.set("", time.Time{})
		time.Sleep(10 * time.Second)
		want("a short break", hearsBare)

		since := time.Now().Add(-3 * time.Second) // it was silent before anybody noticed
		f.set(protocol.StaleEngine, since)
		broken := n.at()
		time.Sleep(3 * time.Second)
		want("a long break", hearsBare, "stale")
		want("a long break", hearsV1, "stale")
		text := protocol.FramePayload(protocol.Stale{Since: since, Reason: protocol.StaleEngine}.Append(nil, protocol.V1))
		if got := hearsV1.all[0]; got.text != string(text) {
			t.Errorf("told %s, want %s", got.text, text)
		}
		between(t, "stale", hearsV1.all[0].at-broken, time.Second, 2500*time.Millisecond)
		late := n.hears(n.dial("Sec-WebSocket-Protocol: kentongan.v1\r\n"))
		lateBare := n.hears(n.dial(""))
		want("who comes meanwhile", late, "stale")
		want("who comes meanwhile", lateBare, "stale")
		time.Sleep(time.Minute)
		want("for a minute", hearsV1, "stale") // once

		f.set("", time.Time{})
		time.Sleep(3 * time.Second)
		for what, h := range map[string]*told{"bare": hearsBare, "v1": hearsV1, "late": late, "late bare": lateBare} {
			want(what, h, "stale", "fresh")
		}
		want("who comes afterwards", n.hears(n.dial("")))
		if st := n.gateway.Stats(); st.StaleTold != 8 || st.Stale {
			t.Errorf("%d told, stale %t; want 8 and no longer", st.StaleTold, st.Stale)
		}
	})
}

// TestStaleStream is about the event of a stream, and that one that is opened meanwhile has it after its welcome.
func TestStaleStream(t *testing.T) {
	f := &fault{}
	inBubble(t, gateway.Options{Fault: f.tell}, func(t *testing.T, n *clocked) {
		n.door.expires = time.Now().Add(time.Minute)
		f.set(protocol.StaleIntake, time.Time{})
		time.Sleep(5 * time.Second)
		p := n.request("/api/sse", "")
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var events []string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok && event != "heartbeat" {
				events = append(events, event)
				if event == "stale" {
					f.set("", time.Time{})
				}
			}
		}
		if got := strings.Join(events, " "); got != "welcome stale fresh goaway" {
			t.Errorf("the stream has %q, want welcome, stale, fresh, and goaway at its end", got)
		}
	})
}

// TestStaleIsSpread tells many clients one after the other.
func TestStaleIsSpread(t *testing.T) {
	f := &fault{}
	const clients = 50
	inBubble(t, gateway.Options{Fault: f.tell, PingInterval: time.Hour}, func(t *testing.T, n *clocked) {
		var all []*told
		for range clients {
			all = append(all, n.hears(n.dial("")))
		}
		f.set(protocol.StaleEngine, time.Time{})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		first, last := all[0].all[0].at, all[clients-1].all[0].at
		between(t, "the last, after the first,", last-first, 900*time.Millisecond, time.Second)
	})
}

// TestStaleOrder: whatever the engine does, and whenever a client comes, what it was told last is true, and it is never told the
// same twice.
func TestStaleOrder(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 20).Draw(draw, "steps")
		pauses := rapid.SliceOfN(rapid.IntRange(1, 2500), len(steps), len(steps)).Draw(draw, "pauses")
		f := &fault{}
		inBubble(t, gateway.Options{Fault: f.tell, PingInterval: time.Hour}, func(_ *testing.T, n *clocked) {
			var all []*told
			broken := false
			for i, step := range steps {
				switch step {
				case 0:
					broken = !broken
					if broken {
						f.set(protocol.StaleEngine, time.Time{})
					} else {
						f.set("", time.Time{})
					}
				case 1:
					all = append(all, n.hears(n.dial("")))
				case 2:
					all = append(all, n.hears(n.dial("Sec-WebSocket-Protocol: kentongan.v1\r\n")))
				}
				time.Sleep(time.Duration(pauses[i]) * time.Millisecond)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			for _, h := range all {
				words := h.words()
				for i, word := range words {
					if want := []string{"stale", "fresh"}[i%2]; word != want {
						draw.Fatalf("told %q", words)
					}
				}
				if (len(words)%2 == 1) != broken {
					draw.Fatalf("told %q, and the engine is broken: %t", words, broken)
				}
			}
		})
	})
}
