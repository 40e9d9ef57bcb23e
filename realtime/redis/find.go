package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// place is where the primary is said to be. The epoch is that of a configuration, which rises with each change of it: of two who disagree
// the one with the higher epoch has heard of something that the other has not.
type place struct {
	address string
	epoch   uint64
}

// finder knows where the primary is, by asking others than the primary itself. Sentinels are one, and so are the nodes of a Cluster.
type finder interface {
	// find asks where the primary is; known is what was found before, and has no address before the first time.
	find(ctx context.Context, known place) (place, error)

	// hear calls tell whenever the primary may have moved, until ctx ends. out reports whether somebody waits for it to come back.
	hear(ctx context.Context, out func() bool, tell func())

	// name is what the primary is called there, for people.
	name() string
}

// finderOf returns the finder of these options; nil: the primary is at one address, for ever.
func finderOf(o *Options) finder {
	switch {
	case len(o.Cluster) > 0:
		return &cluster{opts: o}
	case len(o.Sentinels) > 0:
		return &sentinels{opts: o}
	}
	return nil
}

// finderAnswer is what one of those that are asked says.
type finderAnswer struct {
	place
	err error
}

const (
	// finderTimeout bounds a question to one of them. They are on the same network, and answer at once or not at all.
	finderTimeout = time.Second

	// finderRest is how long the others are waited for once a majority has answered: one of them may have news.
	finderRest = 50 * time.Millisecond

	// lookReuse is for how long an answer serves: the connections of one node reconnect together.
	lookReuse = 50 * time.Millisecond
)

// askAll asks all addresses at once, until a majority has answered.
func askAll(ctx context.Context, addresses []string, ask func(context.Context, string) (place, error)) []finderAnswer {
	ctx, cancel := context.WithTimeout(ctx, finderTimeout)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	all := make(chan finderAnswer, len(addresses))
	for _, address := range addresses {
		wg.Go(func() {
			found, err := ask(ctx, address)
			all <- finderAnswer{found, err}
		})
	}
	var answers []finderAnswer
	var enough <-chan time.Time
	good := 0
	for range addresses {
		select {
		case a := <-all:
			answers = append(answers, a)
			if a.err == nil {
				good++
			}
		case <-enough:
			return answers
		}
		if enough == nil && good > len(addresses)/2 {
			enough = time.After(finderRest)
		}
	}
	return answers
}

// choose makes one place of the answers, of which there may be fewer than were asked. A minority does not take anybody back: one that
// was cut off together with the old primary still names that.
func choose(answers []finderAnswer, asked int, known place) (place, error) {
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
		return place{}, fmt.Errorf("nobody says where the primary is: %w", errors.Join(errs...))
	case best.epoch < known.epoch && good <= asked/2:
		return known, nil
	}
	return best, nil
}

// dialAsker connects to one that is asked, and signs in. The caller closes the connection; the end of ctx does not.
func dialAsker(
	ctx context.Context, address string, config *tls.Config, username, password string,
) (conn net.Conn, a *asker, err error) {
	ctx, cancel := context.WithTimeout(ctx, finderTimeout)
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
	if config != nil {
		if conn, err = handshake(ctx, raw, config, address); err != nil {
			return nil, nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	a = newAsker(conn, finderTimeout)
	err = a.signIn(username, password)
	return conn, a, err
}
