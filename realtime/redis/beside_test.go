package redis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
)

// beside is a node of today beside one of schema 1.0, on one Redis, and what has to be in their channel.
type beside struct {
	t    *testing.T
	old  *elder
	new  *redis.Broker
	w    *watcher
	want []string          // position and data of all that was published
	at   realtime.Position // of the last one, or of the turn after it
	n    int
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	addr := testenv.StartRedis(t).Addr
	s := &beside{t: t, old: newElder(t, addr)} // which was there first
	s.new, s.w = follow(t, redis.Options{Address: addr})
	return s
}

// data makes a publication of one of three batches.
func (s *beside) data() (data, product string) {
	s.n++
	product = fmt.Sprint("p", s.n%3)
	return fmt.Sprintf(`{"productionId":%q,"n":%d}`, product, s.n), product
}

// published notes that data is at a position, which has to be the next one.
func (s *beside) published(who string, at realtime.Position, data string) {
	s.t.Helper()
	if s.at != (realtime.Position{}) && at != (realtime.Position{Epoch: s.at.Epoch, Offset: s.at.Offset + 1}) {
		s.t.Fatalf("%s puts %s at %v, after %v", who, data, at, s.at)
	}
	s.at = at
	s.want = append(s.want, spell(at, data))
}

// byNew publishes through the node of today.
func (s *beside) byNew(opts realtime.PublishOptions) {
	s.t.Helper()
	data, _ := s.data()
	p, err := s.new.Publish(s.t.Context(), channelA, []byte(data), opts)
	if err != nil || p.Duplicate {
		s.t.Fatalf("publish: %+v, %v", p, err)
	}
	s.published("the new node", p.Position, data)
}

// byOld publishes through the elder, and returns with what that would be tried again.
func (s *beside) byOld(key string) (again func() (byte, realtime.Position)) {
	s.t.Helper()
	data, product := s.data()
	token, known := s.old.token(), s.old.known
	letter, at := s.old.try(token, data, product, key, known, false)
	if letter != 'N' {
		s.t.Fatalf("the elder is answered %c", letter)
	}
	s.published("the elder", at, data)
	return func() (byte, realtime.Position) { return s.old.try(token, data, product, key, known, true) }
}

// dataOf returns the data of what was spelled.
func dataOf(spelled []string) (all []string) {
	for _, text := range spelled {
		_, data, _ := strings.Cut(text, " ")
		all = append(all, data)
	}
	return all
}

// agree checks that both have heard everything in one order, and find the same when they look.
func (s *beside) agree() {
	t := s.t
	t.Helper()
	heard := func() (old, now []string) {
		s.old.mu.Lock()
		old = slices.Clone(s.old.heard)
		s.old.mu.Unlock()
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		return old, slices.Clone(s.w.delivered[channelA])
	}
	eventually(t, "both to have heard everything", func() bool {
		old, now := heard()
		return len(old) >= len(s.want) && len(now) >= len(s.want)
	})
	old, now := heard()
	if !slices.Equal(old, s.want) || !slices.Equal(now, dataOf(s.want)) {
		t.Fatalf("the elder heard %q,\nthe new node %q,\nwant %q", old, now, s.want)
	}
	page, err := s.new.History(t.Context(), channelA, realtime.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var history []string
	for _, p := range page.Publications {
		history = append(history, spell(p.Position, string(p.Data)))
	}
	held := slices.DeleteFunc(slices.Clone(s.want), func(text string) bool { return !strings.HasPrefix(text, s.at.Epoch+"/") })
	if got := s.old.history(); page.Head != s.at || !slices.Equal(history, held) || !slices.Equal(got, held) {
		t.Fatalf("at %v the new node reads %q up to %v,\nthe elder %q, want %q", s.at, history, page.Head, got, held)
	}
	newest, err := s.new.Snapshot(t.Context(), channelA)
	if err != nil {
		t.Fatal(err)
	}
	var fromNew []string
	for _, p := range newest.Publications {
		fromNew = append(fromNew, string(p.Data))
	}
	fromOld := s.old.newest()
	slices.Sort(fromNew)
	slices.Sort(fromOld)
	if !slices.Equal(fromNew, fromOld) {
		t.Fatalf("the newest of each key: %q at the new node, %q at the elder", fromNew, fromOld)
	}
}

// TestBesideSchema1 has a node of schema 1.0 and one of today take turns on one Redis, in any order: each goes on at the position at which
// the other one stopped, knows the other one's keys and tries, hears everything, and reads the same.
func TestBesideSchema1(t *testing.T) {
	s := newBeside(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 1))
	at := &tracing.Context{Trace: [16]byte{1}, Span: [8]byte{2}}
	traced, turned := 0, 0
	acts := []func(i int){
		func(int) { s.byOld("") },
		func(int) { s.byNew(realtime.PublishOptions{}) },
		func(int) { s.byNew(realtime.PublishOptions{Trace: at}); traced++ },
		func(i int) { // the elder's key comes again, at the other node
			key := fmt.Sprint("old", i)
			s.byOld(key)
			data := s.want[len(s.want)-1]
			_, data, _ = strings.Cut(data, " ")
			p, err := s.new.Publish(t.Context(), channelA, []byte(data), realtime.PublishOptions{Key: key})
			if err != nil || !p.Duplicate || p.Position != s.at {
				t.Fatalf("a repeat of the elder's key: %+v, %v; want %v", p, err, s.at)
			}
		},
		func(i int) { // and the other way round
			key := fmt.Sprint("new", i)
			s.byNew(realtime.PublishOptions{Key: key, Trace: at})
			traced++
			_, data, _ := strings.Cut(s.want[len(s.want)-1], " ")
			if letter, got := s.old.try(s.old.token(), data, "p0", key, s.old.known, false); letter != 'D' || got != s.at {
				t.Fatalf("a repeat of the new node's key: %c %v; want D %v", letter, got, s.at)
			}
			answer := s.old.text("store publish", []string{elderHead, elderStream, elderRecord + key, elderNewest}, elderName, "other",
				elderKeeps, elderKeepsFor, elderLive, s.old.token(), "neverused", "", "0", "another digest..", "300", "0", "")
			if answer != "K" {
				t.Fatalf("other data under the new node's key: %s, want K", answer)
			}
		},
		func(int) { // the elder's answer was lost, and the other one publishes before it tries again
			again := s.byOld("")
			stored := s.at
			s.byNew(realtime.PublishOptions{Trace: at})
			traced++
			if letter, got := again(); letter != 'A' || got != stored {
				t.Fatalf("another try of the elder: %c %v, want A %v", letter, got, stored)
			}
		},
		func(int) { s.at = s.old.turn(); turned++ },
		func(int) {
			if err := s.new.TurnEpoch(t.Context(), channelA, realtime.GapOverloaded); err != nil {
				t.Fatal(err)
			}
			heads, err := s.new.History(t.Context(), channelA, realtime.Position{}, 1)
			if err != nil || heads.Head.Epoch == s.at.Epoch || heads.Head.Offset != 0 {
				t.Fatalf("after a turn: %+v, %v", heads, err)
			}
			s.at = heads.Head
			turned++
		},
	}
	for i := range 150 {
		act := draw.IntN(len(acts))
		if act >= 6 && draw.IntN(3) > 0 {
			act -= 5 // turns are rare
		}
		acts[act](i)
		if i%25 == 0 {
			s.agree()
		}
	}
	s.byOld("")
	s.byNew(realtime.PublishOptions{})
	s.agree()
	s.old.mu.Lock()
	foreign, turns := s.old.foreign, s.old.turns
	s.old.mu.Unlock()
	if foreign != traced || turns != turned || s.w.gapCount(channelA) != turned {
		t.Errorf("the elder passes over %d copies and hears of %d turns, the new node of %d; want %d of traces, and %d", foreign, turns,
			s.w.gapCount(channelA), traced, turned)
	}
	if got := s.old.text("schema", []string{"kentongan:schema"}, "1", "0"); got != "1.1" {
		t.Errorf("the elder finds the schema %s, want that of the new node, 1.1", got)
	}
	if err := s.new.Ready(); err != nil {
		t.Errorf("the new node is not ready: %v", err)
	}
}

// TestPresenceBesideSchema1 has users at both nodes, and a device that goes from one to the other.
func TestPresenceBesideSchema1(t *testing.T) {
	s := newBeside(t)
	ctx := t.Context()
	s.old.join("juru")
	s.new.Presence().Join(channelA, "koki")
	s.new.Presence().Join(channelA, "koki")
	eventually(t, "both to see all", func() bool {
		members, err := s.new.Presence().Members(ctx, channelA)
		return err == nil && len(members) == 2 && members[0].User == "juru" && members[0].Sessions == 1 && members[1].User == "koki" &&
			members[1].Sessions == 2 && s.old.others()["koki"] == "2"
	})
	s.new.Presence().Leave(channelA, "koki")
	eventually(t, "the elder to see that one has left", func() bool { return s.old.others()["koki"] == "1" })

	device := realtime.Device{Tenant: "k1", ID: realtime.DeviceID{9}}
	key, name := elderDevices+":09000000000000000000000000000000", "09000000000000000000000000000000"
	s.new.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceArrived, Connection: 1, Position: "here"})
	var record string
	eventually(t, "the record of the device", func() bool {
		record, _ = do(t, s.old.c, "GET", key).ToString()
		return record != ""
	})
	if record[0] != 1 {
		t.Errorf("the record has version %d, and the elder knows 1", record[0])
	}
	// The elder writes what it has read, for something of the same connection came to it.
	written, err := s.old.call("device", []string{key, elderDevices}, record, record, "259200000", name, "4096", elderDevices+":").AsInt64()
	if err != nil || written != 1 {
		t.Fatalf("the elder's write of the record: %d, %v", written, err)
	}
	s.new.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceLost, Connection: 1, Position: "there"})
	eventually(t, "the new position", func() bool {
		positions, known, err := s.new.Devices().Positions(ctx, device)
		stored, _ := do(t, s.old.c, "GET", key).ToString()
		return err == nil && known && slices.Equal(positions, []string{"there"}) && stored != record
	})
}

// TestLedgerBesideSchema1 has plain PUBLISH stamped by one node after the other: the numbers go on, and who has handed over can no longer
// stamp.
func TestLedgerBesideSchema1(t *testing.T) {
	s := newBeside(t)
	l, ctx := s.new.Ledger(), t.Context()
	data := func(n int) []string {
		var all []string
		for range n {
			d, _ := s.data()
			all = append(all, d)
		}
		return all
	}
	byOld := func(prev int64, messages ...string) {
		t.Helper()
		answer := s.old.stamp("elder-mark", prev, messages...)
		if answer[0] != "D" || answer[1] != fmt.Sprint(prev+int64(len(messages))) {
			t.Fatalf("the elder stamps: %q", answer)
		}
		for i, place := range answer[2:] {
			s.published("the elder", s.old.position(place), messages[i])
		}
	}
	answer := s.old.report("", 1, 0, false)
	if answer[0] != "elder-mark" || answer[3] != "1" || answer[5] != "1" {
		t.Fatalf("the elder begins: %q", answer)
	}
	byOld(0, data(3)...)
	if answer = s.old.report("elder-mark", 4, 3, true); answer[3] != "0" {
		t.Fatalf("the elder hands over: %q", answer)
	}
	report := stamping.Report{
		Node: "new", Token: "new-token", Globs: "globs", Feeds: []string{elderFeed}, Numbering: "elder-mark", Low: 4, Mark: "new-mark",
	}
	state, err := l.Report(ctx, report)
	if err != nil || !state.Mine || state.Began || state.Numbering != "elder-mark" || state.Stamped != 3 || state.Owed != "" {
		t.Fatalf("the new node takes over: %+v, %v", state, err)
	}
	if answer = s.old.stamp("elder-mark", 3, "late"); answer[0] != "F" {
		t.Fatalf("the elder stamps after it has handed over: %q", answer)
	}
	at := &tracing.Context{Trace: [16]byte{1}, Span: [8]byte{2}}
	messages := data(2)
	receipt, err := l.Stamp(ctx, stamping.Batch{Token: "new-token", Numbering: "elder-mark", Prev: 3, Last: 5, Messages: []stamping.Numbered{
		{Number: 4, Message: stamping.Message{Channel: channelA, Data: []byte(messages[0]), Arrived: time.Now()}, Trace: at},
		{Number: 5, Message: stamping.Message{Channel: channelA, Data: []byte(messages[1]), Arrived: time.Now()}},
	}})
	if err != nil || receipt.Outcome != stamping.OutcomeDone || receipt.Count != 2 || receipt.Stamped != 5 {
		t.Fatalf("the new node stamps: %+v, %v", receipt, err)
	}
	for i, m := range messages {
		s.published("the new node", realtime.Position{Epoch: s.at.Epoch, Offset: uint64(4 + i)}, m)
	}
	report.Low, report.Passed, report.Release, report.Feeds = 6, 5, true, nil
	if state, err = l.Report(ctx, report); err != nil || state.Mine {
		t.Fatalf("the new node hands over: %+v, %v", state, err)
	}
	if answer = s.old.report("elder-mark", 6, 5, false); answer[3] != "1" || answer[1] != "5" || answer[8] != "" {
		t.Fatalf("the elder takes over: %q", answer)
	}
	byOld(5, data(1)...)
	s.byNew(realtime.PublishOptions{})
	s.agree()
}
