package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// Cache is safe for concurrent use. It answers from memory while Run runs; without Run each read asks Redis, which suits a command that
// is done soon.
type Cache struct {
	opts    Options
	log     *slog.Logger
	tier    shared.Tier // nil: memory alone
	memory  *memory
	breaker breaker
	start   time.Time
	counts  counts

	kitchens sync.Map // tenant.ID to *kitchen

	// fence is until when this node certainly knows all changes, by now; it belongs to era. Who needs both loads the fence first.
	fence atomic.Int64
	era   atomic.Uint64
	lost  atomic.Uint64 // how often the connection that hears of changes broke
	past  atomic.Pointer[pastEra]

	clock atomic.Int64 // Redis' time minus now, in microseconds; zero: not known

	// stripes count what happened to keys, so that a value that was read before a change is not kept after it.
	stripes [4096]atomic.Uint64
	seed    maphash.Seed

	mu      sync.Mutex
	flights map[flightKey]*flight
	waiting map[name][]chan struct{} // for a change

	loads   chan struct{} // a place for each load that runs
	working sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of all work in the background; it ends with the cache
	cancel  context.CancelFunc
	closed  atomic.Bool
	numbers atomic.Int64 // the last epoch made here, without Redis

	zip zipper

	redisBytes, redisNames atomic.Int64 // as last seen

	structures shared.Structures // nil: the tier has none
	broken     mistakes
}

// mistakes are what tests do wrong on purpose, to see that they would notice.
type mistakes struct {
	noLease      bool // loaded values are written whatever happened meanwhile
	lateEpochs   bool // epochs are taken after the load
	noQuarantine bool // late writes of the app are trusted
	noFence      bool // memory answers however old its knowledge is
	noStripes    bool // a value is kept though a change came between the read and now
	oldFlights   bool // callers join loads of before an invalidation
	noEra        bool // a new connection is taken for the old one
}

// pastEra is the last era that had a fence, and when its last fence was: what was known by then is still known to have been true then.
type pastEra struct {
	era   uint64
	fence int64
}

// New returns a Cache. It does no I/O.
func New(opts Options) (*Cache, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cache{
		opts: opts, log: opts.Log, tier: opts.Shared, start: time.Now(), seed: maphash.MakeSeed(),
		flights: map[flightKey]*flight{}, waiting: map[name][]chan struct{}{}, loads: make(chan struct{}, opts.MaxLoads),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if c.memory, err = newMemory(opts.MaxBytes, opts.TenantShare); err != nil {
		return nil, err
	}
	c.breaker.now = c.now
	c.fence.Store(math.MinInt64 / 2)
	if c.tier == nil {
		c.fence.Store(math.MaxInt64 / 2) // nobody else changes anything
	} else {
		c.tier.Listen(listener{c})
	}
	if c.structures, _ = c.tier.(shared.Structures); c.tier == nil {
		// They are beside the memory tier, for nothing of them is let go before its end.
		c.structures = shared.NewLocal(opts.MaxBytes / 4)
	}
	return c, nil
}

// now is the time since the cache was made, in nanoseconds, by the monotonic clock.
func (c *Cache) now() int64 { return int64(time.Since(c.start)) }

// redisNow is Redis' time in microseconds, as far as it is known, else that of this machine.
func (c *Cache) redisNow() int64 {
	if d := c.clock.Load(); d != 0 {
		return d + c.now()/1000
	}
	return time.Now().UnixMicro()
}

// learnTime takes over a time of Redis.
func (c *Cache) learnTime(micros int64) {
	if micros > 0 {
		c.clock.Store(micros - c.now()/1000)
	}
}

// number returns a new epoch, for a cache without Redis.
func (c *Cache) number() int64 {
	for {
		last := c.numbers.Load()
		next := max(time.Now().UnixMicro(), last+1)
		if c.numbers.CompareAndSwap(last, next) {
			return next
		}
	}
}

func (c *Cache) stripe(key string) *atomic.Uint64 {
	return &c.stripes[maphash.String(c.seed, key)%uint64(len(c.stripes))]
}

// basis returns up to when everything is known that could make void what was read then, in that era.
func (c *Cache) basis(at int64, era uint64) int64 {
	fence := c.fence.Load() // first: see there
	if era == c.era.Load() {
		return max(at, fence)
	}
	return at
}

// pastBasis is basis also for what was read in the era before: the connection that heard of changes is gone, and it had told all that
// was before its last fence. That is what memory answers by when Redis is gone.
func (c *Cache) pastBasis(at int64, era uint64) int64 {
	if p := c.past.Load(); p != nil && p.era == era {
		at = max(at, p.fence)
	}
	return c.basis(at, era)
}

// quarantine is in microseconds.
func (c *Cache) quarantine() int64 {
	if c.broken.noQuarantine {
		return 0
	}
	return c.opts.Quarantine.Microseconds()
}

// bound returns how old the knowledge may be by which memory answers.
func (c *Cache) bound(p *Policy) int64 {
	if p.MaxStaleness > 0 {
		return int64(min(p.MaxStaleness, c.opts.Bound))
	}
	return int64(c.opts.Bound)
}

// fresh returns the item under n if it may be served: it has not ended, nothing that concerns it was invalidated, and that is known
// well enough. This is the way of a hit. It allocates nothing.
func (c *Cache) fresh(n name, p *Policy) *item {
	it := c.memory.get(n)
	if it == nil {
		return nil
	}
	now := c.now()
	if now >= it.expires || p.Strict && c.tier != nil {
		return nil
	}
	if t := it.table.Load(); t == nil || t != it.home.table.Load() {
		if !c.revalidate(it) {
			return nil
		}
	}
	if now-c.basis(it.at, it.era) >= c.bound(p) && !c.broken.noFence {
		return nil
	}
	return it
}

// revalidate compares the numbers of an item with the current ones, once after each change of the tenant's epochs.
func (c *Cache) revalidate(it *item) bool {
	if it.floor > 0 && it.value == nil {
		return false
	}
	t := it.home.table.Load()
	if it.alone {
		return !it.home.voids(it, 0)
	}
	if t == nil || it.home.gone.Load() || !t.accepts(it, c.quarantine()) {
		return false
	}
	it.table.Store(t)
	return true
}

// forgetHere makes this node forget a key, and whatever is on its way to it.
func (c *Cache) forgetHere(n name) {
	c.stripe(n.key).Add(1)
	c.memory.remove(n)
	c.wake(n)
}

// endingSlack is how much Redis' clock may be taken wrongly: half a round trip, and the moment from the writer's clock to the write.
const endingSlack = int64(50 * time.Millisecond)

// changed is forgetHere for what Redis tells. It also tells when an entry has ended by itself; then the value stays, for those who want
// it if there is nothing better.
func (c *Cache) changed(n name) {
	if it := c.memory.peek(n); it != nil && c.now() < it.expires-endingSlack {
		c.forgetHere(n)
		return
	}
	c.stripe(n.key).Add(1)
	c.wake(n)
}

// wake tells those who wait for a change of a key.
func (c *Cache) wake(n name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting[n] {
		close(w)
	}
	delete(c.waiting, n)
}

// listener is what the shared tier tells changes to.
type listener struct{ c *Cache }

// Changed implements shared.Listener.
func (l listener) Changed(keys []string) {
	l.c.counts.pushes.Add(uint64(len(keys)))
	for _, key := range keys {
		if n, ok := parseName(key); ok {
			l.c.changed(n)
		} else if id, ok := parseEpochs(key); ok {
			if k, ok := l.c.kitchens.Load(id); ok {
				k.(*kitchen).hear() //nolint:forcetypeassert,errcheck // nothing else is in it
			}
		}
	}
}

// Lost implements shared.Listener.
func (l listener) Lost() {
	l.c.lost.Add(1)
	l.c.newEra()
}

// newEra makes sure that nothing that was read before is taken for known from here on.
func (c *Cache) newEra() {
	c.mu.Lock()
	// A fence that is no newer was one of an era before. That one may still have what memory can answer by.
	if fence, p := c.fence.Load(), c.past.Load(); p == nil || fence > p.fence {
		c.past.Store(&pastEra{c.era.Load(), fence})
	}
	c.era.Add(1)
	c.mu.Unlock()
	c.eachKitchen((*kitchen).lose)
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, waiters := range c.waiting { // they look themselves
		for _, w := range waiters {
			close(w)
		}
		delete(c.waiting, n)
	}
}

// Clear makes this node forget everything at once. Redis is left as it is.
func (c *Cache) Clear() {
	c.eachKitchen(c.retire)
	c.memory.cache.InvalidateAll()
}

// check returns the name, if the arguments can be right.
func (c *Cache) check(t tenant.ID, key string, p *Policy) (name, error) {
	n := name{t, key, p.Own}
	if c.closed.Load() {
		return n, ErrClosed
	}
	if err := checkName(n); err != nil {
		return n, err
	}
	return n, p.check()
}

// ask calls the shared tier, if the breaker lets it.
func (c *Cache) ask(ctx context.Context, doing string, f func(context.Context) error) error {
	if !c.breaker.allow() {
		c.counts.refused.Add(1)
		return unavailable(doing, errOpen)
	}
	err := f(ctx)
	switch {
	case err == nil:
		c.breaker.succeed()
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		c.breaker.undecided()
		return err
	case errors.Is(err, ErrKind), errors.Is(err, ErrFull): // that is an answer
		c.breaker.succeed()
		return fmt.Errorf("%s: %w", doing, err)
	default:
		c.counts.tierErrors.Add(1)
		c.breaker.fail()
		return unavailable(doing, err)
	}
	return nil
}

// OpenRedis returns the tier over Redis for Options.Shared. It connects when it is first used; a cache closes it at its end.
func OpenRedis(o shared.Options) (*shared.Redis, error) {
	o.Prefixes = prefixes()
	return shared.NewRedis(o)
}

// Survey looks at what Redis holds of the cache: at up to limit names. It counts those of some kinds.
func Survey(ctx context.Context, r *shared.Redis, limit int, kinds []Kind) (shared.Survey, error) {
	var all, tags []string
	for _, k := range kinds {
		all = append(all, k.Prefix)
		if k.tags {
			tags = append(tags, k.Prefix)
		}
	}
	s, err := r.Survey(ctx, limit, all, tags)
	if err != nil {
		return s, unavailable("survey", err)
	}
	return s, nil
}
