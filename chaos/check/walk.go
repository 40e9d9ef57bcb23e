package check

import (
	"slices"
	"time"
)

// reader walks through the history of one subscriber.
type reader struct {
	*judge
	sub   *Subscriber
	walks map[int32]*walk
	up    bool // connected
}

// walk is where a subscriber stands in one channel.
type walk struct {
	channel int
	since   time.Duration // when it first followed; what was begun before need not arrive
	follows bool          // since is set
	left    time.Duration // when it unsubscribed; zero: not

	at    Position      // the last that it has; zero: not known yet
	sound time.Duration // when it last stood there; bare: the beginning of the last connection that surely was proven
	came  time.Duration // bare: when this connection began
	told  bool          // bare: in this connection a gap was told
	gaps  []mark        // all that were told

	tracks map[int32]*track
}

// mark is a gap that was told.
type mark struct {
	at       time.Duration
	from, to Position // zero: unknown
	epoch    bool     // the history ended, and may be lost
}

// track is what a subscriber has of one publisher.
type track struct {
	got      bitmap
	here     bitmap // what came in this connection
	declared bitmap
	last     uint32 // the highest that came
	session  uint32 // the highest that came in this connection
	gap      *mark  // the last one told since last came
}

// walk returns the walk of a channel that the subscriber has a right to, else nil.
func (r *reader) walk(channel int32) *walk {
	if w := r.walks[channel]; w != nil {
		return w
	}
	if !slices.Contains(r.sub.Channels, int(channel)) {
		return nil
	}
	w := &walk{channel: int(channel), tracks: map[int32]*track{}}
	for _, p := range r.speakers[channel] {
		n := len(r.pubs[p].Publications)
		w.tracks[p] = &track{got: newBitmap(n), here: newBitmap(n), declared: newBitmap(n)}
	}
	r.walks[channel] = w
	return w
}

// begin notes that the channel is followed from a time on.
func (w *walk) begin(at time.Duration) {
	if !w.follows {
		w.since, w.follows = at, true
	}
	w.left = 0
}

func (r *reader) opened(e *Event) {
	r.up = true
	for _, ch := range r.sub.Channels {
		w := r.walk(int32(ch)) //nolint:gosec // some hundreds
		for _, t := range w.tracks {
			t.session = 0
			clear(t.here)
		}
		if r.sub.Dialect == V1 {
			continue // it follows what it is told that it follows
		}
		again := w.follows
		w.begin(e.At)
		if r.sub.Dialect == Bare {
			w.reopen(e.At)
			if again && r.world.Rules.NoBareResume {
				w.tell(mark{at: e.At})
			}
		}
	}
}

// reopen notes that a bare client has a new connection. Its position tells the order within one connection only. A gap that was
// told in the one before may be told again, and again after that: nobody knows whether it arrived.
func (w *walk) reopen(at time.Duration) {
	w.at = Position{}
	if !w.told {
		w.sound = w.came
	}
	w.came, w.told = at, false
}

// tell notes a gap for all publishers of the channel.
func (w *walk) tell(m mark) {
	w.gaps = append(w.gaps, m)
	for _, t := range w.tracks {
		t.gap = &m
	}
}

func (r *reader) subscribed(e *Event) {
	w := r.walk(e.Channel)
	if w == nil {
		r.verdict.find(Leak, "%s follows channel %d at %v, which is not its own", r.sub.Name, e.Channel, e.At)
		return
	}
	fresh := !w.follows
	w.begin(e.At)
	switch {
	case e.Cause != "":
		r.gap(e)
	case fresh:
		w.at, w.sound = e.Position, e.At
	case e.Recovered && e.Position.Epoch == w.at.Epoch:
		// What lies between comes as messages.
	case e.Position != w.at:
		r.verdict.find(Undeclared, "%s at %v: %s subscribed at %v, recovered %t, but stands at %v, and no gap", r.sub.Name, e.At,
			r.world.Channels[w.channel].Name, e.Position, e.Recovered, w.at)
		w.at, w.sound = e.Position, e.At
	}
}

func (r *reader) gap(e *Event) {
	r.verdict.Stats.Gaps++
	w := r.walk(e.Channel)
	if w == nil {
		r.verdict.find(Leak, "%s is told a gap of channel %d at %v, which is not its own", r.sub.Name, e.Channel, e.At)
		return
	}
	w.begin(e.At)
	if r.needless(w, e) {
		r.verdict.find(Needless, "%s at %v: gap %q of %s from %v to %v", r.sub.Name, e.At, e.Cause, r.world.Channels[w.channel].Name,
			w.at, e.Position)
	}
	w.tell(mark{at: e.At, from: w.at, to: e.Position, epoch: e.Cause == "epoch"})
	w.at, w.told = e.Position, true
	if r.sub.Dialect != Bare {
		w.sound = e.At
	}
}

// needless reports whether nothing was missing where a gap is told, and nothing could be.
func (r *reader) needless(w *walk, e *Event) bool {
	if r.world.excused(w.sound, e.At) {
		return false
	}
	if e.Cause != "expired" {
		return true
	}
	return r.sub.Dialect != Bare && w.at.Epoch == e.Position.Epoch && w.at.Epoch != "" && r.reachedBack(w, e)
}

// reachedBack reports whether the history still had, when a gap was told, the first of what it covers. The history may have been ahead of
// what the node had got, up to which it tells the gap.
func (r *reader) reachedBack(w *walk, e *Event) bool {
	pushes := w.at.Offset + 1 + uint64(max(0, r.world.Retention)) // the publication in whose place it had to go
	if pushes <= e.Position.Offset {
		return false
	}
	table := r.ledger.holds[w.channel][w.at.Epoch]
	if pushes >= uint64(len(table)) || table[pushes] == (identity{}) {
		return true
	}
	id := table[pushes]
	return r.pubs[id.publisher].Publications[id.seq-1].Begin > e.At
}

// message judges one delivery.
func (r *reader) message(e *Event) {
	v := &r.verdict
	v.Stats.Deliveries++
	if !r.mayHave(e) {
		return
	}
	w := r.walk(e.Channel)
	ended := r.sub.Ends > 0 && e.At > r.sub.Ends+r.world.staleAfter() || w.left > 0 && e.At > w.left+r.world.staleAfter()
	if ended {
		v.find(Stale, "%s gets %s %d at %v, long after its right has ended", r.sub.Name, r.pubs[e.Publisher].Name, e.Seq, e.At)
	}
	pub := &r.pubs[e.Publisher].Publications[e.Seq-1]
	if pub.Outcome == Refused {
		v.find(Phantom, "%s gets %s %d, which was refused", r.sub.Name, r.pubs[e.Publisher].Name, e.Seq)
	}
	again := r.take(w, e, pub)
	r.move(w, e, again)
}

// mayHave finds what should never have come here.
func (r *reader) mayHave(e *Event) bool {
	v, at := &r.verdict, e.At
	switch {
	case e.Forged:
		v.find(Phantom, "%s gets at %v what nobody has sent, or what was changed on the way", r.sub.Name, at)
	case e.Of >= 0 && int(e.Of) < len(r.world.Channels) && (e.Of != e.Channel || r.walk(e.Of) == nil):
		v.find(Leak, "%s of tenant %s gets at %v, as of channel %d, a message of %s", r.sub.Name, r.sub.Tenant, at, e.Channel,
			r.world.Channels[e.Of].Name)
	case !r.known(e):
		v.find(Phantom, "%s gets at %v the message %d of publisher %d, which was never begun", r.sub.Name, at, e.Seq, e.Publisher)
	default:
		return true
	}
	return false
}

// take enters a delivery into the track of its publisher. It reports whether it came before.
func (r *reader) take(w *walk, e *Event, pub *Publication) (again bool) {
	t, n := w.tracks[e.Publisher], e.Seq
	name := r.pubs[e.Publisher].Name
	defer t.here.set(n)
	if t.got.has(n) {
		ahead := n > t.session || !r.pubs[e.Publisher].Ordered // of what is new
		switch {
		case r.sub.Dialect == Bare && ahead && !t.here.has(n) && !r.world.Rules.NoBareResume:
			r.verdict.Stats.Resent++
		case r.ledger.renewed[e.Publisher][n] != nil && len(w.toldSince(pub.Begin)) > 0,
			r.sub.Dialect == Bare && r.world.repeated(pub) && w.mayBeRenewed(pub): // nobody else need have seen the first copy
			r.verdict.Stats.Renewed++
		default:
			r.verdict.find(Twice, "%s gets %s %d again at %v, position %v", r.sub.Name, name, n, e.At, e.Position)
		}
		t.session = max(t.session, n)
		return true
	}
	t.got.set(n)
	highest := t.last
	if r.sub.Dialect == Bare {
		highest = t.session
	}
	switch {
	case n >= highest, !r.pubs[e.Publisher].Ordered, pub.Outcome == Unknown:
	case r.world.repeated(pub) && t.declared.has(n) && w.mayBeRenewed(pub):
		r.verdict.Stats.Renewed++
	default:
		r.verdict.find(Order, "%s gets %s %d after %d at %v", r.sub.Name, name, n, highest, e.At)
	}
	if n > t.last {
		r.cover(w, e.Publisher, t, n-1)
		t.last, t.gap = n, nil
	}
	t.session = max(t.session, n)
	return false
}

// cover marks what is missing behind last, up to the sequence number to, as declared where the gap covers it.
func (r *reader) cover(w *walk, publisher int32, t *track, to uint32) {
	if t.gap == nil {
		return
	}
	for n := t.last + 1; n <= to; n++ {
		if r.covers(w, t.gap, publisher, n) {
			t.declared.set(n)
		}
	}
}

// covers reports whether a gap can mean a publication.
func (r *reader) covers(w *walk, m *mark, publisher int32, n uint32) bool {
	if r.pubs[publisher].Publications[n-1].Begin > m.at {
		return false
	}
	p, more := r.ledger.at[publisher][n-1], r.ledger.renewed[publisher][n]
	if m.reaches(r.ledger, w.channel, p) || slices.ContainsFunc(more, func(p Position) bool { return m.reaches(r.ledger, w.channel, p) }) {
		return true
	}
	// What was repeated may have been stored by an earlier attempt, in an epoch that this gap ended before anybody saw it there.
	return more == nil && r.world.repeated(&r.pubs[publisher].Publications[n-1])
}

// reaches reports whether a gap can mean a position.
func (m *mark) reaches(l *ledger, channel int, p Position) bool {
	switch {
	case p == (Position{}) || m.to == (Position{}):
		return true
	case p.Epoch == m.to.Epoch:
		return p.Offset <= m.to.Offset
	}
	return l.older(channel, p.Epoch, m.to.Epoch) // also what nobody has seen anything of
}

// move moves the subscriber's position and finds jumps.
func (r *reader) move(w *walk, e *Event, again bool) {
	to := e.Position
	if r.sub.Dialect == Bare {
		r.moveBare(w, e, again)
		return
	}
	name := r.world.Channels[w.channel].Name
	switch {
	case to.Epoch == w.at.Epoch && to.Offset <= w.at.Offset && again: // and found already
	case w.at.Epoch == "": // an event stream learns its position from its first message
	case to.Epoch != w.at.Epoch:
		r.verdict.find(Undeclared, "%s at %v: %s goes from %v to %v without a gap", r.sub.Name, e.At, name, w.at, to)
	case to.Offset > w.at.Offset+1:
		r.verdict.find(Undeclared, "%s at %v: %s jumps from %v to %v without a gap", r.sub.Name, e.At, name, w.at, to)
	case to.Offset <= w.at.Offset:
		r.verdict.find(Order, "%s at %v: %s goes back from %v to %v", r.sub.Name, e.At, name, w.at, to)
	}
	if to.Epoch != w.at.Epoch || to.Offset > w.at.Offset {
		w.at = to
	}
	w.sound = e.At
}

// moveBare looks at the order of different publishers, as far as other readers have told the positions. A replay begins with
// what is old, but within one connection the order is that of the channel.
func (r *reader) moveBare(w *walk, e *Event, again bool) {
	at := r.ledger.at[e.Publisher][e.Seq-1]
	if at.Epoch == "" || r.pubs[e.Publisher].Publications[e.Seq-1].Attempts > 1 {
		return // what was repeated may have had another position when it came
	}
	if at.Epoch == w.at.Epoch && at.Offset <= w.at.Offset && !again {
		r.verdict.find(Order, "%s at %v: %s goes back from %v to %v", r.sub.Name, e.At, r.world.Channels[w.channel].Name, w.at, at)
	}
	if at.Epoch != w.at.Epoch || at.Offset > w.at.Offset {
		w.at = at
	}
}

// finish finds what has not arrived.
func (r *reader) finish() {
	ended := r.sub.Ends > 0
	if !r.up && !ended {
		r.verdict.find(Stuck, "%s is not connected at the end", r.sub.Name)
	}
	for _, ch := range r.sub.Channels {
		w := r.walk(int32(ch)) //nolint:gosec // some hundreds
		tail := false
		for _, p := range r.speakers[ch] {
			if r.missing(w, p) {
				tail = true
			}
		}
		head := r.ledger.heads[ch]
		behind := r.sub.Dialect != Bare && w.at != head && w.at.Epoch != "" && head.Offset > 0
		if !ended && w.left == 0 && (tail || behind) {
			r.verdict.find(Stuck, "%s stands at %v of %s, whose end is %v", r.sub.Name, w.at, r.world.Channels[ch].Name, head)
		}
	}
}

// toldSince returns the gaps that were told from a time on.
func (w *walk) toldSince(at time.Duration) []mark {
	first := len(w.gaps)
	for first > 0 && w.gaps[first-1].at >= at {
		first--
	}
	return w.gaps[first:]
}

// mayBeRenewed reports whether the first copy of what its publisher repeated may have been lost with the history, after a gap had taken it
// away from this subscriber, or by the same one. Then it comes again, and behind later ones that an earlier attempt still brought.
func (w *walk) mayBeRenewed(pub *Publication) bool {
	gaps := w.toldSince(pub.Begin)
	return len(gaps) > 1 || len(gaps) == 1 && gaps[0].epoch
}

// onItsWay is how long before the end of a right a publication may be acknowledged and need not have arrived when the connection is
// closed: nobody waits for it.
const onItsWay = 5 * time.Second

// missing finds what a publisher has sent and the subscriber does not have. It reports whether the last one is among that.
func (r *reader) missing(w *walk, publisher int32) (tail bool) {
	p, t := &r.pubs[publisher], w.tracks[publisher]
	r.cover(w, publisher, t, uint32(len(p.Publications))) //nolint:gosec // below four billion
	for i := range p.Publications {
		n := uint32(i + 1)
		one := &p.Publications[i]
		switch {
		case t.got.has(n), one.Outcome == Unknown, one.Outcome == Refused, r.sub.Ends > 0 && one.End >= r.sub.Ends-onItsWay,
			w.left > 0 && one.End >= w.left, w.follows && one.Begin < w.since:
			continue
		case t.declared.has(n), !p.Ordered && w.spans(r, publisher, n),
			one.Outcome == Sent && r.ledger.at[publisher][i] == (Position{}) && w.toldAfter(one.Begin):
			r.verdict.Stats.Declared++
			continue
		}
		r.verdict.find(Lost, "%s (%s) lacks %s %d of %s, begun at %v, position %v", r.sub.Name, r.sub.Dialect, p.Name, n,
			r.world.Channels[p.Channel].Name, one.Begin, r.ledger.at[publisher][i])
		tail = tail || n > t.last
	}
	return tail
}

// lateGap is how long after a message that nobody heard the gap may come: such gaps are spread over the clients.
const lateGap = 15 * time.Second

// toldAfter reports whether a gap was told within lateGap after a message was begun. That is enough for one that no door has
// acknowledged: once nobody has heard it, nobody knows where it is missing.
func (w *walk) toldAfter(begin time.Duration) bool {
	return slices.ContainsFunc(w.gaps, func(m mark) bool { return begin <= m.at && m.at <= begin+lateGap })
}

// spans reports whether any gap covers a publication of a publisher without an order, by its position if that is known.
func (w *walk) spans(r *reader, publisher int32, n uint32) bool {
	p := r.ledger.at[publisher][n-1]
	return slices.ContainsFunc(w.gaps, func(m mark) bool {
		if !r.covers(w, &m, publisher, n) {
			return false
		}
		return p == (Position{}) || m.from.Epoch != p.Epoch || p.Offset > m.from.Offset
	})
}

// bitmap is a set of sequence numbers.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, n/64+1) }

func (b bitmap) set(n uint32)      { b[n/64] |= 1 << (n % 64) }
func (b bitmap) has(n uint32) bool { return b[n/64]&(1<<(n%64)) != 0 }
