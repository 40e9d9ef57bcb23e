package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/realtime"
)

// Broker is the realtime.Broker over Redis. It is also an AsyncPublisher, an EpochTurner and a Health, and has what else
// nodes share: Presence, Tickets, Usage, and revocations.
//
// A Sink must not call Follow or Unfollow from within Deliver or Gap: it is called under the tenant's lock.
type Broker struct {
	opts Options
	keys keys
	node [8]byte // this process, in tokens and presence

	ask  *client // history, heads, presence, tickets
	pub  *publisher
	sub  *subscriber
	acks *acknowledged

	scales *scales
	here   *Presence
	seen   *Devices

	ledger *Ledger

	life  context.Context // ends when the Broker closes
	end   context.CancelFunc
	ran   atomic.Bool
	close sync.Once

	revocations chan []byte // heard, to be remembered

	hold atomic.Pointer[func() error] // see HoldWhile

	health health
	counts counters
}

var (
	_ realtime.Broker         = (*Broker)(nil)
	_ realtime.AsyncPublisher = (*Broker)(nil)
	_ realtime.EpochTurner    = (*Broker)(nil)
	_ realtime.Snapshotter    = (*Broker)(nil)
	_ realtime.Health         = (*Broker)(nil)
)

// New returns a Broker that connects when it is first used. The error is about options. A Broker that is never run is ended
// with Close.
func New(opts Options) (*Broker, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis broker: %w", err)
	}
	b := &Broker{opts: opts, keys: opts.keys(), revocations: make(chan []byte, 1024)}
	_, _ = rand.Read(b.node[:]) // never fails
	b.life, b.end = context.WithCancel(context.Background())
	if b.ask, err = newClient(&b.opts, "ask", b.opts.AnswerLimit); err != nil {
		return nil, err
	}
	publish, err := newClient(&b.opts, "publish", b.opts.AnswerLimit)
	if err != nil {
		return nil, err
	}
	publish.dialer.loads = true
	b.pub = newPublisher(b, publish)
	b.acks = newAcknowledged(b)
	b.scales = newScales(b)
	b.sub = newSubscriber(b)
	b.here = newPresence(b)
	b.ledger = newLedger(b)
	b.seen = newDevices(b)
	b.health.set(partLink, errors.New("not connected yet"))
	return b, nil
}

// Run connects, delivers to sink, and reconnects by itself, until ctx ends; then it sends what waits to be published, for
// two seconds at most, and closes everything.
func (b *Broker) Run(ctx context.Context, sink realtime.Sink) error {
	if b.ran.Swap(true) {
		return errors.New("redis broker: run twice")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)() //nolint:contextcheck // Close ends Run too

	b.sub.sink = sink
	b.sub.gatherer, _ = sink.(realtime.Gatherer)
	close(b.sub.started)
	var wg sync.WaitGroup
	wg.Go(func() { b.opts.Primary.follow(ctx) })
	wg.Go(func() { b.sub.run(ctx) })
	wg.Go(func() { b.sub.syncer.run(ctx) })
	wg.Go(func() { b.acks.run(ctx) })
	wg.Go(func() { b.scales.run(ctx) })
	wg.Go(func() { b.here.run(ctx) })
	wg.Go(func() { b.seen.run(ctx) })
	wg.Go(func() { b.probe(ctx) })
	wg.Go(func() { b.keepRevocations(ctx) })
	b.keepSchema(ctx)
	wg.Wait()
	b.Close()
	return nil
}

// Close ends everything. After it the Broker answers ErrUnavailable. Run calls it; it is for those who only publish.
func (b *Broker) Close() {
	b.close.Do(func() {
		b.pub.drain(2 * time.Second)
		b.end()
		b.ask.close()
		b.pub.client.close()
		b.pub.wait()
		b.health.set(partLink, errStopped)
	})
}

// HoldWhile keeps publications back while owes returns an error, for as long as each may wait; then they are answered with
// ErrNotStored. It is for the time in which all epochs are about to be turned: what is stored before that goes with its epoch, and who
// was told that it is stored believed it. owes is asked before each batch, and why a publication was too late; it may be called
// concurrently and must not wait for this Broker.
func (b *Broker) HoldWhile(owes func() error) { b.hold.Store(&owes) }

// held returns why publications have to wait, or nil.
func (b *Broker) held() error {
	if owes := b.hold.Load(); owes != nil {
		return (*owes)()
	}
	return nil
}

// check is the first thing that each call does.
func (b *Broker) check(ctx context.Context, doing string) error {
	if b.life.Err() != nil {
		return unavailable(doing, errStopped)
	}
	return unavailable(doing, ctx.Err())
}

// within bounds a call by the command timeout, and by the Broker's life.
func (b *Broker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// term is a time for calls of one goroutine that follow each other closely: its context is made anew after a part of the command timeout,
// and not for each call. The zero value is ready for use.
type term struct {
	of, ctx context.Context //nolint:containedctx // what it is for
	cancel  context.CancelFunc
	fresh   time.Time // until then the next call gets ctx too
}

// within is Broker.within with another limit, but a call may take up to a quarter longer. The call before has to have ended.
func (t *term) within(ctx context.Context, b *Broker, limit time.Duration) context.Context {
	if now := time.Now(); t.of != ctx || now.After(t.fresh) {
		t.end()
		timed, cancel := context.WithTimeout(ctx, limit+limit/4)
		stop := context.AfterFunc(b.life, cancel)
		t.of, t.ctx, t.fresh = ctx, timed, now.Add(limit/4)
		t.cancel = func() { stop(); cancel() }
	}
	return t.ctx
}

// end lets go of the context.
func (t *term) end() {
	if t.cancel != nil {
		t.cancel()
	}
	*t = term{}
}

// Presence returns the Presence of this Broker's nodes. It works while the Broker runs.
func (b *Broker) Presence() *Presence { return b.here }

// Devices returns the Devices of this Broker's nodes. What is noted is written while the Broker runs.
func (b *Broker) Devices() *Devices { return b.seen }

// probe asks for a sign of life, so that Ready is honest on a quiet day, and a connection that is broken is replaced before somebody needs
// it. That the publishing connection answers does not say that Redis takes publications; but if it is known to be broken, it is
// all that can be asked.
func (b *Broker) probe(ctx context.Context) {
	ping := func(p part, c *client) error {
		ctx, cancel := context.WithTimeout(ctx, b.opts.SilenceLimit)
		defer cancel()
		err := c.Do(ctx, c.B().Ping().Build()).Error()
		if ctx.Err() != nil && err != nil {
			err = fmt.Errorf("no answer within %s", b.opts.SilenceLimit)
		}
		b.health.set(p, err)
		return err
	}
	watch := func(p part, c *client) {
		for fails := 0; ; {
			wait := b.opts.SilenceLimit / 3
			if ping(p, c) != nil { // then the connection has ended, and the next ping makes another
				wait = min(wait, backoff(fails))
				fails++
			} else {
				fails = 0
			}
			if !b.opts.Primary.pause(ctx, wait) {
				return
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { watch(partAsk, b.ask) })
	watch(partPublish, b.pub.client)
	wg.Wait()
}
