package check_test

import (
	"strings"
	"testing"
	"time"

	"kentongan/chaos/check"
)

const sec = time.Second

// at is a position in the first epoch.
func at(n uint64) check.Position { return check.Position{Epoch: "a", Offset: n} }

// world has a channel of kitchen one, a channel of kitchen two, and one of all.
func world() *check.World {
	return &check.World{
		Channels:  []check.Channel{{"updates:one", "one"}, {"updates:two", "two"}, {"system-alert", ""}},
		Retention: 100, Faults: 1,
	}
}

// sent is a publisher of channel 0 that has sent n publications, one a second from the second on, all acknowledged.
func sent(n int) check.Publisher {
	p := check.Publisher{Name: "p0", Ordered: true}
	for i := range n {
		begin := time.Duration(i+1) * sec
		p.Publications = append(p.Publications, check.Publication{
			Begin: begin, End: begin + sec/10, Outcome: check.Acked, Attempts: 1, At: at(uint64(i + 1)),
		})
	}
	return p
}

// got is a message of channel 0 that came half a second after it was sent.
func got(n uint64) check.Event {
	return check.Event{At: time.Duration(n)*sec + sec/2, Kind: check.Message, Seq: uint32(n), Position: at(n)}
}

func opened(at time.Duration) check.Event { return check.Event{At: at, Kind: check.Opened} }
func closed(at time.Duration) check.Event { return check.Event{At: at, Kind: check.Closed} }

func subscribed(t time.Duration, p check.Position, recovered bool, cause string) check.Event {
	return check.Event{At: t, Kind: check.Subscribed, Position: p, Recovered: recovered, Cause: cause}
}

func gap(t time.Duration, p check.Position, cause string) check.Event {
	return check.Event{At: t, Kind: check.Gap, Position: p, Cause: cause}
}

// v1 is a subscriber of channel 0 with a connection since 0 and the given further events.
func v1(events ...check.Event) check.Subscriber {
	return check.Subscriber{
		Name: "s", Dialect: check.V1, Tenant: "one", Channels: []int{0, 2},
		Events: append([]check.Event{opened(0), subscribed(0, at(0), false, "")}, events...),
	}
}

// bare is the same without positions.
func bare(events ...check.Event) check.Subscriber {
	s := check.Subscriber{Name: "b", Dialect: check.Bare, Tenant: "one", Channels: []int{0, 2}, Events: []check.Event{opened(0)}}
	for _, e := range events {
		if e.Kind == check.Message {
			e.Position = check.Position{}
		}
		s.Events = append(s.Events, e)
	}
	return s
}

// later moves an event, with what a second connection needs before it.
func later(e check.Event, t time.Duration) check.Event {
	e.At = t
	return e
}

func inEpoch(e check.Event, epoch string, n uint64) check.Event {
	e.Position = check.Position{Epoch: epoch, Offset: n}
	return e
}

// counts is what a verdict is expected to have; all others are zero.
type counts map[check.Class]int

func want(t *testing.T, v check.Verdict, c counts) {
	t.Helper()
	for _, class := range check.Classes() {
		if v.Counts[class] != c[class] {
			t.Errorf("%s: got %d, want %d", class, v.Counts[class], c[class])
		}
	}
	if t.Failed() {
		t.Logf("%s", v.String())
	}
}

func TestEachClass(t *testing.T) {
	unknown := func(p check.Publisher, n int) check.Publisher {
		p.Publications[n-1].Outcome, p.Publications[n-1].At = check.Unknown, check.Position{}
		return p
	}
	for _, test := range []struct {
		name string
		pub  check.Publisher
		sub  check.Subscriber
		want counts
	}{
		{"AllArrives", sent(3), v1(got(1), got(2), got(3)), counts{}},
		{"AllArrivesBare", sent(3), bare(got(1), got(2), got(3)), counts{}},
		{"LostAtBare", sent(3), bare(got(1), got(3)), counts{check.Lost: 1}},
		{"LostWithPositionsIsUndeclaredToo", sent(3), v1(got(1), got(3)), counts{check.Lost: 1, check.Undeclared: 1}},
		{"LastIsMissing", sent(3), v1(got(1), got(2)), counts{check.Lost: 1, check.Stuck: 1}},
		{"LastIsMissingAtBare", sent(3), bare(got(1), got(2)), counts{check.Lost: 1, check.Stuck: 1}},
		{"BegunBeforeItFollowed", sent(3), check.Subscriber{
			Name: "s", Dialect: check.V1, Tenant: "one", Channels: []int{0},
			Events: []check.Event{opened(2 * sec), subscribed(2*sec+1, at(2), false, ""), got(3)},
		}, counts{}},
		{"TwiceInAConnection", sent(2), v1(got(1), got(1), got(2)), counts{check.Twice: 1}},
		{"TwiceInAConnectionOfBare", sent(2), bare(got(1), got(1), got(2)), counts{check.Twice: 1}},
		{"ResentToBareAfterReconnect", sent(3), bare(got(1), got(2), closed(3*sec), opened(3*sec), later(got(2), 3*sec), got(3)), counts{}},
		{"ResentToBareBehindWhatIsNew", sent(3), bare(got(1), got(2), closed(3*sec), opened(3*sec), got(3), later(got(2), 4*sec)),
			counts{check.Twice: 1}},
		{"ResentToV1", sent(3), v1(got(1), got(2), closed(3*sec), opened(3*sec), subscribed(3*sec, at(3), true, ""), later(got(2), 3*sec), got(3)),
			counts{check.Twice: 1}},
		{"Swapped", sent(3), v1(got(2), later(got(1), 3*sec), got(3)), counts{check.Order: 2, check.Undeclared: 1}},
		{"SwappedAtBare", sent(3), bare(got(2), later(got(1), 3*sec), got(3)), counts{check.Order: 2}},
		{"UnknownOutcomeMayCome", unknown(sent(3), 2), v1(got(1), got(2), got(3)), counts{}},
		{"UnknownOutcomeNeedNotCome", unknown(sent(2), 2), v1(got(1)), counts{}},
		{"RefusedComes", func() check.Publisher {
			p := sent(2)
			p.Publications[1].Outcome = check.Refused
			return p
		}(), v1(got(1), got(2)), counts{check.Phantom: 1}},
		{"NeverBegun", sent(1), v1(got(1), got(7)), counts{check.Phantom: 1}},
		{"Forged", sent(1), v1(got(1), check.Event{At: 2 * sec, Kind: check.Message, Forged: true, Of: -1}), counts{check.Phantom: 1}},
		{"ImpossiblePosition", sent(1), v1(inEpoch(got(1), "a", 0)), counts{check.Phantom: 1, check.Order: 1}},
		{"OfAnotherKitchen", sent(1), v1(got(1), check.Event{At: 2 * sec, Kind: check.Message, Channel: 1, Of: 1, Seq: 1}), counts{check.Leak: 1}},
		{"OfAnotherKitchenUnderAFalseName", sent(1), v1(got(1), check.Event{At: 2 * sec, Kind: check.Message, Channel: 0, Of: 1, Seq: 1}),
			counts{check.Leak: 1}},
		{"FollowsAnotherKitchen", sent(1), v1(got(1), check.Event{At: 2 * sec, Kind: check.Subscribed, Channel: 1}), counts{check.Leak: 1}},
		{"UnknownChannel", sent(1), v1(got(1), check.Event{At: 2 * sec, Kind: check.Gap, Channel: -1}), counts{check.Leak: 1}},
		{"EpochWithoutGap", sent(2), v1(got(1), inEpoch(got(2), "b", 2)), counts{check.Undeclared: 1, check.Twice: 1}},
		{"SubscribedElsewhere", sent(3), v1(got(1), closed(2*sec), opened(3*sec), subscribed(3*sec, at(2), false, ""), got(3)),
			counts{check.Undeclared: 1, check.Lost: 1}},
		{"RecoveredInAnotherEpoch", sent(2), v1(got(1), got(2), closed(3*sec), opened(3*sec),
			subscribed(3*sec, check.Position{Epoch: "b"}, true, "")), counts{check.Undeclared: 1}},
		{"NeedlessGap", sent(3), v1(got(1), gap(2*sec, at(1), "epoch"), got(2), got(3)), counts{check.Needless: 1}},
		{"NeedlessExpired", sent(3), v1(got(1), gap(3*sec, at(2), "expired"), got(3)), counts{check.Needless: 1}},
		{"NotConnectedAtTheEnd", sent(1), v1(got(1), closed(2*sec)), counts{check.Stuck: 1}},
		{"UnsubscribedGetsNoMore", sent(3), v1(got(1), check.Event{At: 2*sec - 1, Kind: check.Unsubscribed}), counts{}},
		{"AfterUnsubscribe", sent(9), v1(got(1), check.Event{At: 2*sec - 1, Kind: check.Unsubscribed}, inEpoch(later(got(9), 9*sec), "a", 2)),
			counts{check.Stale: 1, check.Order: 1, check.Twice: 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world()
			want(t, check.Judge(w, []check.Publisher{test.pub}, []check.Subscriber{test.sub}), test.want)
		})
	}
}

// TestGapCoversOnlyWhatItMeans: a gap excuses what is missing where it is told, and nothing else.
func TestGapCoversOnlyWhatItMeans(t *testing.T) {
	blind := func(n int) check.Publisher { // the door tells no positions
		p := sent(n)
		for i := range p.Publications {
			p.Publications[i].Outcome, p.Publications[i].At = check.Sent, check.Position{}
		}
		return p
	}
	b := func(e check.Event, n uint64) check.Event { return inEpoch(e, "b", n) }
	for _, test := range []struct {
		name string
		pub  check.Publisher
		sub  check.Subscriber
		want counts
	}{
		{"BehindTheLast", blind(4), v1(got(1), gap(3*sec+sec/4, check.Position{Epoch: "b", Offset: 0}, "intake"), b(got(4), 1)), counts{}},
		{"BehindTheLastOfBare", blind(4), bare(got(1), gap(3*sec+sec/4, check.Position{Epoch: "b", Offset: 0}, "intake"), got(4)), counts{}},
		{"AfterWhatCameLater", blind(4), v1(got(1), inEpoch(got(4), "a", 2), gap(5*sec, check.Position{Epoch: "b"}, "intake")), counts{}},
		{"NotLongAfterWhatCameLater", blind(4), v1(got(1), inEpoch(got(4), "a", 2), gap(19*sec, check.Position{Epoch: "b"}, "intake")),
			counts{check.Lost: 2}},
		{"NotAfterWhatCameLaterIfAcknowledged", sent(4), v1(got(1), got(4), gap(5*sec, check.Position{Epoch: "b"}, "intake")),
			counts{check.Lost: 2, check.Undeclared: 1}},
		{"NotWhatWasBegunLater", blind(4), v1(got(1), gap(2*sec+sec/4, check.Position{Epoch: "b", Offset: 0}, "intake"), b(got(4), 1)),
			counts{check.Lost: 1}},
		{"NotWhatOthersHaveBeforeIt", sent(4), v1(gap(sec/2, at(0), "intake"), got(2), got(3), got(4)),
			counts{check.Lost: 1, check.Undeclared: 1}},
		{"NotBehindItsPosition", sent(4), v1(got(1), gap(4*sec, at(2), "intake"), later(got(4), 4*sec)), counts{check.Lost: 1, check.Undeclared: 1}},
		{"UpToItsPosition", sent(4), v1(got(1), gap(4*sec, at(3), "intake"), later(got(4), 4*sec)), counts{}},
		{"AtTheEnd", blind(4), bare(got(1), gap(5*sec, check.Position{Epoch: "b", Offset: 0}, "intake")), counts{}},
		{"NotOfAnotherChannel", blind(2), bare(got(1), check.Event{At: 3 * sec, Kind: check.Gap, Channel: 2, Cause: "intake"}),
			counts{check.Lost: 1, check.Stuck: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world()
			w.Excuses = []check.Excuse{{0, 100 * sec}}
			v := check.Judge(w, []check.Publisher{test.pub}, []check.Subscriber{test.sub})
			want(t, v, test.want)
		})
	}
}

// TestExpired: that history does not reach back is true only if more was missed than it keeps.
func TestExpired(t *testing.T) {
	w := world()
	w.Retention = 3
	pub := sent(10)
	want(t, check.Judge(w, []check.Publisher{pub}, []check.Subscriber{v1(got(1), gap(9*sec, at(5), "expired"),
		later(got(6), 9*sec), later(got(7), 9*sec), later(got(8), 9*sec), later(got(9), 10*sec), got(10))}), counts{})
	w.Retention = 4
	early := v1(got(1), gap(5*sec+sec/2, at(5), "expired"), got(6), got(7), got(8), got(9), got(10))
	want(t, check.Judge(w, []check.Publisher{pub}, []check.Subscriber{early}), counts{check.Needless: 1})

	// At 9 s the history begins at 6, though the node has come no further than 5.
	want(t, check.Judge(w, []check.Publisher{pub}, []check.Subscriber{v1(got(1), gap(9*sec, at(5), "expired"),
		later(got(6), 9*sec), later(got(7), 9*sec), later(got(8), 9*sec), later(got(9), 10*sec), got(10))}), counts{})
}

// TestExcuseIsForItsTime: a gap is excused if the reader has not been sound since the trouble.
func TestExcuseIsForItsTime(t *testing.T) {
	story := func(gapAt time.Duration) check.Subscriber {
		return v1(got(1), got(2), closed(3*sec), opened(gapAt), subscribed(gapAt, check.Position{Epoch: "b", Offset: 0}, false, "epoch"))
	}
	for _, test := range []struct {
		name         string
		from, until  time.Duration
		gapAt        time.Duration
		needlessGaps int
	}{
		{"Meanwhile", 3 * sec, 4 * sec, 5 * sec, 0},
		{"LongBefore", 0, sec, 5 * sec, 1},
		{"Later", 6 * sec, 7 * sec, 5 * sec, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world()
			w.Excuses = []check.Excuse{{test.from, test.until}}
			want(t, check.Judge(w, []check.Publisher{sent(2)}, []check.Subscriber{story(test.gapAt)}), counts{check.Needless: test.needlessGaps})
		})
	}
}

// TestBareIsToldAgain: nobody knows whether a bare client has got a gap before its line was lost, so it may be told again; but not
// after a connection in which there was none.
func TestBareIsToldAgain(t *testing.T) {
	b := check.Position{Epoch: "b"}
	w := world()
	w.Excuses = []check.Excuse{{2 * sec, 3 * sec}}
	told := []check.Event{got(1), closed(2 * sec), opened(2 * sec), gap(2*sec, b, "epoch"), closed(20 * sec), opened(21 * sec), gap(21*sec, b, "epoch"),
		closed(50 * sec), opened(51 * sec), gap(51*sec, b, "epoch")}
	want(t, check.Judge(w, []check.Publisher{sent(1)}, []check.Subscriber{bare(told...)}), counts{})
	proven := append(told, closed(60*sec), opened(61*sec), closed(70*sec), opened(71*sec), gap(71*sec, b, "epoch"))
	want(t, check.Judge(w, []check.Publisher{sent(1)}, []check.Subscriber{bare(proven...)}), counts{check.Needless: 1})
}

// TestTwoReadersSeeTwoHistories: one position holds one publication.
func TestTwoReadersSeeTwoHistories(t *testing.T) {
	p, q := sent(2), sent(2)
	q.Name = "p1"
	for i := range p.Publications { // no door tells positions, so that only the readers do
		p.Publications[i].At, q.Publications[i].At = check.Position{}, check.Position{}
		q.Publications[i].Outcome = check.Unknown // and need not arrive
		p.Publications[i].Outcome = check.Unknown
	}
	other := func(e check.Event) check.Event {
		e.Publisher = 1
		return e
	}
	v := check.Judge(world(), []check.Publisher{p, q}, []check.Subscriber{v1(got(1), got(2)), v1(got(1), other(got(2)))})
	want(t, v, counts{check.Order: 1})
}

// TestEpochsThatCameAndWent: a door may tell of an epoch that no reader ever saw. What was in it is missing, and the next gap says
// so.
func TestEpochsThatCameAndWent(t *testing.T) {
	w := world()
	w.Excuses = []check.Excuse{{0, 100 * sec}}
	p := sent(3)
	p.Publications[1].At = check.Position{Epoch: "unseen", Offset: 1}
	p.Publications[2].At = check.Position{Epoch: "b", Offset: 1}
	told := v1(got(1), gap(2*sec+sec/4, check.Position{Epoch: "b"}, "intake"), inEpoch(got(3), "b", 1))
	want(t, check.Judge(w, []check.Publisher{p}, []check.Subscriber{told}), counts{})
	early := v1(got(1), gap(2*sec-1, check.Position{Epoch: "b"}, "intake"), inEpoch(got(3), "b", 1))
	want(t, check.Judge(w, []check.Publisher{p}, []check.Subscriber{early}), counts{check.Lost: 1})

	b, c := check.Position{Epoch: "b"}, check.Position{Epoch: "c"}
	one := v1(got(1), gap(2*sec, b, "intake"), gap(3*sec, c, "intake"))
	lags := v1(got(1), gap(5*sec, b, "intake"), gap(6*sec, c, "intake"))
	skips := v1(got(1), gap(sec+sec/2, c, "intake"))
	back := v1(got(1), gap(3*sec+1, c, "intake"), gap(4*sec, b, "epoch"), gap(5*sec, c, "epoch")) // by way of a node that lags
	want(t, check.Judge(w, []check.Publisher{sent(1)}, []check.Subscriber{one, lags, skips}), counts{})
	want(t, check.Judge(w, []check.Publisher{sent(1)}, []check.Subscriber{one, back}), counts{})
}

// TestGivenOutAgain: a failover may forget what was acknowledged, and give its position to another publication. Who has the first
// one has to be told.
func TestGivenOutAgain(t *testing.T) {
	p, q := sent(1), sent(1)
	q.Name = "p1"
	p.Publications[0].At = check.Position{}
	w := world()
	w.Excuses = []check.Excuse{{0, 100 * sec}}
	b := check.Position{Epoch: "b"}
	judge := func(sub check.Subscriber) check.Verdict {
		return check.Judge(w, []check.Publisher{p, q}, []check.Subscriber{sub})
	}
	want(t, judge(v1(got(1), gap(3*sec, b, "epoch"))), counts{check.Order: 1})
	w.Rules.Replicated = true
	want(t, judge(v1(got(1), gap(3*sec, b, "epoch"))), counts{})
	want(t, judge(v1(got(1))), counts{check.Order: 1, check.Lost: 1, check.Stuck: 1})
}

// TestStampedTwice: one publication has one position, unless the history was lost and its publisher repeated it.
func TestStampedTwice(t *testing.T) {
	lost := world()
	lost.Excuses, lost.Losses = []check.Excuse{{0, 100 * sec}}, []check.Excuse{{20 * sec, 21 * sec}}
	again := func(epoch string, n uint64, t time.Duration) check.Event { return inEpoch(later(got(1), t), epoch, n) }
	b := check.Position{Epoch: "b", Offset: 0}
	for _, test := range []struct {
		name   string
		change func(p *check.Publication)
		sub    check.Subscriber
		want   counts
	}{
		{"InOneEpoch", func(*check.Publication) {}, v1(got(1), again("a", 2, 2*sec)), counts{check.Twice: 2}},
		{"OfUnknownOutcome", func(p *check.Publication) { p.Outcome = check.Unknown }, v1(got(1), again("a", 2, 2*sec)),
			counts{check.Indeterminate: 1, check.Twice: 1}},
		{"RepeatedAfterTheHistoryWasLost", func(p *check.Publication) { p.Attempts, p.At = 2, check.Position{Epoch: "b", Offset: 1} },
			v1(got(1), gap(2*sec, b, "epoch"), again("b", 1, 2*sec)), counts{}},
		{"NotRepeatedByItsPublisher", func(p *check.Publication) { p.At = check.Position{Epoch: "b", Offset: 1} },
			v1(got(1), gap(2*sec, b, "epoch"), again("b", 1, 2*sec)), counts{check.Twice: 2}},
		{"OnItsWayWhenTheHistoryWasLost", func(p *check.Publication) { p.At, p.End = check.Position{Epoch: "b", Offset: 1}, 22*sec },
			v1(got(1), gap(22*sec, b, "epoch"), again("b", 1, 22*sec)), counts{}},
		{"OnItsWayAndWithoutAGap", func(p *check.Publication) { p.At, p.End = check.Position{Epoch: "b", Offset: 1}, 22*sec },
			v1(got(1), again("b", 1, 22*sec)), counts{check.Twice: 1, check.Undeclared: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := sent(1)
			test.change(&p.Publications[0])
			want(t, check.Judge(lost, []check.Publisher{p}, []check.Subscriber{test.sub}), test.want)
		})
	}
}

// TestFirstCopyAtBareAlone: only a client that knows no positions had it before the history was lost.
func TestFirstCopyAtBareAlone(t *testing.T) {
	w := world()
	w.Excuses, w.Losses = []check.Excuse{{0, 100 * sec}}, []check.Excuse{{2 * sec, 3 * sec}}
	p := sent(1)
	p.Publications[0].At = check.Position{Epoch: "b", Offset: 1}
	judge := func(middle ...check.Event) check.Verdict {
		events := append(append([]check.Event{got(1)}, middle...), later(got(1), 5*sec))
		return check.Judge(w, []check.Publisher{p}, []check.Subscriber{bare(events...)})
	}
	want(t, judge(gap(4*sec, check.Position{Epoch: "b"}, "epoch")), counts{})
	want(t, judge(), counts{check.Twice: 1})
	want(t, judge(gap(4*sec, check.Position{Epoch: "b"}, "intake")), counts{check.Twice: 1})
	w.Losses = nil
	want(t, judge(gap(4*sec, check.Position{Epoch: "b"}, "epoch")), counts{check.Twice: 1})
}

// TestFirstCopyInAGap: a publisher repeats a list of which it has heard nothing. The first time, the second of the list was stored just
// before an epoch ended, and nobody saw it but as a gap; the third one was seen in the next epoch. Then the history was lost, and all
// three come again.
func TestFirstCopyInAGap(t *testing.T) {
	lost := world()
	lost.Excuses = []check.Excuse{{0, 100 * sec}}
	in := func(epoch string, seq, offset uint64, at time.Duration) check.Event {
		return inEpoch(later(got(seq), at), epoch, offset)
	}
	end := func(epoch string, offset uint64, at time.Duration) check.Event {
		cause := "epoch"
		if epoch == "b" {
			cause = "intake" // the history is kept, and what is in it is not stored again
		}
		return gap(at, check.Position{Epoch: epoch, Offset: offset}, cause)
	}
	first, third := in("a", 1, 1, sec), in("b", 3, 1, 5*sec)
	again := []check.Event{in("c", 1, 1, 7*sec), in("c", 2, 2, 7*sec), in("c", 3, 3, 7*sec)}
	all := append([]check.Event{first, end("b", 0, 4*sec), third, end("c", 0, 6*sec)}, again...)
	for _, test := range []struct {
		name     string
		attempts int
		events   []check.Event
		want     counts
	}{
		{"ComesAgain", 2, all, counts{}},
		{"LiesInTheSecondGapToo", 2, []check.Event{first, end("b", 0, 4*sec), third, end("c", 2, 6*sec), again[2]}, counts{}},
		{"ComesAgainBehindTheThird", 2, []check.Event{first, end("b", 0, 4*sec), third, end("c", 0, 6*sec), in("c", 3, 1, 7*sec),
			in("c", 1, 2, 7*sec), in("c", 2, 3, 7*sec)}, counts{}},
		{"LostWithTheFirstGap", 2, []check.Event{first, end("c", 0, 6*sec), in("c", 3, 1, 7*sec), in("c", 1, 2, 7*sec), in("c", 2, 3, 7*sec)},
			counts{}},
		{"WithoutTheFirstGap", 2, append([]check.Event{first, in("a", 3, 2, 5*sec), end("c", 0, 6*sec)}, again...), counts{check.Order: 2}},
		{"WithoutTheSecondGap", 2, []check.Event{first, end("b", 0, 4*sec), third, in("b", 2, 2, 6*sec)}, counts{check.Order: 2}},
		{"MissingWithoutTheFirstGap", 2, []check.Event{first, in("a", 3, 2, 5*sec), end("c", 2, 6*sec), again[2]}, counts{check.Lost: 2}},
		{"NotRepeated", 1, []check.Event{first, end("b", 0, 4*sec), third, end("c", 1, 6*sec), again[1]}, counts{check.Order: 2, check.Twice: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := sent(3)
			for i := range p.Publications {
				p.Publications[i].Attempts, p.Publications[i].At = test.attempts, check.Position{Epoch: "c", Offset: uint64(i + 1)}
			}
			for _, e := range test.events { // the door tells of the last place
				if e.Kind == check.Message && e.Position.Epoch == "c" {
					p.Publications[e.Seq-1].At = e.Position
				}
			}
			want(t, check.Judge(lost, []check.Publisher{p}, []check.Subscriber{v1(test.events...), bare(test.events...)}), test.want)
		})
	}

	// Somebody else has seen the first copy. So it is known what the gap means, and what not.
	p := sent(3)
	for i := range p.Publications {
		p.Publications[i].Attempts, p.Publications[i].At = 2, check.Position{Epoch: "c", Offset: uint64(i + 1)}
	}
	rest := append([]check.Event{in("b", 3, 2, 5*sec), end("c", 0, 6*sec)}, again...)
	inA := v1(append([]check.Event{first, in("a", 2, 2, 2*sec), end("b", 1, 4*sec)}, rest...)...)
	inB := v1(append([]check.Event{first, end("b", 0, 4*sec), in("b", 2, 1, 4*sec)}, rest...)...)
	want(t, check.Judge(lost, []check.Publisher{p}, []check.Subscriber{inA, v1(append([]check.Event{first, end("b", 1, 4*sec)}, rest...)...)}), counts{})
	want(t, check.Judge(lost, []check.Publisher{p}, []check.Subscriber{inB, v1(append([]check.Event{first, end("b", 0, 4*sec)}, rest...)...)}),
		counts{check.Order: 1, check.Undeclared: 1})
}

// TestBareKnowsNoPositions: what its publisher repeated after the history was lost has another position than when it came.
func TestBareKnowsNoPositions(t *testing.T) {
	p, q := sent(1), sent(1)
	q.Name = "p1"
	p.Publications[0].At, q.Publications[0].At = at(2), at(1)
	other := later(got(1), 2*sec)
	other.Publisher = 1
	s := bare(got(1), other)
	want(t, check.Judge(world(), []check.Publisher{p, q}, []check.Subscriber{s}), counts{check.Order: 1})
	p.Publications[0].Attempts, q.Publications[0].Attempts = 2, 2
	want(t, check.Judge(world(), []check.Publisher{p, q}, []check.Subscriber{s}), counts{})
}

// TestStaleRight: after a revocation there is a time to close, and then nothing.
func TestStaleRight(t *testing.T) {
	s := v1(got(1), got(2), got(3), got(4), got(5), got(6), got(7), got(8), closed(9*sec))
	s.Ends = 3 * sec
	w := world()
	want(t, check.Judge(w, []check.Publisher{sent(8)}, []check.Subscriber{s}), counts{check.Stale: 1}) // 8.5 s
	w.Rules.StaleAfter = 2 * sec
	want(t, check.Judge(w, []check.Publisher{sent(8)}, []check.Subscriber{s}), counts{check.Stale: 4}) // 5.5 s and on
}

// TestWithoutBareResume: the rule for servers that cannot resume bare clients excuses what was published while the line was down.
func TestWithoutBareResume(t *testing.T) {
	s := bare(got(1), closed(2*sec), opened(3*sec+sec/2), got(4))
	w := world()
	want(t, check.Judge(w, []check.Publisher{sent(4)}, []check.Subscriber{s}), counts{check.Lost: 2})
	w.Rules.NoBareResume = true
	want(t, check.Judge(w, []check.Publisher{sent(4)}, []check.Subscriber{s}), counts{})
	s = bare(got(1), closed(2*sec), opened(2*sec+sec/2), got(4))
	want(t, check.Judge(w, []check.Publisher{sent(4)}, []check.Subscriber{s}), counts{check.Lost: 1}) // 3 was begun after it was back
	s = bare(got(1), closed(2*sec), opened(2*sec+sec/2), later(got(1), 3*sec), got(3), got(4))
	want(t, check.Judge(w, []check.Publisher{sent(4)}, []check.Subscriber{s}), counts{check.Twice: 1})
}

// TestUnorderedIsResentInItsOrder: what a bare client is sent again comes as it came first, also where that was no order.
func TestUnorderedIsResentInItsOrder(t *testing.T) {
	p := sent(2)
	p.Ordered = false
	first := []check.Event{got(2), later(got(1), 3*sec), closed(4 * sec), opened(4 * sec)}
	again := []check.Event{later(got(2), 5*sec), later(got(1), 5*sec)}
	for i := range p.Publications {
		p.Publications[i].At = check.Position{}
	}
	want(t, check.Judge(world(), []check.Publisher{p}, []check.Subscriber{bare(append(first, again...)...)}), counts{})
	twice := append(append(first, again...), later(got(1), 6*sec))
	want(t, check.Judge(world(), []check.Publisher{p}, []check.Subscriber{bare(twice...)}), counts{check.Twice: 1})
}

// TestUnordered: a door without an order may deliver in any, but has to deliver.
func TestUnordered(t *testing.T) {
	p := sent(3)
	p.Ordered = false
	for i := range p.Publications {
		p.Publications[i].At = check.Position{}
	}
	swapped := []check.Event{inEpoch(got(2), "a", 1), inEpoch(later(got(1), 3*sec), "a", 2)}
	want(t, check.Judge(world(), []check.Publisher{p}, []check.Subscriber{v1(append(swapped, got(3))...)}), counts{})
	want(t, check.Judge(world(), []check.Publisher{p}, []check.Subscriber{v1(swapped...)}), counts{check.Lost: 1, check.Stuck: 1})
	w := world()
	w.Excuses = []check.Excuse{{0, 100 * sec}}
	want(t, check.Judge(w, []check.Publisher{p}, []check.Subscriber{v1(append(swapped, gap(4*sec, check.Position{Epoch: "b"}, "intake"))...)}), counts{})
}

// TestEmpty: a run in which nothing happened proves nothing.
func TestEmpty(t *testing.T) {
	full := check.Stats{Acked: 1, Deliveries: 1, Faults: 1, Reconnects: 1}
	for _, test := range []struct {
		change func(s *check.Stats)
		want   string
	}{
		{func(*check.Stats) {}, ""},
		{func(s *check.Stats) { s.Acked = 0 }, "acknowledged"},
		{func(s *check.Stats) { s.Acked, s.Sent = 0, 1 }, ""},
		{func(s *check.Stats) { s.Deliveries = 0 }, "delivered"},
		{func(s *check.Stats) { s.Faults = 0 }, "fault"},
		{func(s *check.Stats) { s.Reconnects = 0 }, "connect again"},
	} {
		v := check.Verdict{Stats: full}
		test.change(&v.Stats)
		if why := v.Empty(); (why == "") != (test.want == "") || !strings.Contains(why, test.want) {
			t.Errorf("%+v: got %q, want %q", v.Stats, why, test.want)
		}
	}
}

// TestFindingsAreBounded: a run in which everything is wrong is told in few words, and counted in full.
func TestFindingsAreBounded(t *testing.T) {
	v := check.Judge(world(), []check.Publisher{sent(5000)}, []check.Subscriber{v1()})
	if v.Counts[check.Lost] != 5000 || len(v.Findings) > 20 {
		t.Fatalf("%d lost, %d findings; want 5000 and few", v.Counts[check.Lost], len(v.Findings))
	}
}

func TestSilences(t *testing.T) {
	s := check.Subscriber{}
	for _, ms := range []int{100, 200, 1200, 1300, 5000} {
		s.Events = append(s.Events, check.Event{At: time.Duration(ms) * time.Millisecond, Kind: check.Message})
	}
	span := func(from, until int) check.Span {
		return check.Span{From: time.Duration(from) * time.Millisecond, Until: time.Duration(until) * time.Millisecond}
	}
	got := check.Silences([]check.Span{span(250, 1250), span(1250, 1260), span(50, 60), span(6000, 7000)}, []check.Subscriber{s})
	want := []time.Duration{100 * time.Millisecond, 1000 * time.Millisecond}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("got %v, want %v", got, want)
	}
	if q := check.Quantile(got, 0.99); q != time.Second {
		t.Errorf("p99 %v, want 1s", q)
	}
	if q := check.Quantile(nil, 0.5); q != 0 {
		t.Errorf("p50 of nothing: %v", q)
	}
}
