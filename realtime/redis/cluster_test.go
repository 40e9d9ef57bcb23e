package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
	"kentongan/tenant"
)

// ourSlot is where everything of ours is in a Cluster.
const ourSlot = 5906

// TestCluster does on a Cluster all that there is, as a user who may do no more than he must, and then moves the slot about.
func TestCluster(t *testing.T) {
	t.Parallel() // much of it is waiting until the nodes of the Cluster agree
	least := append([]string{"--user", "least", "on", ">word"}, redis.LeastClusterRules("kentongan:")...)
	c := testenv.StartClusterWithReplicas(t, 10*time.Second, least...)
	base := redis.Options{
		Cluster: c.Addresses[:2], Username: "least", Password: "word",
		AnswerLimit: 10 * time.Second, CommandTimeout: 20 * time.Second, // what a busy machine takes is not what is tried here
	}
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
	running := func(t *testing.T, prefix string) (*redis.Broker, func()) {
		b := open(t, in(nil, prefix))
		stop := run(t, b, nothing{})
		if _, err := b.Follow(t.Context(), tenant.ID("k1")); err != nil {
			t.Fatal(err)
		}
		return b, stop
	}
	brokertest.RunPresence(t, func(*testing.T) brokertest.PresenceEngine {
		prefix := newPrefix()
		return brokertest.PresenceEngine{Shared: true, Open: func(t *testing.T) (realtime.Presence, func()) {
			b, stop := running(t, prefix)
			return b.Presence(), stop
		}}
	})
	brokertest.RunDevices(t, func(*testing.T) brokertest.DevicesEngine {
		prefix := newPrefix()
		return brokertest.DevicesEngine{Shared: true, Open: func(t *testing.T) (realtime.Devices, func()) {
			b, stop := running(t, prefix)
			return b.Devices(), stop
		}}
	})
	brokertest.RunQuarantine(t, func(*testing.T) brokertest.QuarantineEngine {
		prefix := newPrefix()
		return brokertest.QuarantineEngine{Shared: true, Open: func(t *testing.T) realtime.Quarantine {
			b, _ := running(t, prefix)
			return b.Quarantine()
		}}
	})
	t.Run("Shared", func(t *testing.T) { clusterShares(t, c, in(nil, newPrefix())) })
	t.Run("Stream", func(t *testing.T) {
		o := in(nil, newPrefix())
		streamAs(t, admin(t, c.Owner(t, c.Servers[0], ourSlot).Addr), "{kentongan}:"+o.Prefix, o)
	})
	t.Run("Examined", func(t *testing.T) {
		e, err := redis.Examine(t.Context(), base)
		if err != nil || len(e.Refused) > 0 || len(e.Missing) > 0 {
			t.Errorf("examined: %v, refused %q, missing %+v", err, e.Refused, e.Missing)
		}
	})
	do(t, admin(t, c.Owner(t, c.Servers[0], ourSlot).Addr), "FLUSHALL") // so that little has to be moved
	t.Run("Feed", func(t *testing.T) { clusterFeed(t, c, in(nil, newPrefix())) })
	t.Run("SlotMoves", func(t *testing.T) { slotMoves(t, c, in(bigHistory(t), newPrefix())) })
	t.Run("SlotHalfMoved", func(t *testing.T) { slotHalfMoved(t, c, in(nil, newPrefix())) })
	t.Run("LinkBreaks", func(t *testing.T) { linkBreaks(t, c, in(nil, newPrefix())) })
}

// clusterShares is about what nodes tell each other, and what the app tells them at whatever node.
func clusterShares(t *testing.T, c *testenv.Cluster, o redis.Options) {
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
	for i, s := range c.Servers {
		sub := fmt.Sprintf(`{"sub":"at node %d"}`, i)
		do(t, admin(t, s.Addr), "PUBLISH", o.Prefix+"revoke", sub)
		eventually(t, sub, func() bool { return h.has(sub) })
	}
	eventually(t, "the revocation", func() bool { return h.has(`{"sub":"a"}`) })
	all, err := b.Channels(t.Context(), 10)
	if err != nil || len(all) != 1 || all[0].Channel != channelA {
		t.Errorf("channels: %+v, %v; want the one", all, err)
	}
}

// clusterFeed: what the app publishes at any node is heard, in one order with the marks, until the slot is somewhere else.
func clusterFeed(t *testing.T, c *testenv.Cluster, o redis.Options) {
	s, err := redis.NewSource(o, 1000)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, o)
	h := newHearer()
	ended := make(chan error, 1)
	go func() { ended <- s.Receive(t.Context(), []string{"a:*"}, h) }()
	feed := <-h.ready
	state, err := b.Ledger().Report(t.Context(), stamping.Report{
		Node: "n", Token: "t", Globs: "g", Mark: "m1", Ask: true, Trusted: true, Feeds: []string{feed, feed + "x"},
	})
	if err != nil || len(state.Open) != 2 || !state.Open[0] || state.Open[1] {
		t.Errorf("reported: %+v, %v; want the first feed open and no other", state, err)
	}
	if got := <-h.marks; got != "m1" {
		t.Errorf("met mark %q, want m1", got)
	}
	for i, server := range c.Servers {
		want := fmt.Sprint("at node ", i)
		do(t, admin(t, server.Addr), "PUBLISH", "a:1", want)
		if got := <-h.messages; string(got.payload) != want {
			t.Errorf("heard %q, want %q", got.payload, want)
		}
	}
	move(t, c)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the slot is at another node now") {
		t.Errorf("after the slot has moved: %v, want that it has", err)
	}
}

// elsewhere returns a primary that does not have the slot.
func elsewhere(t *testing.T, c *testenv.Cluster) *testenv.RedisServer {
	t.Helper()
	owner := c.Owner(t, c.Servers[0], ourSlot)
	for _, s := range c.Servers[:3] {
		if s != owner {
			return s
		}
	}
	panic("three primaries, and one owner")
}

// move moves the slot to another primary.
func move(t *testing.T, c *testenv.Cluster) {
	t.Helper()
	m := c.Migration(t, ourSlot, elsewhere(t, c))
	if err := m.Move(t.Context(), time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// slotMoves publishes over two nodes while the slot goes from primary to primary. Nothing is lost by that, so nobody is told a gap.
func slotMoves(t *testing.T, c *testenv.Cluster, o redis.Options) {
	one, readOne := node(t, "one", o)
	two, readTwo := node(t, "two", o)
	stop := make(chan struct{})
	waits := []func() map[string]realtime.Position{publishFrom(t, "one", one, stop), publishFrom(t, "two", two, stop)}
	published := func() uint64 { return one.Stats().Published + two.Stats().Published }
	const moves = 4
	for range moves {
		before := published()
		eventually(t, "publications", func() bool { return published() > before+200 })
		move(t, c)
	}
	before := published()
	eventually(t, "publications after the last move", func() bool { return published() > before+200 })
	close(stop)
	for _, wait := range waits {
		acked := wait()
		for _, r := range []*reader{readOne, readTwo} {
			for data := range acked {
				eventually(t, "what was acknowledged", func() bool { return r.has(channelA, data) })
			}
		}
	}
	settle(t, one, readOne.watcher)
	settle(t, two, readTwo.watcher)
	for who, r := range map[string]*reader{"one": readOne, "two": readTwo} {
		nothingTwice(t, who, r)
		if n := r.gapCount(channelA); n != 0 {
			t.Errorf("%s is told %d gaps, want none: nothing was lost", who, n)
		}
		r.clock.Lock()
		t.Logf("%s: silent for %v at the longest", who, r.clock.longest)
		r.clock.Unlock()
	}
	if s := one.Stats(); s.Moves != moves {
		t.Errorf("the primary moved %d times, want %d", s.Moves, moves)
	}
}

// slotHalfMoved stops in the middle of a migration, where some keys are gone and others are not. Whatever is tried then does all or nothing.
func slotHalfMoved(t *testing.T, c *testenv.Cluster, o redis.Options) {
	o.AnswerLimit, o.CommandTimeout = 500*time.Millisecond, time.Second // nothing is answered for long, on purpose
	var out syncBuffer
	o.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, w := follow(t, o)
	publish := func() (realtime.Position, error) {
		p, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
		return p.Position, err
	}
	settle(t, b, w)
	last, err := publish()
	if err != nil {
		t.Fatal(err)
	}
	const why = "is being moved to another node"
	m := c.Migration(t, ourSlot, elsewhere(t, c))
	if err := m.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := func() {
		t.Helper()
		eventually(t, "the node to say so", func() bool { err := b.Ready(); return err != nil && strings.Contains(err.Error(), why) })
		if _, err := publish(); !errors.Is(err, realtime.ErrNotStored) || !strings.Contains(err.Error(), why) {
			t.Errorf("publish: %v, want ErrNotStored and why", err)
		}
		// Each of these would break off in its middle.
		for what, err := range map[string]error{
			"turn all":    b.TurnAll(t.Context(), realtime.GapIntake),
			"turn one":    b.TurnEpoch(t.Context(), channelA, realtime.GapIntake),
			"hold":        b.Quarantine().Hold(t.Context(), &realtime.Held{Channel: channelA, Data: []byte("x")}),
			"history":     onlyErr(b.History(t.Context(), channelA, realtime.Position{}, 10)),
			"channels":    onlyErr(b.Channels(t.Context(), 10)),
			"members":     onlyErr(b.Presence().Members(t.Context(), channelA)),
			"snapshot":    onlyErr(b.Snapshot(t.Context(), channelA)),
			"take ticket": onlyErr(b.Tickets().TakeTicket(t.Context(), "none")),
		} {
			if !errors.Is(err, realtime.ErrUnavailable) || rawRefusal.MatchString(err.Error()) {
				t.Errorf("%s: %v, want ErrUnavailable, and why in words", what, err)
			}
		}
	}
	refused() // all keys are here still
	owner := admin(t, m.From)
	do(t, owner, "CLUSTER", "SETSLOT", fmt.Sprint(ourSlot), "STABLE") // the operator thinks better of it
	eventually(t, "the node to be ready", func() bool { return b.Ready() == nil })
	settle(t, b, w)
	next, err := publish()
	if err != nil || next.Epoch != last.Epoch {
		t.Errorf("published at %v, %v; want the epoch of %v", next, err, last)
	}
	if err := m.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(m.To, ":")
	do(t, owner, "MIGRATE", host, port, "{kentongan}:"+o.Prefix+"{k1}:head", "0", "5000")
	refused() // the most important one is gone
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return m.Carry(ctx, 0) }, m.End,
	} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, b, w)
	after, err := publish()
	if err != nil || after.Epoch != last.Epoch || after.Offset <= next.Offset {
		t.Errorf("published at %v, %v; want to go on behind %v", after, err, next)
	}
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none", n)
	}
	if raw := rawRefusal.FindString(out.String()); raw != "" {
		t.Errorf("the log has what Redis said as it said it, %q:\n%s", raw, out.String())
	}
}

// rawRefusal is what a node says of keys that are elsewhere, and people need not understand.
var rawRefusal = regexp.MustCompile(`\b(ASK|MOVED) \d+ |TRYAGAIN|CLUSTERDOWN`)

// linkBreaks: what the app published at a node that dies may have been on its way to us. Then all are owed a gap, once.
func linkBreaks(t *testing.T, c *testenv.Cluster, o redis.Options) {
	b := open(t, o)
	source, err := redis.NewSource(o, 1000)
	if err != nil {
		t.Fatal(err)
	}
	h := newHearer()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() { _ = source.Receive(ctx, []string{"a:*"}, h) }) // it ends with the test
	feed := <-h.ready
	turned, n := "", 0
	report := func() string {
		t.Helper()
		n++
		s, err := b.Ledger().Report(t.Context(), stamping.Report{
			Node: "n", Token: "t", Globs: "g", Mark: fmt.Sprint("m", n), Trusted: true, Turned: turned, Feeds: []string{feed},
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.Owed
	}
	owner := admin(t, c.Owner(t, c.Servers[0], ourSlot).Addr)
	looks := func(times int) { // reports until it was looked at the links so often, and nothing is owed
		t.Helper()
		seen := map[string]bool{}
		eventually(t, "looks at the links", func() bool {
			if owed := report(); owed != "" {
				t.Fatalf("%s is owed, and nothing has broken", owed)
			}
			at, _ := do(t, owner, "HGET", "{kentongan}:"+o.Prefix+"intake", "looked").ToString() // empty before the first
			seen[at] = at != ""
			return len(seen) > times
		})
	}
	looks(4)
	c.Servers[5].Kill() // a replica
	eventually(t, "a debt", func() bool { turned = report(); return turned != "" })
	eventually(t, "its payment", func() bool { return report() == "" })
	looks(4)
}

func onlyErr[T any](_ T, err error) error { return err }
