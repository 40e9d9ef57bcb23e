package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestHostileSilence opens connections and does not finish, or does not begin, a request. The server ends them after 5 s.
func TestHostileSilence(t *testing.T) {
	a := newArena(t)
	a.against(t, func(t *testing.T) {
		head, _, _ := strings.Cut(a.fill(goodUpgrade), "\r\n\r\n")
		var attackers sync.WaitGroup
		for name, send := range map[string]string{"Nothing": "", "OneByte": "G", "HalfALine": "GET /api", "NoEnd": head + "\r\n"} {
			conn := a.connect(t)
			conn.send(send)
			attackers.Go(func() {
				defer conn.hangUp()
				if !conn.ends() {
					t.Errorf("%s: the connection goes on", name)
				}
			})
		}
		dribble := a.connect(t)
		attackers.Go(func() {
			defer dribble.hangUp()
			// A header that grows without end, and never slowly enough for a time-out between two bytes.
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				if _, err := io.WriteString(dribble.conn, "X"); err != nil {
					return
				}
			}
			t.Error("a header that never ends is read for ever")
		})
		attackers.Wait()
	})
}

// TestHostilePeers answer no ping, and whole frames never come from them. The neighbour, who is idle as well, stays.
func TestHostilePeers(t *testing.T) {
	a := newArena(t, "KENTONGAN_PING_INTERVAL=1s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a.neighbour = a.dial(a.cookie("neighbour", "b", "SPPG_KEPALA"))
	messages := make(chan string)
	var reader sync.WaitGroup
	reader.Go(func() { // a client answers pings only while it reads
		for {
			_, data, err := a.neighbour.Read(ctx)
			if err != nil {
				return
			}
			messages <- string(data)
		}
	})
	defer reader.Wait()
	defer cancel()
	silent, dribbling := a.upgrade(t, ""), a.upgrade(t, offerV1)
	defer silent.hangUp()
	defer dribbling.hangUp()
	dribbling.writers.Go(func() {
		for _, b := range []byte(text(strings.Repeat(" ", 100))) {
			if _, err := dribbling.conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
	for name, conn := range map[string]*raw{"silent": silent, "dribbling": dribbling} {
		if code := conn.closeCode(); code != 4003 {
			t.Errorf("the %s peer was closed with %d, want 4003", name, code)
		}
	}
	if status, body := a.put(t, "updates:b", `"still here"`); status != http.StatusOK {
		t.Fatalf("publish was answered with %d %s", status, body)
	}
	select {
	case got := <-messages:
		if got != `"still here"` {
			t.Errorf("the neighbour reads %s", got)
		}
	case <-time.After(patience):
		t.Error("the neighbour, who answers pings, was cut off")
	}
}

// TestHostileReaders never read, while more is published than the kernel and the backlog hold.
func TestHostileReaders(t *testing.T) {
	for _, dialect := range []string{"bare", "v1", "sse", "deflate"} {
		t.Run(dialect, func(t *testing.T) {
			a := newArena(t, "KENTONGAN_BACKLOG_BYTES=256KiB", "KENTONGAN_MAX_PUBLISH_BYTES=256KiB")
			a.against(t, func(t *testing.T) {
				var conn *raw
				switch dialect {
				case "bare":
					conn = a.upgrade(t, "")
				case "deflate":
					conn = a.upgrade(t, offerDeflate)
				case "v1":
					conn = a.upgrade(t, offerV1)
					conn.send(text(`{"id":1,"subscribe":{"channel":"updates:a"}}`))
					conn.object("subscribed")
				case "sse":
					conn = a.connect(t)
					conn.send(a.fill("GET /api/sse HTTP/1.1\r\nHost: {host}\r\n{cookie}Origin: http://{host}\r\n\r\n"))
				}
				defer conn.hangUp()
				data := `"` + noise(128<<10) + `"`
				for i := 0; a.metric(t, "kentongan_slow_closed_total") == "0"; i++ {
					if i == 500 {
						t.Fatal("a reader that reads nothing is fed for ever")
					}
					if status, body := a.put(t, "updates:a", data); status != http.StatusOK {
						t.Fatalf("publish was answered with %d %s", status, body)
					}
					a.tell(t) // the neighbour is served as before
				}
				eventually(t, "the end of the slow session", func() bool {
					return a.metric(t, `kentongan_connections_closed_total{code="slow"}`) == "1"
				})
				if backlog := a.metric(t, "kentongan_backlog_bytes"); backlog != "0" {
					t.Errorf("%s bytes still wait for somebody who has gone", backlog)
				}
			})
		})
	}

	// Whoever reads again in time finds whole frames, and the code.
	t.Run("ReadsAgain", func(t *testing.T) {
		a := newArena(t, "KENTONGAN_BACKLOG_BYTES=256KiB", "KENTONGAN_MAX_PUBLISH_BYTES=256KiB")
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, "")
			defer conn.hangUp()
			data := `"` + noise(128<<10) + `"`
			for a.metric(t, "kentongan_slow_closed_total") == "0" {
				if status, body := a.put(t, "updates:a", data); status != http.StatusOK {
					t.Fatalf("publish was answered with %d %s", status, body)
				}
			}
			for {
				op, payload := conn.frame()
				if op == ws.OpClose {
					if code := codeOf(payload); code != 4001 {
						t.Errorf("closed with %d, want 4001", code)
					}
					return
				}
				if op != ws.OpPing && payload != data {
					t.Fatalf("a frame of %d bytes with opcode %d came, want whole publications only", len(payload), op)
				}
			}
		})
	})
}

// noise is text that does not compress well, the same every time.
func noise(n int) string {
	text := make([]byte, n)
	state := uint64(1)
	for i := range text {
		state = state*6364136223846793005 + 1442695040888963407
		text[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[state>>58]
	}
	return string(text)
}

// TestStopWithAThousandConnected stops a server that is full of screens. Each is told to come back, at its own time.
func TestStopWithAThousandConnected(t *testing.T) {
	const screens = 1000
	s := start(t, "KENTONGAN_DRAIN_TIME=3s", "KENTONGAN_MAX_USER_CONNECTIONS=0")
	a := &arena{server: s}
	conns := make([]*raw, screens)
	for i := range conns {
		lines := ""
		if i%2 == 1 {
			lines = offerV1
		}
		conns[i] = a.upgrade(t, lines)
		defer conns[i].hangUp()
	}
	codes, announced := make([]int, screens), make([]string, screens)
	var readers sync.WaitGroup
	for i, conn := range conns {
		readers.Go(func() {
			for {
				op, payload := conn.frame()
				if op == ws.OpClose {
					codes[i] = codeOf(payload)
					conn.send(closing(codes[i], ""))
					return
				}
				if strings.Contains(payload, "goaway") {
					announced[i] = payload
				}
			}
		})
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	readers.Wait()
	times := map[string]bool{}
	for i, code := range codes {
		if code != 4000 {
			t.Fatalf("screen %d was closed with %d, want 4000", i, code)
		}
		if i%2 == 1 {
			times[announced[i]] = true
		}
	}
	if len(times) < screens/4 || times[""] {
		t.Errorf("%d different times to come back were told to %d screens: they come back in crowds", len(times), screens/2)
	}
	if strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("the log holds errors: %s", lastLines(s.logs.String()))
	}
}

func lastLines(log string) string {
	lines := strings.Split(log, "\n")
	return fmt.Sprint(strings.Join(lines[max(0, len(lines)-20):], "\n"))
}
