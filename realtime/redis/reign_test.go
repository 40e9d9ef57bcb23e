package redis

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

func TestReignOf(t *testing.T) {
	info := func(before string) reply {
		return reply{text: "# Replication\r\nrole:master\r\nmaster_replid2:" + before + "\r\nsecond_repl_offset:17\r\n"}
	}
	none := strings.Repeat("0", 40)
	for _, one := range []struct{ run, before string }{{"a1", none}, {"", "b2"}, {"a1", ""}} {
		if got := reignOf(one.run, info(one.before)); got != "" {
			t.Errorf("run %q after %q is called %q, want no word", one.run, one.before, got)
		}
	}
	words := map[string]bool{}
	for _, one := range []struct{ run, before string }{{"a1", "b2"}, {"a1", "b3"}, {"a2", "b2"}} {
		got := reignOf(one.run, info(one.before))
		if len(got) != reignLetters || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz234567") != "" || words[got] {
			t.Errorf("run %q after %q is called %q, want %d other letters or digits", one.run, one.before, got, reignLetters)
		}
		words[got] = true
	}
}

// promoted returns a primary, and its replica after it was promoted; both have what fill published at the primary.
func promoted(t *testing.T, fill func(*Broker)) (primary, replica *Broker) {
	t.Helper()
	open := func(addr string) *Broker {
		b, err := New(Options{Address: addr})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	old := testenv.StartRedis(t, "--repl-diskless-sync-delay", "0") // it need not wait for more replicas
	_, port, err := net.SplitHostPort(old.Addr)
	if err != nil {
		t.Fatal(err)
	}
	next := testenv.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	primary = open(old.Addr)
	fill(primary)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for n := int64(0); n == 0; { // until it is there, and has all
		if n, err = primary.ask.Do(ctx, primary.ask.B().Wait().Numreplicas(1).Timeout(1000).Build()).AsInt64(); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", next.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := newAsker(conn, time.Second).ask([]string{"REPLICAOF", "NO", "ONE"}); err != nil {
		t.Fatal(err)
	}
	return primary, open(next.Addr)
}

func publishOne(t *testing.T, b *Broker, ch realtime.Channel) realtime.Position {
	t.Helper()
	p, err := b.Publish(t.Context(), ch, []byte(`1`), realtime.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Position
}

// TestPromotedStamps has plain PUBLISH stamped at a new primary, and never at a position that the old one has given to something.
func TestPromotedStamps(t *testing.T) {
	updates, menu := realtime.Channel{Tenant: "k1", Name: "updates"}, realtime.Channel{Tenant: "k1", Name: "menu:updates"}
	primary, replica := promoted(t, func(b *Broker) { publishOne(t, b, updates) })
	lost := []realtime.Position{publishOne(t, primary, updates), publishOne(t, primary, menu)}

	w := newTwins(t, Options{Address: replica.opts.Address}, 2, 0)
	feed := replica.keys.feed("f")
	w.subscribe(feed)
	state, err := replica.ledger.Report(t.Context(), stamping.Report{
		Node: "n", Token: "t", Globs: "g", Feeds: []string{feed}, Mark: "n.1", Trusted: true,
	})
	if err != nil || !state.Mine || state.Owed != "" { // owed, all epochs would be turned for that
		t.Fatalf("%+v, %v", state, err)
	}
	batch := stamping.Batch{Token: "t", Numbering: "n.1", Last: 3}
	for i, ch := range []realtime.Channel{updates, menu, updates} {
		batch.Messages = append(batch.Messages, stamping.Numbered{
			Number: int64(i + 1), Message: stamping.Message{Channel: ch, Data: []byte(`2`), Arrived: time.Now()},
		})
	}
	if r, err := replica.ledger.Stamp(t.Context(), batch); err != nil || r.Count != 3 {
		t.Fatalf("%+v, %v; want 3 stamped", r, err)
	}
	for i, ch := range []realtime.Channel{updates, menu} {
		page, err := replica.History(t.Context(), ch, realtime.Position{}, 10)
		if err != nil || page.Head.Epoch == lost[i].Epoch || page.Head.Offset != uint64(2-i) || len(page.Publications) != 2-i {
			t.Errorf("%s after %v: %+v, %v; want %d of another epoch", ch.Name, lost[i], page, err, 2-i)
		}
	}
	// What is begun in this reign, by whomever, stays.
	if err := replica.TurnEpoch(t.Context(), menu, realtime.GapIntake); err != nil {
		t.Fatal(err)
	}
	page, err := replica.History(t.Context(), menu, realtime.Position{}, 0)
	if at := publishOne(t, replica, menu); err != nil || at != (realtime.Position{Epoch: page.Head.Epoch, Offset: 1}) {
		t.Errorf("after a turn to %v, %v, a publication is at %v", page.Head, err, at)
	}
	// And what is made for the old primary cannot be carried out here.
	if replica.pub.client.dialer.reigns() == "" || primary.pub.client.dialer.reigns() != "" {
		t.Fatalf("the reigns are %q, then %q; want none and a word", primary.pub.client.dialer.reigns(), replica.pub.client.dialer.reigns())
	}
	command := replica.pub.command(&outgoing{ch: updates, data: []byte(`3`)}, primary.pub.client.dialer.scripts().publish)
	if err := replica.pub.client.Do(t.Context(), command).Error(); err == nil || !strings.Contains(err.Error(), "NOSCRIPT") {
		t.Errorf("a publication for the old primary is answered with %v, want NOSCRIPT", err)
	}
}

// TestScriptsFlushed has somebody take the scripts away while connections are open.
func TestScriptsFlushed(t *testing.T) {
	b, err := New(Options{Address: testenv.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	updates := realtime.Channel{Tenant: "k1", Name: "updates"}
	first := publishOne(t, b, updates)
	for want := first.Offset + 1; want < 5; want++ {
		if err := b.ask.Do(t.Context(), b.ask.B().ScriptFlush().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if at := publishOne(t, b, updates); at != (realtime.Position{Epoch: first.Epoch, Offset: want}) {
			t.Errorf("after SCRIPT FLUSH a publication is at %v, want %s/%d", at, first.Epoch, want)
		}
	}
}
