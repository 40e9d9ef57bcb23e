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

	"kentongan/internal/nap"
)

// sentinels are a finder. They give each failover a higher epoch.
type sentinels struct{ opts *Options }

func (s *sentinels) name() string { return s.opts.SentinelName }

// find implements finder. A majority of answers is enough: a failover needs one too.
func (s *sentinels) find(ctx context.Context, known place) (place, error) {
	return choose(askAll(ctx, s.opts.Sentinels, s.askOne), len(s.opts.Sentinels), known)
}

// hear implements finder.
func (s *sentinels) hear(ctx context.Context, _ func() bool, tell func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, address := range s.opts.Sentinels {
		wg.Go(func() { s.hearOne(ctx, address, tell) })
	}
}

// askOne asks one of them.
func (s *sentinels) askOne(ctx context.Context, address string) (place, error) {
	fail := func(err error) (place, error) { return place{}, fmt.Errorf("sentinel %s: %w", address, err) }
	conn, a, err := s.dial(ctx, address)
	if err != nil {
		return fail(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it has answered, or never will
	replies, err := a.ask([]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.opts.SentinelName},
		[]string{"SENTINEL", "MASTER", s.opts.SentinelName})
	if err != nil {
		return fail(err)
	}
	found, err := readPlace(replies[0], replies[1], s.opts.SentinelName)
	if err != nil {
		return fail(err)
	}
	return found, nil
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

func (s *sentinels) dial(ctx context.Context, address string) (net.Conn, *asker, error) {
	return dialAsker(ctx, address, s.opts.SentinelTLS, s.opts.SentinelUsername, s.opts.SentinelPassword)
}

// hearOne listens to one sentinel, and tells of each switch and each reconnect, after which nobody knows what it said meanwhile.
func (s *sentinels) hearOne(ctx context.Context, address string, tell func()) {
	quiet := false // it was said that this one does not answer
	for fails := 0; ; {
		began := time.Now()
		err := s.hearOnce(ctx, address, tell)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > 5*time.Second {
			fails, quiet = 0, false
		}
		if !quiet {
			s.opts.Log.Warn("sentinel not heard", "sentinel", address, "err", err) // the others are; it reconnects
			quiet = true
		}
		if !nap.For(ctx, backoff(fails)) {
			return
		}
		fails++
	}
}

func (s *sentinels) hearOnce(ctx context.Context, address string, tell func()) error {
	conn, a, err := s.dial(ctx, address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it is given up
	if err := a.finish(); err != nil {
		return err
	}
	l := newLink(conn, s.opts.SilenceLimit, maxShort)
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
		case e.kind == eventMessage && strings.HasPrefix(string(e.payload), s.opts.SentinelName+" "):
			tell()
		}
	}
}
