package app_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
)

// publisher is a connection to Redis on which any bytes can be published, as any client of the app's Redis can.
type publisher struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func newPublisher(t *testing.T, addr string) *publisher {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatal(err)
	}
	return &publisher{t, conn, bufio.NewReader(conn)}
}

// publish returns when Redis has handed the message to those who listen.
func (p *publisher) publish(t *testing.T, channel, data string) {
	t.Helper()
	if _, err := fmt.Fprintf(p.conn, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(data), data); err != nil {
		t.Fatal(err)
	}
	if line, err := p.r.ReadString('\n'); err != nil || line == ":0\r\n" {
		t.Fatalf("PUBLISH was answered with %q (%v), want a listener", line, err)
	}
}

// TestHostilePublications publishes on Redis what is no JSON, too large, or to names that are no channels. It is counted, logged once,
// and sent to nobody.
func TestHostilePublications(t *testing.T) {
	addr := testenv.Redis(t)
	a := newArena(t, "REDIS_URL=redis://"+addr)
	eventually(t, "readiness", func() bool {
		status, _ := a.ask(t, http.MethodGet, "/readyz", "", nil)
		return status == http.StatusOK
	})
	redis := newPublisher(t, addr)
	screen := a.dial(a.cookie("victim", "a", "SPPG_KEPALA"))
	n := 0
	// mark publishes the next number, and reads until the screen has it: what came before it is settled then.
	mark := func(t *testing.T) {
		t.Helper()
		n++
		want := fmt.Sprintf(`{"mark":%d}`, n)
		redis.publish(t, "updates:a", want)
		for {
			got := read(t, screen)
			if got == want {
				return
			}
			if !strings.HasPrefix(got, `{"type":"gap"`) { // the start counts as a break of the intake
				t.Fatalf("the screen reads %.100q, want %s", got, want)
			}
		}
	}
	mark(t)
	eventually(t, "the turn of all epochs", func() bool { return strings.Contains(a.logs.String(), "all epochs turned") })
	if status, body := a.put(t, "production:updates:b", `"turned"`); status != http.StatusOK {
		t.Fatalf("publish was answered with %d %s", status, body)
	}
	for got := ""; got != `"turned"`; { // gaps come before it
		got = read(t, a.neighbour)
	}
	count := func(t *testing.T, outcome string) string {
		t.Helper()
		return a.metric(t, fmt.Sprintf(`kentongan_intake_total{door="pubsub",outcome=%q}`, outcome))
	}

	invalid := map[string]string{
		"Empty": "", "Text": "hello", "Binary": "\x00\x01\x02\xff\xfe", "Cut": `{"type":`, "Two": `{}{}`, "InvalidUTF8": "{\"a\":\"\xff\"}", "Surrogate": "\"\xed\xa0\x80\"",
		"Gzip": "\x1f\x8b\x08\x00", "NaN": "NaN", "SingleQuotes": "{'a':1}", "ByteOrderMark": "\ufeff{}", "Deep": strings.Repeat("[", 100_000),
	}
	sent := 0
	for name, data := range invalid {
		t.Run(name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				redis.publish(t, "production:updates:a", data)
				sent++
				mark(t)
				if got := count(t, "invalid"); got != fmt.Sprint(sent) {
					t.Errorf("%s invalid messages are counted, want %d", got, sent)
				}
			})
		})
	}
	t.Run("Larger", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			redis.publish(t, "production:alerts:a", `"`+strings.Repeat("x", 5<<20)+`"`)
			redis.publish(t, "production:alerts:a", `"`+strings.Repeat("x", 1<<20-1)+`"`)
			mark(t)
			if got := count(t, "too_large"); got != "2" {
				t.Errorf("%s messages are counted as too large, want 2", got)
			}
		})
	})
	t.Run("AtTheSizeLimit", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			want := `"` + strings.Repeat("x", 1<<20-2) + `"`
			screen.SetReadLimit(2 << 20)
			redis.publish(t, "production:alerts:a", want)
			if got := read(t, screen); got != want {
				t.Errorf("the screen reads %d bytes, want %d", len(got), len(want))
			}
		})
	})
	sent = 0
	for _, name := range hostileNames {
		if name == "" || strings.HasPrefix(name, "__key") || strings.HasPrefix(name, "kentongan:") || strings.HasSuffix(name, "s:b") || strings.HasSuffix(name, "-b") {
			continue // not listened to, and the neighbour's own
		}
		t.Run(fmt.Sprintf("Name%.40q", name), func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				redis.publish(t, name, `"to nobody"`)
				sent++
				mark(t)
				if got := count(t, "unmatched"); got != fmt.Sprint(sent) {
					t.Errorf("%s messages are counted as unmatched, want %d", got, sent)
				}
			})
		})
	}

	logged := a.logs.String()
	for channel, want := range map[string]int{"production:updates": 1, "production:alerts": 1} {
		got := 0
		for line := range strings.Lines(logged) {
			if strings.Contains(line, "level=WARN") && strings.Contains(line, "channel="+channel+" ") {
				got++
			}
		}
		if got != want {
			t.Errorf("bad messages in %s were logged %d times, want %d in a minute", channel, got, want)
		}
	}
	if strings.Contains(logged, "\x00") || strings.Contains(logged, "xxxx") || len(logged) > 10<<20 {
		t.Error("the log holds what was published")
	}
}
