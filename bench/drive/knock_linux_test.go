package drive_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/bench/drive"
)

// porter answers each knock with answer, and counts them.
func porter(t *testing.T, answer string) (plan func(screens int) drive.Plan, came *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				came.Add(1)
				_, _ = fmt.Fprint(conn, answer) // who was broken off does not read it
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return func(screens int) drive.Plan {
		p := drive.Plan{Addresses: []string{l.Addr().String()}, Manner: drive.Knock, Window: screens, Pause: time.Millisecond}
		for range screens {
			p.Screens = append(p.Screens, drive.Screen{Path: "/"})
		}
		return p
	}, came
}

// TestKnock lets some knock at doors that answer differently: they come again and again, only while they may, and each answer is counted
// as what it is.
func TestKnock(t *testing.T) {
	const enough = 20
	for _, test := range []struct {
		name, answer string
		count        func(drive.Counts) int
	}{
		{"let in", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", func(c drive.Counts) int { return c.Entered }},
		{"full", "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\n\r\n", func(c drive.Counts) int { return c.Full }},
		{"full without a word of when", "HTTP/1.1 503 Service Unavailable\r\n\r\n", func(c drive.Counts) int { return c.Failures * enough }},
		{"another answer", "HTTP/1.1 401 Unauthorized\r\nRetry-After: 7\r\n\r\n", func(c drive.Counts) int { return c.Failures * enough }},
		{"no answer", "", func(c drive.Counts) int { return c.Failures * enough }},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, came := porter(t, test.answer)
			fleet := newFleet(t)
			opened, err := fleet.Open(plan(3))
			if err != nil || opened.Up != 3 {
				t.Fatalf("%+v, %v", opened, err)
			}
			if counts, err := fleet.Counts(); err != nil || came.Load() > 0 || counts.Entered+counts.Full+counts.Failures > 0 {
				t.Fatalf("%d knocks before they may: %+v, %v", came.Load(), counts, err)
			}
			if err := fleet.Back(); err != nil {
				t.Fatal(err)
			}
			until(t, fleet, func(c drive.Counts) bool { return test.count(c) >= enough })
			if err := fleet.Cut(); err != nil {
				t.Fatal(err)
			}
			counts, err := fleet.Counts()
			if err != nil || counts.Entered+counts.Full+counts.Failures > int(came.Load()) {
				t.Fatalf("%+v of %d knocks, %v", counts, came.Load(), err)
			}
			if kinds := min(counts.Entered, 1) + min(counts.Full, 1) + min(counts.Failures, 1); kinds != 1 {
				t.Errorf("%+v, want one kind of answers", counts)
			}
			latency, err := fleet.Latency()
			if err != nil || latency.Count() != uint64(counts.Full) {
				t.Errorf("latencies of %d refusals, want %d: %v", latency.Count(), counts.Full, err)
			}
			time.Sleep(20 * time.Millisecond) // some pauses: whoever still came would be counted
			if again, err := fleet.Counts(); err != nil || again.Entered != counts.Entered || again.Full != counts.Full {
				t.Errorf("%+v after the end of it, was %+v: %v", again, counts, err)
			}
		})
	}
}
