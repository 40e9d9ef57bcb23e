package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
)

const boardChannel = "production:updates:a"

// part is a snapshot push.
type part struct {
	Channel, Epoch string
	Offset         uint64
	Messages       []struct {
		Offset uint64
		Data   json.RawMessage
	}
	More bool
}

type subscribedReply struct {
	Epoch               string
	Offset              uint64
	Recovered, Snapshot bool
	Gap                 string
}

// readSubscribed reads to the answer of a subscribe, and returns it with the parts of a snapshot that came before.
func (c *client) readSubscribed() (answer subscribedReply, parts []part) {
	c.t.Helper()
	for {
		var push struct {
			Snapshot   *part
			Subscribed *subscribedReply
			Message    json.RawMessage
			Error      json.RawMessage
		}
		text := c.read()
		if err := json.Unmarshal([]byte(text), &push); err != nil {
			c.t.Fatalf("push %q: %v", text, err)
		}
		switch {
		case push.Snapshot != nil:
			parts = append(parts, *push.Snapshot)
		case push.Subscribed != nil:
			return *push.Subscribed, parts
		case push.Message != nil, push.Error != nil:
			c.t.Fatalf("before the answer came %s", text)
		}
	}
}

func texts(parts []part) (all []string) {
	for _, p := range parts {
		for _, m := range p.Messages {
			all = append(all, string(m.Data))
		}
	}
	return all
}

func production(id string, n int) string { return fmt.Sprintf(`{"productionId":%q,"n":%d}`, id, n) }

func TestSnapshot(t *testing.T) {
	n := start(t, gateway.Options{})
	for i, id := range []string{"p1", "p2", "p1", "p3"} {
		n.publish("a", "production:updates", production(id, i))
	}
	n.publish("a", "production:updates", `{"type":"without a key"}`)
	n.publish("a", "menu:updates", production("p9", 9))
	want := fmt.Sprint([]string{production("p2", 1), production("p1", 2), production("p3", 3)})

	t.Run("SubscribeBeginsWithIt", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + boardChannel + `","snapshot":true}}`)
		answer, parts := c.readSubscribed()
		if got := fmt.Sprint(texts(parts)); got != want || len(parts) != 1 || parts[0].More || parts[0].Offset != 5 || parts[0].Channel != boardChannel {
			t.Errorf("the snapshot is %+v, want %s at 5", parts, want)
		}
		if answer != (subscribedReply{Epoch: parts[0].Epoch, Offset: 5, Snapshot: true}) {
			t.Errorf("answered %+v", answer)
		}
		n.publish("a", "production:updates", production("p4", 4))
		if got := c.readKey("message"); got["offset"] != 6.0 {
			t.Errorf("then came %v, want offset 6", got)
		}
	})
	head := uint64(6)
	t.Run("APositionIsContinuedWithoutIt", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws", "kentongan.v1")
		page, err := n.broker.History(t.Context(), realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Position{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		c.send(fmt.Sprintf(`{"id":1,"subscribe":{"channel":%q,"snapshot":true,"since":{"epoch":%q,"offset":5}}}`, boardChannel, page.Head.Epoch))
		answer, parts := c.readSubscribed()
		if len(parts) > 0 || !answer.Recovered || answer.Snapshot || answer.Offset != head {
			t.Errorf("answered %+v after %d parts of a snapshot", answer, len(parts))
		}
	})
	for name, since := range map[string]string{"epoch": `{"epoch":"another","offset":5}`, "bad-request": `{"epoch":7}`} {
		t.Run("AGapComesWithIt/"+name, func(t *testing.T) {
			c := n.dial("u1@a", "/api/ws", "kentongan.v1")
			c.send(fmt.Sprintf(`{"id":1,"subscribe":{"channel":%q,"snapshot":true,"since":%s}}`, boardChannel, since))
			answer, parts := c.readSubscribed()
			if len(texts(parts)) != 4 || answer.Recovered || !answer.Snapshot || answer.Gap != name || answer.Offset != head {
				t.Errorf("answered %+v after %q", answer, texts(parts))
			}
		})
	}
	t.Run("InTheUpgradeRequest", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws?snapshot=1&channels=production:updates:a,menu:updates:a", "kentongan.v1")
		with, without := 0, 0 // one has to wait for the engine: the order is not promised
		for range 2 {
			answer, parts := c.readSubscribed()
			switch {
			case answer.Snapshot && len(texts(parts)) == 4 && answer.Offset == head:
				with++
			case !answer.Snapshot && len(parts) == 0 && answer.Gap == "" && answer.Offset == 1: // menu:updates keeps none
				without++
			default:
				t.Errorf("answered %+v after %q", answer, texts(parts))
			}
		}
		if with != 1 || without != 1 {
			t.Errorf("%d answers came with a snapshot and %d without, want one of each", with, without)
		}
	})
	t.Run("EmptyChannelHasAnEmptyOne", func(t *testing.T) {
		c := n.dial("u1@nobody", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"production:updates:nobody","snapshot":true}}`)
		if answer, parts := c.readSubscribed(); len(parts) != 1 || len(texts(parts)) != 0 || !answer.Snapshot || answer.Offset != 0 {
			t.Errorf("answered %+v after %+v", answer, parts)
		}
	})
	t.Run("ByHTTP", func(t *testing.T) {
		var page part
		if status := n.getJSON("/api/history?snapshot=1&channel="+boardChannel, &page); status != http.StatusOK || len(texts([]part{page})) != 4 || page.Offset != head {
			t.Errorf("answered %d, %+v", status, page)
		}
		for _, query := range []string{
			"snapshot=2&channel=" + boardChannel, "snapshot=1&limit=3&channel=" + boardChannel, "snapshot=1&channel=menu:updates:a",
			"snapshot=1&epoch=e&offset=1&channel=" + boardChannel,
		} {
			if status := n.getJSON("/api/history?"+query, nil); status != http.StatusBadRequest {
				t.Errorf("%s is answered with %d, want 400", query, status)
			}
		}
		if status := n.getJSON("/api/ws?snapshot=1", nil, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="); status != http.StatusBadRequest {
			t.Errorf("a bare client that asks for it is answered with %d, want 400", status)
		}
	})
}

// getJSON fetches path as u1 of kitchen a.
func (n *node) getJSON(path string, into any, header ...string) int {
	n.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+n.addr+path, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("X-Test-User", "u1@a")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if into != nil && json.Unmarshal(body, into) != nil {
		n.t.Fatalf("%s is answered with %s", path, body)
	}
	return resp.StatusCode
}

// streamEvent is one of an event stream.
type streamEvent struct{ id, name, data string }

// events opens a stream and returns a function that reads the next event beside heartbeats.
func (n *node) events(path, lastID string) func() streamEvent {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+path, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("X-Test-User", "u1@a")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	transport := &http.Transport{}
	n.t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(r)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewReader(resp.Body)
	return func() (e streamEvent) {
		n.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				n.t.Fatalf("the stream ends: %v", err)
			}
			line = strings.TrimSuffix(line, "\n")
			if field, value, ok := strings.Cut(line, ": "); ok {
				switch field {
				case "id":
					e.id = value
				case "event":
					e.name = value
				case "data":
					e.data += value
				}
			}
			if line == "" && e.data != "" {
				if e.name != "heartbeat" {
					return e
				}
				e = streamEvent{}
			}
		}
	}
}

func TestSnapshotOfAnEventStream(t *testing.T) {
	for _, path := range []string{"/api/sse?snapshot=1", "/api/sse?snapshot=1&channels=production:updates:a,menu:updates:a"} {
		n := start(t, gateway.Options{})
		n.publish("a", "production:updates", production("p1", 1))
		n.publish("a", "production:updates", "{\n\"productionId\":\"p1\",\r\n\"n\":2}")
		n.publish("a", "menu:updates", `"old"`)
		next := n.events(path, "")
		if e := next(); e.name != "welcome" {
			t.Fatalf("first came %+v", e)
		}
		e := next()
		var got part
		if err := json.Unmarshal([]byte(e.data), &got); err != nil || e.name != "snapshot" || e.id == "" || got.Channel != boardChannel ||
			got.Offset != 2 || len(got.Messages) != 1 || got.Messages[0].Offset != 2 {
			t.Fatalf("then came %+v: %+v, %v", e, got, err)
		}
		n.publish("a", "menu:updates", `"new"`)
		n.publish("a", "production:updates", production("p1", 3))
		live := next().data + next().data // the order between channels is not promised
		if !strings.Contains(live, `"data":"new"`) || !strings.Contains(live, `"n":3`) {
			t.Errorf("then came %s", live)
		}
		// Who resumes behind the snapshot needs none.
		again := n.events(path, e.id)
		if e := again(); e.name != "welcome" {
			t.Fatalf("first came %+v", e)
		}
		for range 2 {
			if e := again(); e.name != "" || !strings.Contains(e.data, `"new"`) && !strings.Contains(e.data, `"n":3`) {
				t.Errorf("a resumed stream brings %+v", e)
			}
		}
		// Who cannot be continued is told a gap, and gets it.
		lost := n.events(path, "nonsense")
		seen := map[string]bool{}
		for !seen["snapshot"] {
			e := lost()
			if e.name == "gap" && strings.Contains(e.data, boardChannel) {
				seen["gap"] = true
			}
			seen[e.name] = seen[e.name] || e.name == "snapshot"
		}
		if !seen["gap"] {
			t.Error("a snapshot instead of what was missed came without a gap")
		}
		n.stop()
	}
}

// TestSnapshotHasNoSeam subscribes again and again while much is published: what the snapshot holds and what follows is all.
func TestSnapshotHasNoSeam(t *testing.T) {
	n := start(t, gateway.Options{Names: namesOf(t, realtime.Pattern{
		Spelling: "production:updates:{tenant}", SnapshotKey: "productionId",
		Retention: realtime.Retention{Size: 100_000, Age: time.Hour}, // this publisher is faster than any kitchen
	}, realtime.Pattern{Spelling: "system-alert", Retention: realtime.DefaultRetention})})
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.publish("a", "production:updates", production(fmt.Sprint("p", i%37), i))
			}
		}
	})
	for range 30 {
		c := n.dial("u1@a", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + boardChannel + `","snapshot":true}}`)
		answer, parts := c.readSubscribed()
		newest := map[uint64]bool{}
		for _, p := range parts {
			for _, m := range p.Messages {
				newest[m.Offset%37] = true
				if m.Offset > answer.Offset || answer.Offset-m.Offset >= 37 {
					t.Errorf("at %d the newest of a key is %d", answer.Offset, m.Offset)
				}
			}
		}
		if want := min(37, int(answer.Offset)); len(newest) != want {
			t.Errorf("at %d there are %d keys, want %d", answer.Offset, len(newest), want)
		}
		for i := range 5 {
			if got := c.readKey("message"); got["offset"] != float64(answer.Offset)+float64(i+1) {
				t.Fatalf("behind the snapshot at %d came %v", answer.Offset, got)
			}
		}
		_ = c.conn.CloseNow()
	}
	close(stop)
	publisher.Wait()
}

// TestLargeSnapshotComesInParts sends one that is larger than what may wait for a client.
func TestLargeSnapshotComesInParts(t *testing.T) {
	n := start(t, gateway.Options{MaxBacklogBytes: 64 << 10})
	for i := range 500 {
		n.publish("a", "production:updates", fmt.Sprintf(`{"productionId":%d,"x":"%01500d"}`, i, 0))
	}
	c := n.dial("u1@a", "/api/ws", "kentongan.v1")
	c.send(`{"id":1,"subscribe":{"channel":"` + boardChannel + `","snapshot":true}}`)
	answer, parts := c.readSubscribed()
	if len(texts(parts)) != 500 || len(parts) < 20 || !answer.Snapshot {
		t.Errorf("%d publications in %d parts, %+v", len(texts(parts)), len(parts), answer)
	}
	for i, p := range parts {
		if p.More != (i < len(parts)-1) || p.Offset != answer.Offset {
			t.Errorf("part %d of %d says more %v, at %d", i, len(parts), p.More, p.Offset)
		}
	}
}
