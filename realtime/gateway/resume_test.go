package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/memory"
	"kentongan/realtime/protocol"
)

// page is a browser's page with nothing but a WebSocket: the browser answers pings, and the page keeps what comes.
type page struct {
	peer   *peer
	cookie string // what the browser has after the handshake
	header http.Header
	mute   atomic.Bool // the way back is dead: nothing is answered
	ended  chan struct{}

	mu    sync.Mutex
	texts []string
	pings []heard
}

// open connects a page of the browser that has this cookie ("" for a new one).
func (n *clocked) open(cookie string) *page { return n.openAs("", cookie) }

func (n *clocked) openAs(lines, cookie string) *page {
	n.t.Helper()
	if cookie != "" {
		lines += "Cookie: theme=dark; " + cookie + "\r\n"
	}
	p := &page{peer: n.request("/api/ws", handshake+lines), ended: make(chan struct{})}
	p.header = p.peer.status(http.StatusSwitchingProtocols)
	p.cookie, _, _ = strings.Cut(p.header.Get("Set-Cookie"), ";")
	go p.read()
	synctest.Wait()
	return p
}

func (p *page) read() {
	defer close(p.ended)
	for {
		h := p.peer.next()
		p.mu.Lock()
		switch h.op {
		case ws.OpText:
			p.texts = append(p.texts, h.text)
		case ws.OpPing:
			p.pings = append(p.pings, h)
		case ws.OpClose:
			p.mu.Unlock()
			return
		default:
		}
		p.mu.Unlock()
		if h.op == ws.OpPing && !p.mute.Load() {
			_ = ws.WriteFrame(p.peer.conn, ws.MaskFrame(ws.NewPongFrame([]byte(h.text)))) // the test may have cut the line
		}
	}
}

// cut loses the line without a word.
func (p *page) cut() {
	_ = p.peer.conn.Close()
	<-p.ended
	synctest.Wait()
}

// close ends the connection as the browser does when its page is left.
func (p *page) close(code ws.StatusCode) {
	p.peer.send(ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")))
	<-p.ended
	_ = p.peer.conn.Close()
	synctest.Wait()
}

// want checks what the page has got so far.
func (p *page) want(t *testing.T, texts ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.texts, texts) {
		t.Errorf("the page has %q, want %q", p.texts, texts)
	}
}

// proofs returns the pings that ask for a proof.
func (p *page) proofs() (asked []heard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.pings {
		if h.text != "" {
			asked = append(asked, h)
		}
	}
	return asked
}

// proofTime is longer than it takes until everything that was sent is proven.
const proofTime = 8 * time.Second

func resuming(t *testing.T, test func(t *testing.T, n *clocked)) {
	inBubble(t, gateway.Options{Devices: &memory.Devices{}}, test)
}

func TestBareResume(t *testing.T) {
	t.Run("ALostLine", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			n.publish("a", "production:updates", `"before"`)
			p := n.open("")
			n.publish("a", "production:updates", `"one"`)
			n.publish("", "system-alert", `"two"`)
			time.Sleep(proofTime)
			p.want(t, `"one"`, `"two"`)
			p.cut()
			n.publish("a", "production:updates", `"three"`)
			n.publish("b", "production:updates", `"of another kitchen"`)
			n.publish("a", "production:updates", `"four"`)
			n.publish("", "system-alert", `"five"`)
			n.publish("a", "menu:updates", `"six"`) // a channel that had nothing before
			again := n.open(p.cookie)
			if again.cookie != p.cookie {
				t.Errorf("the browser comes back as %s and is called %s", p.cookie, again.cookie)
			}
			n.publish("a", "production:updates", `"live"`)
			synctest.Wait()
			again.mu.Lock()
			got := slices.Clone(again.texts)
			again.mu.Unlock()
			at := func(text string) int { return slices.Index(got, text) }
			if len(got) != 5 || at(`"three"`) > at(`"four"`) || at(`"four"`) > at(`"live"`) || at(`"five"`) < 0 || at(`"six"`) < 0 || got[4] != `"live"` {
				t.Errorf("the page is sent %q", got)
			}
			again.close(1001)
		})
	})
	t.Run("WhatWasNotProvenComesAgain", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			n.publish("a", "production:updates", `1`)
			time.Sleep(proofTime)
			p.mute.Store(true)
			n.publish("a", "production:updates", `2`)
			time.Sleep(proofTime)
			p.want(t, `1`, `2`) // it may have, or not: the server cannot know
			p.cut()
			again := n.open(p.cookie)
			again.want(t, `2`)
			again.close(1000)
		})
	})
	t.Run("BeforeAnythingIsProven", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			n.publish("a", "production:updates", `0`)
			p := n.open("")
			p.mute.Store(true)
			n.publish("a", "production:updates", `1`)
			p.cut()
			n.publish("a", "production:updates", `2`)
			again := n.open(p.cookie)
			again.want(t, `1`, `2`)
			again.cut() // lost before it proved anything: it stands where it stood
			third := n.open(p.cookie)
			third.want(t, `1`, `2`)
			third.close(1001)
		})
	})
	t.Run("ALineWhoseEndNobodyHasNoticed", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			n.publish("a", "production:updates", `1`)
			time.Sleep(interval + proofTime) // and what is proven is noted
			p.mute.Store(true)               // what is sent from now on is swallowed, and the server believes in the line
			n.publish("a", "production:updates", `2`)
			again := n.open(p.cookie)
			again.want(t, `2`)
			n.publish("a", "production:updates", `3`)
			again.want(t, `2`, `3`)
			<-p.ended // the old line is found dead
			_ = p.peer.conn.Close()
			again.close(1001)
		})
	})
	t.Run("AReaderThatWasTooSlow", func(t *testing.T) {
		inBubble(t, gateway.Options{Devices: &memory.Devices{}, MaxBacklogBytes: 32 << 10}, func(t *testing.T, n *clocked) {
			slow := n.request("/api/ws", handshake)
			cookie, _, _ := strings.Cut(slow.status(http.StatusSwitchingProtocols).Get("Set-Cookie"), ";")
			var want []string
			for i := range 200 {
				want = append(want, fmt.Sprintf(`"%0500d"`, i))
				n.publish("a", "production:updates", want[i])
			}
			time.Sleep(time.Minute) // it does not even answer the close frame
			if got := n.gateway.Stats().Closed["slow"]; got != 1 {
				t.Fatalf("%d sessions were too slow, want 1", got)
			}
			_ = slow.conn.Close()
			again := n.open(cookie)
			again.want(t, want...)
			again.close(1001)
		})
	})
	t.Run("AClosedPageIsForgotten", func(t *testing.T) {
		for _, code := range []ws.StatusCode{1000, 1001} {
			resuming(t, func(t *testing.T, n *clocked) {
				p := n.open("")
				p.mute.Store(true)
				n.publish("a", "production:updates", `1`)
				synctest.Wait()
				p.close(code)
				n.publish("a", "production:updates", `2`)
				again := n.open(p.cookie)
				again.want(t)
				if again.cookie != p.cookie {
					t.Errorf("the browser comes back as %s and is called %s", p.cookie, again.cookie)
				}
				again.close(1001)
			})
		}
	})
	t.Run("APageThatBreaksOffIsNot", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			p.close(1011)
			n.publish("a", "production:updates", `1`)
			again := n.open(p.cookie)
			again.want(t, `1`)
			again.close(1001)
		})
	})
	t.Run("TwoTabs", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			q := n.open(p.cookie)
			n.publish("a", "production:updates", `1`)
			time.Sleep(proofTime)
			p.cut()
			n.publish("a", "production:updates", `2`)
			time.Sleep(proofTime)
			q.want(t, `1`, `2`)
			q.cut()
			n.publish("a", "production:updates", `3`)
			time.Sleep(time.Second)
			first, second := n.open(p.cookie), n.open(p.cookie)
			first.want(t, `2`, `3`)
			second.want(t, `2`, `3`)
			time.Sleep(time.Minute)
			third := n.open(p.cookie) // as many have come back as were lost
			third.want(t)
			for _, p := range []*page{first, second, third} {
				p.close(1001)
			}
		})
	})
	t.Run("GapsAreTold", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			n.publish("a", "production:alerts", `0`)
			p := n.open("")
			time.Sleep(proofTime)
			p.cut()
			for i := range 600 { // more than is kept
				n.publish("a", "production:updates", fmt.Sprint(i))
			}
			n.publish("a", "production:alerts", `1`)
			again := n.open(p.cookie)
			synctest.Wait()
			again.mu.Lock()
			got := slices.Clone(again.texts)
			again.mu.Unlock()
			slices.Sort(got)
			if len(got) != 2 || got[0] != `1` || !strings.HasPrefix(got[1], `{"type":"gap","channel":"production:updates:a","cause":"expired"`) {
				t.Errorf("the page is sent %q, want 1 and a gap", got)
			}
			again.close(1001)
		})
	})
	t.Run("AGapSaysWhereItGoesOn", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			q := n.open(p.cookie)
			n.publish("a", "production:updates", `1`)
			time.Sleep(proofTime)
			p.cut()
			for range 600 { // more than is kept since p, but q has them
				n.publish("a", "production:updates", `2`)
			}
			time.Sleep(proofTime)
			q.cut()
			n.publish("a", "production:updates", `3`)
			again := n.open(p.cookie)
			synctest.Wait()
			again.mu.Lock()
			got := slices.Clone(again.texts)
			again.mu.Unlock()
			// The next message follows the position in the gap: 3 is number 602.
			if len(got) != 2 || got[1] != `3` || !strings.HasSuffix(got[0], `"offset":601}`) {
				t.Errorf("the page is sent %q, want a gap up to 601 and then 3", got)
			}
			again.close(1001)
		})
	})
}

func TestDeviceCookie(t *testing.T) {
	t.Run("SaysNothing", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			seen := map[string]bool{}
			for range 10 {
				p := n.open("")
				name, value, _ := strings.Cut(p.cookie, "=")
				raw, err := base64.RawURLEncoding.DecodeString(value)
				if name != "kentongan_device" || err != nil || len(raw) != 16 || seen[value] {
					t.Errorf("cookie %q, %v", p.cookie, err)
				}
				seen[value] = true
				want := p.cookie + "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
				if n.client != nil {
					want = p.cookie + "; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"
				}
				if got := p.header.Get("Set-Cookie"); got != want {
					t.Errorf("cookie %q, want %q", got, want)
				}
				p.close(1001)
			}
			p := n.openAs("X-Forwarded-Proto: https\r\n", "")
			if got := p.header.Get("Set-Cookie"); !strings.HasSuffix(got, "; HttpOnly; Secure; SameSite=Lax") {
				t.Errorf("over TLS the cookie is %q", got)
			}
			p.close(1001)
		})
	})
	t.Run("WhatIsNoneOfOursIsANewDevice", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			n.publish("a", "production:updates", `0`)
			for _, cookie := range []string{
				"kentongan_device=", "kentongan_device=x", "kentongan_device=" + strings.Repeat("A", 21),
				"kentongan_device=" + strings.Repeat("A", 23), "kentongan_device=" + strings.Repeat("A", 21) + "B", // bits behind the end
				"kentongan_device=" + strings.Repeat("A", 10000), "kentongan_device=\"" + strings.Repeat("A", 20) + "\"",
				"kentongan_device=AAAAAAAAAAAAAAAAAAAAA+", "Kentongan_Device=" + strings.Repeat("A", 22), "kentongan_devic",
			} {
				p := n.open(cookie)
				if p.cookie == cookie || p.cookie == "" {
					t.Errorf("cookie %.50q is answered with %q", cookie, p.cookie)
				}
				n.publish("a", "production:updates", `1`)
				p.want(t, `1`)
				p.close(1001)
			}
		})
	})
	t.Run("OneThatIsNotRememberedIsToldSo", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			n.publish("a", "production:updates", `0`)
			p := n.open("kentongan_device=" + strings.Repeat("A", 22))
			synctest.Wait()
			p.close(1001)
			told := 0
			for _, text := range p.texts {
				if strings.HasPrefix(text, `{"type":"gap","channel":"`) {
					told++
				}
			}
			if want := len(realtime.DefaultPatterns()); told != want || len(p.texts) != want {
				t.Errorf("told %d gaps in %d messages, want one for each of %d channels", told, len(p.texts), want)
			}
		})
	})
	t.Run("AnotherKitchenGetsNothingOfTheFirst", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			p.cut()
			n.publish("a", "production:updates", `"of a"`)
			n.publish("b", "production:updates", `"of b"`)
			time.Sleep(time.Second)
			n.user = "u2@b"
			q := n.open(p.cookie)
			q.close(1001)
			for _, text := range q.texts {
				if !strings.HasPrefix(text, `{"type":"gap","channel":"`) || strings.Contains(text, `:a"`) {
					t.Errorf("in kitchen b the device of kitchen a is sent %s", text)
				}
			}
			n.user = "u1@a"
			back := n.open(p.cookie)
			back.want(t, `"of a"`) // which does not undo what it had in a
			back.close(1001)
		})
	})
	t.Run("OthersHaveNone", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			v1 := n.openAs("Sec-WebSocket-Protocol: kentongan.v1\r\n", "")
			if got := v1.header.Get("Set-Cookie"); got != "" {
				t.Errorf("kentongan.v1 has cookie %q", got)
			}
			v1.close(1001)
		})
		inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
			p := n.open("")
			if got := p.header.Get("Set-Cookie"); got != "" {
				t.Errorf("switched off, there is cookie %q", got)
			}
			n.publish("a", "production:updates", `1`)
			time.Sleep(proofTime)
			if got := p.proofs(); len(got) > 0 {
				t.Errorf("switched off, the page is asked %v", got)
			}
			p.close(1001)
		})
	})
}

func TestProofPings(t *testing.T) {
	t.Run("NoneWhileNothingComes", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			time.Sleep(time.Hour)
			if got := p.proofs(); len(got) > 0 {
				t.Errorf("an idle page is asked %d times", len(got))
			}
			if len(p.pings) < 100 {
				t.Errorf("%d pings in an hour", len(p.pings))
			}
			p.close(1001)
		})
	})
	t.Run("SoonAfterAMessage", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			time.Sleep(time.Minute)
			at := n.at()
			for range 49 {
				n.publish("a", "production:updates", `1`)
			}
			time.Sleep(time.Minute)
			asked := p.proofs()
			if len(asked) != 1 {
				t.Fatalf("asked %d times for 49 messages in one moment, want once", len(asked))
			}
			between(t, "the question", asked[0].at-at, time.Second, 2*time.Second)
			p.close(1001)
		})
	})
	t.Run("AlongWithTheFiftiethMessage", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			time.Sleep(time.Minute)
			at := n.at()
			for range 50 {
				n.publish("a", "production:updates", `1`)
			}
			synctest.Wait()
			asked := p.proofs()
			if len(asked) != 1 || asked[0].at != at {
				t.Fatalf("asked %v for 50 messages in one moment, want once and at once", asked)
			}
			p.cut()
			again := n.open(p.cookie)
			again.want(t) // all was proven
			for range 60 {
				n.publish("a", "production:updates", `2`)
			}
			time.Sleep(time.Minute) // nothing more comes that it could go along with
			if got := len(again.proofs()); got != 2 {
				t.Errorf("asked %d times for 60 messages in one moment, want for 50 at once and for 10 later", got)
			}
			again.close(1001)
		})
	})
	t.Run("AlsoAfterAGroup", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			var pages []*page // more than are served one message at a time
			for range 40 {
				pages = append(pages, n.open(""))
			}
			for range 20 {
				n.publish("a", "production:updates", `1`)
			}
			time.Sleep(interval + proofTime) // what was not asked for by then never is
			for i, p := range pages {
				if got := len(p.proofs()); got == 0 {
					t.Fatalf("page %d of a large room is never asked", i)
				}
				p.cut()
			}
			again := n.open(pages[0].cookie)
			again.want(t) // all was proven
			again.close(1001)
		})
	})
	t.Run("NotOftenWhileMuchComes", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			for range 600 {
				n.publish("a", "production:updates", `1`)
				time.Sleep(100 * time.Millisecond)
			}
			if got := len(p.proofs()); got < 9 || got > 14 {
				t.Errorf("asked %d times for 600 messages in a minute, want once for 50", got)
			}
			p.close(1001)
		})
	})
	t.Run("SeldomWhileLittleComes", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			for range 120 {
				n.publish("a", "production:updates", `1`)
				time.Sleep(time.Second)
			}
			if got := len(p.proofs()); got < 4 || got > 6 {
				t.Errorf("asked %d times for 120 messages in two minutes, want every 24 s", got)
			}
			p.close(1001)
		})
	})
	t.Run("OneAtATimeAndForgedAnswersProveNothing", func(t *testing.T) {
		resuming(t, func(t *testing.T, n *clocked) {
			p := n.open("")
			p.mute.Store(true)
			n.publish("a", "production:updates", `1`)
			time.Sleep(proofTime)
			n.publish("a", "production:updates", `2`)
			time.Sleep(proofTime)
			asked := p.proofs()
			if len(asked) != 1 {
				t.Fatalf("asked %d times without an answer, want once", len(asked))
			}
			for _, forged := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x02", asked[0].text + "\x00", asked[0].text[1:]} {
				p.peer.send(ws.NewPongFrame([]byte(forged)))
			}
			synctest.Wait()
			p.cut()
			again := n.open(p.cookie)
			again.want(t, `1`, `2`)
			again.close(1001)
		})
	})
}

// TestLostHistoryIsToldAtOnce comes back to a server that has started anew and to which nothing was published yet: what was
// missed before it ended is gone, and the first publication may be hours away.
func TestLostHistoryIsToldAtOnce(t *testing.T) {
	inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
		cursor := protocol.EncodeCursor("a", protocol.Cursor{
			{Tenant: "a", Name: "production:updates"}: {Epoch: "before", Offset: 5}, {Tenant: "a"}: {Epoch: "before"}, {}: {Epoch: "before"},
		})
		p := n.request("/api/sse", "Last-Event-ID: "+cursor+"\r\n")
		told := map[string]bool{}
		for len(told) < len(realtime.DefaultPatterns()) {
			line, err := p.r.ReadString('\n')
			if err != nil {
				t.Fatalf("told only %v: %v", told, err)
			}
			var gap struct{ Channel, Cause string }
			if data, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(data), &gap) == nil && gap.Cause == "epoch" {
				told[gap.Channel] = true
			}
			if strings.HasPrefix(line, "event: heartbeat") {
				t.Fatalf("alive, and told only %v", told)
			}
		}
		_ = p.conn.Close()
	})
}

// TestResumeOfManyPagesHasNoHole loses the lines of many pages at random moments while much is published.
func TestResumeOfManyPagesHasNoHole(t *testing.T) {
	resuming(t, func(t *testing.T, n *clocked) {
		const pages, rounds, total = 70, 5, 1000 // a room of two stretches
		var all sync.WaitGroup
		for i := range pages {
			all.Go(func() {
				got := map[string]bool{}
				cookie := ""
				for range rounds {
					p := n.openQuietly(cookie)
					cookie = p.cookie
					time.Sleep(time.Duration(3+i)*time.Second + time.Duration(i)*37*time.Millisecond)
					_ = p.peer.conn.Close()
					<-p.ended
					for _, text := range p.texts {
						got[text] = true
					}
					time.Sleep(time.Duration(i) * 211 * time.Millisecond)
				}
				p := n.openQuietly(cookie)
				time.Sleep(5 * time.Minute)
				_ = p.peer.conn.Close()
				<-p.ended
				for _, text := range p.texts {
					got[text] = true
				}
				for k := range total {
					if !got[fmt.Sprint(k)] {
						t.Errorf("page %d misses %d", i, k)
						return
					}
				}
			})
		}
		time.Sleep(time.Second) // all are open
		for k := range total {
			n.publish("a", "production:updates", fmt.Sprint(k))
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
	})
}

// openQuietly is open for many goroutines: it does not wait for the others.
func (n *clocked) openQuietly(cookie string) *page {
	lines := ""
	if cookie != "" {
		lines = "Cookie: " + cookie + "\r\n"
	}
	p := &page{peer: n.request("/api/ws", handshake+lines), ended: make(chan struct{})}
	p.header = p.peer.status(http.StatusSwitchingProtocols)
	p.cookie, _, _ = strings.Cut(p.header.Get("Set-Cookie"), ";")
	go p.read()
	return p
}
