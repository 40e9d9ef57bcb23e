package intake

import (
	"errors"
	"fmt"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// errRESPChannel is one answer for all that is no channel for this key: unknown, outside of the grammar, or another kitchen's.
const errRESPChannel = "ERR bad channel: no such channel for this key; channel patterns are set in the configuration"

// maxRESPNames bounds the memory of parsed names of a connection: 2,000 kitchens with two channels, at some 200 bytes each.
const maxRESPNames = 4096

// respWithin is how long a client waits for its answer at most, while the engine is out. The app's own client gives a command 5 s.
const respWithin = 2 * time.Second

// publish is PUBLISH and SPUBLISH. The next command is read meanwhile; its answer waits for this one.
func (c *respConn) publish(args [][]byte) {
	ch, refusal := c.mayPublish(args[0], args[1])
	if refusal != "" {
		c.door.counts.refused.Add(1)
		c.fail(refusal)
		return
	}
	if wait, why := c.door.opts.Rates.Allow(c.who.Subject, ch.Tenant); wait > 0 {
		c.door.counts.limited.Add(1)
		c.fail("ERR rate: " + why)
		return
	}
	c.awaitWrites()
	c.bursts = c.door.burst != nil
	r := &respReply{to: ch, cost: len(args[1]), ask: true}
	c.add(r)
	c.door.opts.Publisher.PublishAsync(ch, args[1], realtime.PublishOptions{Arrived: time.Now(), Within: respWithin, More: c.bursts},
		func(_ realtime.Published, err error) {
			if err == nil {
				c.door.counts.stamped.Add(1)
				c.settleCount(r)
				return
			}
			text := c.door.whyNot(ch, err)
			c.settle(r, func() {
				w := respWords{}
				w.fail(text)
				r.text = w.b
			})
		})
}

// deliver has the engine deliver what this connection has published. It is called before the reading goroutine waits.
func (c *respConn) deliver() {
	if c.bursts {
		c.bursts = false
		c.door.burst.Flush()
	}
}

// mayPublish returns the channel, or why this publication is refused for good.
func (c *respConn) mayPublish(name, data []byte) (realtime.Channel, string) {
	ch, err := c.known.channel(c.door.opts.Names, name, maxRESPNames)
	switch {
	case err != nil, !c.who.MaySee(ch.Tenant),
		ch.Tenant == tenant.Global && c.who.Tenant != tenant.Global: // such a key may hear the global channels, not speak in them
		return ch, errRESPChannel
	case len(data) > c.door.opts.MaxBytes:
		return ch, fmt.Sprintf("ERR too large: the data has %d bytes, at most %d are taken", len(data), c.door.opts.MaxBytes)
	case !validJSON(data):
		return ch, "ERR invalid JSON: the data must be one JSON text in UTF-8"
	}
	return ch, ""
}

// whyNot is the answer to a publication that was not stored.
func (d *RESP) whyNot(ch realtime.Channel, err error) string {
	switch {
	case errors.Is(err, realtime.ErrOverloaded):
		d.counts.failed.Add(1)
		return "ERR not ready: too much at once; it was not stored, send it again"
	case errors.Is(err, realtime.ErrNotStored):
		d.counts.failed.Add(1)
		return "ERR not ready: the engine cannot be reached; it was not stored, send it again"
	case errors.Is(err, realtime.ErrUnavailable):
		d.counts.failed.Add(1)
		return "ERR not ready: the engine cannot be reached; it may or may not have been stored"
	case errors.Is(err, realtime.ErrInvalid):
		d.counts.refused.Add(1)
		if wrong, ok := errors.AsType[*realtime.Mismatch](err); ok {
			return "ERR schema: " + wrong.Error()
		}
		return "ERR invalid: " + err.Error()
	}
	d.counts.failed.Add(1)
	d.opts.Log.Error("publication broken by a mistake of ours", "tenant", ch.Tenant, "channel", ch.Name, "err", err)
	return "ERR internal: something went wrong here; it was logged"
}
