package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

// Source opens connections that hear plain PUBLISH. realtime/redis has it.
type Source interface {
	// Receive opens one, subscribes to globs, and tells h what it hears, until ctx ends (nil) or the connection breaks.
	Receive(ctx context.Context, globs []string, h stamping.Hearer) error
}

// PubSubOptions are the knobs of a PubSub. Only Names is needed.
type PubSubOptions struct {
	Names    *realtime.Names
	MaxBytes int // of a payload; zero means 1 MiB. The Source should not take more either

	// Connections is how many hear at the same time; zero means 2, of which each one is enough: the loss of one is no gap. The
	// second one reads a little later and skips what the first has. 1 saves that, and makes each break of it a gap, unless another
	// node can go on.
	Connections int

	// OnlyPatterns subscribes to the globs of Names instead of everything. Names that no pattern matches are then not seen and
	// not reported. It is for a Redis on which much else is published, or whose ACL does not allow more. All nodes should agree:
	// those who hear something else cannot go on for each other.
	//
	// The default is one subscription to everything but what Ignore names, because silence about an unmatched name is the worst
	// answer, and because with it no message comes twice; a name that is matched by two globs would.
	OnlyPatterns bool

	// Ignore are prefixes of names that are not the app's; empty means "kentongan:", which is our own. Keyspace notifications
	// ("__key…") are always ignored.
	Ignore []string

	// TrustStart says that nothing was published before the very first start on this Redis. Otherwise that start counts as a
	// break: PUBLISH leaves no trace, so readers who were here before are told that they may have missed something.
	TrustStart bool

	// OnBreak is called when nobody could go on with what was published, and something new began: nothing is known about what
	// was published between the two times. Nil ignores it.
	OnBreak func(from, to time.Time)

	// Taken, if set, is called for each message that this node has had stamped, and for each that is no JSON and goes to nobody: by one
	// goroutine, in the order of Redis. On all nodes together that is once a message, but for what was on its way when a node died.
	// It must not block, and must not write to data. id is unique on this Redis.
	Taken func(id string, ch realtime.Channel, data []byte)

	// Fits, if set, is asked about each message that is JSON, once a node that stamps it, and under a lock: it must not wait. What it
	// returns says why the message goes to nobody; nil lets it go on.
	Fits func(ch realtime.Channel, data []byte) *realtime.Mismatch

	// Refused, if set, is called for each message that goes to nobody, for it is no JSON or Fits has refused it. Of
	// what was on its way when a node died, something may come twice, or not at all. It must not block, and must not write to data.
	Refused func(ch realtime.Channel, data []byte, why string)

	// Traces has a span for each message that begins a trace, from when it was heard to when it is stamped; nil: off.
	Traces *tracing.Tracer

	// GatherFor is the shortest time from one batch that is stamped to the next. Zero means 5 ms: with 4,000 messages a second to
	// 2,000 rooms a delivery takes a twentieth less of CPU than with 3 ms, and the median one comes 2.9 ms later. Behind a batch of few
	// it is three fifths of that, and below a thousand a second nobody waits. Negative does not wait.
	GatherFor time.Duration

	MaxWaiting      int // messages that wait to be stamped; zero means 65,536 (16 s of 4,000/s)
	MaxWaitingBytes int // their data; zero means 64 MiB

	UnmatchedNames int          // that are remembered; zero means DefaultUnmatchedNames
	Log            *slog.Logger // nil discards
}

// PubSub is the door for plain PUBLISH. Its connections hear it, turn names into channels of tenants, and never wait, so Redis
// is read as fast as it writes. One node of those on a Redis, the holder, checks what was heard and has it stamped; the package
// stamping decides which, and when. What goes wrong, the readers of the channels concerned are told as a gap.
type PubSub struct {
	opts      PubSubOptions
	source    Source
	ledger    stamping.Ledger
	globs     []string
	unmatched *Unmatched
	complain  complaints
	turns     turns
	feeds     []*feed
	owing     string // what turns does, of the goroutine that reports
	mute      bool   // it has said that the ledger does not answer

	began time.Time
	due   atomic.Int64 // ns after began: the next batch begins no sooner
	many  atomic.Bool  // come now, so that it is worth while to let them gather

	stamp  chan struct{} // has something when there may be something to stamp
	report chan struct{} // has something when a report should not wait for its time

	mu      sync.Mutex // guards what follows
	node    *stamping.Node
	broken  error           // why the last connection that ended did
	refused error           // why the ledger did not answer the last report; nil: it did
	breaks  uint64          // times at which no connection was left
	clear   uint64          // of these, those that the ledger knew of when it last answered
	heard   time.Time       // when somebody last stamped, as far as this node knows
	placed  bool            // this node has been aligned before
	told    stamping.Status // how it was after the last report, as the log has it

	unfit []unfit // what judge has refused since the last batch; only with opts.Taken or opts.Refused

	counts pubSubCounts
}

// unfit is a message that goes to nobody.
type unfit struct {
	stamping.Message
	why string
}

type pubSubCounts struct {
	stamped, invalid, mismatched, tooLarge, failed, breaks, broken atomic.Uint64
}

// PubSubStats is a snapshot of what a PubSub has done.
type PubSubStats struct {
	Received   uint64 // messages, also those that were not taken; each once, however many connections heard it
	Stamped    uint64 // by this node
	Unmatched  uint64 // their name belongs to no channel
	Invalid    uint64 // no JSON text in UTF-8; found by the node that stamps
	Mismatched uint64 // refused by their schema; found by the node that stamps
	TooLarge   uint64
	Overloaded uint64 // not taken because too much came at once; told as a gap
	Failed     uint64 // not stored; told as a gap
	Breaks     uint64 // after which nobody could go on
	Broken     uint64 // connections that ended

	Counts stamping.Counts
	Status stamping.Status
}

// maxKnownNames bounds the memory of parsed names.
const maxKnownNames = 100_000

// NewPubSub returns a PubSub that has not begun. turner tells readers what was missed; nil: nobody does. The error is about
// options.
func NewPubSub(source Source, ledger stamping.Ledger, turner realtime.EpochTurner, opts PubSubOptions) (*PubSub, error) {
	if opts.Names == nil {
		return nil, errors.New("pubsub: no channel patterns")
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 1 << 20
	}
	if opts.Connections <= 0 {
		opts.Connections = 2
	}
	if opts.GatherFor == 0 {
		opts.GatherFor = 5 * time.Millisecond
	}
	if len(opts.Ignore) == 0 {
		opts.Ignore = []string{"kentongan:"}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &PubSub{
		opts: opts, source: source, ledger: ledger, unmatched: NewUnmatched(opts.UnmatchedNames),
		stamp: make(chan struct{}, 1), report: make(chan struct{}, 1), broken: errors.New("not connected yet"),
		refused: errors.New("not asked yet"), began: time.Now(),
	}
	p.complain.log = opts.Log
	p.turns.init(turner, ledger, opts.Log, p.paid)
	ignore := append([]string{"__key"}, opts.Ignore...)
	for _, pattern := range opts.Names.Patterns() {
		for _, prefix := range ignore {
			if strings.HasPrefix(pattern.Spelling, prefix) {
				return nil, fmt.Errorf("pubsub: %w %q: names that begin with %q are not taken in",
					realtime.ErrPattern, pattern.Spelling, prefix)
			}
		}
	}
	if opts.OnlyPatterns {
		p.globs = opts.Names.Globs()
	} else {
		p.globs = globsExcept(ignore)
	}
	p.node = stamping.NewNode(stamping.Options{
		ID: realtime.NewEpoch(), Feeds: opts.Connections, Globs: fingerprint(p.globs), Trusted: opts.TrustStart,
		NewWord: realtime.NewEpoch, MaxMessages: opts.MaxWaiting, MaxBytes: opts.MaxWaitingBytes,
	})
	for i := range opts.Connections {
		p.feeds = append(p.feeds, &feed{pubsub: p, i: i})
	}
	return p, nil
}

// fingerprint is one word for globs. Nodes with the same one hear the same messages.
func fingerprint(globs []string) string {
	sum := fnv.New64a()
	for _, g := range globs {
		_, _ = sum.Write(append([]byte(g), 0)) // never fails
	}
	return strconv.FormatUint(sum.Sum64(), 36)
}

// Run hears until ctx ends, and reconnects by itself; then it has stamped what waits, for two seconds at most, hands over to
// another node, and returns nil. It is called once.
func (p *PubSub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, f := range p.feeds {
		wg.Go(func() { f.run(ctx) })
	}
	wg.Go(func() { p.reports(ctx) })
	wg.Go(func() { p.stamps(ctx) })
	p.turns.run(ctx)
	wg.Wait()
	p.leave(context.WithoutCancel(ctx))
	return nil
}

// Ready returns nil while somebody stamps what is published, this node or another one, else why not. It overlooks the time that
// a take-over needs.
func (p *PubSub) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.node.Status()
	switch {
	case p.refused == nil && p.served(&s), time.Since(p.heard) < stamping.LeaseTime:
		return nil
	case p.refused != nil:
		return fmt.Errorf("intake: nobody knows who stamps: %w", p.refused)
	case s.Joined == 0:
		return fmt.Errorf("intake: no connection hears PUBLISH: %w", p.broken)
	case s.Held:
		return errors.New("intake: this node has not found its place in what it hears yet")
	}
	return errors.New("intake: nobody stamps PUBLISH")
}

// Owes returns nil, or why what is stored now would go with its epoch: all readers have to be told a gap first, or that may turn out.
// It is for Broker.HoldWhile.
func (p *PubSub) Owes() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.node.Status()
	switch {
	case p.refused != nil:
		return fmt.Errorf("intake: nobody knows whether a gap has to be told: %w", p.refused)
	case p.breaks != p.clear, s.Held && s.Joined == 0, s.Holder == "":
		return errors.New("intake: it is not known yet whether a gap has to be told")
	case s.Owed != "":
		return errors.New("intake: all readers have to be told a gap first")
	}
	return nil
}

// served reports whether somebody stamps. The lock is held.
func (p *PubSub) served(s *stamping.Status) bool {
	if s.Held || s.Holder == p.node.ID() {
		return s.Held && s.Aligned && s.Joined > 0
	}
	return s.Holder != ""
}

// Role says in words what this node does.
func (p *PubSub) Role() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s := p.node.Status(); {
	case s.Held:
		return "this node stamps"
	case s.Apart:
		return "node " + s.Holder + " stamps; this one cannot go on for it, since it listens to other channels"
	case s.Holder == "":
		return "nobody stamps"
	default:
		return "node " + s.Holder + " stamps; this one stands by"
	}
}

// Node returns the id by which other nodes speak of this one.
func (p *PubSub) Node() string { return p.node.ID() }

// Unmatched returns the names that no pattern matches.
func (p *PubSub) Unmatched() *Unmatched { return p.unmatched }

// Stats returns the counters. They are read one by one, not at one moment.
func (p *PubSub) Stats() PubSubStats {
	p.mu.Lock()
	counts, status := p.node.Counts(), p.node.Status()
	p.mu.Unlock()
	c := &p.counts
	return PubSubStats{
		Received: counts.Heard, Stamped: c.stamped.Load(), Unmatched: p.unmatched.Total(), Invalid: c.invalid.Load(),
		Mismatched: c.mismatched.Load(), TooLarge: c.tooLarge.Load(), Overloaded: counts.Dropped, Failed: c.failed.Load(),
		Breaks: c.breaks.Load(),
		Broken: c.broken.Load(), Counts: counts, Status: status,
	}
}

// first reports whether glob is the first of ours that matches name. A message comes once for each that does.
func (p *PubSub) first(glob, name []byte) bool {
	for _, g := range p.globs {
		if starMatch(g, string(name)) {
			return g == string(glob)
		}
	}
	return false
}

// validJSON reports whether b is one JSON text in UTF-8. What jsontext refuses may still be one: half of a surrogate pair, escaped, is
// what JSON.stringify makes of a string that was cut in two. json.Valid takes twice as long, and lets broken UTF-8 in strings pass, on
// which browsers close the socket.
func validJSON(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true)) || utf8.Valid(b) && json.Valid(b)
}

// backoff is any time up to 50 ms, 100 ms … 1 s: full jitter, and short, because what is published meanwhile is lost.
func backoff(n int) time.Duration {
	return rand.N(min(50*time.Millisecond<<min(n, 10), time.Second)) + time.Millisecond //nolint:gosec // spread, not secrecy
}

// poke puts something into c, unless there is something already.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
