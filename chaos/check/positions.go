package check

import (
	"fmt"
	"maps"
	"time"
)

// ledger is what all histories together say about positions.
type ledger struct {
	world   *World
	at      [][]Position            // of each publisher's publications; zero: nobody knows
	renewed []map[uint32][]Position // further ones, in other epochs, of those that were repeated after the history was lost
	holds   []map[string][]identity // of each channel and epoch, by offset
	epochs  []map[string]*epoch     // of each channel
	heads   []Position              // the newest position of each channel
}

// identity names a publication; the zero value names none, for sequence numbers count from 1.
type identity struct {
	publisher int32
	seq       uint32
}

// epoch is what readers know of one epoch of a channel. One that only a door has told of is not among them: it came and went
// without anybody having seen it.
type epoch struct {
	began time.Duration       // when it was first seen
	head  uint64              // its highest offset
	then  map[string]struct{} // epochs that some reader saw next
	rank  int                 // its place in the order of all
}

func newLedger(w *World, pubs []Publisher) *ledger {
	l := &ledger{
		world: w, at: make([][]Position, len(pubs)), renewed: make([]map[uint32][]Position, len(pubs)),
		holds: make([]map[string][]identity, len(w.Channels)), epochs: make([]map[string]*epoch, len(w.Channels)),
		heads: make([]Position, len(w.Channels)),
	}
	for i := range pubs {
		l.at[i] = make([]Position, len(pubs[i].Publications))
		l.renewed[i] = map[uint32][]Position{}
	}
	for i := range w.Channels {
		l.holds[i], l.epochs[i] = map[string][]identity{}, map[string]*epoch{}
	}
	return l
}

// saw notes that a reader met a position at a time, and in which epoch it was before ("" for the first).
func (l *ledger) saw(channel int, before string, p Position, at time.Duration) {
	e := l.epochs[channel][p.Epoch]
	if e == nil {
		e = &epoch{began: at, then: map[string]struct{}{}}
		l.epochs[channel][p.Epoch] = e
	}
	e.began, e.head = min(e.began, at), max(e.head, p.Offset)
	if before != "" && before != p.Epoch {
		l.epochs[channel][before].then[p.Epoch] = struct{}{}
	}
}

// older reports whether epoch a was over when b began, as far as readers can know.
func (l *ledger) older(channel int, a, b string) bool {
	x, y := l.epochs[channel][a], l.epochs[channel][b]
	return x == nil || y != nil && x.rank < y.rank
}

// maxOffset bounds the tables: a position beyond it is nonsense, and would cost memory.
const maxOffset = 50_000_000

// place notes that a publication has a position, and finds what contradicts it. It returns, in words, that another publication is
// known to be there.
func (l *ledger) place(v *Verdict, pubs []Publisher, channel int, id identity, p Position, who string) (conflict string) {
	if p.Offset == 0 || p.Offset > maxOffset {
		v.find(Phantom, "%s: %s %d at the impossible position %v", who, pubs[id.publisher].Name, id.seq, p)
		return ""
	}
	table := l.holds[channel][p.Epoch]
	for uint64(len(table)) <= p.Offset {
		table = append(table, identity{})
	}
	l.holds[channel][p.Epoch] = table
	switch table[p.Offset] {
	case id:
		return ""
	case identity{}:
		table[p.Offset] = id
	default:
		other := table[p.Offset]
		return fmt.Sprintf("%s: position %v is %s %d here and %s %d elsewhere", who, p, pubs[id.publisher].Name, id.seq,
			pubs[other.publisher].Name, other.seq)
	}
	known := &l.at[id.publisher][id.seq-1]
	if *known == (Position{}) {
		*known = p
		return ""
	}
	pub := &pubs[id.publisher].Publications[id.seq-1]
	switch {
	case l.world.repeated(pub) && known.Epoch != p.Epoch:
		l.renewed[id.publisher][id.seq] = append(l.renewed[id.publisher][id.seq], p)
	case pub.Outcome == Unknown:
		v.find(Indeterminate, "%s: %s %d, whose outcome is unknown, is at %v and at %v", who, pubs[id.publisher].Name, id.seq, *known, p)
	default:
		v.find(Twice, "%s: %s %d is at %v and at %v", who, pubs[id.publisher].Name, id.seq, *known, p)
	}
	return ""
}

// finish orders the epochs and finds the head of each channel: the last position of its newest one.
func (l *ledger) finish() {
	for ch, epochs := range l.epochs {
		if last := order(epochs); last != "" {
			l.heads[ch] = Position{last, epochs[last].head}
		}
	}
}

// order ranks epochs so that each comes after those that a reader saw before it; what no reader has compared goes by when it was
// first seen. It returns the last one.
//
// Readers may disagree: who comes from a good node to one that is cut off is told of an older epoch there, and of the newer one
// again once that node has caught up, each time behind a gap. Then, too, it goes by when they were first seen.
func order(epochs map[string]*epoch) (last string) {
	before := map[string]int{} // how many come before each and are not ranked yet
	for _, e := range epochs {
		for next := range e.then {
			before[next]++
		}
	}
	left := maps.Clone(epochs)
	for rank := 0; len(left) > 0; rank++ {
		pick := ""
		for name, e := range left {
			free, best := before[name] <= 0, pick != "" && before[pick] <= 0
			if pick == "" || free && !best ||
				free == best && (e.began < left[pick].began || e.began == left[pick].began && name < pick) {
				pick = name
			}
		}
		for next := range left[pick].then {
			before[next]--
		}
		epochs[pick].rank, last = rank, pick
		delete(left, pick)
	}
	return last
}
