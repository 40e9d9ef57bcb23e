package intake_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/realtime"
)

// nodeReport is what the scripts in testdata have seen.
type nodeReport struct {
	Ping, Afterwards                                     string
	Published, Sharded, Pipelined                        int
	Foreign, ForeignSubscribe, NotJSON, Get, Stranger    string
	Heard                                                [][]string
	Subscribed, Psubscribed, Unsubscribed, Punsubscribed int
	Status, Name                                         string
}

// TestRESPClients has the app's own Redis clients, unchanged, as clients of the door.
func TestRESPClients(t *testing.T) {
	for _, row := range []struct {
		name, script string
		args         func(addr string) string
	}{
		{"ioredis", "resp-ioredis.mjs", func(addr string) string {
			host, port, _ := net.SplitHostPort(addr)
			return host + " " + port + " " + keyOfK1
		}},
		{"node-redis RESP2", "resp-node-redis.mjs", func(addr string) string { return addr + " " + keyOfK1 + " 2" }},
		{"node-redis RESP3", "resp-node-redis.mjs", func(addr string) string { return addr + " " + keyOfK1 + " 3" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := openDoor(t)
			var got nodeReport
			if err := json.Unmarshal(testenv.Node(t, "testdata/"+row.script, row.args(h.addr)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Ping != "PONG" || got.Afterwards != "PONG" || got.Published != 2 || got.Sharded != 1 || got.Pipelined != 200 {
				t.Errorf("got %+v; want the receivers counted: the channel and the pattern, or the pattern alone", got)
			}
			for what, refusal := range map[string]string{
				got.Foreign: "ERR bad channel", got.ForeignSubscribe: "ERR bad channel", got.NotJSON: "ERR invalid JSON",
				strings.Replace(got.Get, "'get'", "'GET'", 1): "ERR unknown command 'GET'", got.Stranger: "WRONGPASS",
			} {
				if !strings.HasPrefix(what, refusal) {
					t.Errorf("a promise is rejected with %q, want %s…", what, refusal)
				}
			}
			checkHeard(t, got.Heard)
			page, err := h.broker.History(t.Context(), realtime.Channel{Tenant: "k1", Name: "production:updates"}, realtime.Position{}, 500)
			if err != nil || len(page.Publications) != 201 {
				t.Errorf("%d publications are stored, %v; want 201", len(page.Publications), err)
			}
			if st := h.door.Stats(); st.Stamped != 202 || st.Refused != 2 || st.Denied == 0 {
				t.Errorf("the door counts %+v; want 202 stamped, 2 refused and a wrong key", st)
			}
		})
	}
}

// checkHeard wants the updates 1, 3, 4 … 202 in order, and the alert.
func checkHeard(t *testing.T, heard [][]string) {
	t.Helper()
	var updates []string
	alerts := 0
	for _, h := range heard {
		switch channel, data := h[len(h)-2], h[len(h)-1]; {
		case channel == "production:updates:k1":
			updates = append(updates, data)
		case channel == "production:alerts:k1" && data == `{"n":2}`:
			alerts++
		default:
			t.Errorf("heard %q", h)
		}
	}
	if len(updates) != 201 || alerts != 1 {
		t.Fatalf("heard %d updates and %d alerts, want 201 and 1", len(updates), alerts)
	}
	for i, data := range updates {
		n := i + 2
		if i == 0 {
			n = 1
		}
		if want := fmt.Sprintf(`{"n":%d}`, n); data != want {
			t.Fatalf("update %d is %s, want %s", i, data, want)
		}
	}
}

// passReport is what the scripts have seen that do all with one client.
type passReport struct {
	Missing, AfterMulti                         *string
	Set, Setex, Get, Binary, Afterwards         string
	TTL, Tagged, Deleted                        int
	Hash                                        map[string]string
	Pipelined, Parallel                         bool
	Multi, Own, Flush, Config, WrongType, Lpush string
}

// TestRESPClientsPassOn has the app's own clients with one connection for cache and publications.
func TestRESPClientsPassOn(t *testing.T) {
	for _, row := range []struct{ name, script, protocol, multi string }{
		{"ioredis", "resp-pass-ioredis.mjs", "", "EXECABORT Transaction discarded"}, // it tells of the last answer, the other of the first
		{"node-redis RESP2", "resp-pass-node-redis.mjs", "2", "ERR MULTI is not taken"},
		{"node-redis RESP3", "resp-pass-node-redis.mjs", "3", "ERR MULTI is not taken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			addr := testenv.Redis(t)
			dialRedis(t, addr).want("+OK", "SET", "kentongan:s", "secret")
			h := openDoor(t, passTo(t, addr))
			at := strings.TrimSpace(h.addr + " " + keyOfAll + " " + row.protocol)
			if row.protocol == "" {
				host, port, _ := net.SplitHostPort(h.addr)
				at = host + " " + port + " " + keyOfAll
			}
			var got passReport
			if err := json.Unmarshal(testenv.Node(t, "testdata/"+row.script, at), &got); err != nil {
				t.Fatal(err)
			}
			if got.Missing != nil || got.Set != "OK" || got.Setex != "OK" || got.Get != `{"data":"nasi"}` || got.TTL != 300 || got.Binary != "000d0aff" ||
				got.Tagged != 3000 || got.Deleted != 1 || got.Afterwards != "PONG" || len(got.Hash) != 2 || got.Hash["b"] != "2" {
				t.Errorf("the cache answers %+v", got)
			}
			if !got.Pipelined || !got.Parallel {
				t.Errorf("the order of the answers: in a pipeline right %v, in parallel right %v", got.Pipelined, got.Parallel)
			}
			if got.AfterMulti != nil {
				t.Errorf("a part of the refused transaction was carried out: %s", *got.AfterMulti)
			}
			for what, begin := range map[string]string{
				got.Own: "NOPERM 'get' is not passed on: it may reach keys that begin with kentongan:", got.Flush: "NOPERM 'flushall' is never passed on",
				got.Config: "NOPERM 'config' is never", got.WrongType: "WRONGTYPE", got.Lpush: "NOPERM 'lpush' is not passed on: add it",
				got.Multi: row.multi,
			} {
				if !strings.HasPrefix(what, begin) {
					t.Errorf("a promise is rejected with %q, want %s…", what, begin)
				}
			}
			page, err := h.broker.History(t.Context(), realtime.Channel{Tenant: "k1", Name: "production:updates"}, realtime.Position{}, 500)
			if err != nil || len(page.Publications) != 200 {
				t.Errorf("%d publications are stored, %v; want 200, and none of the transaction", len(page.Publications), err)
			}
		})
	}
}
