package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// object reads the next message that has key at its top, and returns what stands there.
func (c *raw) object(key string) map[string]any {
	c.t.Helper()
	for {
		var push map[string]json.RawMessage
		message := c.text()
		if err := json.Unmarshal([]byte(message), &push); err != nil {
			c.t.Fatalf("message %q: %v", message, err)
		}
		if inner, ok := push[key]; ok {
			var object map[string]any
			if err := json.Unmarshal(inner, &object); err != nil {
				c.t.Fatalf("%s %s: %v", key, inner, err)
			}
			return object
		}
	}
}

// TestHostileCommands sends messages that are no commands. Each is answered with an error and the socket lives; the third that cannot
// be read ends it.
func TestHostileCommands(t *testing.T) {
	a := newArena(t)
	const bad, unknown = "BAD_REQUEST", "UNKNOWN_COMMAND"
	keys := make([]string, 3000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":%d`, i, i)
	}
	for _, c := range []struct {
		name string
		send string
		v1   string
		bare string // "": the message is for kentongan.v1 only
	}{
		{"NotJSON", `hello`, bad, bad},
		{"Empty", ``, bad, bad},
		{"WhiteSpace", " \r\n\t", bad, bad},
		{"NUL", "\x00", bad, bad},
		{"ByteOrderMark", "\ufeff{}", bad, bad},
		{"Cut", `{"id":1,"ping":{`, bad, bad},
		{"Two", `{"ping":{}}{"ping":{}}`, bad, bad},
		{"TextBehind", `{"type":"ping"} x`, bad, bad},
		{"Array", `[]`, bad, bad},
		{"Number", `1e400`, bad, bad},
		{"Null", `null`, bad, bad},
		{"Depth10000Arrays", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), bad, bad},
		{"Depth10000Objects", strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), bad, bad},
		{"Depth10000InAField", `{"type":"ping","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, bad, bad},
		{"Depth10000NeverClosed", strings.Repeat(`{"a":[`, 5000), bad, bad},
		{"ThousandsOfKeys", `{"type":"x",` + strings.Join(keys, ",") + `}`, unknown, unknown},
		{"DuplicateKeys", `{"type":"ping","type":"subscribe"}`, bad, bad},
		{"DuplicateVerbs", `{"ping":{},"ping":{}}`, bad, bad},
		{"DuplicateKeysInside", `{"type":"x","subscribe":{"channel":"a","channel":"b"}}`, bad, bad},
		{"TwoVerbs", `{"id":1,"ping":{},"history":{"channel":"updates:a"}}`, bad, ""},
		{"UnknownType", `{"type":"drop_tables"}`, unknown, unknown},
		{"UnknownVerb", `{"id":1,"frobnicate":{}}`, unknown, bad},
		{"TypeIsNumber", `{"type":7}`, unknown, bad},
		{"NoBody", `{"id":1,"subscribe":null}`, bad, ""},
		{"ChannelIsNumber", `{"type":"subscribe","channel":7}`, unknown, bad},
		{"UnknownField", `{"id":1,"subscribe":{"channel":"updates:a","from":{}}}`, bad, ""},
		{"IDTooLarge", `{"id":9223372036854775807,"ping":{}}`, bad, ""},
		{"IDNegative", `{"id":-9223372036854775808,"ping":{}}`, bad, ""},
		{"IDBeyond64Bits", `{"id":18446744073709551616,"ping":{}}`, bad, ""},
		{"IDFraction", `{"id":1.5,"ping":{}}`, bad, ""},
		{"IDLong", `{"id":"` + strings.Repeat("x", 65) + `","ping":{}}`, bad, ""},
		{"LimitNegative", `{"id":1,"history":{"channel":"updates:a","limit":-1}}`, bad, ""},
		{"LimitBeyond64Bits", `{"id":1,"history":{"channel":"updates:a","limit":99999999999999999999}}`, bad, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				v1 := a.upgrade(t, offerV1)
				defer v1.hangUp()
				v1.send(text(c.send))
				if e := v1.object("error"); e["code"] != c.v1 {
					t.Errorf("kentongan.v1 answers %v, want %s", e, c.v1)
				}
				v1.send(text(`{"id":"still here","ping":{}}`))
				v1.object("pong")
				if c.bare == "" {
					return
				}
				bare := a.upgrade(t, "")
				defer bare.hangUp()
				bare.send(text(c.send))
				var e map[string]any
				if got := bare.text(); json.Unmarshal([]byte(got), &e) != nil || e["type"] != "error" || e["code"] != c.bare {
					t.Errorf("bare answers %s, want %s", got, c.bare)
				}
				bare.send(text(`{"type":"PING"}`))
				if got := bare.text(); !strings.Contains(got, `"pong"`) {
					t.Errorf("after the error comes %s, want the pong", got)
				}
			})
		})
	}

	for _, lines := range []string{"", offerV1} {
		t.Run("ThirdUnreadableMessageEnds"+strings.TrimSpace(lines), func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.upgrade(t, lines)
				defer conn.hangUp()
				conn.send(text("1"), text("2"), text("3"), text("4"))
				if code := conn.closeCode(); code != 4501 {
					t.Errorf("closed with %d, want 4501", code)
				}
			})
		})
	}

	t.Run("TenThousandSubscriptions", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, offerV1)
			defer conn.hangUp()
			var flood strings.Builder
			for i := range 10_000 {
				flood.WriteString(text(fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"production:updates:a"}}`, i+1)))
			}
			conn.send(flood.String())
			if code := conn.closeCode(); code != 4005 {
				t.Errorf("closed with %d, want 4005", code)
			}
		})
	})
	t.Run("TenThousandSubscriptionsInOneMessage", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, "")
			defer conn.hangUp()
			conn.send(text(`{"type":"SUBSCRIBE","channels":["a"` + strings.Repeat(`,"a"`, 9_999) + `]}`))
			if got := conn.text(); !strings.Contains(got, "TOO_MANY_CHANNELS") {
				t.Errorf("answered %s, want TOO_MANY_CHANNELS", got)
			}
		})
	})
	t.Run("TenThousandSubscriptionsInTheAddress", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			status, body := a.ask(t, http.MethodGet, "/api/sse?channels="+strings.Repeat("a,", 1000), "", a.cookie("attacker", "a", "SPPG_KEPALA"))
			if status != http.StatusTooManyRequests {
				t.Errorf("answered %d %s, want 429", status, body)
			}
		})
	})
	t.Run("SubscribeAndUnsubscribe", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, offerV1)
			defer conn.hangUp()
			conn.send(strings.Repeat(text(`{"subscribe":{"channel":"updates:a"}}`)+text(`{"unsubscribe":{"channel":"updates:a"}}`), 1000))
			if code := conn.closeCode(); code != 4005 {
				t.Errorf("closed with %d, want 4005", code)
			}
		})
	})
	t.Run("MessageAboveTheSizeLimit", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, offerV1)
			defer conn.hangUp()
			conn.send(text(`{"id":1,"publish":{"channel":"updates:a","data":"` + strings.Repeat("x", 64<<10) + `"}}`))
			if code := conn.closeCode(); code != 1009 {
				t.Errorf("closed with %d, want 1009", code)
			}
		})
	})
}

// hostileNames belong to no channel of kitchen a; some look as if they did. Foreign ones exist.
var hostileNames = []string{
	"production:updates:b", "", " ", "production:updates:a ", " production:updates:a", "production:updates:a\n", "production:updates:a\r\n",
	"production:updates:\na", "production:updates:a\x00", "\x00", "production updates a", "*", "production:*:a", "production:updates:*", "production:updates:?",
	"production:updates:[ab]", "production:updates:{a,b}", "production:updates:{tenant}", `production:updates:\a`, "production:updates:a:b",
	"production:updates:a/../b", "production:updates:", ":::", "PRODUCTION:UPDATES:a", "production:updates:\u0430", "production:updates:ａ",
	"production:updates\u2236a", "рroduction:updates:a", "production:updates:a\u202e", "production:updates:é", "sppg::production:created", "sppg:a:b:production:created",
	"__keyspace@0__:production:updates:a", "__keyevent@0__:set", "kentongan:revoke", "kentongan:s:a", "production:updates:" + strings.Repeat("a", 65),
	strings.Repeat("a", 10<<10), "dashboard-update-", "dashboard-update-b", "system-alert:a", "' OR 1=1 --", "<script>alert(1)</script>", "production:updates:%61",
}

// TestHostileNames asks for channels by names that are none, at every place that takes one. A foreign channel, which exists, and
// nonsense get the same answer, to the byte.
func TestHostileNames(t *testing.T) {
	a := newArena(t, "KENTONGAN_API_KEYS=app:"+apiKey+",only-a@a:"+apiKey+"-of-a")
	header := a.cookie("attacker", "a", "SPPG_KEPALA")
	ofA := http.Header{"Authorization": {"Bearer " + apiKey + "-of-a"}, "Content-Type": {"application/json"}}
	first := map[string]string{}
	same := func(t *testing.T, place, got, code string) {
		t.Helper()
		if first[place] == "" {
			first[place] = got
		}
		if got != first[place] || !strings.Contains(got, code) {
			t.Errorf("%s answers %s, want the same as for a foreign channel: %s", place, got, first[place])
		}
	}
	for _, name := range hostileNames {
		t.Run(fmt.Sprintf("%.40q", name), func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				quoted, err := json.Marshal(name)
				if err != nil {
					t.Fatal(err)
				}
				v1 := a.upgrade(t, offerV1)
				defer v1.hangUp()
				for _, verb := range []string{"subscribe", "unsubscribe", "history", "presence"} {
					v1.send(text(fmt.Sprintf(`{"id":1,%q:{"channel":%s}}`, verb, quoted)))
					v1.writers.Wait()
					same(t, "v1 "+verb, fmt.Sprint(v1.object("error")), "NO_SUCH_CHANNEL")
				}
				bare := a.upgrade(t, "")
				defer bare.hangUp()
				bare.send(text(fmt.Sprintf(`{"type":"subscribe","channel":%s}`, quoted)))
				same(t, "bare", bare.text(), "NO_SUCH_CHANNEL")

				for _, path := range []string{"/api/history?channel=", "/api/presence?channel=", "/api/sse?channels="} {
					status, body := a.ask(t, http.MethodGet, path+url.QueryEscape(name), "", header)
					same(t, path, fmt.Sprint(status, body), "404")
				}
				status, body := a.ask(t, http.MethodPost, "/api/publish", fmt.Sprintf(`{"channel":%s,"data":1}`, quoted), ofA)
				same(t, "publish", fmt.Sprint(status, body), "422")
			})
		})
	}
}

// TestHostilePositions resumes from places that do not exist. The answer is a gap and then what is live, never what is another's.
func TestHostilePositions(t *testing.T) {
	a := newArena(t)
	a.put(t, "production:updates:b", `"secret of b"`)
	if got := read(t, a.neighbour); got != `"secret of b"` {
		t.Fatalf("the neighbour reads %s", got)
	}
	for _, since := range []string{
		`{"epoch":"EPOCH","offset":-1}`, `{"epoch":"EPOCH","offset":18446744073709551616}`, `{"epoch":"EPOCH","offset":1e999}`,
		`{"epoch":"EPOCH","offset":9007199254740992}`, `{"epoch":"EPOCH","offset":1.5}`, `{"epoch":"other","offset":0}`, `{"epoch":"","offset":0}`,
		`{"epoch":"` + strings.Repeat("e", 40_000) + `","offset":1}`, `{"epoch":"a\u0000b","offset":1}`, `{"epoch":7,"offset":1}`, `{}`, `[]`, `7`, `"x"`,
	} {
		t.Run(fmt.Sprintf("%.50s", since), func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.upgrade(t, offerV1)
				defer conn.hangUp()
				conn.send(text(`{"id":1,"subscribe":{"channel":"production:updates:a"}}`))
				epoch := fmt.Sprint(conn.object("subscribed")["epoch"])
				conn.send(text(`{"unsubscribe":{"channel":"production:updates:a"}}`) +
					text(`{"id":2,"subscribe":{"channel":"production:updates:a","since":`+strings.ReplaceAll(since, "EPOCH", epoch)+`}}`))
				conn.object("unsubscribed")
				if got := conn.object("subscribed"); got["recovered"] == true || got["gap"] == nil {
					t.Errorf("answered %v, want a gap", got)
				}
				a.put(t, "production:updates:a", `"live"`)
				if got := conn.object("message"); got["data"] != "live" {
					t.Errorf("then comes %v, want what is live", got)
				}
			})
		})
	}
}

// TestHostileSizes publishes what is too large, too deep, or no JSON.
func TestHostileSizes(t *testing.T) {
	a := newArena(t)
	screen := a.upgrade(t, "")
	defer screen.hangUp()
	for _, c := range []struct {
		name string
		body string
		want int
	}{
		{"DataOf5MB", `{"channel":"updates:a","data":"` + strings.Repeat("x", 5<<20) + `"}`, 413},
		{"DataOneByteTooLong", `{"channel":"updates:a","data":"` + strings.Repeat("x", 1<<20-1) + `"}`, 413},
		{"BodyOf20MB", `{"channel":"updates:a","data":"` + strings.Repeat("x", 20<<20) + `"}`, 413},
		{"Binary", "\x00\x01\x02", 400},
		{"InvalidUTF8", "{\"channel\":\"updates:a\",\"data\":\"\xff\"}", 400},
		{"Depth100000", `{"channel":"updates:a","data":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, 400},
		{"Cut", `{"channel":"updates:a","data":`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				if status, body := a.ask(t, http.MethodPost, "/api/publish", c.body, apiHeader()); status != c.want {
					t.Errorf("answered %d %.200s, want %d", status, body, c.want)
				}
			})
		})
	}
	a.put(t, "updates:a", `"the only one"`)
	if got := screen.text(); got != `"the only one"` {
		t.Errorf("the screen reads %.100s: what was refused came through", got)
	}
}
