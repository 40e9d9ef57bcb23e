package memory

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Options are the knobs of a Broker. The zero value is usable.
type Options struct {
	Names *realtime.Names // says what each channel keeps; nil: the default patterns

	// MaxHistoryBytes bounds the history of all tenants together; zero means 256 MiB. When it is reached, the tenant that
	// holds the most loses its oldest publications first, so that a noisy kitchen pays for itself.
	MaxHistoryBytes int64

	// MaxTenantBytes bounds the history of each tenant; zero means no bound but the other one. Past it, its oldest publications go.
	MaxTenantBytes int64

	// MaxChannels bounds the channels that are remembered; zero means 500,000, which is 35,000 kitchens with all default
	// channels. Past it, the channels that were silent the longest are forgotten, and start in a new epoch.
	MaxChannels int

	MaxKeys      int           // idempotency keys of one tenant; zero means 65,536. Past it the oldest is forgotten early
	MaxDataBytes int           // largest data of a publication; zero means realtime.DefaultMaxDataBytes
	SweepEvery   time.Duration // how often expired history and keys are let go; zero means 1 min
	Log          *slog.Logger  // nil discards
}

func (o Options) withDefaults() (Options, error) {
	if o.Names == nil {
		names, err := realtime.NewNames(realtime.DefaultPatterns())
		if err != nil {
			return o, err
		}
		o.Names = names
	}
	if o.MaxHistoryBytes <= 0 {
		o.MaxHistoryBytes = 256 << 20
	}
	if o.MaxChannels <= 0 {
		o.MaxChannels = 500_000
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 65_536
	}
	if o.MaxDataBytes <= 0 {
		o.MaxDataBytes = realtime.DefaultMaxDataBytes
	}
	if o.SweepEvery <= 0 {
		o.SweepEvery = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// shardCount spreads the map of tenants, so that publishes of different tenants rarely meet at one lock.
const shardCount = 64

// Broker is the realtime.Broker of one process. It is also an AsyncPublisher, an EpochTurner and a Health.
//
// A Sink must not call Follow, History or Publish from within Deliver or Gap for the tenant that it is called for: it is called under
// that tenant's lock.
type Broker struct {
	opts   Options
	seed   maphash.Seed
	start  time.Time // what ages are measured from, by the monotonic clock: a jump of the wall clock expires nothing
	shards [shardCount]shard

	sink    atomic.Pointer[outlet] // nil before Run and after it
	running chan struct{}          // closed by Run
	closed  atomic.Bool
	ran     atomic.Bool

	fresh atomic.Pointer[string] // the epoch of tenants that have no kitchen

	bytes    atomic.Int64 // history of all kitchens
	channels atomic.Int64
	reclaim  sync.Mutex // held by the one who makes room

	published, delivered, duplicates, gaps, evicted, forgotten atomic.Uint64
}

type shard struct {
	mu       sync.RWMutex
	kitchens map[tenant.ID]*kitchen
}

var (
	_ realtime.Broker         = (*Broker)(nil)
	_ realtime.AsyncPublisher = (*Broker)(nil)
	_ realtime.EpochTurner    = (*Broker)(nil)
	_ realtime.Snapshotter    = (*Broker)(nil)
	_ realtime.Health         = (*Broker)(nil)
)

// New returns a Broker with an empty history. It starts nothing; the error is that of Options.Names being nil and the
// default patterns being wrong, which a test rules out.
func New(opts Options) (*Broker, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("memory broker: %w", err)
	}
	b := &Broker{opts: opts, seed: maphash.MakeSeed(), start: time.Now(), running: make(chan struct{})}
	for i := range b.shards {
		b.shards[i].kitchens = map[tenant.ID]*kitchen{}
	}
	b.turnFresh()
	return b, nil
}

func (b *Broker) turnFresh() {
	epoch := realtime.NewEpoch()
	b.fresh.Store(&epoch)
}

// outlet is where a Broker delivers to.
type outlet struct {
	realtime.Sink
	gatherer realtime.Gatherer // the sink, if it is one
}

func (o *outlet) deliver(p *realtime.Publication, more bool) {
	if more && o.gatherer != nil {
		o.gatherer.Gather(p)
	} else {
		o.Deliver(p)
	}
}

// Run delivers to sink until ctx ends, and lets go of what has expired. After it the Broker answers ErrUnavailable.
func (b *Broker) Run(ctx context.Context, sink realtime.Sink) error {
	if b.ran.Swap(true) {
		return errors.New("memory broker: run twice")
	}
	to := outlet{Sink: sink}
	to.gatherer, _ = sink.(realtime.Gatherer)
	b.sink.Store(&to)
	close(b.running)
	ticker := time.NewTicker(b.opts.SweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.sweep()
		case <-ctx.Done():
			b.closed.Store(true)
			b.sink.Store(nil)
			// A delivery that saw the sink holds its kitchen's lock; after this round none is left.
			b.each(func(k *kitchen) { k.followed = false })
			return nil
		}
	}
}

// Ready returns an error once Run has ended.
func (b *Broker) Ready() error {
	if b.closed.Load() {
		return errors.New("memory engine: stopped")
	}
	return nil
}

func (b *Broker) check(ctx context.Context) error {
	if b.closed.Load() {
		return fmt.Errorf("memory engine stopped: %w", realtime.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", realtime.ErrUnavailable, err)
	}
	return nil
}

// Publish implements realtime.Broker. It takes about half a microsecond beside what the Sink takes.
func (b *Broker) Publish(ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
	if err := b.check(ctx); err != nil {
		return realtime.Published{}, err
	}
	return b.publish(ch, data, opts)
}

// PublishAsync implements realtime.AsyncPublisher: a publish waits for nothing here, so done is called before it returns.
func (b *Broker) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	p, err := b.Publish(context.Background(), ch, data, opts)
	if done != nil {
		done(p, err)
	}
}

// Flush implements realtime.BurstPublisher.
func (b *Broker) Flush() {
	if out := b.sink.Load(); out != nil && out.gatherer != nil {
		out.gatherer.Flush()
	}
}

func (b *Broker) publish(ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
	if err := realtime.CheckPublish(ch, data, opts, b.opts.MaxDataBytes); err != nil {
		return realtime.Published{}, err
	}
	k := b.kitchen(ch.Tenant)
	p, err := k.publish(b, ch, data, opts)
	k.mu.Unlock()
	if err != nil {
		return realtime.Published{}, fmt.Errorf("publish: %w", err)
	}
	if b.bytes.Load() > b.opts.MaxHistoryBytes || b.channels.Load() > int64(b.opts.MaxChannels) {
		b.makeRoom()
	}
	return p, nil
}

// History implements realtime.Broker.
func (b *Broker) History(ctx context.Context, ch realtime.Channel, since realtime.Position, limit int) (realtime.Page, error) {
	if err := b.check(ctx); err != nil {
		return realtime.Page{}, err
	}
	k := b.lookup(ch.Tenant)
	if k == nil {
		return emptyPage(realtime.Position{Epoch: *b.fresh.Load()}, since), nil
	}
	defer k.mu.Unlock()
	return k.history(b, ch, since, limit), nil
}

// Follow implements realtime.Broker. It waits for Run.
func (b *Broker) Follow(ctx context.Context, t tenant.ID) (realtime.Heads, error) {
	select {
	case <-b.running:
	case <-ctx.Done():
	}
	if err := b.check(ctx); err != nil {
		return realtime.Heads{}, fmt.Errorf("follow %s: %w", t, err)
	}
	k := b.kitchen(t)
	defer k.mu.Unlock()
	if !k.followed {
		k.followed, k.turned = true, false
	}
	return k.heads(), nil
}

// Unfollow implements realtime.Broker.
func (b *Broker) Unfollow(t tenant.ID) {
	if k := b.lookup(t); k != nil {
		k.followed = false
		k.mu.Unlock()
	}
}

// TurnEpoch implements realtime.EpochTurner.
func (b *Broker) TurnEpoch(ctx context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	k := b.kitchen(ch.Tenant)
	defer k.mu.Unlock()
	if ch.Name == "" {
		k.turnAll(b, cause)
	} else {
		k.turn(b, ch, cause)
	}
	return nil
}

// TurnAll implements realtime.EpochTurner.
func (b *Broker) TurnAll(ctx context.Context, cause realtime.GapCause) error {
	b.turnFresh()
	for i := range b.shards {
		if err := b.check(ctx); err != nil {
			return err
		}
		b.shards[i].each(func(k *kitchen) { k.turnAll(b, cause) })
	}
	return nil
}

// Stats is a snapshot of what a Broker has done and holds.
type Stats struct {
	Published, Delivered, Duplicates, Gaps uint64
	Evicted                                uint64 // publications that left the history early, to stay within MaxHistoryBytes
	Forgotten                              uint64 // channels that were forgotten, to stay within MaxChannels
	HistoryBytes                           int64
	Channels                               int64
}

// Stats returns the counters since New. They are read one by one, not at one moment.
func (b *Broker) Stats() Stats {
	return Stats{
		Published: b.published.Load(), Delivered: b.delivered.Load(), Duplicates: b.duplicates.Load(), Gaps: b.gaps.Load(),
		Evicted: b.evicted.Load(), Forgotten: b.forgotten.Load(), HistoryBytes: b.bytes.Load(), Channels: b.channels.Load(),
	}
}
