package intake

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"kentongan/internal/nap"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

const (
	// reportEvery is how often a node reports: so late is it known at most that the holder is gone, and what it has stamped.
	reportEvery = 100 * time.Millisecond

	// probeEvery is how often a report publishes a mark, which has to come back over every connection.
	probeEvery = time.Second

	// leaveTime bounds what a node does when it is stopped.
	leaveTime = 2 * time.Second
)

// reports tells the ledger how this node is, until ctx ends.
func (p *PubSub) reports(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	probed := time.Now()
	for {
		probe := time.Since(probed) >= probeEvery
		if probe {
			probed = time.Now()
		}
		told := time.Now()
		p.tell(ctx, probe)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.report: // more that cannot wait may gather
			if wait := time.Until(told.Add(reportEvery / 10)); wait > 0 && !nap.For(ctx, wait) {
				return
			}
		}
	}
}

// tell makes one report.
func (p *PubSub) tell(ctx context.Context, probe bool) {
	p.mu.Lock()
	before := p.node.Status()
	r := p.node.Report(probe)
	breaks := p.breaks
	p.mu.Unlock()
	s, err := p.ledger.Report(ctx, r)
	now := time.Now()
	p.mu.Lock()
	if p.refused = err; err != nil {
		p.mu.Unlock()
		if !p.mute && ctx.Err() == nil {
			p.opts.Log.Warn("nobody answers who stamps PUBLISH", "node", p.node.ID(), "err", err) // it is asked again soon
			p.mute = true
		}
		return
	}
	p.mute, p.clear = false, breaks
	p.node.Reported(&r, &s, now.UnixNano())
	p.closeDeaf()
	after, again, known := p.node.Status(), p.placed, p.told
	p.told = after
	p.placed = p.placed || after.Aligned
	if p.served(&after) {
		p.heard = now
	}
	p.mu.Unlock()
	p.changed(&known, &after, &s, again) // since the last report: a node finds its place also in between
	if after.Held {
		poke(p.stamp)
	}
	if owes := after.Held && s.Owed != ""; !owes {
		p.owing = ""
	} else if p.owing != s.Owed {
		p.owing = s.Owed
		p.turns.all(s.Owed)
	}
	if after.Aligned != before.Aligned || after.Joined != before.Joined {
		poke(p.report)
	}
}

// missingSince is the log's word for the time from which on something may be missing; nothing if nobody knows.
func missingSince(s *stamping.State) slog.Attr {
	if s.Since.IsZero() {
		return slog.Attr{}
	}
	return slog.Time("since", s.Since)
}

// changed logs what an operator wants to know.
func (p *PubSub) changed(before, after *stamping.Status, s *stamping.State, again bool) {
	log := p.opts.Log
	switch {
	case s.Began && s.Mine:
		log.Warn("this node stamps PUBLISH from here on; what was published before may be missing, and all readers are told",
			slog.String("node", p.node.ID()), slog.Any("cause", s.Took), slog.String("numbering", s.Numbering), missingSince(s),
			slog.Bool("owed", s.Owed != ""))
		if !s.First {
			if again {
				p.counts.breaks.Add(1)
			}
			if p.opts.OnBreak != nil {
				p.opts.OnBreak(s.Since, time.Now())
			}
		}
	case s.Took != "" && s.Mine:
		log.Warn("this node goes on stamping PUBLISH for another one; nothing is missing", "node", p.node.ID(),
			"cause", s.Took, "before", before.Holder, "numbering", s.Numbering, "stamped", s.Stamped, "waiting", after.Waiting,
			"took_ms", time.Since(s.Since).Milliseconds())
	case before.Held && !after.Held:
		log.Warn("this node does not stamp PUBLISH any more", "node", p.node.ID(), "holder", after.Holder)
	}
	switch {
	case after.Apart && !before.Apart:
		log.Warn("this node listens to other channels than the one that stamps, and cannot go on for it: are their settings the same?",
			"node", p.node.ID(), "holder", after.Holder)
	case after.Aligned && !before.Aligned && !after.Held:
		log.Info("this node stands by to stamp PUBLISH", "node", p.node.ID(), "holder", after.Holder, "numbering", after.Numbering)
	case !after.Aligned && before.Aligned:
		log.Warn("this node has lost its place among those that hear PUBLISH, and looks for it anew", "node", p.node.ID())
	}
}

// paid says that all readers were told what was owed to them.
func (p *PubSub) paid(owed string) {
	p.mu.Lock()
	p.node.AllTurned(owed)
	p.mu.Unlock()
	poke(p.report)
}

// stamps has stamped what this node has to, until ctx ends.
func (p *PubSub) stamps(ctx context.Context) {
	s := stamper{p: p}
	for fails := 0; ; {
		if s.waits() && !s.gather(ctx) {
			return
		}
		did, err := s.next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if fails == 0 {
				p.opts.Log.Warn("stamp PUBLISH", "err", err) // it is repeated; others go on if it takes long
			}
			if !nap.For(ctx, backoff(fails)) {
				return
			}
			fails++
			continue
		case did:
			fails = 0
			continue
		}
		select {
		case <-p.stamp:
		case <-ctx.Done():
			return
		}
	}
}

// stamper has batch after batch stamped. It is for one goroutine.
type stamper struct {
	p     *PubSub
	stuck int64 // number of the message that could not be stored the last time

	messages []stamping.Numbered // of the last batch, for the next to use again

	naps    nap.Often     // of gather
	counted int           // messages that were stamped since then
	since   time.Duration // as PubSub.due
}

// waits reports whether there is something to stamp.
func (s *stamper) waits() bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.node.Status().Waiting > 0
}

// gather waits until the next batch may begin, which is at once if it would be full. It reports false if ctx ended first. A batch that
// comes a little early is let pass: waking up once more would cost more.
func (s *stamper) gather(ctx context.Context) bool {
	p := s.p
	wait := time.Duration(p.due.Load()) - time.Since(p.began)
	if wait <= p.opts.GatherFor/4 {
		return true
	}
	p.mu.Lock()
	full := p.node.Full()
	p.mu.Unlock()
	return full || s.naps.For(ctx, wait)
}

// count counts a batch of n messages that begins now, and says from time to time whether many come. One batch alone does not tell: two
// messages at the same time are not many.
func (s *stamper) count(n int, now time.Duration) {
	if over := now - s.since; over >= countFor {
		s.p.many.Store(time.Duration(s.counted)*manyApart >= over)
		s.counted, s.since = 0, now
	}
	s.counted += n
}

// Many are a thousand a second and more, for a hundredth of a second at least.
const (
	manyApart = time.Millisecond
	countFor  = 10 * time.Millisecond
)

// gatherFor is how long after a batch of n messages the next one begins. Below a thousand a second it is at once: a batch for each
// takes a tenth of a processor then, and with a wait one kitchen that publishes 200 a second made those of all others come 3 ms later.
// Behind a batch of few it is shorter.
func (p *PubSub) gatherFor(n int) time.Duration {
	if !p.many.Load() {
		return 0
	}
	if n < fewMessages {
		return p.opts.GatherFor * 3 / 5
	}
	return p.opts.GatherFor
}

// fewMessages is a batch of a stream that comes to 2,700 messages a second, or stays above 1,600.
const fewMessages = 8

// next does the next thing, and reports whether there was one.
func (s *stamper) next(ctx context.Context) (did bool, err error) {
	p := s.p
	p.mu.Lock()
	b, hole, more := p.node.Next(p.judge, s.messages)
	unfit := p.unfit
	p.unfit = nil
	p.mu.Unlock()
	p.tellUnfit(unfit)
	switch {
	case !more:
		return false, nil
	case hole != nil:
		if !p.turns.fill(ctx, hole) {
			return false, nil
		}
		p.mu.Lock()
		p.node.Filled(hole)
		p.mu.Unlock()
		return true, nil
	}
	s.messages = b.Messages
	defer clear(s.messages) // which would hold on to what clients sent
	now := time.Since(p.began)
	s.count(len(b.Messages), now)
	p.due.Store(int64(now + p.gatherFor(len(b.Messages))))
	traces := s.trace(&b) //nolint:contextcheck // traces begin here
	r, err := p.ledger.Stamp(ctx, b)
	traces.end(err)
	p.mu.Lock()
	if err == nil {
		p.node.Stamped(&b, &r)
	} else {
		p.node.Failed()
	}
	p.mu.Unlock()
	if err != nil {
		return true, err //nolint:wrapcheck // it says what it was doing
	}
	p.counts.stamped.Add(uint64(r.Count)) //nolint:gosec // a count
	p.tellTaken(&b, &r)
	switch r.Outcome {
	case stamping.OutcomeDone:
	case stamping.OutcomeFenced, stamping.OutcomeTorn:
		p.opts.Log.Warn("a batch of PUBLISH was refused", "node", p.node.ID(), "torn", r.Outcome == stamping.OutcomeTorn,
			"messages", len(b.Messages)) // another node has it, or a break is told
		poke(p.report)
	case stamping.OutcomeStuck:
		s.unstick(ctx, &b, &r)
	}
	return true, nil
}

// tellTaken tells who wants to know it what of b is stored now.
func (p *PubSub) tellTaken(b *stamping.Batch, r *stamping.Receipt) {
	if p.opts.Taken == nil || r.Outcome != stamping.OutcomeDone && r.Outcome != stamping.OutcomeStuck {
		return
	}
	for i := range b.Messages {
		if m := &b.Messages[i]; m.Number <= r.Stamped && m.Channel.Name != "" {
			p.opts.Taken(b.Numbering+"/"+strconv.FormatInt(m.Number, 10), m.Channel, m.Data)
		}
	}
}

// unstick sees to it that a message that cannot be stored does not hold up the others. What is in its way is often gone once its
// channel has begun anew; if not, it is left out.
func (s *stamper) unstick(ctx context.Context, b *stamping.Batch, r *stamping.Receipt) {
	p := s.p
	for i := range b.Messages {
		m := &b.Messages[i]
		if m.Number <= r.Stamped {
			continue
		}
		again := s.stuck == m.Number
		s.stuck = m.Number
		if err := p.turns.turnOne(ctx, m.Channel, realtime.GapIntake); err != nil && !again {
			return // it comes again, and so does this
		}
		if again {
			p.mu.Lock()
			p.node.Leave(b, m.Number)
			p.mu.Unlock()
			p.counts.failed.Add(1)
			p.turns.one(m.Channel, realtime.GapIntake)
		}
		p.complain.about(m.Channel, fmt.Sprint(r.Err), len(m.Data), time.Now())
		return
	}
}

// judge reports whether m is fit to be stamped. The lock is held.
func (p *PubSub) judge(m *stamping.Message) bool {
	why := ""
	if !validJSON(m.Data) {
		p.counts.invalid.Add(1)
		why = "no JSON text in UTF-8"
	} else if p.opts.Fits != nil {
		if wrong := p.opts.Fits(m.Channel, m.Data); wrong != nil {
			p.counts.mismatched.Add(1)
			why = wrong.Error()
		}
	}
	if why == "" {
		return true
	}
	if p.opts.Taken != nil || p.opts.Refused != nil {
		p.unfit = append(p.unfit, unfit{*m, why})
	}
	p.complain.about(m.Channel, why, len(m.Data), time.Now())
	return false
}

// tellUnfit tells who wants to know it what goes to nobody.
func (p *PubSub) tellUnfit(list []unfit) {
	for i := range list {
		m := &list[i]
		if p.opts.Taken != nil {
			p.opts.Taken("unfit/"+rand.Text(), m.Channel, m.Data)
		}
		if p.opts.Refused != nil {
			p.opts.Refused(m.Channel, m.Data, m.why)
		}
	}
}

// leave has stamped what waits, and hands over.
func (p *PubSub) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	s := stamper{p: p}
	for {
		if did, err := s.next(ctx); !did || err != nil {
			break
		}
	}
	p.mu.Lock()
	r := p.node.Farewell()
	held := p.node.Held()
	p.mu.Unlock()
	if !held {
		return
	}
	if _, err := p.ledger.Report(ctx, r); err != nil {
		p.opts.Log.Warn("hand over to another node", "err", err) // its lease ends by itself
		return
	}
	p.opts.Log.Info("this node has handed over", "node", p.node.ID())
}
