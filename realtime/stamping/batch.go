package stamping

import "slices"

// Limits of a batch. Redis does nothing else while it stamps one: 128 messages take it about 4 ms.
const (
	MaxBatch      = 128
	MaxBatchBytes = 1 << 20
)

// Next returns the next batch to stamp. It returns a Hole instead if that comes first: its channels have to be turned before
// Filled is called for it. more is false if there is nothing to do, or a batch is on its way; each batch has to be ended by Stamped or
// Failed.
//
// judge is called once for each message, with the first batch that has it, and says whether it is fit to be stamped. The messages of
// the batch are put into the memory of into, if there is enough.
func (n *Node) Next(judge func(*Message) bool, into []Numbered) (b Batch, hole *Hole, more bool) {
	if !n.held || !n.aligned || n.flight || n.release || n.low() > n.stamped+1 {
		return Batch{}, nil, false
	}
	n.trim()
	if n.ring.len() == 0 {
		return Batch{}, nil, false
	}
	if first := n.ring.entries[n.ring.first].hole; first != nil {
		return Batch{}, first, true
	}
	b = Batch{Token: n.token, Numbering: n.numbering, Prev: n.stamped, Last: n.line.next - 1 + n.shift, line: n.line.id}
	b.Messages = slices.Grow(into[:0], min(n.ring.len(), MaxBatch))
	bytes := 0
	for i := n.ring.first; i < len(n.ring.entries); i++ {
		e := &n.ring.entries[i]
		if e.hole != nil || len(b.Messages) >= MaxBatch || bytes+len(e.m.Data) > MaxBatchBytes && bytes > 0 {
			b.Last = e.first - 1 + n.shift
			break
		}
		if !e.judged {
			if e.judged = true; !judge(&e.m) {
				n.ring.void(e)
			}
		}
		if e.m.Channel.Name == "" {
			continue
		}
		bytes += len(e.m.Data)
		b.Messages = append(b.Messages, Numbered{Message: e.m, Number: e.number + n.shift})
	}
	n.flight = true
	return b, nil, true
}

// Full reports whether there is enough for a whole batch.
func (n *Node) Full() bool { return n.ring.len() >= MaxBatch }

// Filled says that the readers of the hole's channels are told.
func (n *Node) Filled(hole *Hole) {
	if n.ring.len() > 0 && n.ring.entries[n.ring.first].hole == hole {
		n.ring.drop()
	}
}

// Stamped takes the Ledger's answer to b.
func (n *Node) Stamped(b *Batch, r *Receipt) {
	n.flight = false
	switch r.Outcome {
	case OutcomeDone, OutcomeStuck:
		if b.Numbering == n.numbering {
			n.stamped = max(n.stamped, r.Stamped)
			n.trim()
		}
	case OutcomeFenced:
		n.counts.Fenced++
		if b.Token == n.token {
			n.lost()
		}
	case OutcomeTorn:
		if b.Token == n.token {
			n.lose() // Redis has forgotten what this node has forgotten since: it cannot go on
		}
	}
}

// Failed says that the answer to b was lost. What it held comes again.
func (n *Node) Failed() { n.flight = false }

// Leave leaves out the message with that number of the numbering: it cannot be stored.
func (n *Node) Leave(b *Batch, number int64) {
	if b.Numbering != n.numbering || b.line != n.line.id {
		return
	}
	for i := n.ring.first; i < len(n.ring.entries); i++ {
		if e := &n.ring.entries[i]; e.number+n.shift == number && e.hole == nil {
			n.ring.void(e)
		}
	}
}
