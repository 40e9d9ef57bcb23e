package gateway

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"kentongan/internal/giveway"
	"kentongan/realtime"
	"kentongan/tenant"
)

// pages reads history for replays, only so many at the same time, and kitchens have their turns one after the other.
//
// The screens of a kitchen lose their line together, come back together, and miss the same. So while a read waits for its turn, whoever
// asks for the same page joins it. Nobody joins a read that has begun: it may be older than what he was told to be there. Of what was read
// a moment ago he gets what is behind his position.
type pages struct {
	broker  realtime.Broker
	recent  recent
	reads   *turns           // of reads
	writers *turns           // of those who encode and send what was read
	idle    chan *pageWriter // one for each turn of the writers, not in use

	mu      sync.Mutex
	waiting map[pageAsk]*pageRead
}

// pageAsk is which page.
type pageAsk struct {
	channel realtime.Channel
	since   realtime.Position
	limit   int
	turned  bool // the epoch of since is over, as far as this node knows: only the engine knows how to go on
}

// sharedPage is what was read, for all who have asked for it. Those take it one after the other.
type sharedPage struct {
	realtime.Page

	plain []realtime.Publication // without what not all may see; nil: not made yet, by as
}

// pageRead is one that has not begun.
type pageRead struct {
	joined []func(*sharedPage, error)
}

const (
	// maxReads is how many reads run at the same time. More would only wait in line at the engine, with their pages in memory, and in front
	// of what is live: Redis takes 0.2 ms for a page of a hundred, and does one thing at a time.
	maxReads = 8

	// kitchenReads is how many of them are of one kitchen at most. Two are enough for one to be read while another is sent, and leave what
	// is live of others no more than half a millisecond of it to wait for.
	kitchenReads = 2

	// replayPart is which part of the processors replays may keep busy at most, one of so many: what is live has the others. With 64
	// that encode at the same time, a live publication waits for all of them, for the scheduler knows of no difference.
	replayPart = 2

	// writeTurn is how long somebody encodes and sends before he rests for writeRest. To let go first those who have something live to do
	// is not enough while replays keep a processor busy for seconds: to the kernel it is one process that has had its share, and whose
	// threads wait for milliseconds behind those of others, with what is live on them. A millisecond is the shortest time that Go sleeps
	// on an idle processor.
	writeTurn, writeRest = time.Millisecond, time.Millisecond

	// maxJoined is how many may join a read: they are served one after the other.
	maxJoined = 64
)

// newPages reads from b. A kitchen has turns by its weight; nil: all have the same.
func newPages(b realtime.Broker, weight func(t tenant.ID) int) *pages {
	writers := max(1, runtime.GOMAXPROCS(0)/replayPart)
	p := &pages{
		broker: b, reads: newTurns(maxReads, kitchenReads, weight), writers: newTurns(writers, writers, weight),
		idle: make(chan *pageWriter, writers), waiting: map[pageAsk]*pageRead{},
	}
	for range writers {
		p.idle <- new(pageWriter)
	}
	return p
}

// close closes what reads have opened. None may run, and none may follow.
func (p *pages) close() {
	for range cap(p.idle) {
		(<-p.idle).way.Close()
	}
}

// Replaying reports whether clients are being sent what they missed right now.
func (g *Gateway) Replaying() bool { return g.pages.reads.taken() }

// read calls take with the page when it is the turn of home, and returns when it has returned. Other goroutines may call it, and the page
// is shared: take must not wait, nor change it. When ctx ends, which is that of all who read, it is called with errSessionEnds.
func (p *pages) read(ctx context.Context, home tenant.ID, ask pageAsk, take func(*sharedPage, error)) {
	own, done := p.join(ask, take)
	if own == nil {
		<-done
		return
	}
	var joined []func(*sharedPage, error)
	page, err := new(sharedPage), errSessionEnds
	if p.reads.take(ctx, home) {
		defer p.end(home)
		joined = p.begin(ask, own)
		page.Page, err = p.fetch(ctx, ask)
	} else {
		joined = p.begin(ask, own)
	}
	all := append([]func(*sharedPage, error){take}, joined...)
	switch {
	case err != nil:
	case p.writers.take(ctx, home):
		defer p.writers.give(home)
		p.write(page, all)
		return
	default:
		page, err = new(sharedPage), errSessionEnds
	}
	for _, take := range all {
		take(page, err)
	}
}

// fetch returns the page, or what there is of it in those that were read last. A turn of the reads is held.
func (p *pages) fetch(ctx context.Context, ask pageAsk) (realtime.Page, error) {
	now := time.Now()
	if !ask.turned {
		if page, ok := p.recent.find(ask, now); ok {
			return page, nil
		}
	}
	page, err := p.broker.History(ctx, ask.channel, ask.since, ask.limit)
	if err != nil {
		return page, fmt.Errorf("history: %w", err)
	}
	p.recent.add(ask.channel, page, now)
	return page, nil
}

// end gives up a turn of the reads.
func (p *pages) end(home tenant.ID) {
	p.reads.give(home)
	if !p.reads.taken() { // nobody goes on
		p.recent.clear()
	}
}

// write lets all take the page. Each encodes and sends up to 16 KiB and more, and there are 65 of them: what is live goes first meanwhile.
// A turn of the writers is held.
func (p *pages) write(page *sharedPage, all []func(*sharedPage, error)) {
	w := <-p.idle // there is one for each turn
	defer func() { p.idle <- w }()
	// It does not begin anew: one client after the other, or one that reads page after page, is as much work as many that share one.
	for _, take := range all {
		began := time.Now()
		take(page, nil)
		w.spent += time.Since(began)
		if w.spent >= writeTurn {
			w.spent = 0
			time.Sleep(writeRest)
		}
		w.way.Sometimes()
	}
}

// pageWriter is what somebody has who encodes and sends.
type pageWriter struct {
	way   giveway.Way
	spent time.Duration // since it rested
}

// join lets take be called with a read that waits, which closes done; if there is none, it returns a new one, which the caller has to do.
func (p *pages) join(ask pageAsk, take func(*sharedPage, error)) (own *pageRead, done chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.waiting[ask]
	if r == nil || len(r.joined) >= maxJoined {
		r = &pageRead{}
		p.waiting[ask] = r
		return r, nil
	}
	done = make(chan struct{})
	r.joined = append(r.joined, func(page *sharedPage, err error) {
		defer close(done)
		take(page, err)
	})
	return nil, done
}

// begin lets nobody join r any more, and returns who has.
func (p *pages) begin(ask pageAsk, r *pageRead) []func(*sharedPage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[ask] == r {
		delete(p.waiting, ask)
	}
	return r.joined
}
