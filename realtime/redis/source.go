package redis

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Source receives what others publish with plain PUBLISH, over a connection of its own: so that a flood there delays
// nothing else, and its breaks are known exactly. The intake drives it.
type Source struct {
	opts     Options
	maxBytes int
}

// NewSource returns a Source that connects in Receive. Messages longer than maxBytes are not read into memory.
func NewSource(opts Options, maxBytes int) (*Source, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis source: %w", err)
	}
	return &Source{opts: opts, maxBytes: maxBytes}, nil
}

// Receive subscribes to globs and calls ready when all are confirmed, alive with each sign of life, and message with
// each message, in the order in which Redis sent them, until ctx ends (nil) or the connection breaks. glob and channel are
// valid during the call only; payload may be kept, and is nil if its size was too large. The functions are called from one goroutine.
func (s *Source) Receive(
	ctx context.Context, globs []string, ready, alive func(), message func(glob, channel, payload []byte, size int),
) error {
	d := newDialer(&s.opts, "intake", 0)
	defer context.AfterFunc(ctx, d.closeAll)()
	defer d.closeAll()
	err := s.receive(ctx, d, globs, ready, alive, message)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("receive from redis %s: %w", s.opts.where(), err)
}

func (s *Source) receive(
	ctx context.Context, d *dialer, globs []string, ready, alive func(), message func(glob, channel, payload []byte, size int),
) error {
	l, err := openIntake(ctx, d, s.maxBytes)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.send(append([]string{"PSUBSCRIBE"}, globs...)...); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var told time.Time
	for confirmed := 0; ; {
		e, err := l.next()
		if err != nil {
			return err
		}
		// The deadline of reading moves when something came; so does what we know to be alive.
		if confirmed == len(globs) && l.deadline != told {
			told = l.deadline
			alive()
		}
		switch e.kind {
		case eventPMessage:
			message(e.pattern, e.channel, e.payload, e.size)
		case eventSubscribed:
			confirmed++
			if confirmed == len(globs) {
				wg.Go(func() { l.keepAlive(ctx) })
				ready()
			}
		case eventPong:
			alive()
		case eventMessage, eventUnsubscribed, eventOther: // nobody asked for these
		}
	}
}

// openIntake opens a link, and does not give up while that may soon help: while the sentinels agree on another primary, and while Redis
// accepts connections but says nothing. The caller's own pauses would come on top.
func openIntake(ctx context.Context, d *dialer, maxBytes int) (*link, error) {
	home := d.opts.Primary
	for {
		began, moved := time.Now(), home.changes()
		l, err := openLink(ctx, d, maxBytes)
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		if time.Since(began) >= d.opts.AnswerLimit {
			continue
		}
		if len(d.opts.Sentinels) == 0 {
			return nil, err
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-moved:
			timer.Stop()
		case <-timer.C:
			return nil, err
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
