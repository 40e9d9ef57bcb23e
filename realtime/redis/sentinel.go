package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// place is where a sentinel says that the primary is. The epoch is that of its configuration: the sentinels give each failover a
// higher one, so of two that disagree the one with the higher epoch has heard of it.
type place struct {
	address string
	epoch   uint64
}

// sentinelAnswer is what one sentinel says.
type sentinelAnswer struct {
	place
	err error
}

const (
	// sentinelTimeout bounds a question to one sentinel. They are on the same network, and answer at once or not at all.
	sentinelTimeout = time.Second

	// sentinelRest is how long the others are waited for once a majority has answered: one of them may have news.
	sentinelRest = 50 * time.Millisecond

	// lookReuse is for how long an answer of the sentinels serves: the connections of one node reconnect together.
	lookReuse = 50 * time.Millisecond
)

// look asks the sentinels where the primary is, unless they answered within reuse, and moves there.
func (p *Primary) look(ctx context.Context, reuse time.Duration) error {
	select {
	case <-p.asking:
		defer func() { p.asking <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if time.Since(p.asked) < reuse {
		return nil
	}
	answers := p.askAll(ctx)
	p.mu.Lock()
	known := p.place
	p.mu.Unlock()
	found, err := choose(answers, len(p.opts.Sentinels), known)
	if err != nil {
		return err
	}
	p.asked = time.Now()
	p.move(found)
	return nil
}

// askAll asks all sentinels at once. A majority of answers is enough: a failover needs one too.
func (p *Primary) askAll(ctx context.Context) []sentinelAnswer {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	all := make(chan sentinelAnswer, len(p.opts.Sentinels))
	for _, address := range p.opts.Sentinels {
		wg.Go(func() { all <- p.askOne(ctx, address) })
	}
	var answers []sentinelAnswer
	var enough <-chan time.Time
	good := 0
	for range p.opts.Sentinels {
		select {
		case a := <-all:
			answers = append(answers, a)
			if a.err == nil {
				good++
			}
		case <-enough:
			return answers
		}
		if enough == nil && good > len(p.opts.Sentinels)/2 {
			enough = time.After(sentinelRest)
		}
	}
	return answers
}

// choose makes one place of the answers, of which there may be fewer than sentinels. A minority does not take anybody back: a sentinel
// that was cut off together with the old primary still names that.
func choose(answers []sentinelAnswer, sentinels int, known place) (place, error) {
	var best place
	var errs []error
	good := 0
	for _, a := range answers {
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		good++
		if best.address == "" || a.epoch > best.epoch {
			best = a.place
		}
	}
	switch {
	case good == 0:
		return place{}, fmt.Errorf("no sentinel says where the primary is: %w", errors.Join(errs...))
	case best.epoch < known.epoch && good <= sentinels/2:
		return known, nil
	}
	return best, nil
}

func (p *Primary) askOne(ctx context.Context, address string) sentinelAnswer {
	fail := func(err error) sentinelAnswer {
		return sentinelAnswer{err: fmt.Errorf("sentinel %s: %w", address, err)}
	}
	conn, a, err := p.dialSentinel(ctx, address)
	if err != nil {
		return fail(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it has answered, or never will
	replies, err := a.ask([]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", p.opts.SentinelName},
		[]string{"SENTINEL", "MASTER", p.opts.SentinelName})
	if err != nil {
		return fail(err)
	}
	found, err := readPlace(replies[0], replies[1], p.opts.SentinelName)
	if err != nil {
		return fail(err)
	}
	return sentinelAnswer{place: found}
}

// readPlace takes the address out of the first answer, for it names the new primary while a failover is being finished, and the
// epoch out of the second.
func readPlace(address, master reply, name string) (place, error) {
	switch {
	case address.refusal != "":
		return place{}, errors.New(address.refusal)
	case address.none || len(address.list) != 2:
		return place{}, fmt.Errorf("it knows no primary called %q", name)
	case master.refusal != "":
		return place{}, errors.New(master.refusal)
	}
	found := place{address: net.JoinHostPort(address.list[0].text, address.list[1].text)}
	for i := 0; i+1 < len(master.list); i += 2 {
		if master.list[i].text == "config-epoch" {
			epoch, err := strconv.ParseUint(master.list[i+1].text, 10, 64)
			if err != nil {
				return place{}, fmt.Errorf("its config-epoch is no number: %.40q", master.list[i+1].text)
			}
			found.epoch = epoch
		}
	}
	return found, nil
}

// dialSentinel connects and signs in. The caller closes the connection; the end of ctx does not.
func (p *Primary) dialSentinel(ctx context.Context, address string) (conn net.Conn, a *asker, err error) {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	defer cancel()
	if conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address); err != nil {
		return nil, nil, err
	}
	raw := conn
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	if p.opts.SentinelTLS != nil {
		if conn, err = handshake(ctx, raw, p.opts.SentinelTLS, address); err != nil {
			return nil, nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	a = newAsker(conn, sentinelTimeout)
	err = a.signIn(p.opts.SentinelUsername, p.opts.SentinelPassword)
	return conn, a, err
}

// follow hears what the sentinels say until ctx ends, and moves when the primary does.
func (p *Primary) follow(ctx context.Context) {
	if len(p.opts.Sentinels) == 0 {
		return
	}
	news := make(chan struct{}, 1)
	tell := func() {
		select {
		case news <- struct{}{}:
		default: // it is looked at anyway
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, address := range p.opts.Sentinels {
		wg.Go(func() { p.hear(ctx, address, tell) })
	}
	for fails := 0; ; {
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
		if p.look(ctx, 0) == nil {
			fails = 0
			continue
		}
		if !pause(ctx, min(backoff(fails), time.Second)) {
			return
		}
		fails++
		tell()
	}
}

// hear listens to one sentinel, and tells of each switch and each reconnect, after which nobody knows what it said meanwhile.
func (p *Primary) hear(ctx context.Context, address string, tell func()) {
	quiet := false // it was said that this one does not answer
	for fails := 0; ; {
		began := time.Now()
		err := p.hearOnce(ctx, address, tell)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > 5*time.Second {
			fails, quiet = 0, false
		}
		if !quiet {
			p.opts.Log.Warn("sentinel not heard", "sentinel", address, "err", err) // the others are; it reconnects
			quiet = true
		}
		if !pause(ctx, backoff(fails)) {
			return
		}
		fails++
	}
}

func (p *Primary) hearOnce(ctx context.Context, address string, tell func()) error {
	conn, a, err := p.dialSentinel(ctx, address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it is given up
	if err := a.finish(); err != nil {
		return err
	}
	l := newLink(conn, p.opts.SilenceLimit, maxShort)
	if err := l.send("SUBSCRIBE", "+switch-master"); err != nil {
		return err
	}
	linkCtx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	for up := false; ; {
		e, err := l.next()
		if err != nil {
			return err
		}
		switch {
		case e.kind == eventSubscribed && !up:
			up = true
			wg.Go(func() { l.keepAlive(linkCtx, nil) })
			tell()
		case e.kind == eventMessage && strings.HasPrefix(string(e.payload), p.opts.SentinelName+" "):
			tell()
		}
	}
}
