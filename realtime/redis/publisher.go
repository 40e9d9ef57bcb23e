package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// publisher sends publications in batches: while one is on its way, the next gathers. So the busier it is the fewer the
// system calls for each, and the order is that in which they came. The goroutine that sends exists only while there is something
// to send.
//
// A batch whose answer was lost is sent again before anything newer. Every publication carries a token, by which the
// script finds it in history if it was stored after all: a repeat stores nothing twice.
type publisher struct {
	broker *Broker
	client *client

	mu      sync.Mutex
	waiting []*outgoing
	bytes   int
	sending bool
	closed  bool
	seq     uint64
	idle    chan struct{} // closed when the sender ends; nil while there is none
	hurry   chan struct{} // has something when a caller waits for what it published
	arrived [arrivedSlots]arrival

	// The fields below belong to the sender.
	known    positions
	epoch    string    // for a script that needs a new one
	began    time.Time // the last batch
	hold     hold
	commands []rueidis.Completed
}

const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
	// arrivedSlots is how many publications may be under way between PublishAsync and their copies before the time of
	// arrival of the oldest is forgotten; it only misses in a histogram then.
	arrivedSlots = 8192
)

type arrival struct {
	seq uint64
	at  time.Time
}

func newPublisher(b *Broker, c *client) *publisher {
	return &publisher{
		broker: b, client: c, hurry: make(chan struct{}, 1),
		known: positions{}, epoch: realtime.NewEpoch(),
	}
}

// add takes o over or returns why not.
func (p *publisher) add(o *outgoing) error {
	o.until = time.Now().Add(p.broker.opts.CommandTimeout)
	if o.opts.Within > 0 {
		o.until = time.Now().Add(o.opts.Within)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return unavailable("redis engine", errStopped)
	}
	if len(p.waiting) >= p.broker.opts.MaxQueue || p.bytes+len(o.data) > p.broker.opts.MaxQueueBytes && len(p.waiting) > 0 {
		p.broker.counts.refused.Add(1)
		return realtime.ErrOverloaded
	}
	o.token = p.token(o.opts.Arrived)
	if o.urgent {
		select {
		case p.hurry <- struct{}{}:
		default: // somebody was in a hurry already
		}
	}
	p.waiting = append(p.waiting, o)
	p.bytes += len(o.data)
	if !p.sending {
		p.sending, p.idle = true, make(chan struct{})
		go p.send(p.idle)
	}
	return nil
}

// token returns a new token for a publication that arrived then, which arrivedAt remembers for a while. The lock is held.
func (p *publisher) token(arrived time.Time) (t token) {
	p.seq++
	copy(t[:8], p.broker.node[:])
	binary.BigEndian.PutUint64(t[8:], p.seq)
	if !arrived.IsZero() {
		p.arrived[p.seq%arrivedSlots] = arrival{p.seq, arrived}
	}
	return t
}

// arrivedAt returns when the publication with this token of this node arrived; zero if that is not known.
func (p *publisher) arrivedAt(t *token) time.Time {
	if [8]byte(t[:8]) != p.broker.node {
		return time.Time{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.arrived[t.number()%arrivedSlots]; a.seq == t.number() {
		return a.at
	}
	return time.Time{}
}

// take returns the next batch; none ends the sender.
func (p *publisher) take(again []*outgoing) []*outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, bytes := 0, 0
	for n < len(p.waiting) && len(again)+n < maxBatch && (bytes == 0 || bytes+len(p.waiting[n].data) <= maxBatchBytes) {
		bytes += len(p.waiting[n].data)
		n++
	}
	batch := slices.Concat(again, p.waiting[:n])
	clear(p.waiting[:n])
	p.waiting = p.waiting[n:]
	p.bytes -= bytes
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	p.sending = len(batch) > 0
	return batch
}

// send sends batch after batch until nothing waits.
func (p *publisher) send(idle chan struct{}) {
	defer close(idle)
	var again []*outgoing
	fails := 0
	for {
		p.gather()
		batch := p.take(again)
		if len(batch) == 0 {
			return
		}
		var err error
		if again, err = p.sendBatch(batch); err == nil {
			fails = 0
			continue
		}
		if errors.Is(err, errHeld) {
			p.broker.opts.Primary.pause(p.broker.life, heldFor)
			continue
		}
		p.broker.health.set(partPublish, err)
		p.broker.opts.Primary.pause(p.broker.life, backoff(fails))
		fails++
	}
}

// errHeld is the failure of a batch that may not go out yet, and heldFor how soon it is tried again: a turn of all epochs takes about
// as long.
var errHeld = errors.New("publications are held back")

const heldFor = 10 * time.Millisecond

// hold tells an operator why publications are answered late or not at all, if that lasts.
type hold struct {
	since time.Time // zero: nothing is held
	told  bool
}

// heldLong is longer than a turn of a few kitchens takes.
const heldLong = 500 * time.Millisecond

func (h *hold) goesOn(log *slog.Logger, why error) {
	if h.since.IsZero() {
		h.since = time.Now()
	}
	if !h.told && time.Since(h.since) >= heldLong {
		h.told = true
		log.Warn("publications wait", "err", why) // they go on by themselves
	}
}

func (h *hold) over(log *slog.Logger) {
	if h.told {
		log.Info("publications go on", "took_ms", time.Since(h.since).Milliseconds())
	}
	*h = hold{}
}

// gather waits until Options.GatherFor has passed since the last batch began, so that a stream of messages goes out a
// few at a time: for each batch two processes wake up, and that costs five times what a message in it does. Who comes alone
// does not wait, nor does whom a caller waits for.
func (p *publisher) gather() {
	wait := time.Until(p.began.Add(p.broker.opts.GatherFor))
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.hurry:
		case <-p.broker.life.Done():
		}
	}
	select { // what hurries from here on is in the next batch, or needs no hurry
	case <-p.hurry:
	default:
	}
	p.began = time.Now()
}

// connect makes a connection if there is none. What waits for it has not gone out, and can still be taken back.
func (p *publisher) connect() error {
	if p.client.dialer.connected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.broker.life, p.broker.opts.AnswerLimit)
	defer cancel()
	err := p.client.Do(ctx, p.client.B().Ping().Build()).Error()
	if _, answers := rueidis.IsRedisErr(err); answers {
		return nil // busy with loading, perhaps: what is sent is answered in the same way
	}
	return unavailable("publish", err)
}

// inTime answers those for which it is too late, leaves out those that were given up, and returns the others.
func (p *publisher) inTime(batch []*outgoing) []*outgoing {
	live := batch[:0]
	for _, o := range batch {
		if p.broker.life.Err() != nil || time.Now().After(o.until) {
			o.done(realtime.Published{}, p.broker.giveUp(o))
			continue
		}
		if o.state.Load() == outgoingGone {
			continue // its caller knows
		}
		live = append(live, o)
	}
	return live
}

// goOut leaves out those that were given up; from here on the others cannot be.
func goOut(live []*outgoing) []*outgoing {
	out := live[:0]
	for _, o := range live {
		o.state.CompareAndSwap(outgoingWaits, outgoingSent)
		if o.state.Load() == outgoingSent {
			out = append(out, o)
		}
	}
	return out
}

// sendBatch returns what is to be sent again first, and the error for which.
func (p *publisher) sendBatch(batch []*outgoing) (again []*outgoing, failure error) {
	life, live := p.broker.life, p.inTime(batch)
	if len(live) > 0 {
		if err := p.connect(); err != nil {
			return live, err
		}
		if err := p.broker.held(); err != nil {
			p.hold.goesOn(p.broker.opts.Log, err)
			return live, fmt.Errorf("%w: %w", errHeld, err)
		}
		p.hold.over(p.broker.opts.Log)
	}
	if live = goOut(live); len(live) == 0 {
		return nil, nil
	}
	results, called := p.call(live)
	unloaded := false
	for i, o := range live {
		published, outcome, err := p.settle(o, results[i])
		if outcome != outcomeSettled && outcome != outcomeUnloaded {
			failure = err
		}
		if outcome == outcomeRefused {
			p.client.dialer.demoted(err)
		}
		switch {
		case outcome == outcomeUnsent && time.Now().Before(o.until) && life.Err() == nil:
			o.state.Store(o.before()) // as if it had waited all the time
			again = append(again, o)
		case outcome == outcomeUnloaded && life.Err() == nil:
			unloaded = true
			again = append(again, o)
		case outcome == outcomeLost && o.tries < p.broker.opts.Retries && time.Now().Before(o.until) && life.Err() == nil:
			o.tries++
			p.broker.counts.retried.Add(1)
			again = append(again, o)
		default:
			o.done(published, err)
		}
	}
	if unloaded {
		p.client.dialer.missing(called)
	}
	if failure == nil {
		clear(p.commands)
		p.broker.health.set(partPublish, nil)
		return again, nil
	}
	p.commands = nil // the client may hold on to the commands of a batch that it gave up
	return again, failure
}

// call has the script called for each.
func (p *publisher) call(live []*outgoing) (results []rueidis.RedisResult, called scripts) {
	called = p.client.dialer.scripts()
	p.commands = p.commands[:0]
	for _, o := range live {
		p.commands = append(p.commands, p.command(o, called.publish))
		p.broker.scales.add(o.ch.Tenant, len(o.data))
	}
	ctx, cancel := context.WithDeadline(p.broker.life, live[len(live)-1].until)
	span := beginStamp(p.broker.opts.Traces, len(live), func(i int) *tracing.Context { return live[i].opts.Trace })
	results = p.client.DoMulti(ctx, p.commands...)
	span.End()
	cancel()
	p.broker.acks.batch(p.client.dialer.origin())
	return results, called
}

// remember keeps the newest acknowledged position of ch, and makes a new epoch for scripts if the last one was used.
func (p *publisher) remember(ch realtime.Channel, position realtime.Position) {
	if strings.HasPrefix(position.Epoch, p.epoch) {
		p.epoch = realtime.NewEpoch()
	}
	p.known.put(ch, position)
}

// positions are the newest acknowledged positions. Forgetting one only means that a loss of acknowledged data in that
// channel is not noticed by this node.
type positions map[realtime.Channel]realtime.Position

// maxKnown bounds the memory of positions.
const maxKnown = 200_000

func (p positions) put(ch realtime.Channel, position realtime.Position) {
	if _, ok := p[ch]; !ok && len(p) >= maxKnown {
		for some := range p {
			delete(p, some)
			break
		}
	}
	p[ch] = position
}

func (p *publisher) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// drain takes nothing more in and waits until all is sent, for limit at most.
func (p *publisher) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.stop():
	case <-timer.C:
	}
}

// wait waits for the sender, which ends soon once the Broker's life has ended.
func (p *publisher) wait() { <-p.stop() }

func (p *publisher) stop() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.idle == nil {
		p.idle = make(chan struct{})
		close(p.idle)
	}
	return p.idle
}
