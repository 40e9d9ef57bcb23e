package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/internal/nap"
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/tenant"
)

// StreamSource is a durable stream with one group of readers for all nodes. realtime/redis has it. It is driven from one
// goroutine; an entry is an id and its fields as names and values in turn.
type StreamSource interface {
	// Read gives take the next entries that no node has had, at most count; it waits for the first one up to wait. The end of ctx
	// ends the reading for good.
	Read(ctx context.Context, count int, wait time.Duration, take func(id string, fields []string)) error

	// Claim gives take entries that some node has had for longer than idle without acknowledging them, at most count, and
	// reports whether there may be more.
	Claim(ctx context.Context, idle time.Duration, count int, take func(id string, fields []string)) (more bool, err error)

	// Ack says that entries are done with.
	Ack(ctx context.Context, ids []string) error

	// SetAside keeps a bounded number of entries for people to look at.
	SetAside(ctx context.Context, fields []string) error

	// Tidy lets go what every node is done with.
	Tidy(ctx context.Context) error
}

// StreamOptions are the knobs of a Stream. The parts are needed.
type StreamOptions struct {
	Names      *realtime.Names
	Publisher  Publisher
	MaxBytes   int                 // of the data of one publication; zero means 1 MiB
	Quarantine realtime.Quarantine // where what a schema refuses is kept; nil: it is set aside as what can never be published
	ClaimAfter time.Duration       // after which another node's entries are taken over; zero means 30 s
	Log        *slog.Logger        // nil discards

	// Adopt, if set, returns ctx at the place in a trace that the field traceparent of an entry says; nil: nobody looks at that field.
	Adopt func(ctx context.Context, traceparent string) context.Context
}

const (
	streamBatch      = 128     // entries read at once
	streamBatchBytes = 8 << 20 // past which fewer are read at once the next time
	streamWait       = 2 * time.Second
	streamAtOnce     = 16 // channels that are published to at the same time
	streamFarewell   = 2 * time.Second

	// streamHead is how much of what cannot be published is kept for people to look at.
	streamHead = 16 << 10
)

// Stream is the door for publications that the app appends to a durable stream: fields channel, data, and an optional id, which
// makes a repeat harmless. An entry is acknowledged once its publication is stored; a node that ends before has its entries
// taken over by another. The entry's own id, or the app's, is the idempotency key, so a take-over repeats no message within
// realtime.IdempotencyWindow.
//
// One node keeps the order of the entries of a channel, also while the engine is out; of what is taken over, it does not.
// What can never be published is set aside; what does not fit its schema is held in the quarantine.
type Stream struct {
	opts   StreamOptions
	source StreamSource
	count  int       // entries to read at once, by their size
	chores time.Time // when they are next due

	mu     sync.Mutex
	broken error

	complain complaints
	counts   streamCounts
}

type streamCounts struct{ received, stamped, duplicates, mismatched, poisoned, claimed, breaks atomic.Uint64 }

// StreamStats is a snapshot of what a Stream has done.
type StreamStats struct {
	Received   uint64 // entries
	Stamped    uint64
	Duplicates uint64 // of these, stored before: by another node, or under the same id
	Mismatched uint64 // refused by their schema, and held in the quarantine
	Poisoned   uint64 // set aside
	Claimed    uint64 // taken over from other nodes
	Breaks     uint64 // times that the stream could not be reached
}

// streamEntry is one entry that can be published.
type streamEntry struct {
	id     string
	fields []string
	key    string
	data   []byte
	trace  string // its traceparent, whatever that is; empty: none
}

// NewStream returns a door that has not begun.
func NewStream(source StreamSource, opts StreamOptions) *Stream {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 1 << 20
	}
	if opts.ClaimAfter <= 0 {
		opts.ClaimAfter = 30 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stream{opts: opts, source: source, count: streamBatch / 8, broken: errors.New("not connected yet")}
	s.complain.log = opts.Log
	return s
}

// Ready returns nil while the stream can be read, else why not.
func (s *Stream) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// Stats returns the counters. They are read one by one, not at one moment.
func (s *Stream) Stats() StreamStats {
	c := &s.counts
	return StreamStats{
		Received: c.received.Load(), Stamped: c.stamped.Load(), Duplicates: c.duplicates.Load(), Mismatched: c.mismatched.Load(),
		Poisoned: c.poisoned.Load(),
		Claimed:  c.claimed.Load(), Breaks: c.breaks.Load(),
	}
}

// Run reads until ctx ends; then it acknowledges what is stored and returns nil. What is wrong with the stream is waited out. It
// is called once.
func (s *Stream) Run(ctx context.Context) error {
	for fails := 0; ctx.Err() == nil; {
		err := s.turn(ctx)
		if ctx.Err() != nil {
			break // and an error is that of the end
		}
		s.report(err)
		if err == nil {
			fails = 0
			continue
		}
		nap.For(ctx, backoff(fails))
		fails++
	}
	return nil //nolint:nilerr // errors are reported, and waited out
}

// report remembers how it goes, and logs what changes.
func (s *Stream) report(err error) {
	s.mu.Lock()
	was := s.broken
	s.broken = err
	s.mu.Unlock()
	switch {
	case err != nil && was == nil:
		s.counts.breaks.Add(1)
		s.opts.Log.Warn("durable stream cannot be read", "err", err) // it goes on when it can: nothing is lost
	case err == nil && was != nil:
		s.opts.Log.Info("durable stream is read")
	}
}

// turn takes over what is due, and reads what is new.
func (s *Stream) turn(ctx context.Context) error {
	if now := time.Now(); !now.Before(s.chores) {
		if err := s.claim(ctx); err != nil {
			return err
		}
		if err := s.source.Tidy(ctx); err != nil {
			return fmt.Errorf("tidy up: %w", err)
		}
		s.chores = now.Add(s.opts.ClaimAfter / 3)
	}
	var batch []streamEntry
	err := s.source.Read(ctx, s.count, streamWait, func(id string, fields []string) {
		batch = append(batch, streamEntry{id: id, fields: fields})
	})
	if err != nil {
		return err //nolint:wrapcheck // it says what it is about
	}
	s.adapt(batch)
	return s.handle(ctx, batch)
}

// claim takes over everything that other nodes have had for too long.
func (s *Stream) claim(ctx context.Context) error {
	for more := true; more; {
		var batch []streamEntry
		var err error
		more, err = s.source.Claim(ctx, s.opts.ClaimAfter, s.count, func(id string, fields []string) {
			batch = append(batch, streamEntry{id: id, fields: fields})
		})
		if err != nil {
			return err //nolint:wrapcheck // it says what it is about
		}
		if len(batch) > 0 {
			s.counts.claimed.Add(uint64(len(batch)))
			s.opts.Log.Info("entries of the stream taken over", "entries", len(batch))
		}
		if err := s.handle(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// adapt has fewer entries read at once when they are large: nobody bounds what the app appends.
func (s *Stream) adapt(batch []streamEntry) {
	size := 0
	for _, e := range batch {
		for _, f := range e.fields {
			size += len(f)
		}
	}
	switch {
	case size > streamBatchBytes:
		s.count = max(1, s.count/4)
	case size < streamBatchBytes/4 && len(batch) == s.count:
		s.count = min(streamBatch, 2*s.count)
	}
}

// handle publishes the entries, those of one channel one after the other, and acknowledges what is done with.
func (s *Stream) handle(ctx context.Context, batch []streamEntry) error {
	if len(batch) == 0 {
		return nil
	}
	s.counts.received.Add(uint64(len(batch)))
	var mu sync.Mutex
	var done []string
	finish := func(e streamEntry) {
		mu.Lock()
		defer mu.Unlock()
		done = append(done, e.id)
	}
	var work errgroup.Group
	work.SetLimit(streamAtOnce)
	channels := map[realtime.Channel][]streamEntry{}
	var order []realtime.Channel
	for _, e := range batch {
		ch, reason := s.read(&e)
		if reason != "" {
			if s.setAside(ctx, e, ch, reason) {
				finish(e)
			}
			continue
		}
		if channels[ch] == nil {
			order = append(order, ch)
		}
		channels[ch] = append(channels[ch], e)
	}
	for _, ch := range order {
		work.Go(func() error {
			for _, e := range channels[ch] {
				if !s.publish(ctx, ch, e) {
					break // the end of ctx: what is left is taken over, in its order
				}
				finish(e)
			}
			return nil
		})
	}
	_ = work.Wait() // none returns an error
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), streamFarewell)
	defer cancel()
	if err := s.source.Ack(last, done); err != nil {
		return err //nolint:wrapcheck // what is not acknowledged comes again, and is then a duplicate
	}
	return nil
}

// read finds the channel, the data and the key of an entry, or says why it can never be published.
func (s *Stream) read(e *streamEntry) (ch realtime.Channel, reason string) {
	var name, data, key string
	seen := map[string]bool{}
	for i := 0; i+1 < len(e.fields); i += 2 {
		field, value := e.fields[i], e.fields[i+1]
		switch field {
		case "channel":
			name = value
		case "data":
			data = value
		case "id":
			key = value
		case tracing.Header:
			e.trace = value // what is none begins a trace, and is no mistake
			continue
		default:
			continue // the app may add what it likes
		}
		if seen[field] {
			return ch, "field " + field + " is there twice"
		}
		seen[field] = true
	}
	ch, _, err := s.opts.Names.Parse(name)
	switch {
	case !seen["channel"]:
		return ch, "field channel is missing"
	case !seen["data"]:
		return ch, "field data is missing"
	case err != nil:
		return ch, "bad channel: no channel pattern matches"
	case len(data) > s.opts.MaxBytes:
		return ch, fmt.Sprintf("too large: %d bytes, at most %d are taken", len(data), s.opts.MaxBytes)
	case len(key) > realtime.MaxKeyBytes:
		return ch, fmt.Sprintf("bad id: %d bytes, at most %d are taken", len(key), realtime.MaxKeyBytes)
	}
	e.data = []byte(data)
	if !validJSON(e.data) {
		return ch, "invalid JSON: the data must be one JSON text in UTF-8"
	}
	if e.key = key; key == "" {
		e.key = "kentongan:publish/" + e.id // no other door makes such a key
	}
	return ch, ""
}

// publish stores e. It tries for as long as the engine is out, and returns false if ctx ended before it was stored or set aside.
func (s *Stream) publish(ctx context.Context, ch realtime.Channel, e streamEntry) bool {
	if s.opts.Adopt != nil {
		ctx = s.opts.Adopt(ctx, e.trace)
	}
	for fails := 0; ; fails++ {
		p, err := s.opts.Publisher.Publish(ctx, ch, e.data, realtime.PublishOptions{Key: e.key, Arrived: time.Now()})
		switch {
		case err == nil:
			s.counts.stamped.Add(1)
			if p.Duplicate {
				s.counts.duplicates.Add(1)
			}
			return true
		case errors.Is(err, realtime.ErrKeyReused):
			return s.setAside(ctx, e, ch, "bad id: it was used before with other data")
		case errors.Is(err, realtime.ErrInvalid):
			if wrong, ok := errors.AsType[*realtime.Mismatch](err); ok && s.opts.Quarantine != nil {
				return s.hold(ctx, e, ch, wrong.Error())
			}
			return s.setAside(ctx, e, ch, err.Error())
		}
		if ctx.Err() == nil {
			s.report(fmt.Errorf("publish what came over the stream: %w", err))
		}
		if !nap.For(ctx, backoff(fails)) {
			return false
		}
	}
}

// hold keeps e in the quarantine, from where it can be published again. It tries until that is done, and returns false if ctx ended
// before.
func (s *Stream) hold(ctx context.Context, e streamEntry, ch realtime.Channel, reason string) bool {
	for fails := 0; ; fails++ {
		h := realtime.Held{Channel: ch, Door: DoorStream, Reason: reason, Data: e.data}
		if s.opts.Quarantine.Hold(ctx, &h) == nil {
			break
		}
		if !nap.For(ctx, backoff(fails)) {
			return false
		}
	}
	s.counts.mismatched.Add(1)
	s.complain.about(ch, reason, len(e.data), time.Now())
	return true
}

// setAside keeps e for people to look at. It tries until that is done, and returns false if ctx ended before.
func (s *Stream) setAside(ctx context.Context, e streamEntry, ch realtime.Channel, reason string) bool {
	value := map[string]string{}
	size := 0
	for i := 0; i+1 < len(e.fields); i += 2 {
		value[e.fields[i]] = e.fields[i+1]
		size += len(e.fields[i+1])
	}
	channel := value["channel"]
	fields := []string{
		"entry", e.id, "reason", reason, "channel", channel[:min(len(channel), realtime.MaxNameBytes)], "bytes", strconv.Itoa(size),
		"id", value["id"][:min(len(value["id"]), realtime.MaxKeyBytes)], "data", value["data"][:min(len(value["data"]), streamHead)],
	}
	for fails := 0; s.source.SetAside(ctx, fields) != nil; fails++ {
		if !nap.For(ctx, backoff(fails)) {
			return false
		}
	}
	s.counts.poisoned.Add(1)
	if ch == (realtime.Channel{}) {
		ch.Tenant = tenant.Global // complaints about names that are no channel share one line a minute
	}
	s.complain.about(ch, "set aside: "+reason, size, time.Now())
	return true
}
