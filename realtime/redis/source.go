package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"kentongan/realtime/stamping"
)

// Source receives what others publish with plain PUBLISH, over connections of its own: so that a flood there delays
// nothing else, and their breaks are known exactly. The intake drives it.
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

// Receive opens a connection, subscribes to globs and to the marks of the nodes, and tells h what it hears, until ctx ends (nil) or
// the connection breaks. It may be called several times at once, each with a Hearer of its own.
func (s *Source) Receive(ctx context.Context, globs []string, h stamping.Hearer) error {
	d := newDialer(&s.opts, "intake", 0)
	defer context.AfterFunc(ctx, d.closeAll)()
	defer d.closeAll()
	err := s.receive(ctx, d, globs, h)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("receive from redis %s: %w", s.opts.where(), err)
}

func (s *Source) receive(ctx context.Context, d *dialer, globs []string, h stamping.Hearer) error { //nolint:gocyclo // a case an event
	l, err := openIntake(ctx, d, max(s.maxBytes, maxAnswersBytes))
	if err != nil {
		return err
	}
	defer l.close()
	keys := s.opts.keys()
	var word [8]byte
	_, _ = rand.Read(word[:]) // never fails
	marks, feed := keys.marks(), keys.feed(hex.EncodeToString(word[:]))
	// The globs come last, and all in one command: when they are confirmed, everything is heard from one point on.
	if err := l.send(keys.subscribe(), marks, feed); err != nil {
		return err
	}
	if err := l.send(append([]string{"PSUBSCRIBE"}, globs...)...); err != nil {
		return err
	}
	l.wants = func(kind eventKind, size int) bool { return kind != eventPMessage || size <= s.maxBytes && h.Wants() }
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for confirmed, all := 0, 2+len(globs); ; {
		if confirmed == all {
			if err := l.rest(ctx, h.Rest); err != nil {
				return err
			}
		}
		e, err := l.next()
		if err != nil {
			return err
		}
		switch e.kind {
		case eventPMessage:
			if confirmed == all {
				h.Message(e.pattern, e.channel, e.payload, e.size)
			}
		case eventMessage:
			if confirmed == all && string(e.channel) == marks {
				hearMark(h, e.payload)
			}
		case eventSubscribed:
			confirmed++
			if confirmed == all {
				wg.Go(func() { l.keepAlive(ctx, h.Spare) })
				h.Ready(feed)
			}
		case eventPong:
			if sent, err := strconv.ParseInt(string(e.payload), 10, 64); err == nil {
				h.Ponged(sent)
			}
		case eventUnsubscribed: // nobody asked for that
			return errSlotGone
		case eventOther:
		}
	}
}

// maxAnswersBytes is more than any message on the channel of marks has: 64 answers of about a hundred bytes.
const maxAnswersBytes = 64 << 10

func hearMark(h stamping.Hearer, payload []byte) {
	mark, answers := parseMark(payload)
	if mark != "" {
		h.Marked(mark)
	}
	for _, a := range answers {
		h.Learned(a)
	}
}

// openIntake opens a link, and does not give up while that may soon help: while a finder agrees on another primary, and while Redis
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
		if home.finder == nil {
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
