package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"kentongan/realtime/protocol"
)

// script is a server that plays one part for each connection, in order.
type script struct {
	t     *testing.T
	parts []func(*peer)
	mu    sync.Mutex
	next  int
}

// peer is the server's side of one connection.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func (p *peer) say(format string, args ...any) {
	if err := p.conn.Write(p.ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		p.t.Errorf("server writes: %v", err)
	}
}

// hear expects a command.
func (p *peer) hear(want string) {
	_, data, err := p.conn.Read(p.ctx)
	if err != nil || string(data) != want {
		p.t.Errorf("server reads %s, %v; want %s", data, err, want)
	}
}

func (p *peer) close(code protocol.Code) {
	_ = p.conn.Close(websocket.StatusCode(code), code.Reason()) // the client may be gone already
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := s.next
	s.next++
	s.mu.Unlock()
	if n >= len(s.parts) {
		s.t.Errorf("connection %d, want %d at most", n+1, len(s.parts))
		http.Error(w, "no part", http.StatusGone)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{protocol.SubprotocolV1}, InsecureSkipVerify: true})
	if err != nil {
		s.t.Errorf("accept: %v", err)
		return
	}
	defer func() { _ = conn.CloseNow() }() // after Close it does nothing
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	s.parts[n](&peer{s.t, conn, ctx})
}

// follow runs tail against the parts and returns what it printed, and its end.
func follow(t *testing.T, ctx context.Context, c tailCommand, parts ...func(*peer)) (stdout, stderr string, err error) {
	t.Helper()
	server := httptest.NewServer(&script{t: t, parts: parts})
	defer server.Close()
	var out, errs bytes.Buffer
	c.Server, c.APIKey, c.Format = server.URL, "key", "json"
	tl, err := newTail(&c, &world{out: &out, err: &errs})
	if err != nil {
		t.Fatal(err)
	}
	tl.wait = time.Millisecond
	defer tl.client.CloseIdleConnections()
	err = tl.follow(ctx)
	return out.String(), errs.String(), err
}

const line1, line2, line3 = `{"channel":"a:k","epoch":"e1","offset":1,"time":5,"data":{"n":1}}` + "\n",
	`{"channel":"a:k","epoch":"e1","offset":2,"time":6,"data":"<2>"}` + "\n", `{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}` + "\n"

func TestTail(t *testing.T) {
	t.Run("GoesOnWhereItWas", func(t *testing.T) {
		out, errs, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k", "a:k"}, Limit: 3},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k"}}`)
				p.say(`{"welcome":{"session":"s","time":1,"heartbeatMs":10000}}`)
				p.say(`{"id":1,"subscribed":{"channel":"a:k","epoch":"e1","offset":0,"recovered":false}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":1,"time":5,"data":{ "n" : 1 }}}`)
				_ = p.conn.CloseNow() // the line breaks
			},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":1}}}`)
				p.say(`{"id":1,"subscribed":{"channel":"a:k","epoch":"e1","offset":2,"recovered":true}}`)
				_ = p.conn.CloseNow() // before the missed message came
			},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":1}}}`)
				p.say(`{"id":1,"subscribed":{"channel":"a:k","epoch":"e1","offset":2,"recovered":true}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":2,"time":6,"data":"<2>"}}`)
				p.close(protocol.CloseSlow)
			},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":2}}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`)
				_, _, err := p.conn.Read(p.ctx)
				if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					t.Errorf("the client ends with %v, want a normal close", err)
				}
			})
		if err != nil || out != line1+line2+line3 {
			t.Errorf("got %v and\n%s\nwant\n%s", err, out, line1+line2+line3)
		}
		if !strings.Contains(errs, "slow (4001)") || strings.Count(errs, "; back in ") != 3 {
			t.Errorf("want three lines about three breaks, got\n%s", errs)
		}
	})
	t.Run("TellsGaps", func(t *testing.T) {
		out, errs, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}, Since: "e0/9", Limit: 1},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e0","offset":9}}}`)
				p.say(`{"id":1,"subscribed":{"channel":"a:k","epoch":"e1","offset":0,"recovered":false,"gap":"epoch"}}`)
				p.say(`{"gap":{"channel":"a:k","cause":"intake","epoch":"e1","offset":2}}`)
				p.close(protocol.CloseIdle)
			},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":2}}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`)
			})
		if err != nil || out != line3 {
			t.Errorf("got %v and %s; want %s", err, out, line3)
		}
		for _, want := range []string{"may be missing (epoch); it goes on after e1/0", "may be missing (intake); it goes on after e1/2"} {
			if !strings.Contains(errs, want) {
				t.Errorf("want %q in\n%s", want, errs)
			}
		}
	})
	t.Run("TellsThatTheServerIsStale", func(t *testing.T) {
		_, errs, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}, Since: "e1/2", Limit: 1},
			func(p *peer) {
				p.hear(`{"id":1,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":2}}}`)
				p.say(`{"stale":{"since":1767243600123,"reason":"engine"}}`)
				p.say(`{"fresh":{"time":1767243609123}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`)
			})
		stale, fresh := strings.Index(errs, "stale: the server knows nothing new since "), strings.Index(errs, "fresh: ")
		if err != nil || stale < 0 || fresh < stale || !strings.Contains(errs, "(engine)") {
			t.Errorf("got %v and\n%s\nwant a line about stale and one about fresh", err, errs)
		}
	})
	t.Run("BeginsAtTheOldest", func(t *testing.T) {
		out, _, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}, Since: "oldest", Limit: 3},
			func(p *peer) {
				p.hear(`{"history":{"channel":"a:k"},"id":1}`)
				p.say(`{"id":1,"history":{"channel":"a:k","epoch":"e1","offset":2,"messages":[{"offset":1,"time":5,"data":{"n":1}}],"more":true}}`)
				p.hear(`{"history":{"channel":"a:k","since":{"epoch":"e1","offset":1}},"id":2}`)
				p.say(`{"id":2,"history":{"channel":"a:k","epoch":"e1","offset":2,"messages":[{"offset":2,"time":6,"data":"<2>"}]}}`)
				p.hear(`{"id":3,"subscribe":{"channel":"a:k","since":{"epoch":"e1","offset":2}}}`)
				p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`)
			})
		if err != nil || out != line1+line2+line3 {
			t.Errorf("got %v and\n%s\nwant\n%s", err, out, line1+line2+line3)
		}
	})
	t.Run("EndsWhenItIsOfNoUse", func(t *testing.T) {
		for want, part := range map[string]func(*peer){
			"revoked (4500)":                  func(p *peer) { p.close(protocol.CloseRevoked) },
			"a:k: NO_SUCH_CHANNEL: none":      func(p *peer) { p.say(`{"id":1,"error":{"code":"NO_SUCH_CHANNEL","message":"none","temporary":false}}`) },
			"no longer to be seen: FORBIDDEN": func(p *peer) { p.say(`{"unsubscribed":{"channel":"a:k","code":"FORBIDDEN"}}`) },
			"no frame of this protocol":       func(p *peer) { p.say(`hello`) },
		} {
			_, _, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}}, part)
			if _, ok := errors.AsType[permanent](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want the end with %q", err, want)
			}
		}
	})
	t.Run("WaitsAsLongAsTheServerAsks", func(t *testing.T) {
		_, errs, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}, Limit: 1},
			func(p *peer) {
				p.say(`{"goaway":{"reconnectInMs":77,"reason":"drain"}}`)
				p.close(protocol.CloseDrain)
			},
			func(p *peer) { p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`) })
		if err != nil || !strings.Contains(errs, "back in 77ms") {
			t.Errorf("got %v and %q, want a wait of 77ms", err, errs)
		}
	})
	t.Run("NoticesASilentServer", func(t *testing.T) {
		_, errs, err := follow(t, t.Context(), tailCommand{Channels: []string{"a:k"}, Limit: 1},
			func(p *peer) {
				p.say(`{"welcome":{"session":"s","time":1,"heartbeatMs":20}}`)
				_, _, _ = p.conn.Read(p.ctx) // the subscribe; then nothing is answered until the client gives up
				_, _, _ = p.conn.Read(p.ctx)
			},
			func(p *peer) { p.say(`{"message":{"channel":"a:k","epoch":"e1","offset":3,"time":7,"data":3}}`) })
		if err != nil || !strings.Contains(errs, "no sign of life for 40ms") {
			t.Errorf("got %v and %q, want a word about silence", err, errs)
		}
	})
	t.Run("InterruptedSaysGoodbye", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, errs, err := follow(t, ctx, tailCommand{Channels: []string{"a:k"}}, func(p *peer) {
			p.hear(`{"id":1,"subscribe":{"channel":"a:k"}}`)
			cancel()
			_, _, err := p.conn.Read(p.ctx)
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("the client ends with %v, want a normal close", err)
			}
		})
		if !errors.Is(err, errInterrupted) || errs != "" {
			t.Errorf("got %v and %q, want errInterrupted and no word", err, errs)
		}
		if code := (&world{err: io.Discard}).report(err); code != exitInterrupted {
			t.Errorf("got exit code %d, want %d", code, exitInterrupted)
		}
	})
}

func TestTailIsRefused(t *testing.T) {
	for _, one := range []struct {
		status int
		body   string
		want   string
		final  bool
	}{
		{401, `{"success":false,"error":{"code":"UNAUTHENTICATED","message":"sign in"}}`, "answered 401 UNAUTHENTICATED: sign in", true},
		{404, `nginx`, "is this a Kentongan server?", true},
		{302, ``, "sends elsewhere", true},
		{503, `{"success":false,"error":{"code":"UNAVAILABLE","message":"later"}}`, "answered 503 UNAVAILABLE: later", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(one.status)
			_, _ = io.WriteString(w, one.body) // the client may have seen enough
		}))
		tl, err := newTail(&tailCommand{clientFlags: clientFlags{Server: server.URL, Token: "t"}, Channels: []string{"a"}}, &world{err: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		err = tl.session(t.Context())
		if _, final := errors.AsType[permanent](err); final != one.final || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%d: got %v (final %v), want %q (final %v)", one.status, err, final, one.want, one.final)
		}
		tl.client.CloseIdleConnections()
		server.Close()
	}
}

func TestPauseGrowsToItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tl := &tail{wait: firstWait}
		bound := firstWait
		for range rapid.IntRange(1, 20).Draw(t, "attempts") {
			if p := tl.pause(); p < 0 || p >= bound {
				t.Fatalf("got %s, want 0 to %s", p, bound)
			}
			bound = min(2*bound, longWait)
		}
		tl.goaway = 3 * time.Second
		if p := tl.pause(); p != 3*time.Second {
			t.Fatalf("got %s, want what the server asked for", p)
		}
	})
}

func FuzzFormat(f *testing.F) {
	f.Add("a:b", `{"x":[1, 2]}`)
	f.Add("a\n\"", "\"\u2028\"")
	f.Fuzz(func(t *testing.T, channel, data string) {
		for _, how := range []string{"json", "data"} {
			line, err := format(how, message{Channel: channel, Epoch: "e", Offset: 1, Time: 2, Data: json.RawMessage(data)})
			if json.Valid([]byte(data)) != (err == nil) {
				t.Fatalf("%q: got %v", data, err)
			}
			if err == nil && (!json.Valid(line) || bytes.Count(line, []byte("\n")) != 1) {
				t.Fatalf("%q is not one line of JSON", line)
			}
		}
	})
}
