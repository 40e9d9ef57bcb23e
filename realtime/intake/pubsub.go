package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"kentongan/realtime"
)

// Source is a connection that hears plain PUBLISH. realtime/redis has it.
type Source interface {
	// Receive subscribes to globs and calls ready when all are confirmed, alive with each sign of life, and message with
	// each message in its order, all from one goroutine, until ctx ends (nil) or the connection breaks. A payload that is
	// longer than the source takes is nil.
	Receive(ctx context.Context, globs []string, ready, alive func(), message func(glob, channel, payload []byte, size int)) error
}

// Stamper takes in what came through the door, and sees to it that each message is stamped once. On one node it is the
// Broker itself. If it is a realtime.EpochTurner too, what was missed is told to every reader.
type Stamper interface {
	PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error))
}

// PubSubOptions are the knobs of a PubSub. Only Names is needed.
type PubSubOptions struct {
	Names    *realtime.Names
	MaxBytes int // of a payload; zero means 1 MiB. The Source should not take more either

	// OnlyPatterns subscribes to the globs of Names instead of everything. Names that no pattern matches are then not seen and
	// not reported. It is for a Redis on which much else is published, or whose ACL does not allow more.
	//
	// The default is one subscription to everything but what Ignore names, because silence about an unmatched name is the worst
	// answer, and because with it no message comes twice; a name that is matched by two globs would.
	OnlyPatterns bool

	// Ignore are prefixes of names that are not the app's; empty means "kentongan:", which is our own. Keyspace notifications
	// ("__key…") are always ignored.
	Ignore []string

	// TrustStart says that nothing was published while nobody listened before the start. Otherwise the start counts as a break:
	// PUBLISH leaves no trace, so readers who were here before are told that they may have missed something.
	TrustStart bool

	// OnBreak is called after each break of the connection, when it is healed: nothing is known about what was published
	// between the two times. Nil ignores it.
	OnBreak func(from, to time.Time)

	UnmatchedNames int          // that are remembered; zero means DefaultUnmatchedNames
	Log            *slog.Logger // nil discards
}

// PubSub is the door for plain PUBLISH: one goroutine hears it, turns names into channels of tenants, checks that it is JSON,
// and hands it to the Stamper, which never blocks: so Redis is read as fast as it writes. What goes wrong behind that, the readers
// of the channels concerned are told as a gap.
type PubSub struct {
	opts      PubSubOptions
	source    Source
	stamper   Stamper
	globs     []string
	unmatched *Unmatched
	complain  complaints
	turns     turns
	known     map[string]realtime.Channel // parsed names, of the receiving goroutine

	mu     sync.Mutex
	broken error // why it does not hear now; nil: it does

	lastAlive atomic.Int64 // Unix ns
	counts    pubSubCounts
}

type pubSubCounts struct{ received, stamped, invalid, tooLarge, overloaded, failed, breaks atomic.Uint64 }

// PubSubStats is a snapshot of what a PubSub has done.
type PubSubStats struct {
	Received   uint64 // messages, also those that were not taken
	Stamped    uint64
	Unmatched  uint64 // their name belongs to no channel
	Invalid    uint64 // no JSON text in UTF-8
	TooLarge   uint64
	Overloaded uint64 // not taken because too much came at once; told as a gap
	Failed     uint64 // not stored, or nobody knows; told as a gap
	Breaks     uint64 // of the connection
}

// maxKnownNames bounds the memory of parsed names.
const maxKnownNames = 100_000

// NewPubSub returns a PubSub that has not begun. The error is about options.
func NewPubSub(source Source, stamper Stamper, opts PubSubOptions) (*PubSub, error) {
	if opts.Names == nil {
		return nil, errors.New("pubsub: no channel patterns")
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 1 << 20
	}
	if len(opts.Ignore) == 0 {
		opts.Ignore = []string{"kentongan:"}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &PubSub{
		opts: opts, source: source, stamper: stamper,
		unmatched: NewUnmatched(opts.UnmatchedNames), known: map[string]realtime.Channel{},
	}
	p.broken = errors.New("not connected yet")
	p.complain.log = opts.Log
	p.turns.init(stamper, opts.Log)
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
	return p, nil
}

// Run hears until ctx ends and reconnects by itself; then it returns nil. It is called once.
func (p *PubSub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.turns.run(ctx) })
	first := true
	for fails := 0; ; fails++ {
		err := p.source.Receive(ctx, p.globs,
			func() {
				p.ready(first)
				first, fails = false, 0
			},
			func() { p.lastAlive.Store(time.Now().UnixNano()) },
			p.message)
		if ctx.Err() != nil {
			return nil
		}
		p.setBroken(err)
		p.opts.Log.Warn("intake broken", "err", err) // it reconnects
		if !pause(ctx, backoff(fails)) {
			return nil
		}
	}
}

// ready is called when the source hears, for the first time or again.
func (p *PubSub) ready(first bool) {
	now := time.Now()
	if !first {
		from := time.Unix(0, p.lastAlive.Load())
		p.counts.breaks.Add(1)
		p.opts.Log.Warn("intake was interrupted", "from", from, "to", now, "took_ms", now.Sub(from).Milliseconds()) // readers are told
		if p.opts.OnBreak != nil {
			p.opts.OnBreak(from, now)
		}
	}
	p.lastAlive.Store(now.UnixNano())
	if !first || !p.opts.TrustStart {
		p.turns.all()
	}
	p.setBroken(nil)
}

func (p *PubSub) setBroken(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = err
}

// Ready returns nil while it hears, else why not.
func (p *PubSub) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return fmt.Errorf("intake: %w", p.broken)
	}
	return nil
}

// Unmatched returns the names that no pattern matches.
func (p *PubSub) Unmatched() *Unmatched { return p.unmatched }

// Stats returns the counters. They are read one by one, not at one moment.
func (p *PubSub) Stats() PubSubStats {
	c := &p.counts
	return PubSubStats{
		Received: c.received.Load(), Stamped: c.stamped.Load(), Unmatched: p.unmatched.Total(), Invalid: c.invalid.Load(),
		TooLarge: c.tooLarge.Load(), Overloaded: c.overloaded.Load(), Failed: c.failed.Load(), Breaks: c.breaks.Load(),
	}
}

// message takes one message in.
func (p *PubSub) message(glob, name, payload []byte, size int) {
	now := time.Now()
	if p.opts.OnlyPatterns && !p.first(glob, name) {
		return
	}
	p.counts.received.Add(1)
	ch, ok := p.channel(name)
	switch {
	case !ok:
		if p.unmatched.Saw(name, size, now) {
			p.opts.Log.Info("message for a name that no channel pattern matches", "name", clip(name), "bytes", size)
		}
		return
	case payload == nil || size > p.opts.MaxBytes:
		p.counts.tooLarge.Add(1)
		p.complain.about(ch, fmt.Sprintf("larger than %d bytes", p.opts.MaxBytes), size, now)
		return
	case !validJSON(payload):
		p.counts.invalid.Add(1)
		p.complain.about(ch, "no JSON text in UTF-8", size, now)
		return
	}
	p.stamper.PublishAsync(ch, payload, realtime.PublishOptions{Arrived: now}, func(_ realtime.Published, err error) {
		if err == nil {
			p.counts.stamped.Add(1)
			return
		}
		p.notStamped(ch, size, err)
	})
}

// notStamped sees to it that readers learn of what is not stored, or may not be.
func (p *PubSub) notStamped(ch realtime.Channel, size int, err error) {
	switch {
	case errors.Is(err, realtime.ErrOverloaded):
		p.counts.overloaded.Add(1)
		p.turns.one(ch, realtime.GapOverloaded)
	case errors.Is(err, realtime.ErrInvalid):
		p.counts.tooLarge.Add(1) // the only thing that was not checked here
	default:
		p.counts.failed.Add(1)
		p.turns.one(ch, realtime.GapIntake)
	}
	p.complain.about(ch, err.Error(), size, time.Now())
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

func (p *PubSub) channel(name []byte) (realtime.Channel, bool) {
	if ch, ok := p.known[string(name)]; ok {
		return ch, true
	}
	ch, _, err := p.opts.Names.Parse(string(name))
	if err != nil {
		return ch, false
	}
	if len(p.known) >= maxKnownNames {
		p.known = map[string]realtime.Channel{}
	}
	p.known[string(name)] = ch
	return ch, true
}

// validJSON reports whether b is one JSON text in UTF-8; json.Valid alone lets broken UTF-8 in strings pass, on which
// browsers close the socket.
func validJSON(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }

// backoff is any time up to 50 ms, 100 ms … 1 s: full jitter, and short, because what is published meanwhile is lost.
func backoff(n int) time.Duration {
	return rand.N(min(50*time.Millisecond<<min(n, 10), time.Second)) + time.Millisecond //nolint:gosec // spread, not secrecy
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
