package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/stamping"
	"kentongan/realtime/stamping/ledgertest"
)

// radio is what a PubSub sees of Redis: a Source, a Ledger, and an EpochTurner.
type radio struct {
	mu     sync.Mutex
	ledger ledgertest.Memory
	conns  map[string]*radioConn
	words  int

	stamped []string
	turns   []string
	refuse  error                            // answer of Receive
	err     error                            // answer of Report and Stamp
	stuck   func(m *stamping.Numbered) error // answer of the engine to one message; nil: none is stuck
	fail    int                              // turns that fail before one succeeds
}

type radioConn struct {
	globs []string
	queue chan func(h stamping.Hearer)
	end   chan struct{} // closed when the connection is
	deaf  bool          // nothing that is published comes over it
}

func newRadio() *radio {
	r := &radio{conns: map[string]*radioConn{}}
	r.ledger = ledgertest.Memory{
		Now: time.Now, Open: func(feed string) bool { return r.conns[feed] != nil }, Publish: r.tell, Store: r.store,
		Tell: func(realtime.Channel) {},
	}
	return r
}

var errCut = errors.New("connection cut")

func (r *radio) Receive(ctx context.Context, globs []string, h stamping.Hearer) error {
	r.mu.Lock()
	if r.refuse != nil {
		defer r.mu.Unlock()
		return r.refuse
	}
	r.words++
	name := fmt.Sprint("feed", r.words)
	c := &radioConn{globs: globs, queue: make(chan func(stamping.Hearer), 100_000), end: make(chan struct{})}
	r.conns[name] = c
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, name)
	}()
	h.Ready(name)
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-c.queue:
			f(h)
		case <-c.end:
			return errCut
		}
	}
}

// each does f on all connections. The lock is held.
func (r *radio) each(f func(c *radioConn) func(stamping.Hearer)) {
	for _, c := range r.conns {
		if !c.deaf {
			c.queue <- f(c)
		}
	}
}

// pong answers a ping on all connections.
func (r *radio) pong() {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := time.Now().UnixNano()
	for _, c := range r.conns {
		c.queue <- func(h stamping.Hearer) { h.Ponged(sent) }
	}
}

// spoil does f to one connection.
func (r *radio) spoil(f func(name string, c *radioConn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.conns {
		f(name, c)
		return
	}
}

func (r *radio) tell(mark string, answers []stamping.Answer) {
	answers = slices.Clone(answers)
	r.each(func(*radioConn) func(stamping.Hearer) {
		return func(h stamping.Hearer) {
			if mark != "" {
				h.Marked(mark)
			}
			for _, a := range answers {
				h.Learned(a)
			}
		}
	})
}

// say publishes as the app does. Of a payload of nil only the size is told, as of one that is too long to be read.
func (r *radio) say(name string, payload []byte, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.each(func(c *radioConn) func(stamping.Hearer) {
		return func(h stamping.Hearer) {
			for _, glob := range c.globs {
				if redisGlob(glob, name) {
					wanted := payload
					if !h.Wants() {
						wanted = nil
					}
					h.Message([]byte(glob), []byte(name), wanted, size)
				}
			}
		}
	})
}

func (r *radio) publish(name, payload string) { r.say(name, []byte(payload), len(payload)) }

// cut closes all connections, or all but so many.
func (r *radio) cut(leave int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.conns {
		if len(r.conns) > leave {
			close(c.end)
			delete(r.conns, name)
		}
	}
}

func (r *radio) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *radio) got() (stamped, turns []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.stamped), slices.Clone(r.turns)
}

func (r *radio) Report(ctx context.Context, report stamping.Report) (stamping.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return stamping.State{}, r.err
	}
	return r.ledger.Report(ctx, report)
}

func (r *radio) Stamp(ctx context.Context, b stamping.Batch) (stamping.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return stamping.Receipt{}, r.err
	}
	return r.ledger.Stamp(ctx, b)
}

func (r *radio) Turn(context.Context, string) error { return r.turn("all intake") }

func (r *radio) store(m *stamping.Numbered) error {
	if r.stuck != nil {
		if err := r.stuck(m); err != nil {
			return err
		}
	}
	if m.Arrived.IsZero() {
		return errors.New("no time of arrival")
	}
	r.stamped = append(r.stamped, fmt.Sprintf("%s/%s %s", m.Channel.Tenant, m.Channel.Name, m.Data))
	return nil
}

func (r *radio) turn(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		return realtime.ErrUnavailable
	}
	r.turns = append(r.turns, what)
	return nil
}

func (r *radio) TurnEpoch(_ context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	return r.turn(fmt.Sprintf("%s/%s %s", ch.Tenant, ch.Name, cause))
}

func (r *radio) TurnAll(_ context.Context, cause realtime.GapCause) error {
	return r.turn("all " + string(cause))
}

// node runs a PubSub on r until stop is called.
func (r *radio) node(t *testing.T, opts PubSubOptions) (p *PubSub, stop func()) {
	t.Helper()
	if opts.Names == nil {
		opts.Names = defaultNames(t)
	}
	p, err := NewPubSub(r, r, r, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return p, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}
