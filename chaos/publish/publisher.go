package publish

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"kentongan/chaos/check"
	"kentongan/chaos/payload"
)

// Options are what a Publisher is. All fields are needed.
type Options struct {
	Name    string
	Index   int // of the publisher in the run, which its messages carry
	World   *check.World
	Channel int // in World
	Ordered bool
	Door    Door
	Batch   int           // messages in one call of the door; the least is 1
	Every   time.Duration // between two calls
	Pad     int           // bytes that make each message longer
	Key     payload.Key
	Clock   func() time.Duration
	Seed    uint64
}

// Publisher sends messages at a steady rate, one call at a time, and writes down what becomes of each. Run is called once;
// History may be called meanwhile.
type Publisher struct {
	opts   Options
	run    string // makes idempotency keys differ between runs on one Redis
	random *rand.Rand

	mu  sync.Mutex
	all []check.Publication
}

// New returns a publisher that has not begun.
func New(opts Options) *Publisher {
	return &Publisher{
		opts: opts, run: fmt.Sprintf("%x", opts.Key[:6]),
		random: rand.New(rand.NewPCG(opts.Seed, 2)), //nolint:gosec // repeatable on purpose
	}
}

// History returns a copy of what the publisher has noted so far.
func (p *Publisher) History() check.Publisher {
	p.mu.Lock()
	defer p.mu.Unlock()
	return check.Publisher{
		Name: p.opts.Name, Channel: p.opts.Channel, Ordered: p.opts.Ordered, Publications: append([]check.Publication(nil), p.all...),
	}
}

// Run publishes until stop is closed, and then finishes what is under way. The end of ctx breaks that off, too.
func (p *Publisher) Run(ctx context.Context, stop <-chan struct{}) {
	defer p.opts.Door.Close()
	for {
		pause := p.opts.Every/2 + time.Duration(p.random.Int64N(int64(p.opts.Every))) // so that publishers do not go in step
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		p.publish(ctx, stop)
	}
}

// begin notes a batch and returns it.
func (p *Publisher) begin() (first int, items []Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = len(p.all)
	for i := range max(1, p.opts.Batch) {
		seq := first + i + 1
		items = append(items, Item{
			Channel: p.opts.World.Channels[p.opts.Channel].Name,
			Data:    payload.Append(nil, p.opts.Key, payload.Mark{Channel: p.opts.Channel, Publisher: p.opts.Index, Seq: seq}, p.opts.Pad),
			Key:     fmt.Sprintf("%s-%d-%d", p.run, p.opts.Index, seq),
		})
		now := p.opts.Clock()
		p.all = append(p.all, check.Publication{Begin: now, End: now})
	}
	return first, items
}

// publish sends one batch and repeats what may be repeated.
func (p *Publisher) publish(ctx context.Context, stop <-chan struct{}) {
	first, items := p.begin()
	open := make([]int, len(items)) // indexes of what is not known yet
	for i := range open {
		open[i] = first + i
	}
	const retryEvery = 50 * time.Millisecond
	patience := 60 // attempts that found nobody, after the end of the run: 3 s at least
	for ctx.Err() == nil {
		results, tried := p.opts.Door.Publish(ctx, items)
		if tried {
			open, items = p.note(open, items, results)
			if len(open) == 0 || !p.opts.Door.Repeats() {
				return
			}
		}
		select {
		case <-stop:
			patience--
			if patience == 0 {
				return
			}
		default:
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

// note writes results down, and returns what is left open.
func (p *Publisher) note(indexes []int, items []Item, results []Result) (open []int, left []Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.opts.Clock()
	for i, r := range results {
		one := &p.all[indexes[i]]
		one.Attempts++
		one.End, one.Outcome, one.At = now, r.Outcome, r.At
		if r.Outcome == check.Unknown {
			open, left = append(open, indexes[i]), append(left, items[i])
		}
	}
	return open, left
}
