package gateway_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kentongan/realtime/gateway"
)

// openStream opens an event stream over HTTP/2. All of one client come over one connection.
func (n *node) openStream(ctx context.Context, client *http.Client, query string) *http.Response {
	return n.openStreamAs(ctx, client, "u1@a", query)
}

func (n *node) openStreamAs(ctx context.Context, client *http.Client, user, query string) *http.Response {
	n.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.addr+"/api/sse"+query, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("X-Test-User", user)
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.ProtoMajor != 2 {
		n.t.Fatalf("answered over %s, want HTTP/2", resp.Proto)
	}
	return resp
}

// lineWith reads the stream to the first line with that text.
func lineWith(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	for last := ""; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ends before %q, behind %q: %v", text, last, err)
		}
		last += line
		if strings.Contains(line, text) {
			return line
		}
	}
}

func TestStreamOverHTTP2(t *testing.T) {
	n := startOver(t, serverTLS("h2", "http/1.1"), gateway.Options{MaxBacklogBytes: 256 << 10, CloseTimeout: time.Second})
	transport := &http.Transport{TLSClientConfig: n.client, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	open := func(want int) {
		t.Helper()
		for end := time.Now().Add(patience); n.gateway.Connections() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d sessions are open, want %d", n.gateway.Connections(), want)
			}
		}
	}

	t.Run("EventsComeAsOverHTTP1", func(t *testing.T) {
		var readers []*bufio.Reader
		for range 20 {
			resp := n.openStream(ctx, client, "") //nolint:bodyclose // it ends with the connection
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream; charset=utf-8" {
				t.Fatalf("answered %s, %s", resp.Status, got)
			}
			if resp.Header.Get("Cache-Control") == "" || resp.Header.Get("X-Accel-Buffering") != "no" || resp.Header.Get("Connection") != "" {
				t.Errorf("header %v", resp.Header)
			}
			r := bufio.NewReader(resp.Body)
			if first, err := r.ReadString('\n'); err != nil || first != "retry: 2000\n" {
				t.Fatalf("the stream begins with %q (%v), not with what we say at the beginning", first, err)
			}
			readers = append(readers, r)
		}
		large := strings.Repeat("x", 100_000)
		n.publish("a", "production:updates", `{"n":1}`)
		n.publish("a", "production:updates", `"`+large+`"`)
		n.publish("a", "production:updates", `{"n":3}`)
		for _, r := range readers {
			if got := lineWith(t, r, `{"n":1}`); !strings.HasPrefix(got, "data: ") {
				t.Errorf("reads %q", got)
			}
			if got := lineWith(t, r, "xxx"); !strings.Contains(got, `"`+large+`"`) {
				t.Errorf("a large event comes with %d bytes", len(got))
			}
			lineWith(t, r, `{"n":3}`)
		}
		if list := n.gateway.List(gateway.Filter{Tenant: "a"}, 1); len(list) != 1 || list[0].Remote != "127.0.0.1" || list[0].Dialect != "sse" {
			t.Errorf("listed as %+v", list)
		}
	})
	t.Run("WhoLeavesIsGone", func(*testing.T) {
		before := n.gateway.Connections()
		one, leave := context.WithCancel(ctx)
		n.openStream(one, client, "") //nolint:bodyclose // it ends with the connection
		open(before + 1)
		leave()
		open(before)
	})
	t.Run("ResumesAfterItsCursor", func(t *testing.T) {
		resp := n.openStream(ctx, client, "")
		r := bufio.NewReader(resp.Body)
		n.publish("a", "production:updates", `"seen"`)
		id := ""
		for seen, line := false, ""; !seen || line != "\n"; { // to the end of the event
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if after, ok := strings.CutPrefix(line, "id:"); ok {
				id = strings.TrimSpace(after)
			}
			seen = seen || strings.Contains(line, `"seen"`)
		}
		_ = resp.Body.Close()
		n.publish("a", "production:updates", `"missed"`)
		r = bufio.NewReader(n.openStream(ctx, client, "?cursor="+url.QueryEscape(id)).Body) //nolint:bodyclose // it ends with the connection
		if line := lineWith(t, r, `"offset":`); !strings.Contains(line, `"missed"`) {
			t.Errorf("after the cursor of what it has seen comes %q", line)
		}
	})
	t.Run("WhoDoesNotReadIsClosed", func(t *testing.T) {
		slow := n.gateway.Stats().Slow
		// A connection of its own: the others share theirs, and with it the window that this one does not empty.
		stuck := &http.Transport{TLSClientConfig: n.client, ForceAttemptHTTP2: true}
		t.Cleanup(stuck.CloseIdleConnections)
		// And a kitchen of its own: some of what is published may still be on its way when the next stream of that kitchen opens.
		resp := n.openStreamAs(ctx, &http.Client{Transport: stuck}, "u1@b", "")
		data := `"` + strings.Repeat("x", 60_000) + `"`
		for end := time.Now().Add(patience); n.gateway.Stats().Slow == slow; {
			if time.Now().After(end) {
				t.Fatal("it is never found")
			}
			n.publish("b", "production:updates", data)
		}
		_ = resp.Body.Close()
	})
	t.Run("RefusalsAreAnswered", func(t *testing.T) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.addr+"/api/sse", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a credential it is answered %s", resp.Status)
		}
	})
	t.Run("ADrainEndsIt", func(t *testing.T) {
		resp := n.openStream(ctx, client, "") //nolint:bodyclose // it ends with the connection
		r := bufio.NewReader(resp.Body)
		lineWith(t, r, "event: ")
		n.gateway.Drain(ctx, 10*time.Millisecond)
		lineWith(t, r, "goaway")
		for {
			if _, err := r.ReadString('\n'); err != nil {
				if err.Error() != "EOF" {
					t.Errorf("the stream ends with %v, want its end", err)
				}
				break
			}
		}
		open(0)
	})
}
