package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/internal/nap"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

// feed is one connection of a PubSub that hears plain PUBLISH, and the stamping.Hearer of it.
type feed struct {
	pubsub *PubSub
	i      int
	known  knownNames // of the receiving goroutine

	close   context.CancelFunc // of the connection that is open; guarded by PubSub.mu
	leaving bool               // Spare has let it go; guarded by PubSub.mu
}

// restTime is how long a connection that is not the first to be read lets messages gather. At 4,000 a second it wakes up for forty
// of them and not for each one; by so much later another node knows of a message, if this one has to go on.
const restTime = 10 * time.Millisecond

var errDeaf = errors.New("it does not hear what is published")

// run connects again and again until ctx ends.
func (f *feed) run(ctx context.Context) {
	p := f.pubsub
	for fails := 0; ; fails++ {
		began := time.Now()
		open, shut := context.WithCancel(ctx)
		p.mu.Lock()
		f.close = shut
		p.mu.Unlock()
		err := p.source.Receive(open, p.globs, f)
		shut()
		if err == nil {
			err = errDeaf
		}
		p.mu.Lock()
		p.node.Down(f.i)
		f.leaving = false
		left := p.node.Status().Joined
		if ctx.Err() == nil {
			p.broken = err
			if left == 0 {
				p.breaks++
			}
		}
		p.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		p.counts.broken.Add(1)
		p.opts.Log.Warn("intake connection broken", "connection", f.i, "err", err, "left", left) // it reconnects
		poke(p.report)
		if time.Since(began) > time.Second {
			fails = 0
		}
		if !nap.For(ctx, backoff(fails)) {
			return
		}
	}
}

// Ready implements stamping.Hearer.
func (f *feed) Ready(name string) {
	p := f.pubsub
	p.mu.Lock()
	p.node.Up(f.i, name)
	p.mu.Unlock()
	poke(p.report)
}

// Ponged implements stamping.Hearer.
func (f *feed) Ponged(sent int64) {
	p := f.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	p.node.Ponged(f.i, sent)
	p.closeDeaf()
}

// closeDeaf closes the connections that the node does not trust. The lock is held.
func (p *PubSub) closeDeaf() {
	for _, f := range p.feeds {
		if p.node.Deaf(f.i) && f.close != nil {
			f.close()
		}
	}
}

// Marked implements stamping.Hearer.
func (f *feed) Marked(mark string) {
	p := f.pubsub
	p.mu.Lock()
	p.node.Marked(f.i, mark)
	p.closeDeaf()
	asked, held := p.node.Asked(), p.node.Held()
	p.mu.Unlock()
	if asked {
		poke(p.report)
	}
	if held {
		poke(p.stamp) // it may have been the mark that was waited for
	}
}

// Learned implements stamping.Hearer.
func (f *feed) Learned(a stamping.Answer) {
	p := f.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	p.node.Learn(a)
	p.closeDeaf()
}

// Wants implements stamping.Hearer.
func (f *feed) Wants() bool {
	f.pubsub.mu.Lock()
	defer f.pubsub.mu.Unlock()
	return f.pubsub.node.Wants(f.i)
}

// Rest implements stamping.Hearer. What comes before the next batch may begin can as well be read then, all at once.
func (f *feed) Rest(streams bool) time.Duration {
	p := f.pubsub
	p.mu.Lock()
	idle, held := p.node.Idle(f.i), p.node.Held()
	p.mu.Unlock()
	switch {
	case idle:
		return restTime
	case !p.many.Load():
	case held && streams:
		return p.opts.GatherFor // what has been told is stamped now
	case held:
		return min(time.Duration(p.due.Load())-time.Since(p.began), p.opts.GatherFor)
	}
	return 0
}

// Spare implements stamping.Hearer.
func (f *feed) Spare() bool {
	p := f.pubsub
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.feeds {
		if other != f && !other.leaving && p.node.Joined(other.i) {
			f.leaving = true
		}
	}
	return f.leaving
}

// Message implements stamping.Hearer.
func (f *feed) Message(glob, name, payload []byte, size int) {
	p := f.pubsub
	if p.opts.OnlyPatterns && !p.first(glob, name) {
		return
	}
	m := stamping.Message{}
	p.mu.Lock()
	if !p.node.Wants(f.i) {
		p.node.Heard(f.i, &m) // the other one had it
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	now := time.Now()
	ch, matched := f.channel(name)
	large := payload == nil || size > p.opts.MaxBytes
	if matched && !large {
		m = stamping.Message{Channel: ch, Data: payload, Arrived: now}
	}
	p.mu.Lock()
	news, held := p.node.Heard(f.i, &m), p.node.Held()
	p.mu.Unlock()
	if !news {
		return
	}
	switch {
	case !matched:
		if p.unmatched.Saw(name, size, now) {
			p.opts.Log.Info("message for a name that no channel pattern matches", "name", clip(name), "bytes", size)
		}
	case large:
		p.counts.tooLarge.Add(1)
		p.complain.about(ch, fmt.Sprintf("larger than %d bytes", p.opts.MaxBytes), size, now)
	case held:
		poke(p.stamp)
	}
}

func (f *feed) channel(name []byte) (realtime.Channel, bool) {
	ch, err := f.known.channel(f.pubsub.opts.Names, name, maxKnownNames)
	return ch, err == nil
}
