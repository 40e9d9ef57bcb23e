package redis

import (
	"context"
	"sync"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// acknowledged knows what this node told publishers to be stored, and looks whether it still is when another lineage of data answers (see
// trackedConn). Followers look after what they have delivered; but the last acknowledgements before a failover may be of
// publications that reached no follower, and a newer publication at the same position would hide them for ever.
type acknowledged struct {
	broker *Broker
	wake   chan struct{}

	mu       sync.Mutex
	sent     string // the lineage that the last batch went to
	heard    string // that of the subscribing connection
	changing bool   // it is not known of which lineage the acknowledgements of this batch are
	newest   map[realtime.Channel]mark
	doubted  []doubted
}

// mark is the newest acknowledged publication of a channel.
type mark struct {
	position realtime.Position
	token    token
}

type doubted struct {
	channel realtime.Channel
	mark    mark
}

func newAcknowledged(b *Broker) *acknowledged {
	return &acknowledged{broker: b, wake: make(chan struct{}, 1), newest: map[realtime.Channel]mark{}}
}

// batch begins the acknowledgements of a batch that went to this lineage, as far as is known now.
func (a *acknowledged) batch(lineage string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changing = lineage != a.sent
	a.sent = lineage
	if a.changing {
		a.doubt()
	}
}

// connected has all looked after if the subscribing connection is to other data than before: it may be long until something is published.
func (a *acknowledged) connected(lineage string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if lineage == "" || lineage != a.heard {
		a.heard = lineage
		a.doubt()
	}
}

// doubt has all looked after. The lock is held.
func (a *acknowledged) doubt() {
	for ch, m := range a.newest {
		a.doubted = append(a.doubted, doubted{ch, m})
	}
	a.tell()
}

// note takes one acknowledgement.
func (a *acknowledged) note(ch realtime.Channel, position realtime.Position, t token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.newest[ch]; !ok && len(a.newest) >= maxKnown {
		for some := range a.newest {
			delete(a.newest, some)
			break
		}
	}
	a.newest[ch] = mark{position, t}
	if a.changing {
		a.doubted = append(a.doubted, doubted{ch, a.newest[ch]})
	}
}

func (a *acknowledged) tell() {
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
}

// take returns some of what is doubted, by tenant.
func (a *acknowledged) take() []doubted {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.doubted), 8*maxJobs)
	some := a.doubted[:n:n]
	if a.doubted = a.doubted[n:]; len(a.doubted) == 0 {
		a.doubted = nil
	}
	return some
}

// run looks after what is doubted until ctx ends.
func (a *acknowledged) run(ctx context.Context) {
	for fails := 0; ; {
		some := a.take()
		if len(some) == 0 {
			select {
			case <-a.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := a.check(ctx, some)
		if err == nil {
			fails = 0
			continue
		}
		a.mu.Lock()
		a.doubted = append(some, a.doubted...)
		a.mu.Unlock()
		if !a.broker.opts.Primary.pause(ctx, backoff(fails)) {
			return
		}
		fails++
	}
}

// check ends the epochs of those channels in which something acknowledged is missing, or replaced. That it is done twice does no harm.
func (a *acknowledged) check(ctx context.Context, some []doubted) error {
	b := a.broker
	commands := make([]rueidis.LuaExec, len(some))
	for i, d := range some {
		commands[i] = b.headsOf(b.keys.head(d.channel.Tenant), []string{b.keys.stream(d.channel)}, []uint64{d.mark.position.Offset})
	}
	limited, cancel := b.within(ctx)
	defer cancel()
	for i, r := range headsScript.ExecMulti(limited, b.ask, commands...) {
		d := some[i]
		h, err := readHeads(r, []string{d.channel.Name})
		if err != nil {
			return err
		}
		head, there := h.At(d.channel.Name), h.entries[d.channel.Name]
		lost := d.mark.position
		switch {
		case head.Epoch != lost.Epoch: // it was told already
			continue
		case head.Offset < lost.Offset:
		case there.held && there.token != d.mark.token:
			lost = epochOf(lost)
		default: // as it was; or without a history, which tells nothing
			continue
		}
		b.opts.Log.Warn("acknowledged publication lost", "tenant", d.channel.Tenant, "channel", d.channel.Name,
			"epoch", d.mark.position.Epoch, "offset", d.mark.position.Offset) // readers are told a gap
		if _, err := b.turn(ctx, d.channel, realtime.GapAhead, lost); err != nil {
			return err
		}
	}
	return nil
}
