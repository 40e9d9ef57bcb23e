package observe

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// Service stores one message, once however often it comes, and returns what is wrong with it; production.Service is one.
type Service interface {
	Observe(ctx context.Context, t tenant.ID, id string, payload []byte) ([]string, error)
}

// Options are the knobs of a Recorder. The zero value is safe.
type Options struct {
	// MaxWaiting and MaxWaitingBytes bound what was heard and is not stored. Zero means 100,000 messages and 64 MiB: an hour of a
	// hundred kitchens at their busiest, in which a database may be out.
	MaxWaiting      int
	MaxWaitingBytes int

	Workers int          // kitchens that are written at a time; zero means 8: a store flushes commits together
	Log     *slog.Logger // nil discards
}

// stopTime is for how long a recorder that stops goes on with what waits.
const stopTime = 3 * time.Second

// Recorder takes messages in and stores them. Its methods may be called concurrently.
type Recorder struct {
	service Service
	opts    Options
	lanes   []*lane

	recorded, flagged, missed atomic.Uint64
	waiting, bytes            atomic.Int64
	out                       atomic.Bool // the store did not take the last one
}

// lane is the kitchens of one worker.
type lane struct {
	more chan struct{} // has something when messages came

	mu      sync.Mutex
	waiting []message
}

type message struct {
	tenant  tenant.ID
	id      string
	payload []byte
}

// New returns a Recorder that brings messages to service.
func New(service Service, opts Options) *Recorder {
	if opts.MaxWaiting <= 0 {
		opts.MaxWaiting = 100_000
	}
	if opts.MaxWaitingBytes <= 0 {
		opts.MaxWaitingBytes = 64 << 20
	}
	if opts.Workers <= 0 {
		opts.Workers = 8
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{service: service, opts: opts}
	for range opts.Workers {
		r.lanes = append(r.lanes, &lane{more: make(chan struct{}, 1)})
	}
	return r
}

// Wants reports whether messages of the channel called name are about productions.
func Wants(name string) bool {
	return name == production.UpdatesChannel || name == production.AlertsChannel || name == legacyChannel
}

// legacyChannel is where the app once told of new productions: sppg:{sppgId}:production:created.
const legacyChannel = "sppg:production:created"

// Heard takes a message of a channel that Wants. id says where it came from, at most 128 bytes, unique in the tenant. It does not block,
// and payload must not be written to afterwards. A message that finds no room is counted and logged, and missing in the record.
func (r *Recorder) Heard(t tenant.ID, id string, payload []byte) {
	size := int64(len(payload))
	if r.waiting.Load() >= int64(r.opts.MaxWaiting) || r.bytes.Load()+size > int64(r.opts.MaxWaitingBytes) {
		r.miss(t, "too many wait")
		return
	}
	r.waiting.Add(1)
	r.bytes.Add(size)
	l := r.laneOf(t)
	l.mu.Lock()
	l.waiting = append(l.waiting, message{t, id, payload})
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// miss counts a message that the record does not have. A flood of them is a flood of the same reason: the first is logged, and every
// thousandth.
func (r *Recorder) miss(t tenant.ID, why string) {
	if n := r.missed.Add(1); n%1000 == 1 {
		r.opts.Log.Error("what an app published is missing in the record", "tenant", t, "missed", n, "why", why)
	}
}

func (r *Recorder) laneOf(t tenant.ID) *lane {
	h := fnv.New32a()
	_, _ = h.Write([]byte(t))
	return r.lanes[h.Sum32()%uint32(len(r.lanes))] //nolint:gosec // a few
}

// take returns what waits in l.
func (l *lane) take() []message {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.waiting
	l.waiting = nil
	return taken
}

// Run stores until ctx ends, goes on for a moment with what waits, and returns nil. It is called once.
func (r *Recorder) Run(ctx context.Context) error {
	// What was heard is not stored anywhere else as a record: the stop of this process shall not lose it.
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, cancel) })
	defer stop()
	var workers sync.WaitGroup
	for _, l := range r.lanes {
		workers.Go(func() { r.work(ctx, late, l) })
	}
	workers.Wait()
	return nil
}

func (r *Recorder) work(ctx, late context.Context, l *lane) {
	for {
		for _, m := range l.take() {
			r.record(late, m)
			r.waiting.Add(-1)
			r.bytes.Add(-int64(len(m.payload)))
		}
		select {
		case <-l.more:
			continue
		default:
		}
		select {
		case <-l.more:
		case <-ctx.Done():
			return
		}
	}
}

// record stores one message. It tries until the service takes it, or ctx ends.
func (r *Recorder) record(ctx context.Context, m message) {
	for fails := 0; ; fails++ {
		flags, err := r.service.Observe(ctx, m.tenant, m.id, m.payload)
		switch {
		case err == nil:
			r.out.Store(false)
			r.recorded.Add(1)
			if len(flags) > 0 {
				r.flagged.Add(1)
				r.opts.Log.InfoContext(ctx, "an app published what cannot be right; it is kept and flagged", "tenant", m.tenant,
					"flags", flags)
			}
			return
		case ctx.Err() != nil:
			r.miss(m.tenant, "this server stops")
			return
		case !errors.Is(err, production.ErrUnavailable): // a mistake of ours: the same again is no better
			r.miss(m.tenant, err.Error())
			return
		}
		if !r.out.Swap(true) {
			r.opts.Log.WarnContext(ctx, "what an app published waits for the database", "tenant", m.tenant, "err", err)
		}
		if !pause(ctx, fails) {
			r.miss(m.tenant, "this server stops")
			return
		}
	}
}

// pause waits any time up to a bound that doubles, 5 s at most.
func pause(ctx context.Context, fails int) bool {
	bound := min(50*time.Millisecond<<min(fails, 10), 5*time.Second)
	timer := time.NewTimer(bound/2 + rand.N(bound/2)) //nolint:gosec // spread, not secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stats are the figures of a Recorder, of this process.
type Stats struct {
	Recorded uint64
	Flagged  uint64 // of these, with something that cannot be right
	Missed   uint64 // that the record does not have
	Waiting  int64
}

// Stats returns the figures.
func (r *Recorder) Stats() Stats {
	return Stats{r.recorded.Load(), r.flagged.Load(), r.missed.Load(), r.waiting.Load()}
}
