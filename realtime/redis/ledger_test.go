package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
	"kentongan/realtime/stamping/ledgertest"
	"kentongan/tenant"
)

// twins are the Ledger in Redis and the one in memory, which the model test of the package stamping plays with.
type twins struct {
	t      *testing.T
	r      *rand.Rand
	broker *Broker
	memory *ledgertest.Memory

	now    time.Time        // of the one in memory, which stands still but for later
	clock  time.Time        // of Redis, when both were last the same; zero: nothing was asked of it
	feeds  map[string]*link // open ones
	marks  *link
	told   []string // by the one in memory
	stored int      // by the one in memory
	words  int
	links  string // of the Cluster when it began
	broke  bool   // one of them, of which the one in memory knows nothing
}

func newTwins(t *testing.T, opts Options, seed uint64, try int) *twins {
	opts.Prefix = fmt.Sprint("twins-", seed, "-", try, ":")
	b, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	w := &twins{t: t, r: rand.New(rand.NewPCG(seed, 7)), broker: b, now: time.Now(), feeds: map[string]*link{}}
	w.memory = &ledgertest.Memory{
		Now: func() time.Time { return w.now }, Open: func(feed string) bool { return w.feeds[feed] != nil },
		Publish: func(mark string, answers []stamping.Answer) {
			if len(answers) > 0 {
				w.told = append(w.told, formatAnswers(answers))
			}
			if mark != "" {
				w.told = append(w.told, "m "+mark)
			}
		},
		Store: func(*stamping.Numbered) error { w.stored++; return nil },
		Tell:  func(realtime.Channel) {},
	}
	w.marks = w.subscribe(b.keys.marks())
	w.links = w.linksNow()
	return w
}

// linksNow says which links lead to the node that has everything, and since when; nothing without a Cluster.
func (w *twins) linksNow() string {
	w.t.Helper()
	if !w.broker.keys.placed() {
		return ""
	}
	links, err := w.broker.ask.Do(w.t.Context(), w.broker.ask.B().ClusterLinks().Build()).ToArray()
	if err != nil {
		w.t.Fatal(err)
	}
	var words []string
	for i := range links {
		link, err := links[i].AsMap()
		if err != nil {
			w.t.Fatal(err)
		}
		node, direction, made := link["node"], link["direction"], link["create-time"]
		name, err1 := node.ToString()
		way, err2 := direction.ToString()
		ms, err3 := made.AsInt64()
		if err := errors.Join(err1, err2, err3); err != nil {
			w.t.Fatal(err)
		}
		if way == "from" {
			words = append(words, fmt.Sprint(name, " ", ms))
		}
	}
	if len(words) == 0 {
		w.t.Fatal("no node of the Cluster has a link to this one")
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

func (w *twins) subscribe(channel string) *link {
	d := newDialer(&w.broker.opts, "test", 0)
	w.t.Cleanup(d.closeAll)
	l, err := openLink(w.t.Context(), d, 1<<20)
	if err == nil {
		err = l.send(w.broker.keys.subscribe(), channel)
	}
	if err == nil {
		_, err = l.next()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *twins) word() string { w.words++; return fmt.Sprint("w", w.words) }

// later moves both clocks, that of Redis by what it has written down.
func (w *twins) later(d time.Duration) {
	w.now = w.now.Add(d)
	w.shift(-d)
}

// hold takes back what time has passed at Redis, whose clock nobody can stop: on a busy machine a lease would end there between two steps,
// and live on in memory.
func (w *twins) hold() {
	w.t.Helper()
	clock, err := w.broker.ask.Do(w.t.Context(), w.broker.ask.B().Time().Build()).AsStrSlice()
	if err != nil || len(clock) != 2 {
		w.t.Fatalf("TIME is answered with %q, %v", clock, err)
	}
	seconds, err1 := strconv.ParseInt(clock[0], 10, 64)
	micros, err2 := strconv.ParseInt(clock[1], 10, 64)
	if err1 != nil || err2 != nil {
		w.t.Fatal(err1, err2)
	}
	now := time.UnixMicro(seconds*1e6 + micros).Truncate(time.Millisecond)
	if !w.clock.IsZero() {
		w.shift(now.Sub(w.clock))
	}
	w.clock = now
}

// shift moves the times that Redis has written down.
func (w *twins) shift(d time.Duration) {
	w.t.Helper()
	if d == 0 {
		return
	}
	for _, field := range []string{"until", "free"} {
		at, err := w.broker.ask.Do(w.t.Context(), w.broker.ask.B().Hget().Key(w.broker.keys.intake()).Field(field).Build()).AsInt64()
		if err != nil || at == 0 {
			continue
		}
		err = w.broker.ask.Do(w.t.Context(), w.broker.ask.B().Hset().Key(w.broker.keys.intake()).FieldValue().
			FieldValue(field, strconv.FormatInt(at+d.Milliseconds(), 10)).Build()).Error()
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// TestLedgerTwins does the same to both ledgers, and wants the same answers.
func TestLedgerTwins(t *testing.T) {
	for name, opts := range map[string]Options{"Alone": {Address: testenv.Redis(t)}, "Cluster": {Cluster: testenv.StartCluster(t)}} {
		t.Run(name, func(t *testing.T) {
			stored, begun := 0, 0
			for seed := range uint64(40) {
				const tries = 5 // links break on a busy machine
				for try := range tries {
					w := newTwins(t, opts, seed, try)
					n := w.play()
					if !w.broke {
						begun, stored = begun+n, stored+w.stored
						break
					}
					t.Logf("seed %d: a link between nodes broke, and the play begins anew", seed)
					if try == tries-1 {
						t.Errorf("seed %d: the nodes' links do not hold", seed)
					}
				}
			}
			if stored < 100 || begun < 100 {
				t.Errorf("%d messages in %d numberings: the plays are too short", stored, begun)
			}
		})
	}
}

// play returns how many numberings began.
func (w *twins) play() int {
	tokens := []string{"t0", "t1", "t2"}
	feeds := [][]string{nil, nil, nil}
	numberings := []string{""}
	ctx := context.Background()
	for step := range 120 {
		k := w.r.IntN(3)
		switch w.r.IntN(8) {
		case 0: // a connection comes or goes
			if len(feeds[k]) > 0 && w.r.IntN(2) == 0 {
				w.close(feeds[k][0])
				if w.r.IntN(2) == 0 { // and the node knows it
					feeds[k] = feeds[k][1:]
				}
				continue
			}
			name := w.broker.keys.feed(w.word())
			w.feeds[name] = w.subscribe(name)
			feeds[k] = append(feeds[k], name)
		case 1:
			const some = 270 * time.Millisecond // however often, it ends no lease by less than a tenth of a second
			w.later(pick(w.r, some, stamping.LeaseTime+some, stamping.Patience+time.Second))
		case 2:
			tokens[k] = w.word()
		case 3, 4:
			numbering, _ := w.memory.Numbering()
			w.stamp(ctx, tokens[k], pick(w.r, numbering, numbering, numbering, pick(w.r, numberings...)))
		default:
			numbering, stamped := w.memory.Numbering()
			r := stamping.Report{
				Node: fmt.Sprint("n", k), Token: tokens[k], Globs: pick(w.r, "g", "g", "g", "h"), Feeds: feeds[k],
				Numbering: pick(w.r, numbering, numbering, numbering, "", "old"), Low: stamped + w.r.Int64N(4) - 1,
				Passed: stamped + w.r.Int64N(3) - 1, Mark: w.word(), Ask: w.r.IntN(3) == 0, Trusted: w.r.IntN(4) == 0,
				Release: w.r.IntN(10) == 0, Turned: pick(w.r, "", w.memory.Owed()), Doubt: pick(w.r, "", "", numbering),
			}
			if w.r.IntN(3) == 0 {
				r.Answers = []stamping.Answer{{Numbering: "n.1", Mark: "m.2", Number: int64(step)}}
			}
			if w.report(ctx, r); w.broke {
				return 0
			}
			if numbering, _ := w.memory.Numbering(); !slices.Contains(numberings, numbering) {
				numberings = append(numberings, numbering)
			}
		}
	}
	w.broker.ask.Do(ctx, w.broker.ask.B().Arbitrary(w.broker.keys.sharded("PUBLISH"), w.broker.keys.marks(), "end").Build())
	for i := 0; ; i++ {
		e, err := w.marks.next()
		if err != nil {
			w.t.Fatal(err)
		}
		if string(e.payload) == "end" {
			if i != len(w.told) {
				w.t.Fatalf("Redis told %d words, want %d", i, len(w.told))
			}
			break
		}
		if i >= len(w.told) || string(e.payload) != w.told[i] {
			w.t.Fatalf("word %d is %q, want one of %q", i, e.payload, w.told[min(i, len(w.told)):])
		}
	}
	return len(numberings) - 1
}

// close closes a connection and waits until Redis knows.
func (w *twins) close(name string) {
	if w.feeds[name] == nil {
		return
	}
	w.feeds[name].close()
	delete(w.feeds, name)
	numsub := "NUMSUB"
	if w.broker.keys.placed() {
		numsub = "SHARDNUMSUB"
	}
	for {
		n, err := w.broker.ask.Do(w.t.Context(), w.broker.ask.B().Arbitrary("PUBSUB", numsub, name).Build()).AsIntMap()
		if err != nil {
			w.t.Fatal(err)
		}
		if n[name] == 0 {
			return
		}
	}
}

func (w *twins) report(ctx context.Context, r stamping.Report) {
	w.t.Helper()
	w.hold()
	want, _ := w.memory.Report(ctx, r)
	got, err := w.broker.ledger.Report(ctx, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.broke = strings.HasSuffix(got.Owed, "-link"); w.broke {
		if now := w.linksNow(); now == w.links {
			w.t.Fatalf("a broken link is owed for, %s, but they are what they were: %q", got.Owed, now)
		}
		return
	}
	if got.Since.IsZero() != want.Since.IsZero() {
		w.t.Fatalf("since %v, want %v", got.Since, want.Since)
	}
	got.Since, want.Since = time.Time{}, time.Time{}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		w.t.Fatalf("report %+v: got\n%+v, want\n%+v", r, got, want)
	}
}

func (w *twins) stamp(ctx context.Context, token, numbering string) {
	w.t.Helper()
	_, stamped := w.memory.Numbering()
	b := stamping.Batch{Token: token, Numbering: numbering, Prev: stamped + w.r.Int64N(4) - 2}
	number := b.Prev
	for range w.r.IntN(4) {
		number += 1 + w.r.Int64N(2)
		b.Messages = append(b.Messages, stamping.Numbered{Number: number, Message: stamping.Message{
			Channel: realtime.Channel{Tenant: pick[tenant.ID](w.r, "k1", "k2", ""), Name: pick(w.r, "updates", "production:updates")},
			Data:    []byte(`1`),
		}})
	}
	b.Last = number + w.r.Int64N(2)
	w.hold()
	want, _ := w.memory.Stamp(ctx, b)
	got, err := w.broker.ledger.Stamp(ctx, b)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != want {
		w.t.Fatalf("batch %+v: got\n%+v, want\n%+v", b, got, want)
	}
}

// traceOf returns the place in a trace of one message of two.
func traceOf(number int64) *tracing.Context {
	if number%2 == 0 {
		return nil
	}
	return &tracing.Context{Trace: [16]byte{15: byte(number)}, Span: [8]byte{7: byte(number)}}
}

// TestStamp looks at what a batch leaves behind: positions, history, copies; also when Redis has forgotten, or cannot store.
func TestStamp(t *testing.T) {
	addr := testenv.Redis(t)
	b, err := New(Options{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	sink := &record{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, sink) }()
	defer func() { cancel(); <-ended }()
	heads, err := b.Follow(ctx, "k1")
	if err != nil {
		t.Fatal(err)
	}
	w := newTwins(t, Options{Address: addr}, 1, 0)
	feed := b.keys.feed("f")
	w.subscribe(feed)
	state, err := b.ledger.Report(ctx, stamping.Report{Node: "n", Token: "t", Globs: "g", Feeds: []string{feed}, Mark: "n.1", Trusted: true})
	if err != nil || !state.Mine || !state.Began {
		t.Fatalf("%+v, %v", state, err)
	}
	updates, menu := realtime.Channel{Tenant: "k1", Name: "updates"}, realtime.Channel{Tenant: "k1", Name: "menu:updates"}
	number := int64(0)
	stamp := func(channels ...realtime.Channel) stamping.Receipt {
		t.Helper()
		batch := stamping.Batch{Token: "t", Numbering: "n.1", Prev: number}
		for _, ch := range channels {
			number++
			batch.Messages = append(batch.Messages, stamping.Numbered{
				Number: number, Message: stamping.Message{Channel: ch, Data: fmt.Append(nil, number), Arrived: time.Now()},
				Trace: traceOf(number),
			})
		}
		batch.Last = number
		r, err := b.ledger.Stamp(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := stamp(updates, updates, menu); r.Count != 3 || r.Stamped != 3 {
		t.Errorf("%+v, want 3 stamped", r)
	}
	sink.wait(t, "the copies", func() bool { return len(sink.got) == 3 })
	for i, p := range sink.got {
		want := realtime.Position{Epoch: heads.Fresh.Epoch, Offset: []uint64{1, 2, 1}[i]}
		if p.Position != want || string(p.Data) != fmt.Sprint(i+1) || p.Arrived.IsZero() {
			t.Errorf("copy %d: %+v, want %v", i, p, want)
		}
		if want := traceOf(int64(i) + 1); (p.Trace == nil) != (want == nil) || want != nil && (p.Trace.Span != want.Span || p.Trace.Trace != want.Trace) {
			t.Errorf("copy %d has the trace %v, want %v", i, p.Trace, want)
		}
	}
	page, err := b.History(ctx, updates, realtime.Position{}, 10)
	if err != nil || len(page.Publications) != 2 || string(page.Publications[1].Data) != "2" {
		t.Errorf("history: %+v, %v", page, err)
	}

	// Redis forgets what it acknowledged: the epoch ends, so that no offset is given out twice.
	key := b.keys.head("k1")
	if err := b.ask.Do(ctx, b.ask.B().Hset().Key(key).FieldValue().FieldValue("o:updates", "1").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	stamp(updates)
	if page, err = b.History(ctx, updates, realtime.Position{}, 10); err != nil || page.Head.Offset != 1 || page.Head.Epoch == heads.Fresh.Epoch {
		t.Errorf("after Redis forgot, the head is %v, %v; want offset 1 of a new epoch", page.Head, err)
	}

	// Something else is in the place of a history: what comes before is stamped, what comes after waits.
	if err := b.ask.Do(ctx, b.ask.B().Set().Key(b.keys.stream(menu)).Value("no stream").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	before := number
	r := stamp(updates, menu, updates)
	if r.Outcome != stamping.OutcomeStuck || r.Stamped != before+1 || r.Count != 1 || !strings.Contains(fmt.Sprint(r.Err), "WRONGTYPE") {
		t.Errorf("%+v, want to be stuck after %d", r, before+1)
	}
	if err := b.TurnEpoch(ctx, menu, realtime.GapIntake); err != nil {
		t.Fatal(err)
	}
	number = before
	if r := stamp(updates, menu, updates); r.Outcome != stamping.OutcomeDone || r.Count != 2 || r.Stamped != number {
		t.Errorf("after the turn: %+v, want 2 more", r)
	}

	// A turn is owed: a tenant is told before the first message, and then not again.
	state, err = b.ledger.Report(ctx, stamping.Report{
		Node: "n", Token: "t", Globs: "g", Feeds: []string{feed}, Mark: "n.2", Numbering: "n.1", Low: number + 1, Doubt: "n.1",
	})
	if err != nil || state.Owed != "n.2" || !state.Mine {
		t.Fatalf("%+v, %v", state, err)
	}
	count := func() (got, gaps int) { sink.mu.Lock(); defer sink.mu.Unlock(); return len(sink.got), len(sink.gaps) }
	sink.wait(t, "all copies", func() bool { return string(sink.got[len(sink.got)-1].Data) == fmt.Sprint(number) })
	got, gaps := count()
	stamp(updates)
	sink.wait(t, "the copy after the turn", func() bool { return len(sink.got) == got+1 })
	last, all := sink.got[got].Position, len(sink.gaps)
	if last.Offset != 1 || all == gaps || sink.gaps[all-1].Cause != realtime.GapIntake || sink.gaps[all-1].Position != (realtime.Position{Epoch: last.Epoch}) {
		t.Errorf("stamped at %v after %d gaps; want offset 1 of an epoch that the last gap tells", last, all-gaps)
	}
	if err := b.ledger.Turn(ctx, "n.2"); err != nil {
		t.Fatal(err)
	}
	if page, err = b.History(ctx, updates, last, 10); err != nil || page.Head != last {
		t.Errorf("after the turn of the others the head is %v, %v; want still %v", page.Head, err, last)
	}
}
