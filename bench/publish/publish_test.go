//go:build unix

package publish_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/bench/mark"
	"kentongan/bench/publish"
	"kentongan/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock also goes by the fake time of synctest.
func clock() int64 { return time.Now().UnixNano() }

// notebook is a Door that remembers.
type notebook struct {
	t       *testing.T
	last    map[int]mark.Mark // by tenant
	count   int
	flushes int
	slow    time.Duration // that the second flush takes
	err     error
}

func (n *notebook) Add(tenant int, text []byte) {
	m, ok := mark.Find(text)
	if !ok || m.Tenant != tenant || m.Seq != n.last[tenant].Seq+1 || m.Sent < n.last[tenant].Sent {
		n.t.Errorf("tenant %d: mark %+v after %+v", tenant, m, n.last[tenant])
	}
	n.last[tenant] = m
	n.count++
}

func (n *notebook) Flush() error {
	if n.flushes++; n.flushes == 2 {
		time.Sleep(n.slow)
	}
	return n.err
}

func (n *notebook) Close() error { return nil }

func TestRunSendsAllInOrder(t *testing.T) {
	for _, load := range []publish.Load{
		{Tenants: 1, Rate: 120, Bytes: 300}, {Tenants: 2000, Rate: 4000, Bytes: 300}, {First: 500_000, Tenants: 7, Rate: 3, Bytes: 1000},
	} {
		t.Run(fmt.Sprint(load), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				door := &notebook{t: t, last: map[int]mark.Mark{}}
				p, err := publish.New(door, load, clock)
				if err != nil {
					t.Fatal(err)
				}
				for run := 1; run <= 2; run++ { // the second run numbers on
					sent, err := p.Run(t.Context(), 2*time.Second)
					if err != nil || sent.Messages != 2*load.Rate || door.count != run*2*load.Rate {
						t.Fatalf("run %d: %+v %v, %d in all; want %d", run, sent, err, door.count, 2*load.Rate)
					}
					if sent.Took > 2*time.Second || sent.Late > 2*time.Millisecond {
						t.Fatalf("took %v, late %v on a clock that knows no delay", sent.Took, sent.Late)
					}
					for tenant := range door.last {
						if tenant < load.First || tenant >= load.First+load.Tenants {
							t.Fatalf("a message to tenant %d, who is none of %+v", tenant, load)
						}
					}
				}
			})
		})
	}
}

// TestRunCatchesUp: what a slow door holds up is sent afterwards, at once, and told as lateness.
func TestRunCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &notebook{t: t, last: map[int]mark.Mark{}, slow: 300 * time.Millisecond}
		p, err := publish.New(door, publish.Load{Tenants: 1, Rate: 100, Bytes: 300}, clock)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := p.Run(t.Context(), time.Second)
		if err != nil || sent.Messages != 100 || sent.Took > time.Second {
			t.Fatalf("%+v, %v; want 100 messages in a second", sent, err)
		}
		if sent.Late < 280*time.Millisecond || sent.Late > 310*time.Millisecond {
			t.Fatalf("late %v, want about 290 ms", sent.Late)
		}
	})
}

func TestRunEndsWithTheDoorsError(t *testing.T) {
	broken := errors.New("door is shut")
	p, err := publish.New(&notebook{t: t, last: map[int]mark.Mark{}, err: broken}, publish.Load{Tenants: 1, Rate: 100, Bytes: 300}, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), time.Second); !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
}

func TestRedisCountsReplies(t *testing.T) {
	address := testenv.Redis(t)
	if err := publish.Flush(address); err != nil {
		t.Fatal(err)
	}
	door, err := publish.Redis(address, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for tenant := range 50 {
			door.Add(tenant, []byte(`{"a":1}`))
		}
		if err := door.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := door.Close(); err != nil {
		t.Fatalf("close: %v, want all 150 answered", err)
	}
}

func TestRedisPassword(t *testing.T) {
	const password = "open sesame"
	address := testenv.StartRedis(t, "--requirepass", password).Addr
	door, err := publish.Redis(address, password)
	if err != nil {
		t.Fatal(err)
	}
	door.Add(0, []byte("{}"))
	if err := errors.Join(door.Flush(), door.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Redis(address, "open barley"); err == nil {
		t.Fatal("a wrong password opens the door")
	}
}

// TestRedisTellsErrorsAndLosses plays a Redis that answers wrongly.
func TestRedisTellsErrorsAndLosses(t *testing.T) {
	for _, test := range []struct{ says, want string }{
		{"-NOAUTH Authentication required.\r\n", "NOAUTH"},
		{"", "answered 0 of 1"},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('1') // the payload
			_, _ = conn.Write([]byte(test.says))
			_ = conn.Close()
		}()
		door, err := publish.Redis(listener.Addr().String(), "")
		if err != nil {
			t.Fatal(err)
		}
		door.Add(0, []byte("1"))
		if err := door.Flush(); err != nil {
			t.Fatal(err)
		}
		<-done
		if err := door.Close(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("redis says %q: got %v, want %q in it", test.says, err, test.want)
		}
		_ = listener.Close()
	}
}

func TestHTTPPostsLists(t *testing.T) {
	var got []string
	largest := 0
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var list []struct {
			Channel string
			Data    json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.Header.Get("Authorization") != "Bearer key" {
			t.Errorf("body %v, headers %v", err, r.Header)
		}
		largest = max(largest, len(list))
		for _, p := range list {
			got = append(got, p.Channel+" "+string(p.Data))
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("body"))
	}))
	defer server.Close()
	door := publish.HTTP(server.URL, "key")
	door.Add(1, []byte(`{"a":1}`))
	door.Add(2, []byte(`{"a":2}`))
	if err := door.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `production:updates:bench_000001 {"a":1},production:updates:bench_000002 {"a":2}`
	if text := strings.Join(got, ","); text != want {
		t.Fatalf("got %s, want %s", text, want)
	}
	got = nil
	for i := range 1201 {
		door.Add(i, []byte(`{}`))
	}
	if err := door.Flush(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1201 || got[1200] != publish.Channel(1200)+" {}" || largest > 1000 {
		t.Fatalf("%d publications arrived of 1201, %d in one list", len(got), largest)
	}
	status = http.StatusTooManyRequests
	door.Add(1, []byte(`{}`))
	if err := door.Flush(); err == nil || !strings.Contains(err.Error(), "429") {
		t.Fatalf("got %v, want the status", err)
	}
	if err := door.Close(); err != nil {
		t.Fatal(err)
	}
}
