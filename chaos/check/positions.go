package check

import "time"

// ledger is what all histories together say about positions.
type ledger struct {
	at      [][]Position            // of each publisher's publications; zero: nobody knows
	renewed []map[uint32]bool       // publications that have a second position in a later epoch, as they may
	holds   []map[string][]identity // of each channel and epoch, by offset
	epochs  []map[string]epoch      // of each channel
	heads   []Position              // the newest position of each channel
}

// identity names a publication; the zero value names none, for sequence numbers count from 1.
type identity struct {
	publisher int32
	seq       uint32
}

// epoch is what is known of one epoch of a channel.
type epoch struct {
	began time.Duration // when it was first seen, which orders the epochs
	head  uint64        // its highest offset
}

func newLedger(w *World, pubs []Publisher) *ledger {
	l := &ledger{
		at: make([][]Position, len(pubs)), renewed: make([]map[uint32]bool, len(pubs)),
		holds: make([]map[string][]identity, len(w.Channels)), epochs: make([]map[string]epoch, len(w.Channels)),
		heads: make([]Position, len(w.Channels)),
	}
	for i := range pubs {
		l.at[i] = make([]Position, len(pubs[i].Publications))
		l.renewed[i] = map[uint32]bool{}
	}
	for i := range w.Channels {
		l.holds[i], l.epochs[i] = map[string][]identity{}, map[string]epoch{}
	}
	return l
}

// saw notes that a position existed at a time.
func (l *ledger) saw(channel int, p Position, at time.Duration) {
	e, ok := l.epochs[channel][p.Epoch]
	if !ok || at < e.began {
		e.began = at
	}
	e.head = max(e.head, p.Offset)
	l.epochs[channel][p.Epoch] = e
}

// older reports whether epoch a began before b.
func (l *ledger) older(channel int, a, b string) bool {
	return l.epochs[channel][a].began < l.epochs[channel][b].began
}

// maxOffset bounds the tables: a position beyond it is nonsense, and would cost memory.
const maxOffset = 50_000_000

// place notes that a publication has a position, and finds what contradicts it.
func (l *ledger) place(v *Verdict, pubs []Publisher, channel int, id identity, p Position, at time.Duration, who string) {
	l.saw(channel, p, at)
	if p.Offset == 0 || p.Offset > maxOffset {
		v.find(Phantom, "%s: %s %d at the impossible position %v", who, pubs[id.publisher].Name, id.seq, p)
		return
	}
	table := l.holds[channel][p.Epoch]
	for uint64(len(table)) <= p.Offset {
		table = append(table, identity{})
	}
	l.holds[channel][p.Epoch] = table
	switch table[p.Offset] {
	case id:
		return
	case identity{}:
		table[p.Offset] = id
	default:
		other := table[p.Offset]
		v.find(Order, "%s: position %v is %s %d here and %s %d elsewhere", who, p, pubs[id.publisher].Name, id.seq,
			pubs[other.publisher].Name, other.seq)
		return
	}
	known := &l.at[id.publisher][id.seq-1]
	if *known == (Position{}) {
		*known = p
		return
	}
	pub := &pubs[id.publisher].Publications[id.seq-1]
	switch {
	case pub.Attempts > 1 && known.Epoch != p.Epoch:
		l.renewed[id.publisher][id.seq] = true
	case pub.Outcome == Unknown:
		v.find(Indeterminate, "%s: %s %d, whose outcome is unknown, is at %v and at %v", who, pubs[id.publisher].Name, id.seq, *known, p)
	default:
		v.find(Twice, "%s: %s %d is at %v and at %v", who, pubs[id.publisher].Name, id.seq, *known, p)
	}
}

// finish finds the head of each channel: the last position of its newest epoch.
func (l *ledger) finish() {
	for ch, epochs := range l.epochs {
		var newest time.Duration = -1
		for name, e := range epochs {
			if e.began > newest || e.began == newest && name > l.heads[ch].Epoch {
				newest, l.heads[ch] = e.began, Position{name, e.head}
			}
		}
	}
}
