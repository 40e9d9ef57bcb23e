package drive_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"kentongan/bench/drive"
	"kentongan/bench/mark"
)

// house is a server of kentongan.v1 with one channel, which it keeps whole. Faults make it a bad one.
type house struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	log     [][]byte
	conns   map[net.Conn]bool
	queries []string

	refusing  bool // it knows no such channel
	forgetful bool // it has lost the history: resumes are answered with a gap
	lossy     bool // a resume leaves its first message out, and does not say so
}

func keepHouse(t *testing.T) *house {
	h := &house{t: t, conns: map[net.Conn]bool{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.upgrade))
	t.Cleanup(func() {
		h.Close()
		h.closeAll()
	})
	return h
}

func (h *house) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conn := range h.conns {
		_ = conn.Close()
	}
	clear(h.conns)
}

func (h *house) upgrade(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	conn, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "kentongan.v1" }}.Upgrade(r, w)
	if err != nil {
		// A screen that was ended in the midst of it, as all are at the end of a test, is no fault.
		if gone := new(net.OpError); !errors.As(err, &gone) {
			h.t.Error(err)
		}
		return
	}
	h.queries = append(h.queries, r.URL.RawQuery)
	h.conns[conn] = true
	since, resumes := 0, false
	if _, position, ok := strings.Cut(r.URL.Query().Get("channels"), "@"); ok {
		resumes = true
		if _, err := fmt.Sscanf(position, "e/%d", &since); err != nil {
			h.t.Error(err)
		}
	}
	h.send(conn, `{"welcome":{"session":"s"}}`)
	switch {
	case h.refusing:
		h.send(conn, `{"error":{"code":"NO_SUCH_CHANNEL","message":"no such channel","temporary":false}}`)
	case !resumes || h.forgetful:
		gap := ""
		if resumes {
			gap = `,"gap":"expired"`
		}
		h.send(conn, fmt.Sprintf(`{"subscribed":{"channel":"c","epoch":"e","offset":%d,"recovered":false%s}}`, len(h.log), gap))
	default:
		h.send(conn, fmt.Sprintf(`{"subscribed":{"channel":"c","epoch":"e","offset":%d,"recovered":true}}`, len(h.log)))
		for i := since; i < len(h.log); i++ {
			if !h.lossy || i > since {
				h.sendMessage(conn, i)
			}
		}
	}
}

func (h *house) send(conn net.Conn, text string) {
	if err := wsutil.WriteServerText(conn, []byte(text)); err != nil {
		delete(h.conns, conn) // a screen that was cut; it comes back
	}
}

func (h *house) sendMessage(conn net.Conn, i int) {
	h.send(conn, fmt.Sprintf(`{"message":{"channel":"c","offset":%d,"epoch":"e","time":1,"data":%s}}`, i+1, h.log[i]))
}

// publish sends a message to all that are there.
func (h *house) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	msg, err := mark.NewMessage(300)
	if err != nil {
		h.t.Fatal(err)
	}
	h.log = append(h.log, msg.Stamp(mark.Mark{Sent: mark.Now(), Seq: len(h.log) + 1}))
	for conn := range h.conns {
		h.sendMessage(conn, len(h.log)-1)
	}
}

func (h *house) plan(screens int) drive.Plan {
	plan := drive.Plan{Addresses: []string{h.Listener.Addr().String()}, Manner: drive.V1, Most: (screens + 1) / 2,
		Life: drive.Life{CutEvery: 50 * time.Millisecond, Offline: 10 * time.Millisecond, Seed: 1}}
	for range screens {
		plan.Screens = append(plan.Screens, drive.Screen{Path: "/", Channel: "c"})
	}
	return plan
}

// until asks for the counts until they please.
func until(t *testing.T, fleet *drive.Fleet, pleases func(drive.Counts) bool) drive.Counts {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		counts, err := fleet.Counts()
		if err != nil {
			t.Fatal(err)
		}
		if pleases(counts) {
			return counts
		}
		if time.Now().After(deadline) {
			t.Fatalf("it stays at %+v", counts)
		}
	}
}

// TestScreensComeBackAndResume cuts lines again and again while messages come: all have to arrive, once.
func TestScreensComeBackAndResume(t *testing.T) {
	const screens, messages = 20, 100
	h := keepHouse(t)
	fleet := open(t, h.plan(screens))
	if err := fleet.Live(); err != nil {
		t.Fatal(err)
	}
	for range messages {
		h.publish()
		time.Sleep(2 * time.Millisecond) // so that lines are cut meanwhile; nothing depends on how many
	}
	counts := until(t, fleet, func(c drive.Counts) bool { return c.Delivered == screens*messages && c.Returned > screens })
	if counts.Missing+counts.Twice+counts.Broken+counts.Gaps+counts.Skipped != 0 || counts.Cuts == 0 || counts.LastNs == 0 {
		t.Fatalf("%+v", counts)
	}
	returns, err := fleet.Returns()
	if err != nil || returns.Away.Count() == 0 || returns.Away.Quantile(0.5) < 5*time.Millisecond {
		t.Fatalf("away %d times, %v in the middle, %v", returns.Away.Count(), returns.Away.Quantile(0.5), err)
	}
	sum := 0
	for _, n := range returns.Slots {
		sum += n
	}
	if sum < counts.Returned {
		t.Fatalf("%d returns in slots, at least %d before", sum, counts.Returned)
	}
}

// TestBadResumesAreNoticed: what a resume leaves out is missing, unless a gap was told.
func TestBadResumesAreNoticed(t *testing.T) {
	for _, forgetful := range []bool{true, false} {
		h := keepHouse(t)
		h.forgetful, h.lossy = forgetful, !forgetful
		fleet := open(t, h.plan(4))
		h.publish()
		until(t, fleet, func(c drive.Counts) bool { return c.Delivered == 4 })
		if err := fleet.Cut(); err != nil {
			t.Fatal(err)
		}
		until(t, fleet, func(c drive.Counts) bool { return c.Down == 4 && c.Cuts == 4 })
		h.publish()
		if err := fleet.Back(); err != nil {
			t.Fatal(err)
		}
		until(t, fleet, func(c drive.Counts) bool { return c.Returned == 4 && c.Down == 0 })
		h.waitFor(4)
		h.publish()
		counts := until(t, fleet, func(c drive.Counts) bool { return c.Delivered == 8 })
		want := drive.Counts{Delivered: 8, Missing: 4, Broken: 4, Cuts: 4, Returned: 4}
		if forgetful {
			want = drive.Counts{Delivered: 8, Skipped: 4, Gaps: 4, Cuts: 4, Returned: 4}
		}
		counts.Bytes, counts.Why, counts.LastNs = 0, "", 0
		if counts != want {
			t.Fatalf("forgetful %v: got %+v, want %+v", forgetful, counts, want)
		}
	}
}

// waitFor waits until n screens have been answered that are still connected: all that were cut before are noticed by their writes.
func (h *house) waitFor(n int) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h.mu.Lock()
		got := len(h.queries)
		h.mu.Unlock()
		if got >= 2*n {
			return
		}
	}
	h.t.Fatalf("%d upgrades, want %d", len(h.queries), 2*n)
}

// TestGoawayIsFollowed: the screen leaves when it is told to, and resumes at the other address.
func TestGoawayIsFollowed(t *testing.T) {
	first, second := keepHouse(t), keepHouse(t)
	plan := first.plan(1)
	plan.Addresses = append(plan.Addresses, second.Listener.Addr().String())
	fleet := open(t, plan)
	first.mu.Lock()
	for conn := range first.conns {
		first.send(conn, `{"goaway":{"reconnectInMs":1,"reason":"drain"}}`)
	}
	first.mu.Unlock()
	counts := until(t, fleet, func(c drive.Counts) bool { return c.Returned == 1 })
	second.mu.Lock()
	defer second.mu.Unlock()
	if counts.Closed != 0 || len(second.queries) != 1 || second.queries[0] != "channels=c@e/0" {
		t.Fatalf("%+v, the second house was asked for %v", counts, second.queries)
	}
}

// TestLosersTryAgain: a server that is away for a while is asked until it answers.
func TestLosersTryAgain(t *testing.T) {
	h := keepHouse(t)
	plan := h.plan(1)
	gone := keepHouse(t)
	plan.Addresses = append(plan.Addresses, gone.Listener.Addr().String())
	fleet := open(t, plan)
	gone.Close()
	h.closeAll()
	counts := until(t, fleet, func(c drive.Counts) bool { return c.Returned == 1 })
	if counts.Closed != 1 || counts.Failures != 1 {
		t.Fatalf("%+v, want one end and one refusal by the other address", counts)
	}
}

// TestRefusedSubscriptionIsNoOpenScreen: a screen that has no position could not resume.
func TestRefusedSubscriptionIsNoOpenScreen(t *testing.T) {
	h := keepHouse(t)
	h.refusing = true
	opened, err := newFleet(t).Open(h.plan(2))
	if err == nil || opened.Refused != 2 || !strings.Contains(err.Error(), "NO_SUCH_CHANNEL") {
		t.Fatalf("opened %+v, %v; want 2 refused and why", opened, err)
	}
}

// TestAttackers: one never ends its request, the other never reads, and both come back.
func TestAttackers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	var told string
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		head := make([]byte, 4096)
		n, _ := conn.Read(head)
		told = string(head[:n])
		_, _ = io.ReadFull(conn, head[:1]) // the first drop
		told += string(head[:1])
		_ = conn.Close()
	}()
	plan := drive.Plan{Addresses: []string{listener.Addr().String()}, Manner: drive.Loris, Screens: []drive.Screen{{Path: "/x"}}}
	fleet := open(t, plan)
	until(t, fleet, func(c drive.Counts) bool { return c.Returned == 1 && c.Closed == 1 })
	<-done
	if !strings.HasPrefix(told, "GET /x HTTP/1.1\r\nHost: ") || strings.Contains(told, "\r\n\r\n") || !strings.HasSuffix(told, "x") {
		t.Fatalf("the head that never ends: %q", told)
	}

	h := keepHouse(t)
	plan = h.plan(1)
	plan.Manner = drive.Deaf
	deaf := open(t, plan)
	h.publish()
	h.closeAll()
	counts := until(t, deaf, func(c drive.Counts) bool { return c.Returned == 1 })
	if counts.Closed != 1 || counts.Delivered != 0 {
		t.Fatalf("%+v, want that it reads nothing and comes back", counts)
	}
}

func TestActsOfReturnNeedScreensThatReturn(t *testing.T) {
	s := serve(t)
	fleet := open(t, s.plan(1, 1))
	for name, act := range map[string]func() error{"live": fleet.Live, "cut": fleet.Cut, "back": fleet.Back} {
		if err := act(); err == nil || !strings.Contains(err.Error(), "come back") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}
