package redis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// Publish implements realtime.Broker. It lasts no longer than Options.AnswerLimit: what has not gone out by then never will.
func (b *Broker) Publish(ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
	if err := b.check(ctx, "publish"); err != nil {
		return realtime.Published{}, err
	}
	if err := realtime.CheckPublish(ch, data, opts, b.opts.MaxDataBytes); err != nil {
		return realtime.Published{}, fmt.Errorf("publish: %w", err)
	}
	type answer struct {
		p   realtime.Published
		err error
	}
	answers := make(chan answer, 1)
	opts.Within = min(b.opts.AnswerLimit, b.opts.CommandTimeout)
	o := &outgoing{ch: ch, data: data, opts: opts, urgent: true, done: func(p realtime.Published, err error) { answers <- answer{p, err} }}
	if err := b.pub.add(o); err != nil { //nolint:contextcheck // the sender outlives this call
		return realtime.Published{}, fmt.Errorf("publish: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Within)
	defer cancel()
	select {
	case a := <-answers:
		return a.p, a.err
	case <-b.life.Done():
	case <-ctx.Done():
	}
	return realtime.Published{}, b.giveUp(o)
}

// giveUp takes o back if it has not gone out, and returns the error that says whether it had. The sender, the caller and a timer may all
// do so in the same moment, and whichever of them answers has to say the same.
func (b *Broker) giveUp(o *outgoing) error {
	if o.state.CompareAndSwap(outgoingWaits, outgoingGone) || o.state.Load() == outgoingGone {
		return fmt.Errorf("publish: %w: %w", realtime.ErrNotStored, b.tooLate(context.DeadlineExceeded))
	}
	return unavailable("publish", b.tooLate(context.DeadlineExceeded))
}

// tooLate is why a publication was not answered in time: why it had to wait, or what is wrong with the connection, if that is known.
func (b *Broker) tooLate(err error) error {
	if why := b.held(); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	if known := b.health.of(partPublish); known != nil {
		return fmt.Errorf("%w: %w", err, known)
	}
	return err
}

// PublishAsync implements realtime.AsyncPublisher.
func (b *Broker) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	if done == nil {
		done = func(realtime.Published, error) {}
	}
	if err := realtime.CheckPublish(ch, data, opts, b.opts.MaxDataBytes); err != nil {
		done(realtime.Published{}, fmt.Errorf("publish: %w", err))
		return
	}
	o := &outgoing{ch: ch, data: data, opts: opts, done: done}
	if opts.Within > 0 {
		var answered atomic.Bool
		o.done = func(p realtime.Published, err error) {
			if !answered.Swap(true) {
				o.timer.Stop()
				done(p, err)
			}
		}
		o.timer = time.AfterFunc(opts.Within, func() {
			err := b.giveUp(o)
			if !answered.Swap(true) {
				done(realtime.Published{}, err)
			}
		})
	}
	if err := b.pub.add(o); err != nil {
		o.done(realtime.Published{}, fmt.Errorf("publish: %w", err))
	}
}

// What can be with an outgoing: it waits for its turn, it was sent or may have been, or its caller has given it up before that.
const (
	outgoingWaits = iota
	outgoingSent
	outgoingGone
)

// outgoing is one publication on its way to Redis.
type outgoing struct {
	ch    realtime.Channel
	data  []byte
	opts  realtime.PublishOptions
	done  func(realtime.Published, error)
	token token

	state atomic.Int32
	timer *time.Timer // answers if nobody else does; nil: nobody waits for that

	urgent bool      // a caller waits for it
	until  time.Time // no try begins after it
	tries  int       // that were sent without an answer
}

// before is the state to go back to when a try did not go out.
func (o *outgoing) before() int32 {
	if o.tries > 0 {
		return outgoingSent // an earlier one did
	}
	return outgoingWaits
}

// command is the call of the script of that name, which stamps o.
func (p *publisher) command(o *outgoing, sha string) rueidis.Completed {
	b := p.broker
	keep := b.opts.Names.Retention(o.ch)
	known := p.known[o.ch]
	head, digest, again := b.keys.head(o.ch.Tenant), "", "0"
	record := head // without a key any key will do
	if o.opts.Key != "" {
		sum := sha256.Sum256(o.data)
		record, digest = b.keys.record(o.ch, o.opts.Key), string(sum[:16])
	}
	if o.tries > 0 {
		again = "1"
	}
	token := o.token.with(o.opts.Trace)
	call, stream := p.client.B().Evalsha().Sha1(sha), b.keys.stream(o.ch)
	size, age := strconv.Itoa(keep.Size), strconv.FormatInt(keep.Age.Milliseconds(), 10)
	if key, ok := o.snapshotKey(b.opts.Names); ok {
		return call.Numkeys(4).Key(head, stream, record, b.keys.newest(o.ch)).Arg(
			o.ch.Name, rueidis.BinaryString(o.data), size, age, b.keys.live(o.ch.Tenant), token, p.epoch,
			known.Epoch, strconv.FormatUint(known.Offset, 10), digest, idempotencySeconds, again, key,
		).Build()
	}
	return call.Numkeys(3).Key(head, stream, record).Arg(
		o.ch.Name, rueidis.BinaryString(o.data), size, age, b.keys.live(o.ch.Tenant), token, p.epoch,
		known.Epoch, strconv.FormatUint(known.Offset, 10), digest, idempotencySeconds, again,
	).Build()
}

// snapshotKey returns the key that o is the newest of, which may be none ("") if its channel keeps a snapshot.
func (o *outgoing) snapshotKey(names *realtime.Names) (key string, ok bool) {
	path := names.SnapshotPath(o.ch)
	if path == nil {
		return "", false
	}
	key, _ = realtime.SnapshotKey(o.data, path)
	return key, true
}

var idempotencySeconds = strconv.Itoa(int(realtime.IdempotencyWindow / time.Second))

var errNeverKnown = errors.New("the answer was lost, and history does not tell whether it was stored")

// outcome is what became of one try.
type outcome int

const (
	outcomeSettled  outcome = iota // answered for good
	outcomeLost                    // no answer: a repeat makes sense, and may find it stored
	outcomeRefused                 // Redis does not want it now: read only, out of memory
	outcomeUnsent                  // there was no connection, or the slot is not here: nothing was done
	outcomeUnloaded                // Redis does not have the script: nothing was done
)

// settle reads the answer of the script.
func (p *publisher) settle(o *outgoing, r rueidis.RedisResult) (realtime.Published, outcome, error) {
	none := realtime.Published{}
	answer, err := r.ToString()
	if err != nil {
		said, ok := rueidis.IsRedisErr(err)
		_, why := elsewhere(err)
		if why != nil {
			err = why
		}
		switch {
		case why != nil, errors.Is(err, errNoConnection):
			if o.tries == 0 {
				err = fmt.Errorf("%w: %w", realtime.ErrNotStored, err)
			}
			return none, outcomeUnsent, unavailable("publish", err)
		case !ok || said.IsLoading():
			return none, outcomeLost, unavailable("publish", err)
		case said.IsNoScript():
			return none, outcomeUnloaded, unavailable("publish", err)
		}
		return none, outcomeRefused, unavailable("publish", err)
	}
	switch answer {
	case "K":
		return none, outcomeSettled, fmt.Errorf("publish: %w", realtime.ErrKeyReused)
	case "U":
		return none, outcomeSettled, unavailable("publish", errNeverKnown)
	case "":
		return none, outcomeSettled, unavailable("publish", errors.New("the script answers nothing"))
	}
	position, err := parsePosition(answer[1:])
	if err != nil {
		return none, outcomeSettled, unavailable("publish", err)
	}
	p.remember(o.ch, position)
	if answer[0] == 'D' { // the entry bears the token of who published it first
		p.broker.counts.duplicates.Add(1)
		return realtime.Published{Position: position, Duplicate: true}, outcomeSettled, nil
	}
	p.broker.acks.note(o.ch, position, o.token)
	p.broker.counts.published.Add(1)
	return realtime.Published{Position: position}, outcomeSettled, nil
}

// parsePosition reads "offset epoch", as the scripts write it.
func parsePosition(s string) (realtime.Position, error) {
	digits, epoch, ok := strings.Cut(s, " ")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		return realtime.Position{}, fmt.Errorf("position %.40q cannot be read", s)
	}
	return realtime.Position{Epoch: epoch, Offset: offset}, nil
}
