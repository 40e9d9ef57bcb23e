package drive_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
	"go.uber.org/goleak"

	"kentongan/bench/drive"
	"kentongan/bench/mark"
)

const driverEnv = "BENCH_TEST_DRIVER"

// TestMain makes this binary a driver process when a test's fleet starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv(driverEnv) != "" {
		if err := drive.Run(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func newFleet(t *testing.T) *drive.Fleet {
	t.Helper()
	fleet := drive.NewFleet(func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])                                  // this very binary; the fleet ends it
		cmd.Env = []string{driverEnv + "=1", "GORACE=atexit_sleep_ms=0"} // it would sleep a second at each end
		return cmd
	})
	t.Cleanup(fleet.Close)
	return fleet
}

// server is a stand-in that sends exactly what a test tells it to. Screens of tenant 3 connect to /3.
type server struct {
	*httptest.Server
	t       *testing.T
	mu      sync.Mutex
	screens map[int][]net.Conn
	refuse  int // of the next upgrades
}

func serve(t *testing.T) *server {
	s := &server{t: t, screens: map[int][]net.Conn{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.upgrade))
	t.Cleanup(func() {
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, list := range s.screens {
			for _, conn := range list {
				_ = conn.Close()
			}
		}
	})
	return s
}

func (s *server) upgrade(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse > 0 {
		s.refuse--
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	var tenant int
	if _, err := fmt.Sscanf(r.URL.Path, "/%d", &tenant); err != nil {
		s.t.Error(err)
	}
	header := http.Header{}
	if strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		header.Set("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	}
	conn, _, _, err := ws.HTTPUpgrader{Header: header}.Upgrade(r, w)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.screens[tenant] = append(s.screens[tenant], conn)
}

// screen returns a connection. The upgrade that makes it holds the lock until it is in the list.
func (s *server) screen(tenant, screen int) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screens[tenant][screen]
}

// write sends bytes to one screen as they are.
func (s *server) write(tenant, screen int, data []byte) {
	s.t.Helper()
	if _, err := s.screen(tenant, screen).Write(data); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) plan(tenants, each int) drive.Plan {
	plan := drive.Plan{Addresses: []string{s.Listener.Addr().String()}}
	for i := range tenants * each {
		plan.Screens = append(plan.Screens, drive.Screen{Tenant: i % tenants, Path: fmt.Sprintf("/%d", i%tenants)})
	}
	return plan
}

func open(t *testing.T, plan drive.Plan) *drive.Fleet {
	t.Helper()
	fleet := newFleet(t)
	opened, err := fleet.Open(plan)
	if err != nil || opened.Up != len(plan.Screens) || opened.Latency.Count() != uint64(len(plan.Screens)) {
		t.Fatalf("opened %+v, %v; want %d up", opened, err, len(plan.Screens))
	}
	return fleet
}

// text returns a frame with a marked message.
func text(t *testing.T, m mark.Mark, size int) []byte {
	t.Helper()
	msg, err := mark.NewMessage(size)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := ws.CompileFrame(ws.NewTextFrame(msg.Stamp(m)))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// await asks for the counts until they are as wanted.
func await(t *testing.T, fleet *drive.Fleet, want drive.Counts) {
	t.Helper()
	var got drive.Counts
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if got, err = fleet.Counts(); err != nil {
			t.Fatal(err)
		}
		got.Bytes, got.Why, got.LastNs, got.Down = want.Bytes, "", 0, want.Down
		if got == want {
			return
		}
	}
	t.Fatalf("counts: got %+v, want %+v", got, want)
}

// TestCountsExactly sends thousands of messages, of which a seeded few are dropped, sent twice, or sent to the wrong
// tenant, and wants each of these noticed, no more and no less.
func TestCountsExactly(t *testing.T) {
	const tenants, each, messages = 4, 3, 400
	s := serve(t)
	fleet := open(t, s.plan(tenants, each))
	random := rand.New(rand.NewPCG(1, 2))
	var want drive.Counts
	for seq := 1; seq <= messages; seq++ {
		for tenant := range tenants {
			frame := text(t, mark.Mark{Sent: mark.Now(), Tenant: tenant, Seq: seq}, 220+random.IntN(2000))
			for screen := range each {
				switch fate := random.IntN(20); {
				case fate == 0 && seq < messages: // the last one shows that those before are missing
					want.Missing++
				case fate == 1:
					s.write(tenant, screen, frame)
					want.Twice++
					fallthrough
				default:
					s.write(tenant, screen, frame)
					want.Delivered++
				}
				if random.IntN(50) == 0 {
					s.write((tenant+1)%tenants, screen, frame)
					want.Foreign++
				}
			}
		}
	}
	if want.Missing == 0 || want.Twice == 0 || want.Foreign == 0 {
		t.Fatalf("the seed spoils nothing: %+v", want)
	}
	await(t, fleet, want)
	latencies, err := fleet.Latency()
	if err != nil || latencies.Count() != uint64(want.Delivered) || latencies.Max() <= 0 || latencies.Max() > time.Minute {
		t.Fatalf("latencies: %d, longest %v, %v; want %d of them", latencies.Count(), latencies.Max(), err, want.Delivered)
	}
	if err := fleet.Reset(); err != nil {
		t.Fatal(err)
	}
	await(t, fleet, drive.Counts{})
}

// TestFramesInPieces writes a stream of frames in pieces of every length, so that headers and payloads are cut anywhere.
func TestFramesInPieces(t *testing.T) {
	s := serve(t)
	fleet := open(t, s.plan(1, 1))
	var stream []byte
	const messages = 60
	for seq := 1; seq <= messages; seq++ {
		size := 300
		if seq%10 == 0 {
			size = 70_000 // a length of eight bytes
		}
		stream = append(stream, text(t, mark.Mark{Sent: mark.Now(), Tenant: 0, Seq: seq}, size)...)
	}
	for piece := 1; len(stream) > 0; piece = piece*3%20_011 + 1 {
		n := min(piece, len(stream))
		s.write(0, 0, stream[:n])
		stream = stream[n:]
		if n < 50 {
			time.Sleep(50 * time.Microsecond) // lets the driver read a cut frame; its counts do not depend on it
		}
	}
	await(t, fleet, drive.Counts{Delivered: messages})
}

func TestAnswersPings(t *testing.T) {
	s := serve(t)
	fleet := open(t, s.plan(1, 1))
	ping, err := ws.CompileFrame(ws.NewPingFrame([]byte("sequence 7")))
	if err != nil {
		t.Fatal(err)
	}
	s.write(0, 0, ping)
	conn := s.screen(0, 0)
	head, err := ws.ReadHeader(conn)
	if err != nil {
		t.Fatal(err)
	}
	pong := make([]byte, head.Length)
	if _, err := io.ReadFull(conn, pong); err != nil {
		t.Fatal(err)
	}
	if ws.Cipher(pong, head.Mask, 0); head.OpCode != ws.OpPong || !head.Masked || string(pong) != "sequence 7" {
		t.Fatalf("got %v %q, want a masked pong with the ping's payload", head, pong)
	}
	await(t, fleet, drive.Counts{Pings: 1})
}

func TestInflates(t *testing.T) {
	s := serve(t)
	plan := s.plan(1, 2)
	plan.Deflate = true
	fleet := open(t, plan)
	msg, err := mark.NewMessage(300)
	if err != nil {
		t.Fatal(err)
	}
	for seq := 1; seq <= 3; seq++ {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(msg.Stamp(mark.Mark{Sent: mark.Now(), Seq: seq}))
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		f := ws.NewTextFrame(bytes.TrimSuffix(packed.Bytes(), []byte{0, 0, 0xff, 0xff}))
		f.Header.Rsv = ws.Rsv(true, false, false)
		frame, err := ws.CompileFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		s.write(0, 0, frame)
		s.write(0, 1, frame)
	}
	await(t, fleet, drive.Counts{Delivered: 6})
}

func TestNoticesBadFramesAndEnds(t *testing.T) {
	closing, err := ws.CompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4001, "slow")))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		send []byte
		want drive.Counts
		why  string
	}{
		{"masked", []byte{0x81, 0x81, 0, 0, 0, 0, 'x'}, drive.Counts{Broken: 1, Closed: 1}, "broken frame"},
		{"endless", []byte{0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0}, drive.Counts{Broken: 1, Closed: 1}, "broken frame"},
		{"close", closing, drive.Counts{Closed: 1}, "4001 slow"},
		{"no mark", []byte{0x81, 2, '{', '}'}, drive.Counts{Unmarked: 1}, ""},
		{"bad deflate", []byte{0xC1, 2, 0xff, 0xff}, drive.Counts{Broken: 1}, "inflate"},
		{"unknown opcode", []byte{0x83, 0}, drive.Counts{Broken: 1}, "opcode 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t)
			fleet := open(t, s.plan(1, 1))
			s.write(0, 0, test.send)
			await(t, fleet, test.want)
			if counts, err := fleet.Counts(); err != nil || !strings.Contains(counts.Why, test.why) {
				t.Fatalf("why: %q, %v; want %q in it", counts.Why, err, test.why)
			}
		})
	}
}

func TestRefusedScreenIsAnError(t *testing.T) {
	s := serve(t)
	s.refuse = 2
	opened, err := newFleet(t).Open(s.plan(1, 5))
	if err == nil || opened.Up != 3 || opened.Refused != 2 || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Fatalf("opened %+v, %v; want 3 up, 2 refused with 401", opened, err)
	}
}

func TestNobodyListens(t *testing.T) {
	s := serve(t)
	plan := s.plan(1, 2)
	s.Close()
	if opened, err := newFleet(t).Open(plan); err == nil || opened.Refused != 2 {
		t.Fatalf("opened %+v, %v; want 2 refused", opened, err)
	}
}

// TestSubprotocolHasToBeGranted: a screen of another dialect than was asked for would measure something else.
func TestSubprotocolHasToBeGranted(t *testing.T) {
	s := serve(t)
	plan := s.plan(1, 1)
	plan.Protocol = drive.Subprotocol
	if opened, err := newFleet(t).Open(plan); err == nil || opened.Refused != 1 || !strings.Contains(err.Error(), "does not speak "+drive.Subprotocol) {
		t.Fatalf("opened %+v, %v; want one refused", opened, err)
	}
}
