package stamping_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/stamping"
	"kentongan/realtime/stamping/ledgertest"
)

// world is a Redis, some nodes and what happens to them, one step at a time. Every wait and every message between them is a
// place where something else may happen first.
type world struct {
	choose func(n int) int // 0 to n-1
	plan   plan
	ledger *ledgertest.Memory
	now    time.Time
	words  int

	stream  []event // what Redis publishes, in its order
	conns   map[string]*conn
	nodes   []*member
	zombies []stamping.Batch // given up by who sent them, and still on their way

	published int
	stamped   []int                    // in their order
	numbers   []string                 // and as which numbers
	turned    map[realtime.Channel]int // messages that were published before the last turn
	channel   []realtime.Channel
	newest    map[realtime.Channel]int // the message after the last one that was stamped
	forgot    bool
	failure   error
}

// plan says what may happen.
type plan struct {
	feeds     int
	ring      int  // messages; 0: enough
	gentle    bool // never so much at once that nobody could go on
	mistakes  ledgertest.Mistakes
	offByOne  bool // the holder tells the place of a mark wrongly
	forgetful bool // holes of the ring are not told
	deafness  bool // a connection loses a message in the middle
}

type event struct {
	message *stamping.Message // nil: a mark or answers
	id      int
	mark    string
	answers []stamping.Answer
}

// conn is one connection: it has what was published since it opened, until it was closed.
type conn struct {
	next, end int // of stream; end -1: it is open
}

func (c *conn) open() bool { return c != nil && c.end < 0 }

type member struct {
	*stamping.Node
	id           string
	paused, gone bool
	feeds        []string // names of connections; empty: none
	report       *stamping.Report
	state        *stamping.State // answer to report, on its way
	batch        *stamping.Batch
	receipt      *stamping.Receipt
}

func newWorld(p plan, choose func(n int) int) *world {
	w := &world{
		choose: choose, plan: p, now: time.Unix(1_000_000, 0), conns: map[string]*conn{}, turned: map[realtime.Channel]int{}, newest: map[realtime.Channel]int{},
	}
	w.ledger = &ledgertest.Memory{
		Now: func() time.Time { return w.now }, Open: func(feed string) bool { return w.conns[feed].open() },
		Publish: w.tell, Store: w.store, Tell: w.turn, Broken: p.mistakes,
	}
	return w
}

func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf(format, args...)
	}
}

func (w *world) word() string { w.words++; return fmt.Sprint("w", w.words) }

func (w *world) tell(mark string, answers []stamping.Answer) {
	answers = slices.Clone(answers)
	for i := range answers {
		if w.plan.offByOne {
			answers[i].Number++
		}
	}
	w.stream = append(w.stream, event{mark: mark, answers: answers})
}

func (w *world) store(m *stamping.Numbered) error {
	var id int
	if _, err := fmt.Sscan(string(m.Data), &id); err != nil {
		return err
	}
	if n := len(w.stamped); n > 0 && w.stamped[n-1] >= id {
		w.fail("message %d is stamped after %d", id, w.stamped[n-1])
	}
	// What is missing before it is lost for good, and its readers know.
	for lost := id - 1; lost >= w.newest[m.Channel] && !w.forgot; lost-- {
		if w.channel[lost] == m.Channel && w.turned[m.Channel] <= lost {
			w.fail("message %d is stamped, and readers have not been told that %d is missing", id, lost)
		}
	}
	w.newest[m.Channel] = id + 1
	numbering, _ := w.ledger.Numbering()
	w.stamped, w.numbers = append(w.stamped, id), append(w.numbers, fmt.Sprint(numbering, "/", m.Number))
	return nil
}

// failover is what a replica that takes over does: it has forgotten the last that was stamped, and nobody is connected to it yet.
func (w *world) failover() {
	w.forgot = true // history has lost it too, and offsets that come twice tell readers of that
	w.ledger.Forget(int64(w.choose(4)))
	numbering, stamped := w.ledger.Numbering()
	for n := range slices.Backward(w.stamped) {
		var number int64
		digits, ok := strings.CutPrefix(w.numbers[n], numbering+"/")
		if _, err := fmt.Sscan(digits, &number); !ok || err != nil || number <= stamped {
			break
		}
		w.stamped, w.numbers = w.stamped[:n], w.numbers[:n]
	}
	for _, m := range w.alive() {
		for i := range m.feeds {
			w.cut(m, i)
		}
	}
}

var channels = []realtime.Channel{{Tenant: "k1", Name: "a"}, {Tenant: "k1", Name: "b"}, {Tenant: "k2", Name: "a"}}

func (w *world) publish() {
	m := &stamping.Message{Data: fmt.Append(nil, w.published)}
	if w.choose(5) > 0 {
		m.Channel = channels[w.published%len(channels)]
	}
	w.channel = append(w.channel, m.Channel)
	w.stream = append(w.stream, event{message: m, id: w.published})
	w.published++
}

func (w *world) join() *member {
	m := &member{id: fmt.Sprint("n", len(w.nodes)), feeds: make([]string, w.plan.feeds)}
	m.Node = stamping.NewNode(stamping.Options{ID: m.id, Feeds: w.plan.feeds, Globs: "*", NewWord: w.word, MaxMessages: w.plan.ring})
	w.nodes = append(w.nodes, m)
	for i := range m.feeds {
		w.connect(m, i)
	}
	return m
}

func (w *world) connect(m *member, i int) {
	if m.feeds[i] == "" {
		m.feeds[i] = w.word()
		w.conns[m.feeds[i]] = &conn{next: len(w.stream), end: -1}
		m.Up(i, m.feeds[i])
	}
}

// cut closes a connection as Redis or the network does; the node learns of it when it has read what came before.
func (w *world) cut(m *member, i int) {
	if c := w.conns[m.feeds[i]]; c.open() {
		c.end = len(w.stream)
	}
}

// read lets a feed take the next event.
func (w *world) read(m *member, i int) bool {
	c := w.conns[m.feeds[i]]
	if m.feeds[i] == "" {
		return false
	}
	if c.end >= 0 && (c.next >= c.end || w.choose(20) == 0) { // the rest may be lost with it
		m.feeds[i] = ""
		m.Down(i)
		return true
	}
	if c.next >= len(w.stream) {
		if c.open() {
			m.Ponged(i, w.now.UnixNano())
		}
		return false
	}
	e := w.stream[c.next]
	c.next++
	switch {
	case e.message != nil:
		if w.plan.deafness && w.choose(30) == 0 {
			return true
		}
		message := *e.message
		if wanted := m.Wants(i); !wanted {
			message.Data = nil // it is not even read
		}
		m.Heard(i, &message)
	case e.mark != "":
		m.Marked(i, e.mark)
	default:
		for _, a := range e.answers {
			m.Learn(a)
		}
	}
	w.tend(m)
	return true
}

// tend closes what the node does not trust.
func (w *world) tend(m *member) {
	for i := range m.feeds {
		if m.feeds[i] != "" && m.Deaf(i) {
			w.cut(m, i)
			m.feeds[i] = ""
			m.Down(i)
		}
	}
}

// exchange moves the report of m one step on: made, done, answered or lost.
func (w *world) exchange(m *member, probe bool) {
	switch {
	case m.report == nil:
		r := m.Report(probe)
		m.report = &r
	case m.state == nil:
		if w.choose(15) == 0 { // it never came there
			m.report = nil
			return
		}
		s, _ := w.ledger.Report(context.Background(), *m.report)
		if s.Began && !s.First {
			if w.plan.gentle {
				w.fail("%s begins a new numbering though somebody could always go on", m.id)
			}
		}
		m.state = &s
	default:
		if w.choose(15) > 0 { // else the answer is lost
			m.Reported(m.report, m.state, w.now.UnixNano())
			w.tend(m)
		}
		m.report, m.state = nil, nil
	}
}

// stamp moves the batch of m one step on.
func (w *world) stamp(m *member) bool {
	switch {
	case m.batch == nil:
		b, hole, more := m.Next(func(*stamping.Message) bool { return true }, nil)
		if hole != nil {
			w.turnHole(hole)
			m.Filled(hole)
			return true
		}
		if !more {
			return false
		}
		m.batch = &b
	case m.receipt == nil:
		switch w.choose(15) {
		case 0: // it is given up, and comes there later, or never
			w.zombies = append(w.zombies, *m.batch)
			m.Failed()
			m.batch = nil
			return true
		}
		r, _ := w.ledger.Stamp(context.Background(), *m.batch)
		m.receipt = &r
	default:
		if w.choose(15) > 0 {
			m.Stamped(m.batch, m.receipt)
		} else {
			m.Failed()
		}
		m.batch, m.receipt = nil, nil
	}
	return true
}

func (w *world) turnHole(h *stamping.Hole) {
	if w.plan.forgetful {
		return
	}
	for ch := range h.Channels {
		w.turned[ch] = w.published
	}
	if h.All {
		w.turn(realtime.Channel{})
	}
}

// turn tells the readers of a tenant, or of all, that something may be missing.
func (w *world) turn(tenant realtime.Channel) {
	for _, ch := range channels {
		if tenant.Tenant == "" || tenant.Tenant == ch.Tenant {
			w.turned[ch] = w.published
		}
	}
}

// pay turns all epochs if m has to.
func (w *world) pay(m *member) {
	if s := m.Status(); s.Held && s.Owed != "" {
		_ = w.ledger.Turn(context.Background(), s.Owed)
		m.AllTurned(s.Owed)
	}
}

func (w *world) alive() (nodes []*member) {
	for _, m := range w.nodes {
		if !m.gone {
			nodes = append(nodes, m)
		}
	}
	return nodes
}

// kill ends a node as SIGKILL does; what it sent may still come there.
func (w *world) kill(m *member) {
	m.gone = true
	for i := range m.feeds {
		w.cut(m, i)
	}
	if m.batch != nil && m.receipt == nil {
		w.zombies = append(w.zombies, *m.batch)
	}
}

// leave ends a node as SIGTERM does.
func (w *world) leave(m *member) {
	if m.batch == nil && m.report == nil {
		_, _ = w.ledger.Report(context.Background(), m.Farewell())
	}
	w.kill(m)
}

// well reports whether all nodes that live could go on for each other.
func (w *world) well() bool {
	for _, m := range w.alive() {
		s := m.Status()
		if m.paused || !s.Aligned || s.Joined < w.plan.feeds {
			return false
		}
	}
	return true
}

// step does one thing.
func (w *world) step() {
	nodes := w.alive()
	m := nodes[w.choose(len(nodes))]
	awake := !m.paused
	i := w.choose(w.plan.feeds)
	switch w.choose(24) {
	case 0, 1, 2, 3:
		w.publish()
	case 4, 5, 6, 7, 8:
		for range w.choose(6) {
			if awake {
				w.read(m, i)
			}
		}
	case 9, 10, 11:
		if awake {
			w.exchange(m, w.choose(3) == 0)
		}
	case 12, 13, 14, 15:
		if awake {
			w.stamp(m)
		}
	case 16:
		w.now = w.now.Add(time.Duration(w.choose(400)) * time.Millisecond)
	case 17:
		if awake {
			w.pay(m)
		}
	case 18:
		if awake && m.feeds[i] == "" {
			w.connect(m, i)
		}
	case 19:
		if n := len(w.zombies); n > 0 {
			k := w.choose(n)
			b := w.zombies[k]
			w.zombies = slices.Delete(w.zombies, k, k+1)
			_, _ = w.ledger.Stamp(context.Background(), b)
		}
	default:
		w.harm(m, i)
	}
}

// harm does one bad thing, or ends one.
func (w *world) harm(m *member, i int) {
	if w.plan.gentle { // one at a time, and only when all are well again
		for range 400 {
			if w.well() && w.calm() {
				break
			}
			w.round()
		}
		if !w.well() {
			w.fail("the nodes do not get well: %s", w.describe())
			return
		}
	}
	many := len(w.alive()) > 1
	switch w.choose(9) {
	case 0:
		if many {
			w.kill(m)
		}
	case 8:
		if !w.plan.gentle {
			w.failover()
		}
	case 1:
		if many {
			w.leave(m)
		}
	case 2:
		if !m.paused && (many || !w.plan.gentle) {
			m.paused = true
			if w.plan.gentle { // it sleeps, the others go on, it wakes up
				for range w.choose(200) {
					w.publish()
					w.round()
				}
				m.paused = false
			}
		}
	case 3, 4:
		m.paused = false
	case 5:
		if len(w.alive()) < 4 {
			w.join()
		}
	default:
		if !w.plan.gentle || w.plan.feeds > 1 || many && !m.Status().Held {
			w.cut(m, i)
		}
	}
}

// calm reports whether nothing is left to be read or stamped.
func (w *world) calm() bool {
	for _, m := range w.alive() {
		for _, name := range m.feeds {
			if name == "" || w.conns[name].next < len(w.stream) || !w.conns[name].open() {
				return false
			}
		}
		if m.Status().Waiting > 0 || m.report != nil || m.batch != nil {
			return false
		}
	}
	return true
}

// round lets everybody who is awake do all that there is to do.
func (w *world) round() {
	w.now = w.now.Add(100 * time.Millisecond)
	for _, m := range w.alive() {
		if m.paused {
			continue
		}
		for i := range m.feeds {
			for w.read(m, i) {
			}
			w.connect(m, i)
		}
		for range 3 {
			w.exchange(m, false)
		}
		for m.report != nil {
			w.exchange(m, false)
		}
		w.pay(m)
		for w.stamp(m) {
		}
	}
}

func (w *world) describe() string {
	text := ""
	for _, m := range w.alive() {
		text += fmt.Sprintf("%s paused=%v feeds=%q %+v; ", m.id, m.paused, m.feeds, m.Status())
	}
	numbering, n := w.ledger.Numbering()
	return fmt.Sprintf("%sledger %s at %d", text, numbering, n)
}

// play lets steps things happen, heals everything, and checks that nothing came twice, out of order, or was lost without a word.
func (w *world) play(steps int) error {
	w.join()
	for i := 0; i < steps && w.failure == nil; i++ {
		w.step()
	}
	if w.failure != nil {
		return w.failure
	}
	for _, m := range w.nodes {
		m.paused = false
	}
	for range 60 {
		w.round()
	}
	first := w.published
	for range 10 {
		w.publish()
		w.round()
	}
	for range 10 {
		w.round()
	}
	if w.failure != nil {
		return w.failure
	}
	if w.ledger.Owed() != "" {
		return errors.New("a turn is owed at the end: " + w.describe())
	}
	stamped := map[int]bool{}
	for _, id := range w.stamped {
		stamped[id] = true
	}
	lost := 0
	for _, e := range w.stream {
		if e.message == nil || e.message.Channel.Name == "" || stamped[e.id] {
			continue
		}
		lost++
		switch {
		case e.id >= first:
			return fmt.Errorf("message %d of after the healing is not stamped: %s", e.id, w.describe())
		case w.turned[e.message.Channel] <= e.id:
			return fmt.Errorf("message %d of %d is lost, and its readers are not told", e.id, w.published)
		}
	}
	if w.plan.gentle && lost > 0 && !w.onlyAtStart(stamped) {
		return fmt.Errorf("%d messages are lost though somebody could always go on", lost)
	}
	return nil
}

// onlyAtStart reports whether only messages of before the first one stamped are lost: nobody listened yet.
func (w *world) onlyAtStart(stamped map[int]bool) bool {
	if len(w.stamped) == 0 {
		return true
	}
	for _, e := range w.stream {
		if e.message != nil && e.message.Channel.Name != "" && !stamped[e.id] && e.id > w.stamped[0] {
			return false
		}
	}
	return true
}

func TestEverythingIsStampedOnceOrTold(t *testing.T) {
	for _, p := range []plan{{feeds: 1}, {feeds: 2}, {feeds: 2, ring: 5}} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") })
				if err := w.play(rapid.IntRange(50, 250).Draw(t, "steps")); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestNoBreakWhileSomebodyCanGoOn(t *testing.T) {
	for _, p := range []plan{{feeds: 1, gentle: true}, {feeds: 2, gentle: true}} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") })
				if err := w.play(rapid.IntRange(50, 200).Draw(t, "steps")); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// seeded plays with chances of its own, many times faster than rapid.
func seeded(p plan, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	return newWorld(p, r.IntN).play(300)
}

// TestManyPlays is the tests above with fixed chances, of which a second holds thousands.
func TestManyPlays(t *testing.T) {
	for _, p := range []plan{{feeds: 1}, {feeds: 2}, {feeds: 2, ring: 5}, {feeds: 1, gentle: true}, {feeds: 2, gentle: true}} {
		for seed := range uint64(300) {
			if err := seeded(p, 1_000_000+seed); err != nil {
				t.Fatalf("%+v, seed %d: %v", p, seed, err)
			}
		}
	}
}

// TestMistakesAreFound does it wrong, to see that the tests above can fail.
func TestMistakesAreFound(t *testing.T) {
	for name, p := range map[string]plan{
		"nothing is wrong":                          {feeds: 2},
		"nothing is wrong, gently":                  {feeds: 2, gentle: true},
		"what is stamped is stamped again":          {feeds: 2, mistakes: ledgertest.Mistakes{NoNumbers: true}},
		"no fence":                                  {feeds: 2, mistakes: ledgertest.Mistakes{NoFence: true}},
		"a numbering begins where one could go on":  {feeds: 2, gentle: true, mistakes: ledgertest.Mistakes{BeginAnywhere: true}},
		"a break is not told":                       {feeds: 1, mistakes: ledgertest.Mistakes{NothingOwed: true}},
		"a break is told too late":                  {feeds: 2, mistakes: ledgertest.Mistakes{LatePaid: true}},
		"off by one at the mark":                    {feeds: 2, gentle: true, offByOne: true},
		"the ring is too short and nobody is told":  {feeds: 2, ring: 3, forgetful: true},
		"a connection loses messages in the middle": {feeds: 2, gentle: true, deafness: true},
	} {
		t.Run(name, func(t *testing.T) {
			found := 0
			var last error
			const plays = 1000
			for seed := range uint64(plays) {
				if last = seeded(p, seed); last != nil {
					found++
					break
				}
			}
			right := p.mistakes == ledgertest.Mistakes{} && !p.offByOne && !p.forgetful && !p.deafness
			if right && found > 0 || !right && found == 0 {
				t.Errorf("in %d plays: %v", plays, last)
			}
		})
	}
}
