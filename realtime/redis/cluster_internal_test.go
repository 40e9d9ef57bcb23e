package redis

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
)

// slotsReply is an answer to CLUSTER SLOTS: of each range the first slot, the last, and its nodes as "host port id".
func slotsReply(ranges ...[]string) reply {
	answer := reply{}
	for _, r := range ranges {
		one := reply{list: []reply{{text: r[0]}, {text: r[1]}}}
		for _, n := range r[2:] {
			words := strings.Split(n, " ")
			one.list = append(one.list, reply{list: []reply{{text: words[0]}, {text: words[1]}, {text: words[2]}, {}}})
		}
		answer.list = append(answer.list, one)
	}
	return answer
}

func TestReadSlots(t *testing.T) {
	const nodes = "aa 10.0.0.1:7000@17000 myself,master - 0 0 7 connected 0-5905\n" +
		"bb 10.0.0.2:7000@17000,host master - 0 0 9 connected 5906 [1->-aa]\ncc 10.0.0.3:7000@17000 slave bb 0 0 9 connected\nshort line\n"
	low, ours := []string{"0", "5905", "10.0.0.1 7000 aa"}, []string{"5906", "5906", "10.0.0.2 7000 bb", "10.0.0.3 7000 cc"}
	for name, one := range map[string]struct {
		slots reply
		nodes string
		want  place
		all   []string
		err   string
	}{
		"Found":          {slotsReply(low, ours), nodes, place{"10.0.0.2:7000", 9}, []string{"10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"}, ""},
		"NoHost":         {slotsReply([]string{"0", "9000", " 7001 bb"}), nodes, place{"asked:7001", 9}, []string{"asked:7001"}, ""},
		"UnknownHost":    {slotsReply([]string{"0", "9000", "? 7001 bb"}), nodes, place{"asked:7001", 9}, []string{"asked:7001"}, ""},
		"IPv6":           {slotsReply([]string{"0", "9000", "::1 7001 bb"}), nodes, place{"[::1]:7001", 9}, []string{"[::1]:7001"}, ""},
		"Name":           {slotsReply([]string{"0", "9000", "r.example 7001 bb"}), nodes, place{"r.example:7001", 9}, []string{"r.example:7001"}, ""},
		"NobodyHasIt":    {slotsReply(low), nodes, place{}, nil, "no node has slot 5906"},
		"Nothing":        {reply{}, nodes, place{}, nil, "no node has slot 5906"},
		"UnknownNode":    {slotsReply([]string{"0", "9000", "h 1 zz"}), nodes, place{}, nil, "names a node that it does not know"},
		"NoEpoch":        {slotsReply(ours), strings.ReplaceAll(nodes, " 9 ", " x "), place{}, nil, "the epoch of a node is no number"},
		"ShortRange":     {reply{list: []reply{{list: []reply{{text: "0"}}}}}, nodes, place{}, nil, errProtocol.Error()},
		"NoNumber":       {slotsReply([]string{"x", "9000", "h 1 bb"}), nodes, place{}, nil, errProtocol.Error()},
		"NodeWithoutID":  {reply{list: []reply{{list: []reply{{text: "0"}, {text: "9000"}, {list: []reply{{text: "h"}, {text: "1"}}}}}}}, nodes, place{}, nil, errProtocol.Error()},
		"NoCluster":      {reply{refusal: "ERR This instance has cluster support disabled"}, nodes, place{}, nil, "it is no node of a Cluster"},
		"MayNotAsk":      {reply{refusal: "NOPERM this user has no permissions"}, nodes, place{}, nil, "NOPERM"},
		"MayNotAskNodes": {slotsReply(ours), "", place{}, nil, "NOPERM"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := reply{text: one.nodes}
			if one.nodes == "" {
				answer.refusal = "NOPERM this user has no permissions"
			}
			got, all, err := readSlots(one.slots, answer, "asked:6379")
			if one.err != "" {
				if err == nil || !strings.Contains(err.Error(), one.err) {
					t.Errorf("got %v, want an error with %q", err, one.err)
				}
				return
			}
			if err != nil || got != one.want || !slices.Equal(all, one.all) {
				t.Errorf("got %v, %q, %v; want %v, %q", got, all, err, one.want, one.all)
			}
		})
	}
}

// FuzzReadSlots: whatever a node answers, there is a place or an error.
func FuzzReadSlots(f *testing.F) {
	f.Add([]byte("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\nh\r\n:7000\r\n$2\r\naa\r\n*0\r\n$48\r\naa h:7000@17000 master - 0 0 7 connected 0-16383\r\n"))
	f.Add([]byte("-ERR\r\n$-1\r\n"))
	f.Add([]byte("*1\r\n*3\r\n:0\r\n:9000\r\n*-1\r\n$0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := &asker{r: bufio.NewReader(strings.NewReader(string(b)))}
		slots, err := a.read(0)
		if err != nil {
			return
		}
		nodes, err := a.read(0)
		if err != nil {
			return
		}
		found, _, err := readSlots(slots, nodes, "asked:6379")
		if _, _, bad := net.SplitHostPort(found.address); err == nil && bad != nil {
			t.Errorf("found at %q: %v", found.address, bad)
		}
	})
}

// TestElsewhere has a node say each of the things after which nothing was done, and some others.
func TestElsewhere(t *testing.T) {
	for text, want := range map[string]struct{ elsewhere, moved bool }{
		"MOVED 5906 10.0.0.2:7000":                                {true, true},
		"ASK 5906 10.0.0.2:7000":                                  {true, false},
		"TRYAGAIN Multiple keys request during rehashing of slot": {true, false},
		"CLUSTERDOWN The cluster is down":                         {true, false},
		"CLUSTERDOWN Hash slot not served":                        {true, false},
		"ERR Script attempted to access a non local key in a cluster node script: f00, on @user_script:10.": {true, false},
		"ERR Script attempted to execute a write command while the cluster is down and readonly":            {true, false},
		"ERR unknown command": {}, "OOM command not allowed when used memory > 'maxmemory'.": {}, "": {},
	} {
		if moved, why := refusedBySlot(text); (why != nil) != want.elsewhere || moved != want.moved {
			t.Errorf("%q: %v, moved %t; want %+v", text, why, moved, want)
		}
	}
	if moved, why := elsewhere(errors.New("MOVED 1 x")); why != nil || moved {
		t.Errorf("what no Redis has said is taken for its word: %v", why)
	}
}

// TestInWords has a Redis say each of these to a client of ours, as it comes out of the library: neither what is told as ready or not nor an
// error has it as it was said.
func TestInWords(t *testing.T) {
	addr := testenv.Redis(t)
	for text, want := range map[string]string{
		"MOVED 5906 10.0.0.2:7000": "the slot is at another node now", "ASK 5906 10.0.0.2:7000": "is being moved to another node",
		"TRYAGAIN Multiple keys request during rehashing of slot": "is being moved to another node",
		"CLUSTERDOWN The cluster is down":                         "has no node, or most of its nodes do not answer",
		"CLUSTERDOWN Hash slot not served":                        "has no node, or most of its nodes do not answer",
		"LOADING Redis is loading the dataset in memory":          "LOADING",
	} {
		c, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true, DisableRetry: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		said := c.Do(t.Context(), c.B().Eval().Script("return redis.error_reply(ARGV[1])").Numkeys(0).Arg(text).Build()).Error()
		c.Close()
		if said == nil || said.Error() != text {
			t.Fatalf("the library says %v, want %s", said, text)
		}
		var b Broker
		b.health.set(partPublish, said)
		for what, err := range map[string]error{
			"words": inWords(said), "wrapped": inWords(fmt.Errorf("read: %w", said)), "unavailable": unavailable("read", said), "ready": b.Ready(),
		} {
			if err == nil || !strings.Contains(err.Error(), want) || want != "LOADING" && strings.Contains(err.Error(), text) {
				t.Errorf("%s of %q: %v; want %q", what, text, err, want)
			}
		}
	}
	if inWords(nil) != nil {
		t.Error("nothing is wrong, and it is put in words")
	}
}

// TestSlotOfTag asks a Redis, of names as they are.
func TestSlotOfTag(t *testing.T) {
	node := testenv.StartRedis(t, "--cluster-enabled", "yes").Addr
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{node}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := (&Options{Cluster: []string{node}, Prefix: "kentongan:"}).keys()
	for _, name := range []string{k.head("k1"), k.head(""), k.live("k2"), k.schema(), k.marks(), k.feed("x"), k.slot(), k.revoked()} {
		slot, err := c.Do(t.Context(), c.B().ClusterKeyslot().Key(name).Build()).AsInt64()
		if err != nil || slot != clusterSlot {
			t.Errorf("%s is in slot %d, %v; want %d", name, slot, err, clusterSlot)
		}
	}
	if got := fmt.Sprint(k.revoke(), " ", k.extend()); got != "kentongan:revoke kentongan:extend" {
		t.Errorf("others publish on %s", got)
	}
}
