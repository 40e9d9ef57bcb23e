package check_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/chaos/check"
)

// play is a correct gateway, with publishers and subscribers, that does at random what a real one may do. What it writes
// down must be flawless; with one thing changed, it must not be.
type play struct {
	t     *rapid.T
	now   time.Duration
	world *check.World
	pubs  []check.Publisher
	subs  []check.Subscriber
	rooms []room
	ears  []ear
}

// room is one channel's history in the gateway.
type room struct {
	epoch int
	log   []entry // of this epoch
}

type entry struct {
	publisher int
	seq       uint32
}

// ear is a subscriber as the gateway knows it.
type ear struct {
	online bool
	at     map[int]spot // by channel
}

type spot struct {
	epoch int
	have  int // entries of that epoch
	known bool
}

func (p *play) position(ch, have int) check.Position {
	return check.Position{Epoch: fmt.Sprintf("e%d", p.rooms[ch].epoch), Offset: uint64(have)}
}

func newPlay(t *rapid.T) *play {
	p := &play{t: t, now: time.Second, world: world()}
	p.rooms = make([]room, len(p.world.Channels))
	for ch := range p.world.Channels {
		for i := range rapid.IntRange(1, 2).Draw(t, "publishers") {
			p.pubs = append(p.pubs, check.Publisher{
				Name: fmt.Sprintf("p%d.%d", ch, i), Channel: ch, Ordered: rapid.Bool().Draw(t, "ordered"),
			})
		}
	}
	for i, tenant := range []string{"one", "one", "one", "two", "two"} {
		own := 0
		if tenant == "two" {
			own = 1
		}
		p.subs = append(p.subs, check.Subscriber{
			Name: fmt.Sprintf("s%d", i), Dialect: check.Dialect(i % 3), Tenant: tenant, Channels: []int{own, 2},
		})
		p.ears = append(p.ears, ear{at: map[int]spot{}})
	}
	return p
}

func (p *play) tick() time.Duration {
	p.now += time.Second
	return p.now
}

func (p *play) note(sub int, e check.Event) {
	e.At = p.now
	p.subs[sub].Events = append(p.subs[sub].Events, e)
}

// publish has a publisher say something that is stored or not.
func (p *play) publish() {
	index := rapid.IntRange(0, len(p.pubs)-1).Draw(p.t, "publisher")
	pub := &p.pubs[index]
	one := check.Publication{Begin: p.tick(), End: p.now, Attempts: 1}
	seq := uint32(len(pub.Publications) + 1)
	stored := true
	switch rapid.IntRange(0, 9).Draw(p.t, "outcome") {
	case 0:
		one.Outcome, stored = check.Refused, false
	case 1:
		stored = false // and nobody knows
	case 2:
	case 3:
		one.Outcome = check.Sent
	default:
		one.Outcome = check.Acked
	}
	ch := pub.Channel
	r := &p.rooms[ch]
	if stored {
		r.log = append(r.log, entry{index, seq})
		if one.Outcome == check.Acked && rapid.Bool().Draw(p.t, "tells") {
			one.At = p.position(ch, len(r.log))
		}
	}
	pub.Publications = append(pub.Publications, one)
	p.deliver(ch)
}

// deliver brings a channel's news to those who are there.
func (p *play) deliver(ch int) {
	for i := range p.subs {
		if p.ears[i].online && slices.Contains(p.subs[i].Channels, ch) {
			p.catchUp(i, ch, p.ears[i].at[ch].have)
		}
	}
}

// catchUp sends a subscriber what lies behind from.
func (p *play) catchUp(sub, ch, from int) {
	r := &p.rooms[ch]
	for n := from; n < len(r.log); n++ {
		e := check.Event{Kind: check.Message, Channel: int32(ch), Of: int32(ch), Publisher: int32(r.log[n].publisher), Seq: r.log[n].seq}
		if p.subs[sub].Dialect != check.Bare {
			e.Position = p.position(ch, n+1)
		}
		p.note(sub, e)
	}
	p.ears[sub].at[ch] = spot{r.epoch, len(r.log), true}
}

// toggle connects or disconnects a subscriber.
func (p *play) toggle(sub int) {
	p.tick()
	e := &p.ears[sub]
	e.online = !e.online
	if !e.online {
		p.note(sub, check.Event{Kind: check.Closed})
		return
	}
	p.note(sub, check.Event{Kind: check.Opened})
	for _, ch := range p.subs[sub].Channels {
		p.resume(sub, ch, e.at[ch])
	}
}

func (p *play) resume(sub, ch int, at spot) {
	r, dialect := &p.rooms[ch], p.subs[sub].Dialect
	head := p.position(ch, len(r.log))
	lost := at.known && at.epoch != r.epoch
	if dialect == check.V1 {
		e := check.Event{Kind: check.Subscribed, Channel: int32(ch), Position: head, Recovered: at.known && !lost}
		if lost {
			e.Cause = "epoch"
		}
		p.note(sub, e)
	} else if lost {
		p.note(sub, check.Event{Kind: check.Gap, Channel: int32(ch), Position: head, Cause: "epoch"})
	}
	from := len(r.log)
	if at.known && !lost {
		from = at.have
		if dialect == check.Bare {
			from = max(0, at.have-rapid.IntRange(0, 3).Draw(p.t, "unproven"))
		}
	}
	p.catchUp(sub, ch, from)
}

// turn begins a new epoch; what was sent last may never have been stored.
func (p *play) turn() {
	ch := rapid.IntRange(0, len(p.rooms)-1).Draw(p.t, "channel")
	begin := p.tick()
	p.rooms[ch].epoch++
	p.rooms[ch].log = nil
	if rapid.Bool().Draw(p.t, "misses") {
		for i := range p.pubs {
			if pub := &p.pubs[i]; pub.Channel == ch {
				pub.Publications = append(pub.Publications, check.Publication{Begin: p.now, End: p.now, Outcome: check.Sent, Attempts: 1})
			}
		}
	}
	p.tick()
	for i := range p.subs {
		if p.ears[i].online && slices.Contains(p.subs[i].Channels, ch) {
			p.note(i, check.Event{Kind: check.Gap, Channel: int32(ch), Position: p.position(ch, 0), Cause: "intake"})
			p.ears[i].at[ch] = spot{p.rooms[ch].epoch, 0, true}
		}
	}
	p.world.Excuses = append(p.world.Excuses, check.Excuse{From: begin, Until: p.now})
}

// act plays to the end, with everybody there.
func act(t *rapid.T) *play {
	p := newPlay(t)
	for i := range p.subs {
		p.toggle(i)
	}
	for range rapid.IntRange(20, 120).Draw(t, "steps") {
		switch k := rapid.IntRange(0, 19).Draw(t, "step"); {
		case k < 15:
			p.publish()
		case k < 19:
			p.toggle(rapid.IntRange(0, len(p.subs)-1).Draw(t, "subscriber"))
		default:
			p.turn()
		}
	}
	for i := range p.subs {
		if !p.ears[i].online {
			p.toggle(i)
		}
	}
	return p
}

func (p *play) judge() check.Verdict { return check.Judge(p.world, p.pubs, p.subs) }

func TestCorrectHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if v := act(t).judge(); !v.Flawless() {
			t.Fatalf("a correct gateway is blamed: %s", v.String())
		}
	})
}

// pick is an event that a mutation may change.
type pick struct{ sub, at int }

// picks lists the events for which fit returns true.
func (p *play) picks(fit func(s *check.Subscriber, i int) bool) []pick {
	var all []pick
	for n := range p.subs {
		for i := range p.subs[n].Events {
			if fit(&p.subs[n], i) {
				all = append(all, pick{n, i})
			}
		}
	}
	return all
}

// next returns the index of the first event behind i that fit accepts, or -1.
func next(s *check.Subscriber, i int, fit func(e *check.Event) bool) int {
	for n := i + 1; n < len(s.Events); n++ {
		if fit(&s.Events[n]) {
			return n
		}
	}
	return -1
}

func isGap(e *check.Event, ch int32) bool {
	return e.Channel == ch && (e.Kind == check.Gap || e.Kind == check.Subscribed && e.Cause != "")
}

func same(e *check.Event, o *check.Event) bool {
	return e.Kind == check.Message && e.Publisher == o.Publisher && e.Seq == o.Seq
}

// needed reports whether event i is the only delivery of what has to arrive, and no gap near it could cover its lack.
func (p *play) needed(s *check.Subscriber, i int) bool {
	e := &s.Events[i]
	if e.Kind != check.Message {
		return false
	}
	pub := &p.pubs[e.Publisher]
	if o := pub.Publications[e.Seq-1].Outcome; o != check.Acked && o != check.Sent {
		return false
	}
	copies := 0
	for n := range s.Events[:i] {
		if isGap(&s.Events[n], e.Channel) && s.Events[n].At >= pub.Publications[e.Seq-1].Begin {
			return false // it was declared, and came all the same
		}
	}
	for n := range s.Events {
		if same(&s.Events[n], e) {
			copies++
		}
	}
	gap := next(s, i, func(o *check.Event) bool { return isGap(o, e.Channel) })
	after := next(s, i, func(o *check.Event) bool { return o.Kind == check.Message && o.Publisher == e.Publisher })
	if pub.Publications[e.Seq-1].Outcome == check.Sent && gap >= 0 {
		return false // if nobody else has heard it, a gap that comes later is enough
	}
	return copies == 1 && (gap < 0 || pub.Ordered && after >= 0 && after < gap && s.Events[after].Seq > e.Seq)
}

// mutations are wrong gateways, each with the events that it can be wrong at and the classes of which one has to be found.
var mutations = []struct {
	name  string
	fits  func(p *play, s *check.Subscriber, i int) bool
	does  func(p *play, s *check.Subscriber, i int)
	finds []check.Class
}{
	{"drops", (*play).needed, func(_ *play, s *check.Subscriber, i int) { s.Events = slices.Delete(s.Events, i, i+1) }, []check.Class{check.Lost}},
	{
		"repeats", func(_ *play, s *check.Subscriber, i int) bool { return s.Events[i].Kind == check.Message },
		func(_ *play, s *check.Subscriber, i int) { s.Events = slices.Insert(s.Events, i, s.Events[i]) },
		[]check.Class{check.Twice},
	},
	{
		"repeats after a reconnect", func(_ *play, s *check.Subscriber, i int) bool {
			return s.Dialect != check.Bare && s.Events[i].Kind == check.Message
		},
		func(_ *play, s *check.Subscriber, i int) {
			again := next(s, i, func(e *check.Event) bool { return e.Kind == check.Opened })
			if again < 0 {
				again = len(s.Events) - 1
			}
			s.Events = slices.Insert(s.Events, again+1, s.Events[i])
		},
		[]check.Class{check.Twice},
	},
	{
		"swaps", func(p *play, s *check.Subscriber, i int) bool {
			if i+1 >= len(s.Events) || s.Events[i].Kind != check.Message || s.Events[i+1].Kind != check.Message {
				return false
			}
			a, b := &s.Events[i], &s.Events[i+1]
			if a.Channel != b.Channel || s.Dialect == check.Bare &&
				(a.Publisher != b.Publisher || !p.pubs[a.Publisher].Ordered || p.pubs[a.Publisher].Publications[a.Seq-1].Outcome == check.Unknown) {
				return false
			}
			for n := range i { // what is sent again may come in any order ahead of what is new
				if same(&s.Events[n], a) || same(&s.Events[n], b) {
					return false
				}
			}
			return true
		},
		func(_ *play, s *check.Subscriber, i int) {
			a, b := &s.Events[i], &s.Events[i+1]
			*a, *b = *b, *a
			a.At, b.At = b.At, a.At
		},
		[]check.Class{check.Order, check.Undeclared},
	},
	{
		"leaks", func(_ *play, s *check.Subscriber, i int) bool {
			return s.Events[i].Kind == check.Message && s.Events[i].Channel != 2
		},
		func(_ *play, s *check.Subscriber, i int) {
			foreign := s.Events[i]
			foreign.Channel = 1 - foreign.Channel
			foreign.Of = foreign.Channel
			s.Events = slices.Insert(s.Events, i, foreign)
		},
		[]check.Class{check.Leak},
	},
	{
		"swallows a gap", func(_ *play, s *check.Subscriber, i int) bool {
			e := &s.Events[i]
			message := next(s, i, func(o *check.Event) bool { return o.Kind == check.Message && o.Channel == e.Channel })
			another := next(s, i, func(o *check.Event) bool { return isGap(o, e.Channel) })
			return s.Dialect != check.Bare && isGap(e, e.Channel) && message >= 0 && (another < 0 || message < another) &&
				slices.ContainsFunc(s.Events[:i], func(o check.Event) bool { // or an event stream has nothing to compare with
					return o.Channel == e.Channel && o.Position.Epoch != "" && o.Position.Epoch != e.Position.Epoch
				})
		},
		func(_ *play, s *check.Subscriber, i int) {
			if e := &s.Events[i]; e.Kind == check.Subscribed {
				e.Cause, e.Recovered = "", true
				return
			}
			s.Events = slices.Delete(s.Events, i, i+1)
		},
		[]check.Class{check.Undeclared},
	},
	{
		"cries gap", func(p *play, s *check.Subscriber, i int) bool {
			return s.Events[i].Kind == check.Message && s.Dialect != check.Bare && len(p.world.Excuses) == 0
		},
		func(_ *play, s *check.Subscriber, i int) {
			e := s.Events[i]
			s.Events = slices.Insert(s.Events, i+1, check.Event{At: e.At, Kind: check.Gap, Channel: e.Channel, Position: e.Position, Cause: "intake"})
		},
		[]check.Class{check.Needless},
	},
	{
		"changes what it carries", func(_ *play, s *check.Subscriber, i int) bool { return s.Events[i].Kind == check.Message },
		func(_ *play, s *check.Subscriber, i int) { s.Events[i].Forged = true }, []check.Class{check.Phantom},
	},
	{
		"makes things up", func(_ *play, s *check.Subscriber, i int) bool { return s.Events[i].Kind == check.Message },
		func(p *play, s *check.Subscriber, i int) {
			e := s.Events[i]
			e.Seq = uint32(len(p.pubs[e.Publisher].Publications) + 1)
			s.Events = slices.Insert(s.Events, i+1, e)
		},
		[]check.Class{check.Phantom},
	},
	{
		"goes on after the right has ended", func(_ *play, s *check.Subscriber, i int) bool {
			return s.Events[i].Kind == check.Message && s.Events[i].At > 10*time.Second
		},
		func(_ *play, s *check.Subscriber, i int) { s.Ends = s.Events[i].At - 6*time.Second }, []check.Class{check.Stale},
	},
	{
		"leaves someone out", func(_ *play, s *check.Subscriber, i int) bool {
			return s.Events[i].Kind == check.Closed && next(s, i, func(e *check.Event) bool { return e.Kind == check.Closed }) < 0
		},
		func(_ *play, s *check.Subscriber, i int) { s.Events = s.Events[:i+1] }, []check.Class{check.Stuck},
	},
}

func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			tried := 0
			rapid.Check(t, func(t *rapid.T) {
				p := act(t)
				all := p.picks(func(s *check.Subscriber, i int) bool { return m.fits(p, s, i) })
				if len(all) == 0 {
					return
				}
				tried++
				x := rapid.SampledFrom(all).Draw(t, "at")
				m.does(p, &p.subs[x.sub], x.at)
				v := p.judge()
				if !slices.ContainsFunc(m.finds, func(c check.Class) bool { return v.Counts[c] > 0 }) {
					t.Fatalf("a gateway that %s at event %d of %s is not found: %s", m.name, x.at, p.subs[x.sub].Name, v.String())
				}
			})
			if tried == 0 && !t.Failed() {
				t.Fatal("no history had a place for this mistake")
			}
		})
	}
}
