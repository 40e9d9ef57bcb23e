//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv"
	"kentongan/internal/testenv/browser"
)

// kitchenHost is the host of an app that uses the client: the pages of appHost, the client's modules, and an API that takes entries.
type kitchenHost struct {
	http.Handler
	blocked atomic.Bool // WebSockets do not get through

	mu      sync.Mutex
	entries []string // bodies, in the order in which they were taken
	keys    map[string]bool
}

// newKitchenHost returns the host, which hands /api/ on to the server at addr, and the address at which it serves.
func newKitchenHost(t *testing.T, addr string) (*kitchenHost, string) {
	t.Helper()
	dir, err := clientModules()
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchenHost{Handler: appHandler(addr), keys: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle("/kentongan/", http.StripPrefix("/kentongan/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("POST /api/entries", k.takeEntry)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if k.blocked.Load() && r.Header.Get("Upgrade") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		k.ServeHTTP(w, r)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return k, srv.Listener.Addr().String()
}

// takeEntry stores an entry once, as an API with idempotency keys does.
func (k *kitchenHost) takeEntry(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); !k.keys[key] {
		k.keys[key] = true
		k.entries = append(k.entries, string(body))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{}`)
}

func (k *kitchenHost) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.entries)
}

const kitchenPage = "/client.html?channels=production:updates:sppg_7,system-alert"

// eval runs script in the page, and waits for it if it is a promise.
func (s *screen) eval(script string) {
	s.t.Helper()
	_, err := chromedp.Run(s.page, chromedp.Evaluate[bool]("(async () => { "+script+"; return true })()", chromedp.EvalAwaitPromise))
	if err != nil {
		s.t.Fatalf("%s: %v", script, err)
	}
}

// waitBehind waits for a message on a page that is behind another one: where nothing is painted, wait hears of nothing.
func (s *screen) waitBehind(text string) {
	s.t.Helper()
	eventually(s.t, "a page in the background shows "+text, func() bool { return strings.Contains(strings.Join(s.messages(), "\n"), text) })
}

func TestClient(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	host, addr := newKitchenHost(t, srv.Addr)
	chromium := browser.Shared(t)
	update := func(marker string) { srv.publish("production:updates:sppg_7", update(marker)) }

	t.Run("MissesNothing", func(t *testing.T) {
		network := newLine(t, addr)
		s := newScreen(t, chromium, cook("sppg_7"), "http://"+network.Addr+kitchenPage)
		s.waitState("live websocket")
		var markers []string
		for i := range 5 {
			network.Cut()
			s.waitState("dead websocket")
			for j := range 3 {
				markers = append(markers, fmt.Sprint("missed-", i, "-", j))
				update(markers[len(markers)-1])
			}
			network.Mend()
			s.waitState("live websocket")
			markers = append(markers, fmt.Sprint("live-", i))
			update(markers[len(markers)-1])
			s.waitFor(markers[len(markers)-1])
		}
		s.wantOnly(markers...)
	})

	t.Run("FindsOutThatTheLineIsDead", func(t *testing.T) {
		network := newLine(t, addr)
		s := newScreen(t, chromium, cook("sppg_7"), "http://"+network.Addr+kitchenPage)
		s.waitState("live websocket")
		network.Vanish() // and nobody hangs up
		update("into-nothing")
		s.eval("dispatchEvent(new Event('online'))") // as a device does that has changed its network
		s.waitState("quiet websocket")
		s.waitFor("into-nothing")
		s.waitState("live websocket")
		s.wantOnly("into-nothing")
	})

	t.Run("GoesOnWithoutWebSockets", func(t *testing.T) {
		network := newLine(t, addr)
		s := newScreen(t, chromium, cook("sppg_7"), "http://"+network.Addr+kitchenPage)
		s.waitState("live websocket")
		update("by-websocket")
		s.waitFor("by-websocket")
		host.blocked.Store(true)
		defer host.blocked.Store(false)
		network.Cut()
		update("missed")
		network.Mend()
		s.waitState("live sse")
		update("by-stream")
		s.waitFor("by-stream")
		network.Cut()
		s.waitState("dead sse")
		update("missed-by-the-stream")
		network.Mend()
		s.waitFor("missed-by-the-stream")
		s.wantOnly("by-websocket", "missed", "by-stream", "missed-by-the-stream")
	})

	t.Run("BeginsWithASnapshot", func(t *testing.T) {
		srv.publish("production:updates:sppg_9", `{"type":"production_update","productionId":"p1","data":{"progress":1}}`)
		srv.publish("production:updates:sppg_9", `{"type":"production_update","productionId":"p1","data":{"progress":2}}`)
		s := newScreen(t, chromium, cook("sppg_9"), "http://"+addr+"/client.html?snapshot&channels=production:updates:sppg_9")
		s.waitState("live websocket")
		s.wantOnly(`{"gap":"snapshot","snapshot":[{"type":"production_update","productionId":"p1","data":{"progress":2}}]}`)
	})

	t.Run("SharesOneLineAmongTabs", func(t *testing.T) {
		shared := "http://" + addr + kitchenPage + "&share"
		leader := newScreen(t, chromium, cook("sppg_7"), shared)
		leader.waitState("live websocket")
		leader.wait("document.getElementById('role').textContent === 'leader'")
		other := &screen{t, browser.Page(t, leader.page)}
		other.open(shared)
		other.waitState("live websocket")
		other.wait("document.getElementById('role').textContent === 'follower'")
		update("to-both")
		leader.waitBehind("to-both")
		other.waitFor("to-both")

		// The browser freezes the page that leads, as phones do: the other one goes on.
		lifecycle(t, leader.page, page.SetWebLifecycleStateStateFrozen)
		other.wait("document.getElementById('role').textContent === 'leader'")
		update("while-one-is-frozen")
		other.waitFor("while-one-is-frozen")
		lifecycle(t, leader.page, page.SetWebLifecycleStateStateActive)
		leader.waitBehind("while-one-is-frozen")

		leader.open("about:blank")
		other.wait("document.getElementById('role').textContent === 'leader'")
		update("to-the-last")
		other.waitFor("to-the-last")
		other.wantOnly("to-both", "while-one-is-frozen", "to-the-last")
	})

	t.Run("KeepsEntriesUntilThereIsALine", func(t *testing.T) {
		network := newLine(t, addr)
		s := newScreen(t, chromium, cook("sppg_7"), "http://"+network.Addr+kitchenPage)
		s.waitState("live websocket")
		network.Cut()
		var want []string
		for i := range 30 {
			want = append(want, fmt.Sprint(i))
		}
		s.eval("for (let i = 0; i < 15; i++) await outbox.add({ method: 'POST', path: '/api/entries', body: i })")
		s.wait("document.getElementById('unsent').textContent === 'offline 15'")
		network.Mend()
		network.Cut()
		s.eval("for (let i = 15; i < 30; i++) await outbox.add({ method: 'POST', path: '/api/entries', body: i })")
		network.Mend()
		s.open("http://" + network.Addr + kitchenPage) // the page is loaded anew, maybe while it sends
		eventually(t, "all entries have arrived", func() bool { return len(host.taken()) >= len(want) })
		s.wait("document.getElementById('unsent').textContent === 'idle 0'")
		if got := host.taken(); !slices.Equal(got, want) {
			t.Errorf("the server has taken %v; want 0 to 29, each once and in order", got)
		}
	})
}

func lifecycle(t *testing.T, ctx context.Context, state page.SetWebLifecycleStateState) {
	t.Helper()
	if _, err := chromedp.Call(ctx, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}); err != nil {
		t.Fatalf("set the page's state to %s: %v", state, err)
	}
}

// The server is emptied and ends: its clients go to another one, at the time that each was told, and miss nothing.
func TestClientMovesToAnotherNode(t *testing.T) {
	t.Parallel()
	redis := testenv.Redis(t)
	first, second := serve(t, "REDIS_URL=redis://"+redis), serve(t, "REDIS_URL=redis://"+redis)
	network := newLine(t, first.Addr)
	_, addr := newKitchenHost(t, network.Addr)
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+addr+kitchenPage)
	s.waitState("live websocket")
	second.publish("production:updates:sppg_7", update("before"))
	s.waitFor("before")
	network.LeadTo(second.Addr)
	first.stop()
	second.publish("production:updates:sppg_7", update("after"))
	s.waitFor("after")
	s.waitState("live websocket")
	s.wantOnly("before", "after")
}

// The server is another origin, to which browsers send no cookie: a token buys a ticket for each socket, and goes with the requests.
func TestClientOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	_, pages := newKitchenHost(t, "")
	srv := serve(t, "KENTONGAN_ALLOWED_ORIGINS=http://"+pages)
	network := newLine(t, srv.Addr)
	query := url.Values{"channels": {"production:updates:sppg_7"}, "url": {"http://" + network.Addr}, "token": {apiKey}}
	s := newScreen(t, browser.Shared(t), cook("sppg_7"), "http://"+pages+"/client.html?"+query.Encode())
	s.waitState("live websocket")
	network.Cut()
	s.waitState("dead websocket")
	srv.publish("production:updates:sppg_7", update("missed"))
	network.Mend()
	s.waitState("live websocket")
	srv.publish("production:updates:sppg_7", update("live"))
	s.waitFor("live")
	s.wantOnly("missed", "live")
	if strings.Contains(srv.output(), apiKey) {
		t.Error("the token stands in the log")
	}
}

// In Node, with a token instead of a cookie: each connection buys a ticket.
func TestClientInNode(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	_, addr := newKitchenHost(t, srv.Addr)
	network := newLine(t, addr)
	dir, err := clientModules()
	if err != nil {
		t.Fatal(err)
	}
	node := testenv.StartNode(t, "testdata/client.mjs", filepath.Join(dir, "index.js"), "http://"+network.Addr, apiKey, "production:updates:sppg_7")
	var known struct {
		Health, Transport string
		Got               []string
	}
	ask := func() {
		t.Helper()
		known.Got = nil
		if err := json.Unmarshal([]byte(node.Ask("")), &known); err != nil {
			t.Fatal(err)
		}
	}
	live := func() bool { ask(); return known.Health == "live" && known.Transport == "websocket" }
	eventually(t, "the client is live", live)
	srv.publish("production:updates:sppg_7", update("one"))
	network.Cut()
	srv.publish("production:updates:sppg_7", update("two"))
	network.Mend()
	eventually(t, "what was missed has come", func() bool { ask(); return len(known.Got) >= 2 })
	eventually(t, "the client is live", live)
	if got := strings.Join(known.Got, " "); got != "one two" {
		t.Errorf("got %s; want one two", got)
	}
}
