package stamping

// line is the one sequence of messages into which a node merges its feeds, numbered by itself. It has no holes: where one comes, a
// new line begins, and nobody knows how its numbers go with those before.
type line struct {
	id    uint64 // changes when a new line begins
	low   int64  // all from here on are known: in the ring, or stamped, or not to be stamped
	next  int64  // number of the next message
	marks places
	feeds []feed
}

// feed is one connection.
type feed struct {
	name   string // channel that it subscribes to; empty: it is down
	count  int64  // messages since it came up
	placed bool   // offset is known
	joined bool   // it is part of the line; else its messages wait until its place is known
	offset int64  // the message that is count on the feed is count+offset on the line
	marks  places // by count, until it is placed

	deaf   bool  // it has to be closed
	metOwn int64 // the newest of this node's own marks that it met
	owed   int64 // one that it has not met though it was published; 0: none
	owedAt int64 // when that was published at the latest, in Unix ns

	waiting []Message // the last ones
	bytes   int
}

// What waits until a feed has its place: a tenth of a second of messages as a rule. Past the bounds the oldest go, and with them the
// chance to take their place if the other feed breaks right then.
const (
	maxWaiting      = 4096
	maxWaitingBytes = 8 << 20
)

func (f *feed) wait(m *Message) {
	f.waiting = append(f.waiting, *m)
	f.bytes += len(m.Data)
	for len(f.waiting) > maxWaiting || f.bytes > maxWaitingBytes && len(f.waiting) > 1 {
		f.bytes -= len(f.waiting[0].Data)
		f.waiting[0] = Message{}
		f.waiting = f.waiting[1:]
	}
}

// from returns the number of the first message that the feed can give, once it is placed.
func (f *feed) from() int64 { return f.count - int64(len(f.waiting)) + 1 + f.offset }

// Up says that feed i subscribes to everything, and to the channel called name, from here on.
func (n *Node) Up(i int, name string) {
	n.line.feeds[i] = feed{name: name}
	n.settle()
}

// Down says that feed i is broken. It may be said twice.
func (n *Node) Down(i int) {
	n.line.feeds[i] = feed{deaf: n.line.feeds[i].deaf}
	n.settle()
}

// Wants says whether the payload of the next message of feed i is needed: not if the other feed was faster.
func (n *Node) Wants(i int) bool {
	f := &n.line.feeds[i]
	return !f.placed || f.count+1+f.offset >= n.line.next
}

// Idle says that feed i need not be read at once: another one is the faster one here, or another node stamps.
func (n *Node) Idle(i int) bool {
	if !n.line.feeds[i].joined {
		return false
	}
	if !n.held && n.aligned {
		return true
	}
	for j := range n.line.feeds {
		if j < i && n.line.feeds[j].joined {
			return true
		}
	}
	return false
}

// Heard takes the next message of feed i, and reports whether it is news on this node.
func (n *Node) Heard(i int, m *Message) bool {
	f := &n.line.feeds[i]
	if f.name == "" {
		return false
	}
	f.count++
	if !f.joined {
		f.wait(m)
		if f.placed {
			n.settle()
		}
		return false // for the joined feed it will be, or was
	}
	if f.count+f.offset < n.line.next {
		return false
	}
	n.append(m)
	for j := range n.line.feeds {
		if g := &n.line.feeds[j]; g.placed && !g.joined {
			n.settle()
			break
		}
	}
	return true
}

// append puts the next message on the line.
func (n *Node) append(m *Message) {
	number := n.line.next
	n.line.next++
	n.counts.Heard++
	if m.Channel.Name == "" {
		return
	}
	// One who is aligned will take over where the ring begins; one who is not needs only what is new.
	if low := n.ring.add(number, m, n.aligned); low > 0 {
		n.line.low = low
	}
}

// settle lets feeds join the line where they can, and begins a new line where no feed carries the old one on.
func (n *Node) settle() {
	for {
		joined, best := false, -1
		for i := range n.line.feeds {
			f := &n.line.feeds[i]
			switch {
			case f.name == "":
			case f.joined:
				joined = true
			case f.placed && f.from() <= n.line.next:
				n.join(i)
				joined = true
			case best < 0 || f.placed && !n.line.feeds[best].placed:
				best = i
			}
		}
		if joined || best < 0 {
			return
		}
		n.begin(best)
	}
}

// join gives the line what has waited in feed i and is news.
func (n *Node) join(i int) {
	f := &n.line.feeds[i]
	number := f.from()
	f.joined = true
	for k := range f.waiting {
		if number+int64(k) >= n.line.next {
			n.append(&f.waiting[k])
		}
	}
	f.waiting, f.bytes = nil, 0
}

// begin carries on with feed i though messages are missing before it.
func (n *Node) begin(i int) {
	f := &n.line.feeds[i]
	if f.placed { // it is known how many are missing: the numbers go on
		n.line.next = f.from()
		n.lose()
		n.join(i)
		return
	}
	n.lose()
	n.line.id++
	n.line.marks.clear()
	n.aligned = false
	for j := range n.line.feeds { // who has a place on the old line has none on the new one
		n.line.feeds[j].placed = false
	}
	f.placed, f.offset = true, n.line.next-1-(f.count-int64(len(f.waiting)))
	for k, mark := range &f.marks.marks {
		if mark != "" {
			n.line.marks.put(mark, f.marks.at[k]+f.offset)
		}
	}
	f.marks.clear()
	n.join(i)
	n.place()
	n.align()
}

// lose says that what comes next does not follow what was before.
func (n *Node) lose() {
	n.line.low = n.line.next
	n.ring.clear()
	n.release = n.release || n.held // somebody else may have what is missing
}

// place looks for the places of feeds that have none.
func (n *Node) place() {
	for i := range n.line.feeds {
		f := &n.line.feeds[i]
		if f.name == "" || f.placed {
			continue
		}
		for k, mark := range &f.marks.marks {
			if at, known := n.line.marks.get(mark); known {
				f.placed, f.offset = true, at-f.marks.at[k]
				f.marks.clear()
				break
			}
		}
	}
}

// Marked says that feed i met a mark.
func (n *Node) Marked(i int, mark string) {
	f := &n.line.feeds[i]
	if f.name == "" || mark == "" {
		return
	}
	if own, ok := n.ownMark(mark); ok {
		f.metOwn = max(f.metOwn, own)
		if f.owed <= f.metOwn {
			f.owed = 0
		}
	}
	at, known := n.line.marks.get(mark)
	switch {
	case !f.placed:
		f.marks.put(mark, f.count)
		n.place()
		n.settle()
	case !known:
		at = f.count + f.offset
		n.line.marks.put(mark, at)
		n.answer(mark, at)
		n.align()
		n.place()
		n.settle()
	case at != f.count+f.offset:
		n.miscounted()
		n.line.feeds[i] = feed{deaf: true}
		n.settle()
	}
}

// miscounted says that two count differently. Nobody knows who is right, so all are told.
func (n *Node) miscounted() {
	n.counts.Miscounts++
	n.doubt = n.numbering
}

// Ponged says that feed i answered a ping that was sent at that Unix time in ns. Redis answers on the connection itself, so what
// was published before the ping has come before the answer; if it has not, the feed hears another Redis, or nothing.
func (n *Node) Ponged(i int, sent int64) {
	f := &n.line.feeds[i]
	if f.name != "" && f.owed > 0 && f.owedAt < sent {
		n.line.feeds[i] = feed{deaf: true}
		n.counts.Deaf++
		n.settle()
	}
}

// Deaf reports whether feed i has to be closed, since it cannot be trusted.
func (n *Node) Deaf(i int) bool { return n.line.feeds[i].deaf }

// Joined reports whether what feed i hears is in line: it alone would be enough.
func (n *Node) Joined(i int) bool { return n.line.feeds[i].joined }
