package redis

import (
	"context"
	"strconv"
	"sync"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// subscriber keeps the subscribing connection up and hands what comes over it to the followers.
type subscriber struct {
	broker   *Broker
	sink     realtime.Sink     // set before started is closed
	gatherer realtime.Gatherer // the same, if it is one; else nil
	started  chan struct{}     // closed by Run
	dialer   *dialer
	syncer   *syncer
	epochs   interner // of the reader, as lineage
	lineage  string   // of the data behind the last connection
	traced   traced   // of the reader

	blanks []realtime.Publication // of the reader, for the next copies: asked for together, since each one would cost as much

	// Locks are taken in this order: mu, follower.mu, dirtyMu.
	mu        sync.RWMutex
	followers map[string]*follower // by live channel

	dirtyMu sync.Mutex
	dirty   map[*follower]struct{} // their subscription may have to change
	wake    chan struct{}          // for the writer: dirty has something
}

func newSubscriber(b *Broker) *subscriber {
	s := &subscriber{
		broker: b, started: make(chan struct{}), dialer: newDialer(&b.opts, "subscribe", 0),
		followers: map[string]*follower{}, dirty: map[*follower]struct{}{}, wake: make(chan struct{}, 1),
	}
	s.syncer = newSyncer(b)
	return s
}

// run connects again and again until ctx ends.
func (s *subscriber) run(ctx context.Context) {
	b := s.broker
	defer context.AfterFunc(ctx, s.dialer.closeAll)()
	for fails := 0; ; {
		began := time.Now()
		err := s.serve(ctx)
		if ctx.Err() != nil {
			s.dialer.closeAll()
			return
		}
		b.health.set(partLink, err)
		b.opts.Log.Warn("redis subscription broken", "err", err, "took_ms", time.Since(began).Milliseconds()) // it reconnects
		if time.Since(began) > 5*time.Second {
			fails = 0
		}
		// A try that took long, because Redis accepts and says nothing, was a pause by itself.
		if !b.opts.Primary.pause(ctx, backoff(fails)-time.Since(began)) {
			return
		}
		fails++
	}
}

// serve runs one connection until it breaks.
func (s *subscriber) serve(ctx context.Context) error {
	b := s.broker
	l, err := openLink(ctx, s.dialer, b.opts.MaxDataBytes+1024)
	if err != nil {
		return err
	}
	defer l.close()
	if s.gatherer != nil {
		l.before = s.gatherer.Flush
		defer s.gatherer.Flush()
	}
	if err := l.send("SUBSCRIBE", b.keys.revoke(), b.keys.extend()); err != nil {
		return err
	}
	if b.keys.placed() {
		if err := l.send(b.keys.subscribe(), b.keys.slot()); err != nil {
			return err
		}
	}
	linkCtx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	up, told := false, time.Time{}
	for {
		e, err := l.next()
		if err != nil {
			return err
		}
		if up && l.deadline != told { // it moves when something came
			told = l.deadline
			b.counts.heard.Store(time.Now().UnixNano())
		}
		switch e.kind {
		case eventMessage:
			s.message(&e)
		case eventSubscribed:
			if !up { // the first confirmation is that of revocations
				up = true
				s.reset(l.lineage == "" || l.lineage != s.lineage)
				s.lineage = l.lineage
				b.acks.connected(l.lineage)
				wg.Go(func() { l.keepAlive(linkCtx, nil) })
				wg.Go(func() { s.write(linkCtx, l) })
				wg.Go(func() { b.readRevocations(linkCtx) })
				wg.Go(func() { b.inspect(linkCtx) })
				b.health.set(partLink, nil)
				b.counts.reconnects.Add(1)
			} else if f := s.byChannel(e.channel); f != nil {
				f.confirmed()
			}
		case eventUnsubscribed:
			if string(e.channel) == b.keys.slot() {
				return errSlotGone
			}
			s.unsubscribed(e.channel)
		case eventPong:
			if sent, err := strconv.ParseInt(string(e.payload), 10, 64); err == nil {
				b.counts.roundTrip.Store(time.Now().UnixNano() - sent)
			}
		case eventPMessage, eventOther: // nothing of ours
		}
	}
}

// deliver gives p to the sink. What can gather it flushes before this goroutine, or the syncer, waits for anything.
func (s *subscriber) deliver(p *realtime.Publication) {
	if s.gatherer != nil {
		s.gatherer.Gather(p)
	} else {
		s.sink.Deliver(p)
	}
}

// message takes one message in.
func (s *subscriber) message(e *event) {
	b := s.broker
	f := s.byChannel(e.channel)
	if f == nil {
		switch {
		case e.payload == nil:
		case string(e.channel) == b.keys.revoke():
			b.heardRevocation(e.payload)
		case string(e.channel) == b.keys.extend():
			b.heardExtension(e.payload)
		}
		return
	}
	if e.payload == nil {
		b.counts.foreign.Add(1)
		return
	}
	c, err := parseCopy(e.payload, &s.epochs)
	if err != nil {
		b.counts.foreign.Add(1)
		return
	}
	if c.kind == copyTrace {
		s.traced.hear(&c)
		return
	}
	c.trace = s.traced.take(&c)
	if len(s.blanks) == 0 {
		s.blanks = make([]realtime.Publication, blanksAtOnce)
	}
	c.blank, s.blanks = &s.blanks[0], s.blanks[1:]
	f.take(&c)
}

// blanksAtOnce bounds what one publication that waits for a slow room keeps in memory with it.
const blanksAtOnce = 64

func (s *subscriber) byChannel(live []byte) *follower {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.followers[string(live)]
}

func (s *subscriber) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.followers)
}

// reset begins a new connection: nothing is subscribed to, and everything that is followed has to be read again.
// With doubt the data may be other than it was.
func (s *subscriber) reset(doubt bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for live, f := range s.followers {
		if f.disconnected(doubt) {
			s.touch(f)
		} else {
			delete(s.followers, live)
		}
	}
}

// touch has the writer look at f.
func (s *subscriber) touch(f *follower) {
	s.dirtyMu.Lock()
	s.dirty[f] = struct{}{}
	s.dirtyMu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// maxSubscribe is how many channels are subscribed to with one command.
const maxSubscribe = 256

// write subscribes and unsubscribes until ctx ends. What changed twice since the last round is written once or not at
// all.
func (s *subscriber) write(ctx context.Context, l *link) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		s.dirtyMu.Lock()
		dirty := s.dirty
		s.dirty = map[*follower]struct{}{}
		s.dirtyMu.Unlock()
		on, off := []string{s.broker.keys.subscribe()}, []string{s.broker.keys.unsubscribe()}
		flush := func(command []string, limit int) []string {
			if len(command) > limit {
				if l.send(command...) != nil {
					l.close() // the reader learns of it, and the next connection subscribes to all anew
				}
				command = command[:1]
			}
			return command
		}
		for f := range dirty {
			switch f.wants() {
			case wantOn:
				on = flush(append(on, f.live), maxSubscribe)
			case wantOff:
				off = flush(append(off, f.live), maxSubscribe)
			case wantNothing:
			}
		}
		flush(on, 1)
		flush(off, 1)
	}
}

// unsubscribed forgets a follower that nobody has asked for again meanwhile.
func (s *subscriber) unsubscribed(live []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.followers[string(live)]; f != nil && f.retire() {
		delete(s.followers, f.live)
	}
}

// follower returns the follower of t, a new one if there is none.
func (s *subscriber) follower(t tenant.ID) *follower {
	live := s.broker.keys.live(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.followers[live]
	if f == nil {
		f = &follower{broker: s.broker, tenant: t, live: live}
		s.followers[live] = f
	}
	return f
}
