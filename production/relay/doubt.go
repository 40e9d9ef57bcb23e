package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/production"
	"kentongan/realtime"
	"kentongan/tenant"
)

// doubtAge is from which age on an event may have been published by somebody whose key the engine has forgotten since: the window
// without a minute for clocks that differ.
const doubtAge = realtime.IdempotencyWindow - time.Minute

// doubts finds events that were published before, by somebody who died before the mark, in the histories of their channels. Two
// events never have the same payload: it holds what the event is about, the version, and the instant.
type doubts struct {
	relay  *Relay
	tenant tenant.ID
	held   map[realtime.Channel][]realtime.Publication // histories that were read
}

const doubtPage = 200

// find returns where e stands, if it is old enough to be in doubt and the history of its channel has it.
func (d *doubts) find(ctx context.Context, e *production.Event, ch realtime.Channel) (at realtime.Position, known bool, err error) {
	if d.relay.opts.Now().Sub(e.At.Time()) < doubtAge {
		return realtime.Position{}, false, nil
	}
	held, read := d.held[ch]
	if !read {
		if held, err = d.read(ctx, ch); err != nil {
			return realtime.Position{}, false, err
		}
		if d.held == nil {
			d.held = map[realtime.Channel][]realtime.Publication{}
		}
		d.held[ch] = held
	}
	for i := range held {
		if bytes.Equal(held[i].Data, e.Payload) {
			return held[i].Position, true, nil
		}
	}
	return realtime.Position{}, false, nil
}

// read returns all that the history of ch holds. It is read once a claim: what this relay publishes meanwhile is not in doubt.
func (d *doubts) read(ctx context.Context, ch realtime.Channel) (all []realtime.Publication, err error) {
	var since realtime.Position
	for {
		page, err := d.relay.broker.History(ctx, ch, since, doubtPage)
		switch {
		case errors.Is(err, realtime.ErrNoChannel):
			return nil, nil // publishing will say so
		case err != nil:
			return nil, fmt.Errorf("look for what was published before: %w", err)
		case page.Gap != "":
			return all, nil // it begins anew while it is read: what it had is lost
		}
		all = append(all, page.Publications...)
		if !page.More || len(page.Publications) == 0 {
			return all, nil
		}
		since = page.Publications[len(page.Publications)-1].Position
	}
}
