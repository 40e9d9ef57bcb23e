package stamping

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Options are the knobs of a Node. ID, Globs and NewWord are needed.
type Options struct {
	ID      string // random, of this process
	Feeds   int    // connections; zero means 2
	Globs   string // see Report
	Trusted bool   // see Report

	// NewWord returns a random word, for tokens.
	NewWord func() string

	// MaxMessages and MaxBytes bound what waits to be stamped; zero means 65,536 (16 s of 4,000 a second) and 64 MiB.
	MaxMessages int
	MaxBytes    int
}

// Node is what one node knows. It is not safe for concurrent use.
type Node struct {
	opts Options
	line line
	ring ring

	numbering string
	aligned   bool
	shift     int64 // what is n on the line is n+shift in the numbering
	stamped   int64 // in the numbering, as far as is known
	owed      string
	apart     bool
	holder    string
	reported  bool // the last report was answered

	token   string
	held    bool // this node has the lease, as far as it knows
	release bool // and wants to be rid of it
	flight  bool // a batch is on its way
	doubt   string
	turned  string

	marks   int64    // own ones so far
	learned []Answer // the last ones, also those for marks that were not met yet
	answers []Answer // to be told to others
	counts  Counts
}

// Counts say what a Node has seen.
type Counts struct {
	Heard      uint64           // messages, each once
	Takes      map[Cause]uint64 // how often it became the holder
	Began      uint64           // numberings that it had to begin
	Alignments uint64           // how often it found its place in a numbering
	Fenced     uint64           // batches refused because another node was the holder
	Miscounts  uint64           // places that did not agree
	Deaf       uint64           // feeds given up because they did not hear what was published
	Dropped    uint64           // messages for which the ring had no room
}

// NewNode returns a Node whose feeds are down.
func NewNode(opts Options) *Node {
	if opts.Feeds <= 0 {
		opts.Feeds = 2
	}
	if opts.MaxMessages <= 0 {
		opts.MaxMessages = 65_536
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 64 << 20
	}
	n := &Node{opts: opts, ring: ring{maxCount: opts.MaxMessages, maxBytes: opts.MaxBytes}, token: opts.NewWord()}
	n.line = line{low: 1, next: 1, feeds: make([]feed, opts.Feeds)}
	n.counts.Takes = map[Cause]uint64{}
	return n
}

// ID returns Options.ID.
func (n *Node) ID() string { return n.opts.ID }

// Held reports whether this node is the holder, as far as it knows.
func (n *Node) Held() bool { return n.held }

// Asked reports whether others wait for an answer that the next Report has.
func (n *Node) Asked() bool { return len(n.answers) > 0 }

func (n *Node) ownMark(mark string) (int64, bool) {
	digits, ok := strings.CutPrefix(mark, n.opts.ID+".")
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, err == nil
}

// answer notes what others may want to know about the mark at that place of the line.
func (n *Node) answer(mark string, at int64) {
	if n.held && n.aligned {
		if len(n.answers) == maxPlaces {
			n.answers = append(n.answers[:0], n.answers[1:]...)
		}
		n.answers = append(n.answers, Answer{n.numbering, mark, at + n.shift})
	}
}

// Learn takes an answer that the holder gave.
func (n *Node) Learn(a Answer) {
	if len(n.learned) == maxPlaces {
		n.learned = append(n.learned[:0], n.learned[1:]...)
	}
	n.learned = append(n.learned, a)
	n.alignBy(a)
}

// align looks for a mark that is on the line and in the numbering.
func (n *Node) align() {
	n.alignBy(Answer{n.numbering, n.numbering, 0})
	for i := len(n.learned) - 1; i >= 0 && i < len(n.learned); i-- { // a wrong one empties it
		n.alignBy(n.learned[i])
	}
}

func (n *Node) alignBy(a Answer) {
	at, known := n.line.marks.get(a.Mark)
	if !known || a.Numbering != n.numbering || n.apart {
		return
	}
	switch shift := a.Number - at; {
	case n.aligned && shift != n.shift:
		n.miscounted()
		n.aligned = false
		n.learned = n.learned[:0] // one of them is wrong
		n.lose()
	case !n.aligned:
		n.aligned, n.shift = true, shift
		n.counts.Alignments++
		n.trim()
		if n.held {
			for i, mark := range &n.line.marks.marks { // who asked meanwhile
				if mark != "" {
					n.answer(mark, n.line.marks.at[i])
				}
			}
		}
	}
}

// trim forgets what is stamped.
func (n *Node) trim() {
	if !n.aligned {
		return
	}
	done := n.stamped - n.shift // on the line
	n.ring.trim(done)
	n.line.low = max(n.line.low, min(done+1, n.line.next))
}

// low is the number from which on this node has everything.
func (n *Node) low() int64 { return n.line.low + n.shift }

// Farewell returns the last report: the node gives up what it has and wants nothing more.
func (n *Node) Farewell() Report {
	r := n.Report(false)
	r.Release, r.Feeds, r.Ask = true, nil, false
	return r
}

// missed reports that a holder that is not aligned will not be: nobody else tells it its place, and the mark with which it
// began the numbering is not on its line and will not come.
func (n *Node) missed() bool {
	own, ok := n.ownMark(n.numbering)
	if !ok {
		return true
	}
	if _, known := n.line.marks.get(n.numbering); known {
		return false
	}
	for i := range n.line.feeds {
		if f := &n.line.feeds[i]; f.joined && f.metOwn >= own {
			return true
		}
	}
	return false
}

// Report returns what the node has to tell the Ledger now. With probe it publishes a mark, by which the feeds are seen to hear.
func (n *Node) Report(probe bool) Report {
	n.release = n.held && (n.release || !n.aligned && n.missed())
	r := Report{
		Node: n.opts.ID, Token: n.token, Globs: n.opts.Globs, Trusted: n.opts.Trusted,
		Release: n.release, Turned: n.turned, Doubt: n.doubt, Ask: probe || !n.aligned && n.numbering != "",
	}
	for i := range n.line.feeds {
		f := &n.line.feeds[i]
		if f.name == "" {
			continue
		}
		r.Feeds = append(r.Feeds, f.name)
		r.Ask = r.Ask || !f.joined
	}
	if n.aligned {
		r.Numbering, r.Low = n.numbering, n.low()
		if n.held {
			r.Passed = n.passed()
			r.Answers = n.answers
			n.answers = nil
		}
	}
	n.marks++
	r.Mark = n.opts.ID + "." + strconv.FormatInt(n.marks, 10)
	return r
}

// passed is the number up to which there is nothing that is not stamped.
func (n *Node) passed() int64 {
	switch {
	case n.low() > n.stamped+1: // what is missing is for somebody else to stamp
		return n.stamped
	case n.ring.len() == 0:
		return n.line.next - 1 + n.shift
	}
	return n.ring.entries[n.ring.first].first - 1 + n.shift
}

// Reported takes the answer to r, which came at that Unix time in ns.
func (n *Node) Reported(r *Report, s *State, now int64) {
	n.reported = true
	n.feedsAre(r, s, now)
	if s.Numbering != n.numbering {
		n.numbering, n.stamped, n.aligned, n.answers = s.Numbering, 0, false, nil
	}
	n.holder, n.owed, n.apart = s.Holder, s.Owed, s.Apart
	if n.doubt == r.Doubt {
		n.doubt = ""
	}
	if n.turned == r.Turned {
		n.turned = ""
	}
	n.stamped = max(n.stamped, s.Stamped)
	mine := s.Mine && r.Token == n.token
	if n.held && !mine {
		n.lost()
	}
	n.held = mine
	n.release = n.release && mine && !r.Release
	if mine && s.Took != "" {
		n.counts.Takes[s.Took]++
	}
	if mine && s.Began {
		n.counts.Began++
	}
	n.align()
	n.trim()
}

// feedsAre takes what Redis knows of the feeds that were up when r was made.
func (n *Node) feedsAre(r *Report, s *State, now int64) {
	for i := range n.line.feeds {
		f := &n.line.feeds[i]
		k := slices.Index(r.Feeds, f.name)
		switch own, _ := n.ownMark(r.Mark); {
		case f.name == "" || k < 0 || k >= len(s.Open):
		case !s.Open[k]: // it hears another Redis than the one that was asked, or it is closed already
			n.line.feeds[i] = feed{deaf: true}
			n.counts.Deaf++
			n.settle()
		case (r.Ask || s.Began) && f.metOwn < own && f.owed == 0:
			f.owed, f.owedAt = own, now
		}
	}
}

// lost says that this node is not the holder any more.
func (n *Node) lost() {
	n.held, n.release, n.answers = false, false, nil
	n.token = n.opts.NewWord() // what is still on its way with the old one is refused
}

// AllTurned says that the turn of all epochs that was owed is done.
func (n *Node) AllTurned(owed string) { n.turned = owed }

// Status is how a Node stands.
type Status struct {
	Numbering string
	Aligned   bool   // it could go on if the holder was gone, or is it
	Held      bool   // it is the holder
	Holder    string // node
	Apart     bool   // the holder listens to other globs
	Owed      string // see State
	Joined    int    // feeds that are part of the line
	Up        int    // feeds that are up
	Waiting   int    // messages in the ring
	Bytes     int    // their data
	Reported  bool   // the Ledger has answered at least once
}

// Status returns how it stands.
func (n *Node) Status() Status {
	s := Status{
		Numbering: n.numbering, Aligned: n.aligned, Held: n.held, Holder: n.holder, Apart: n.apart, Owed: n.owed,
		Waiting: n.ring.len(), Bytes: n.ring.bytes, Reported: n.reported,
	}
	for i := range n.line.feeds {
		if n.line.feeds[i].name != "" {
			s.Up++
		}
		if n.line.feeds[i].joined {
			s.Joined++
		}
	}
	return s
}

// Counts returns what was counted so far.
func (n *Node) Counts() Counts {
	c := n.counts
	c.Takes = maps.Clone(c.Takes)
	c.Dropped = n.ring.dropped
	return c
}
