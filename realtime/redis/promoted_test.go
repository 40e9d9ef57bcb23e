package redis_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
)

// pair is a primary and its replica, and a node at each: the first one's way to Redis can be led to the other server.
type pair struct {
	t                *testing.T
	primary, replica *testenv.RedisServer
	proxy            *proxy
	here, there      *redis.Broker
	atHere, atThere  *reader
}

func newPair(t *testing.T) *pair {
	t.Helper()
	// It need not wait for more replicas.
	p := &pair{t: t, primary: testenv.StartRedis(t, "--repl-diskless-sync-delay", "0")}
	_, port, err := net.SplitHostPort(p.primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p.replica = testenv.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	eventually(t, "replication", func() bool {
		return strings.Contains(ask(t, p.replica.Addr, "INFO replication"), "master_link_status:up")
	})
	p.proxy = newProxy(t, p.primary.Addr)
	p.here, p.atHere = node(t, "here", redis.Options{Address: p.proxy.addr, Names: bigHistory(t)})
	return p
}

// replicated waits until the replica has all that the primary has.
func (p *pair) replicated() {
	p.t.Helper()
	offset := func(addr, field string) string {
		for line := range strings.Lines(ask(p.t, addr, "INFO replication")) {
			if value, ok := strings.CutPrefix(line, field+":"); ok {
				return strings.TrimSpace(value)
			}
		}
		return field
	}
	eventually(p.t, "the replica", func() bool {
		return offset(p.primary.Addr, "master_repl_offset") == offset(p.replica.Addr, "slave_repl_offset")
	})
}

// promote ends the replication, and makes the replica a primary that has what it has. A node comes to it; the first one stays where it is.
func (p *pair) promote() {
	p.t.Helper()
	do(p.t, admin(p.t, p.replica.Addr), "REPLICAOF", "NO", "ONE")
	p.there, p.atThere = node(p.t, "there", redis.Options{Address: p.replica.Addr, Names: bigHistory(p.t)})
}

// move brings the first node to the new primary.
func (p *pair) move() {
	p.proxy.lead(p.replica.Addr)
	p.proxy.refuse()
	p.proxy.accept()
}

func (p *pair) publish(b *redis.Broker, ch realtime.Channel, data string) realtime.Position {
	p.t.Helper()
	done, err := b.Publish(p.t.Context(), ch, []byte(data), realtime.PublishOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return done.Position
}

// TestPromoted has a replica promoted that had not everything, while the old primary still acknowledges: nobody knows what was lost when
// the new one is published to first. No position may be given to two publications, nor any reader go on as if nothing had been lost.
func TestPromoted(t *testing.T) {
	p := newPair(t)
	menu := realtime.Channel{Tenant: "k1", Name: "production:alerts"} // has its first publication after the promotion
	holds := map[realtime.Position]string{}
	give := func(b *redis.Broker, ch realtime.Channel, data string) (at realtime.Position) {
		t.Helper()
		at = p.publish(b, ch, data)
		place := realtime.Position{Epoch: ch.Name + " " + at.Epoch, Offset: at.Offset}
		if other := holds[place]; other != "" {
			t.Errorf("%s and %s were both acknowledged at %v of %s", other, data, at, ch.Name)
		}
		holds[place] = data
		return at
	}
	give(p.here, channelA, `"kept"`)
	p.replicated()
	p.promote()
	var lost realtime.Position
	for i := range 3 {
		lost = give(p.here, channelA, fmt.Sprintf(`"lost %d"`, i))
	}
	give(p.here, menu, `"lost, too"`)
	eventually(t, "deliveries", func() bool { return p.atHere.has(channelA, `"lost 2"`) && p.atHere.has(menu, `"lost, too"`) })
	for i := range 4 { // one more than were lost, so that offsets alone show nothing
		give(p.there, channelA, fmt.Sprintf(`"new %d"`, i))
		give(p.there, menu, fmt.Sprintf(`"new, too %d"`, i))
	}
	p.move()
	for _, ch := range []realtime.Channel{channelA, menu} {
		for who, r := range map[string]*reader{"here": p.atHere, "there": p.atThere} {
			eventually(t, "the gap in "+ch.Name+" "+who, func() bool { return r.gapCount(ch) > 0 })
		}
	}
	give(p.here, channelA, `"newer"`)
	for who, r := range map[string]*reader{"here": p.atHere, "there": p.atThere} {
		eventually(t, "the delivery "+who, func() bool {
			return r.has(channelA, `"newer"`) && r.has(channelA, `"new 3"`) && r.has(menu, `"new, too 3"`)
		})
		if n := r.gapCount(channelA); n != 1 {
			t.Errorf("%s is told %d gaps, want one", who, n)
		}
		nothingTwice(t, who, r)
	}
	settle(t, p.here, p.atHere.watcher)
	settle(t, p.there, p.atThere.watcher)
	// Who was away, and comes back when no node knows any more what there was.
	page, err := p.there.History(t.Context(), channelA, lost, 10)
	if err != nil || page.Gap != realtime.GapEpoch {
		t.Errorf("history since what was lost: %+v, %v; want gap %q", page, err, realtime.GapEpoch)
	}
}

// TestPromotedKeepsRepeats has the answer to a publication lost with the old primary, though the replica has it; then others publish at the
// new primary, and begin a new epoch. The repeat must still find that it was stored, and be delivered once.
func TestPromotedKeepsRepeats(t *testing.T) {
	p := newPair(t)
	p.publish(p.here, channelA, `"known"`)
	p.proxy.swallow()           // from here on no answer comes
	p.proxy.refuses.Store(true) // nor over another connection, however long the rest takes
	answers := make(chan string, 2)
	send := func(data string) {
		p.here.PublishAsync(channelA, []byte(data), realtime.PublishOptions{}, func(done realtime.Published, err error) {
			answers <- fmt.Sprint(data, " ", done.Position.Offset, " ", err)
		})
	}
	send(`"stored"`)
	eventually(t, "the replica", func() bool {
		return strings.Contains(ask(t, p.primary.Addr, "XLEN kentongan:{k1}:h:"+channelA.Name), ":2")
	})
	p.replicated()
	p.promote()
	send(`"waits"`)
	p.publish(p.there, channelA, `"new"`)
	p.move()
	for want := map[string]bool{`"stored" 2 <nil>`: true, `"waits" 2 <nil>`: true}; len(want) > 0; {
		select {
		case got := <-answers:
			if !want[got] {
				t.Fatalf("published: %s; want one of %v", got, want)
			}
			delete(want, got)
		case <-time.After(30 * time.Second):
			t.Fatalf("no answer; still wanted: %v", want)
		}
	}
	settle(t, p.here, p.atHere.watcher)
	settle(t, p.there, p.atThere.watcher)
	for who, r := range map[string]*reader{"here": p.atHere, "there": p.atThere} {
		eventually(t, "the delivery "+who, func() bool { return r.has(channelA, `"waits"`) })
		nothingTwice(t, who, r)
	}
}

// TestDemotedInPlace makes a primary a replica, and a primary again, while the connections to it stay open.
func TestDemotedInPlace(t *testing.T) {
	other, server := testenv.StartRedis(t), testenv.StartRedis(t)
	b := open(t, redis.Options{Address: server.Addr, CommandTimeout: time.Second})
	publish := func() (realtime.Position, error) {
		p, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
		return p.Position, err
	}
	before, err := publish()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(other.Addr)
	if err != nil {
		t.Fatal(err)
	}
	do(t, admin(t, server.Addr), "CONFIG", "SET", "masterauth", "x") // the other one refuses it, so that it keeps its data
	do(t, admin(t, other.Addr), "CONFIG", "SET", "requirepass", "y")
	do(t, admin(t, server.Addr), "REPLICAOF", "127.0.0.1", port)
	eventually(t, "to be told that it is a replica", func() bool {
		_, err := publish()
		return err != nil && strings.Contains(err.Error(), "is a replica of "+other.Addr)
	})
	do(t, admin(t, server.Addr), "REPLICAOF", "NO", "ONE")
	var after realtime.Position
	eventually(t, "a publication", func() bool { after, err = publish(); return err == nil })
	if after.Epoch == before.Epoch {
		t.Errorf("a publication is at %v, want another epoch than before the demotion", after)
	}
}

// TestPromotedFromLongAgo promotes a replica that has not even heard of the last epoch. What it holds is no news.
func TestPromotedFromLongAgo(t *testing.T) {
	p := newPair(t)
	p.publish(p.here, channelA, `"one"`)
	p.publish(p.here, channelA, `"two"`)
	p.replicated()
	do(t, admin(t, p.replica.Addr), "REPLICAOF", "NO", "ONE")
	if err := p.here.TurnEpoch(t.Context(), channelA, realtime.GapIntake); err != nil {
		t.Fatal(err)
	}
	p.publish(p.here, channelA, `"three"`)
	eventually(t, "the delivery", func() bool { return p.atHere.has(channelA, `"three"`) })
	before := p.atHere.gapCount(channelA)
	p.move()
	eventually(t, "the gap", func() bool { return p.atHere.gapCount(channelA) > before })
	var err error
	eventually(t, "a publication", func() bool {
		_, err = p.here.Publish(t.Context(), channelA, []byte(`"four"`), realtime.PublishOptions{Key: "four"})
		return err == nil
	})
	eventually(t, "its delivery", func() bool { return p.atHere.has(channelA, `"four"`) })
	settle(t, p.here, p.atHere.watcher)
	nothingTwice(t, "here", p.atHere)
}
