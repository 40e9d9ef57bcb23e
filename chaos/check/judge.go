package check

import (
	"slices"
	"time"
)

// Judge compares the histories of a run.
func Judge(w *World, pubs []Publisher, subs []Subscriber) Verdict {
	j := &judge{world: w, pubs: pubs, speakers: make([][]int32, len(w.Channels))}
	j.verdict.Stats.Faults = w.Faults
	j.verdict.Stats.Subscribers = len(subs)
	j.ledger = newLedger(w, pubs)
	for i := range pubs {
		j.readPublisher(int32(i))
	}
	for i := range subs {
		j.readPositions(&subs[i])
	}
	j.ledger.finish()
	for i := range subs {
		j.readSubscriber(&subs[i])
	}
	return j.verdict
}

// judge is one judgement.
type judge struct {
	world    *World
	pubs     []Publisher
	speakers [][]int32 // the publishers of each channel
	ledger   *ledger
	verdict  Verdict
}

func (j *judge) readPublisher(index int32) {
	p := &j.pubs[index]
	j.speakers[p.Channel] = append(j.speakers[p.Channel], index)
	s := &j.verdict.Stats
	s.Publications += len(p.Publications)
	for i := range p.Publications {
		one := &p.Publications[i]
		switch one.Outcome {
		case Acked:
			s.Acked++
		case Sent:
			s.Sent++
		case Refused:
			s.Refused++
		case Unknown:
			s.Unknown++
		}
		if one.At != (Position{}) {
			id := identity{index, uint32(i + 1)}
			if two := j.ledger.place(&j.verdict, j.pubs, p.Channel, id, one.At, p.Name); two != "" && !j.world.Rules.Replicated {
				j.verdict.find(Order, "%s", two)
			}
		}
	}
}

// known reports whether an event's publication was ever begun, in the channel in which it came.
func (j *judge) known(e *Event) bool {
	return !e.Forged && e.Of >= 0 && int(e.Of) < len(j.world.Channels) && e.Publisher >= 0 && int(e.Publisher) < len(j.pubs) &&
		e.Seq > 0 && int(e.Seq) <= len(j.pubs[e.Publisher].Publications) && j.pubs[e.Publisher].Channel == int(e.Of)
}

// readPositions fills the ledger from one subscriber.
func (j *judge) readPositions(s *Subscriber) {
	at := map[int32]string{} // the epoch that it is in
	for i := range s.Events {
		e := &s.Events[i]
		if e.Position.Epoch == "" || e.Channel < 0 || int(e.Channel) >= len(j.world.Channels) {
			continue
		}
		if e.Kind == Message {
			if !j.known(e) || e.Of != e.Channel {
				continue
			}
			two := j.ledger.place(&j.verdict, j.pubs, int(e.Channel), identity{e.Publisher, e.Seq}, e.Position, s.Name)
			if two != "" && (!j.world.Rules.Replicated || !movesOn(s.Events[i:])) {
				j.verdict.find(Order, "%s", two)
			}
		}
		if e.Position.Offset <= maxOffset {
			j.ledger.saw(int(e.Channel), at[e.Channel], e.Position, e.At)
			at[e.Channel] = e.Position.Epoch
		}
	}
}

// movesOn reports whether the reader of the first event is told of a new epoch of that channel afterwards.
func movesOn(events []Event) bool {
	return slices.ContainsFunc(events, func(e Event) bool {
		return (e.Kind == Gap || e.Kind == Subscribed && e.Cause != "") && e.Channel == events[0].Channel &&
			e.Position.Epoch != events[0].Position.Epoch
	})
}

func (j *judge) readSubscriber(s *Subscriber) {
	r := &reader{judge: j, sub: s, walks: map[int32]*walk{}}
	connections := 0
	for i := range s.Events {
		e := &s.Events[i]
		switch e.Kind {
		case Opened:
			connections++
			r.opened(e)
		case Closed:
			r.up = false
		case Subscribed:
			r.subscribed(e)
		case Gap:
			r.gap(e)
		case Message:
			r.message(e)
		case Unsubscribed:
			if w := r.walk(e.Channel); w != nil {
				w.left = e.At
			}
		}
	}
	j.verdict.Stats.Reconnects += max(0, connections-1)
	r.finish()
}

// excused reports whether a gap at a time is to be expected of a reader that last stood well at since.
func (w *World) excused(since, at time.Duration) bool {
	return slices.ContainsFunc(w.Excuses, func(x Excuse) bool { return x.From <= at && x.Until >= since })
}

// onTheWay is how long after a door has acknowledged a publication the server may still be about to stamp it: it reads the durable stream,
// and gives an answer of Redis that long.
const onTheWay = 5 * time.Second

// repeated reports whether a publication may have been stamped by one attempt and, after the history had been lost, by another one: of its
// publisher, or of the server, which had no answer to the first.
func (w *World) repeated(p *Publication) bool {
	return p.Attempts > 1 || slices.ContainsFunc(w.Losses, func(x Excuse) bool { return x.From <= p.End+onTheWay && x.Until >= p.Begin })
}

func (w *World) staleAfter() time.Duration {
	if w.Rules.StaleAfter > 0 {
		return w.Rules.StaleAfter
	}
	return 5 * time.Second
}
