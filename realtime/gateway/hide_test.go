package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/memory"
)

// secret stands wherever something is hidden, and nowhere else; public is in each payload.
const (
	secret = "987654321"
	public = "porsi"
)

func hiding(t testing.TB) *realtime.HiddenFields {
	t.Helper()
	h, err := realtime.NewHiddenFields([]string{"estimatedCost", "actualCost"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// readers are all that may come in, and whether they may see money.
var readers = map[string]bool{
	"u@a SPPG_KEPALA": true, "u@a SPPG_ADMIN": true, "u@a SPPG_AKUNTAN": true, "u@a SPPG_PRODUKSI_MANAGER": true,
	"u@a PLATFORM_SUPERADMIN": true, "shop@a server": true,
	"u@a SPPG_AHLI_GIZI": false, "u@a SPPG_DISTRIBUSI_MANAGER": false, "u@a SPPG_STAFF_DAPUR": false, "u@a SPPG_STAFF_QC": false,
	"u@a SPPG_VIEWER": false, "u@a PLATFORM_SUPPORT": false, "u@a": false, "u@a SOMETHING_NEW": false,
}

// ways are all on which a publication comes to a reader: each gets a function that publishes it, and returns everything that the
// reader was sent until then.
var ways = map[string]func(n *node, user string, publish func()) string{
	"live/bare": func(n *node, user string, publish func()) string {
		c := n.dial(user, "/api/ws")
		publish()
		return c.read()
	},
	"live/bare, compressed": func(n *node, user string, publish func()) string {
		c := n.dialCompressed(user, "/api/ws")
		publish()
		return c.read()
	},
	"live/v1": func(n *node, user string, publish func()) string {
		c := n.dial(user, "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + boardChannel + `"}}`)
		c.readKey("subscribed")
		publish()
		return c.text("message")
	},
	"live/v1, compressed": func(n *node, user string, publish func()) string {
		c := n.dialCompressed(user, "/api/ws?channels="+boardChannel, "kentongan.v1")
		c.readKey("subscribed")
		publish()
		return c.text("message")
	},
	"live/sse": func(n *node, user string, publish func()) string {
		s := n.stream(user, "", "")
		publish()
		return s.next("").data
	},
	"live/sse, named": func(n *node, user string, publish func()) string {
		s := n.stream(user, "?channels="+boardChannel, "")
		publish()
		return s.next("").data
	},
	"resume/v1": func(n *node, user string, publish func()) string {
		at := n.head()
		publish()
		c := n.dial(user, "/api/ws", "kentongan.v1")
		c.send(fmt.Sprintf(`{"id":1,"subscribe":{"channel":%q,"since":{"epoch":%q,"offset":%d}}}`, boardChannel, at.Epoch, at.Offset))
		return c.text("message")
	},
	"resume/v1 in the upgrade": func(n *node, user string, publish func()) string {
		at := n.head()
		publish()
		return n.dial(user, "/api/ws?channels="+boardChannel+"@"+at.String(), "kentongan.v1").text("message")
	},
	"resume/sse": func(n *node, user string, publish func()) string {
		s := n.stream(user, "", "")
		n.publish("a", "production:updates", `"first"`)
		id := s.next("").id
		publish()
		return n.stream(user, "", id).next("").data
	},
	"snapshot/v1": func(n *node, user string, publish func()) string {
		publish()
		c := n.dial(user, "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + boardChannel + `","snapshot":true}}`)
		return c.text("snapshot")
	},
	"snapshot/sse": func(n *node, user string, publish func()) string {
		publish()
		return n.stream(user, "?snapshot=1", "").next("snapshot").data
	},
	"snapshot/http": func(n *node, user string, publish func()) string {
		publish()
		var body json.RawMessage
		n.getJSON("/api/history?snapshot=1&channel="+boardChannel, &body, "X-Test-User", user)
		return string(body)
	},
	"history/v1": func(n *node, user string, publish func()) string {
		publish()
		c := n.dial(user, "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"history":{"channel":"` + boardChannel + `"}}`)
		return c.text("history")
	},
	"history/http": func(n *node, user string, publish func()) string {
		publish()
		var body json.RawMessage
		n.getJSON("/api/history?channel="+boardChannel, &body, "X-Test-User", user)
		return string(body)
	},
}

// text reads pushes until one of the kind comes, and returns it as it came.
func (c *client) text(key string) string {
	c.t.Helper()
	for {
		if text := c.read(); strings.HasPrefix(text, `{"`+key+`":`) || strings.Contains(text, `,"`+key+`":`) {
			return text
		}
	}
}

func (n *node) dialCompressed(user, path string, protocols ...string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+n.addr+path, &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Test-User": {user}}, Subprotocols: protocols, CompressionMode: websocket.CompressionNoContextTakeover,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{n.t, conn}
}

func (n *node) head() realtime.Position {
	n.t.Helper()
	page, err := n.broker.History(context.Background(), realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Position{}, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	return page.Head
}

// payloads are what the app and the production service publish, with the secret in a hidden field somewhere.
var payloads = rapid.Custom(func(t *rapid.T) string {
	field := rapid.SampledFrom([]string{`"estimatedCost":`, `"actualCost":`, `"actual\u0043ost": `}).Draw(t, "field") + rapid.SampledFrom(
		[]string{secret, `"` + secret + `"`, `{"rupiah":` + secret + `}`, `[` + secret + `,"x"]`}).Draw(t, "value")
	other := `"kind":"` + public + `","pad":"` + strings.Repeat("x", rapid.SampledFrom([]int{0, 400}).Draw(t, "pad")) + `"`
	inner := rapid.SampledFrom([]string{
		"{" + field + "," + other + "}", "{" + other + "," + field + "}", `{"batch":[{` + field + `}],` + other + `}`,
	}).Draw(t, "shape")
	if rapid.Bool().Draw(t, "encoded twice") {
		quoted, _ := json.Marshal(inner)
		inner = string(quoted)
	}
	return `{"type":"production_update","productionId":"p1","data":` + inner + `}`
})

// TestNoWayLeaksMoney takes payloads on every way to every role: who may not see money gets everything but that.
func TestNoWayLeaksMoney(t *testing.T) {
	for way, take := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			n := start(t, gateway.Options{Hidden: hiding(t), Deflate: true})
			for user, may := range readers {
				payload := payloads.Example()
				got := take(n, user, func() { n.publish("a", "production:updates", payload) })
				if has := strings.Contains(got, secret); has != may || !strings.Contains(got, public) || !strings.Contains(got, "production_update") {
					t.Errorf("%s got %s of %s; may see money: %v", user, got, payload, may)
				}
			}
		})
	}
	t.Run("any payload, side by side", func(t *testing.T) {
		n := start(t, gateway.Options{Hidden: hiding(t)})
		c := map[string]*client{}
		for user := range readers {
			c[user] = n.dial(user, "/api/ws")
		}
		rapid.Check(t, func(t *rapid.T) {
			payload := payloads.Draw(t, "payload")
			n.publish("a", "production:updates", payload)
			for user, may := range readers {
				switch got := c[user].read(); {
				case may && got != payload:
					t.Errorf("%s may see all and got %s of %s", user, got, payload)
				case !may && (strings.Contains(got, secret) || !strings.Contains(got, public)):
					t.Errorf("%s got %s of %s", user, got, payload)
				}
			}
		})
	})
	t.Run("global channels", func(t *testing.T) {
		n := start(t, gateway.Options{Hidden: hiding(t)})
		cook, other, head := n.dial("u@a SPPG_STAFF_DAPUR", "/api/ws"), n.stream("u@b SPPG_VIEWER", "", ""), n.stream("u@a SPPG_KEPALA", "", "")
		n.publish("", "system-alert", `{"actualCost":`+secret+`,"kind":"porsi"}`)
		if got := cook.read(); got != `{"kind":"porsi"}` {
			t.Errorf("a cook got %s", got)
		}
		if got := other.next("").data; strings.Contains(got, secret) || !strings.Contains(got, public) {
			t.Errorf("a viewer got %s", got)
		}
		if got := head.next("").data; !strings.Contains(got, secret) {
			t.Errorf("the head got %s", got)
		}
	})
	t.Run("a role that is lost", func(t *testing.T) {
		n := start(t, gateway.Options{Hidden: hiding(t)})
		n.door.mu.Lock()
		n.door.expires = time.Now().Add(time.Hour)
		n.door.mu.Unlock()
		c := n.dial("u@a SPPG_KEPALA", "/api/ws")
		n.publish("a", "production:updates", `{"actualCost":1}`)
		if got := c.read(); got != `{"actualCost":1}` {
			t.Fatalf("the head got %s", got)
		}
		n.extend("u@a SPPG_VIEWER")
		n.publish("a", "production:updates", `{"actualCost":2}`)
		if got := c.read(); got != `{}` {
			t.Errorf("who is a viewer now got %s", got)
		}
	})
}

// extend sends a new credential for the sessions of user.
func (n *node) extend(user string) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+n.addr+"/api/ws/extend", http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("X-Test-User", user)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		n.t.Fatalf("extend answered %d", resp.StatusCode)
	}
}

// TestBareResumeLeaksNoMoney is the way of a bare client that comes back and is known by its cookie.
func TestBareResumeLeaksNoMoney(t *testing.T) {
	for user, may := range map[string]bool{"u1@a SPPG_AKUNTAN": true, "u1@a SPPG_STAFF_DAPUR": false} {
		inBubble(t, gateway.Options{Devices: &memory.Devices{}, Hidden: hiding(t)}, func(t *testing.T, n *clocked) {
			n.user = user
			p := n.open("")
			n.publish("a", "production:updates", `"one"`)
			time.Sleep(proofTime)
			p.cut()
			n.publish("a", "production:updates", `{"actualCost":`+secret+`,"kind":"porsi"}`)
			again := n.open(p.cookie)
			if may {
				again.want(t, `{"actualCost":`+secret+`,"kind":"porsi"}`)
			} else {
				again.want(t, `{"kind":"porsi"}`)
			}
			again.cut()
		})
	}
}
