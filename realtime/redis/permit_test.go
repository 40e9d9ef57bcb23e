package redis_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
	"kentongan/tenant"
)

// leastUser makes a user with the least rules, without those that are left out, and returns options to sign in as him.
func leastUser(t *testing.T, c rueidis.Client, addr, name string, without ...string) redis.Options {
	t.Helper()
	args := []string{"ACL", "SETUSER", name, "reset", "on", ">word"}
	for _, rule := range redis.LeastRules("kentongan:") {
		if !slices.Contains(without, rule) {
			args = append(args, rule)
		}
	}
	do(t, c, args...)
	return redis.Options{Address: addr, Username: name, Password: "word"}
}

// TestLeastUser does everything that there is with the least rules, and finds that each of them was needed.
func TestLeastUser(t *testing.T) {
	t.Parallel() // it has a Redis of its own
	server := testenv.StartRedis(t)
	c := admin(t, server.Addr)
	base := patient(leastUser(t, c, server.Addr, "least"))
	in := func(names *realtime.Names, prefix string) redis.Options {
		o := base
		o.Names, o.Prefix = names, "kentongan:"+prefix
		return o
	}
	brokertest.Run(t, func(*testing.T) brokertest.Engine {
		prefix := newPrefix()
		return brokertest.Engine{Shared: true, Open: func(t *testing.T, names *realtime.Names) realtime.Broker {
			return open(t, in(names, prefix))
		}}
	})
	brokertest.RunPresence(t, func(*testing.T) brokertest.PresenceEngine {
		prefix := newPrefix()
		return brokertest.PresenceEngine{Shared: true, Open: func(t *testing.T) (realtime.Presence, func()) {
			b := open(t, in(nil, prefix))
			stop := run(t, b, nothing{})
			if _, err := b.Follow(t.Context(), tenant.ID("k1")); err != nil {
				t.Fatal(err)
			}
			return b.Presence(), stop
		}}
	})
	brokertest.RunDevices(t, func(*testing.T) brokertest.DevicesEngine {
		prefix := newPrefix()
		return brokertest.DevicesEngine{Shared: true, Open: func(t *testing.T) (realtime.Devices, func()) {
			b := open(t, in(nil, prefix))
			return b.Devices(), run(t, b, nothing{})
		}}
	})
	brokertest.RunQuarantine(t, func(*testing.T) brokertest.QuarantineEngine {
		prefix := newPrefix()
		return brokertest.QuarantineEngine{Shared: true, Open: func(t *testing.T) realtime.Quarantine {
			b := open(t, in(nil, prefix))
			run(t, b, nothing{})
			return b.Quarantine()
		}}
	})
	t.Run("Shared", func(t *testing.T) { sharedAs(t, c, in(nil, newPrefix())) })
	t.Run("Stream", func(t *testing.T) {
		o := in(nil, newPrefix())
		streamAs(t, c, o.Prefix, o)
	})
	e, err := redis.Examine(t.Context(), base)
	if err != nil || len(e.Refused) > 0 || len(e.Missing) > 0 {
		t.Errorf("examined: %v, refused %q, missing %+v", err, e.Refused, e.Missing)
	}
	stats, err := do(t, c, "INFO", "commandstats").ToString()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range redis.Permissions() {
		if p.Rule == "+xgroup|delconsumer" {
			continue // of consumers that have been away for an hour: TestStreamSweep makes such ones, with a clock of its own
		}
		if !strings.Contains(stats, "cmdstat_"+strings.TrimPrefix(p.Rule, "+")+":") {
			t.Errorf("%s was never used", p.Rule)
		}
	}
}

// sharedAs uses what nodes share beside channels, and a Redis whose connections break.
func sharedAs(t *testing.T, c rueidis.Client, o redis.Options) {
	o.DB = 1
	o.MaxTenantBytes = 1 << 10
	h := &heard{}
	o.OnRevocation = h.on
	b, w := follow(t, o)
	settle(t, b, w)
	if err := b.Tickets().PutTicket(t.Context(), "one", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Tickets().TakeTicket(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := b.AnnounceRevocation(t.Context(), []byte(`{"sub":"a"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the revocation", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.got) > 0
	})
	if _, err := b.Ledger().Report(t.Context(), stamping.Report{Node: "n", Token: "t", Globs: "g", Mark: "m", Feeds: []string{o.Prefix + "intake:feed:x"}}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := b.Publish(t.Context(), channelA, []byte(`"`+strings.Repeat("x", 1<<10)+`"`), realtime.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "history that goes for want of room", func() bool { return b.Stats().Evicted > 0 })
	if _, err := b.Channels(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	before := b.Stats().Reconnects
	do(t, c, "CLIENT", "KILL", "USER", "least")
	eventually(t, "a reconnect", func() bool { return b.Stats().Reconnects > before && b.Ready() == nil })
	settle(t, b, w)
}

// streamAs takes an entry of the durable stream through all that may become of it.
func streamAs(t *testing.T, c rueidis.Client, prefix string, o redis.Options) {
	s, err := redis.NewStream(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for range 3 {
		do(t, c, "XADD", prefix+"publish", "*", "channel", "c", "data", "1")
	}
	var ids []string
	take := func(id string, _ []string) { ids = append(ids, id) }
	eventually(t, "the entries", func() bool {
		if err := s.Read(t.Context(), 10, 100*time.Millisecond, take); err != nil {
			t.Fatal(err)
		}
		return len(ids) == 3
	})
	if _, err := s.Claim(t.Context(), 0, 10, take); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"ack": s.Ack(t.Context(), ids[:2]), "set aside": s.SetAside(t.Context(), []string{"data", "1"}),
		"poisoned": s.Poisoned(t.Context(), 10, func(string, []string) {}), "tidy": s.Tidy(t.Context()),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestOneRuleLess takes each of the rules away in turn, and wants it named: where a person looks for what is wrong, and by a node that
// starts.
func TestOneRuleLess(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes")
	c := admin(t, server.Addr)
	all := redis.Permissions()
	for _, p := range all {
		o := leastUser(t, c, server.Addr, "narrow", p.Rule)
		e, err := redis.Examine(t.Context(), o)
		switch {
		case err != nil && strings.Contains(err.Error(), strings.ReplaceAll(p.Rule[1:], "|", " ")): // without it nobody connects
		case err != nil:
			t.Errorf("without %s: %v", p.Rule, err)
		case len(e.Missing) != 1 || e.Missing[0].Rule != p.Rule || e.Missing[0].Weak != p.Weak:
			t.Errorf("without %s these are missing: %+v", p.Rule, e.Missing)
		}
	}
	for without, want := range map[string]string{"~kentongan:*": "~kentongan:*", "&*": "&kentongan:*"} {
		e, err := redis.Examine(t.Context(), leastUser(t, c, server.Addr, "narrow", without))
		if err != nil || len(e.Missing) != 1 || e.Missing[0].Rule != want {
			t.Errorf("without %s: %v, missing %+v, want %s", without, err, e.Missing, want)
		}
	}
}

// TestNodeSaysWhatItMayNotDo: a node whose user lacks something is not ready, names it, and is ready once an operator has allowed it.
func TestNodeSaysWhatItMayNotDo(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes")
	c := admin(t, server.Addr)
	b := open(t, leastUser(t, c, server.Addr, "narrow", "+xadd", "+role"))
	run(t, b, nothing{})
	eventually(t, "the rule to be named", func() bool {
		err := b.Ready()
		return err != nil && strings.Contains(err.Error(), "+xadd (history)") && !strings.Contains(err.Error(), "+role")
	})
	if got := names(b.Weaknesses()); got != "acl" {
		t.Errorf("weaknesses are %q, want what the user may not do, too", got)
	}
	do(t, c, "ACL", "SETUSER", "narrow", "+xadd")
	eventually(t, "the node to be ready", func() bool { return b.Ready() == nil })
	if _, err := b.Publish(context.WithoutCancel(t.Context()), channelA, []byte(`1`), realtime.PublishOptions{}); err != nil {
		t.Error(err)
	}
}

// TestLeastRulesAreWritten compares what docs/operations.md has operators type with the code.
func TestLeastRulesAreWritten(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "ACL SETUSER kentongan on >PASSWORD ")
	written, _, _ := strings.Cut(rest, "```")
	if got, want := strings.Join(strings.Fields(written), " "), strings.Join(redis.LeastRules("kentongan:"), " "); !ok || got != want {
		t.Errorf("docs/operations.md has the rules\n%s\nwant\n%s", got, want)
	}
	_, rest, ok = strings.Cut(string(text), "and these as well:\n\n```\n")
	written, _, _ = strings.Cut(rest, "```")
	var more []string
	for _, rule := range redis.LeastClusterRules("kentongan:") {
		if !slices.Contains(redis.LeastRules("kentongan:"), rule) && rule[0] == '+' {
			more = append(more, rule)
		}
	}
	if got, want := strings.Join(strings.Fields(written), " "), strings.Join(more, " "); !ok || got != want {
		t.Errorf("of a Cluster it says\n%s\nwant\n%s", got, want)
	}
}
