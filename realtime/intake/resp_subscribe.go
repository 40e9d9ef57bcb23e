package intake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kentongan/realtime"
	"kentongan/tenant"
)

// subscriptions is what Redis counts in a confirmation.
func (c *respConn) subscriptions() int { return len(c.channels) + len(c.patterns) }

// confirm puts the confirmation of a subscription, or of its end, into the queue.
func (c *respConn) confirm(word, name string) {
	n := int64(c.subscriptions())
	c.answer(func(w *respWords) {
		w.push(3)
		w.bulk(word)
		w.bulk(name)
		w.number(n)
	})
}

// subscribe is SUBSCRIBE. All names are checked before any is followed: one that the key may not see refuses them all.
func (c *respConn) subscribe(args [][]byte) {
	wanted, order, refusal := c.wanted(args)
	if refusal != "" {
		c.fail(refusal)
		return
	}
	made := map[string]Listening{}
	ctx, cancel := context.WithTimeout(c.ctx, respListen)
	defer cancel()
	for name, ch := range wanted {
		l, err := c.door.opts.Listeners.Listen(ctx, ch, c.who.Tenant, func(_ string, p *realtime.Publication) {
			w := respWords{three: c.speaksThree()}
			w.push(3)
			w.bulk("message")
			w.bulk(name)
			w.head('$', int64(len(p.Data)))
			c.message(w.b, p.Data)
		})
		if err != nil {
			for _, l := range made {
				l.Stop()
			}
			c.failToListen(err)
			return
		}
		made[name] = l
	}
	for _, name := range order {
		l := made[name]
		if c.channels[name] != nil || l == nil {
			c.confirm("subscribe", name)
			continue
		}
		c.channels[name] = l
		l.Start(func() { c.confirm("subscribe", name) })
	}
}

// speaksThree is whether RESP3 is spoken, for those who are not the reading goroutine.
func (c *respConn) speaksThree() bool {
	c.heard.Lock()
	defer c.heard.Unlock()
	return c.three
}

// wanted returns the channels that are not followed yet, and all names in their order; or why they are refused.
func (c *respConn) wanted(args [][]byte) (wanted map[string]realtime.Channel, order []string, refusal string) {
	wanted = map[string]realtime.Channel{}
	for _, arg := range args {
		name := string(arg)
		ch, _, err := c.door.opts.Names.Parse(name)
		if err != nil || !c.who.MaySee(ch.Tenant) {
			return nil, nil, errRESPChannel
		}
		if order = append(order, name); c.channels[name] == nil {
			wanted[name] = ch
		}
	}
	if c.subscriptions()+len(wanted) > c.door.opts.MaxChannels {
		return nil, nil, fmt.Sprintf("ERR too many subscriptions: a connection may have %d", c.door.opts.MaxChannels)
	}
	return wanted, order, ""
}

func (c *respConn) failToListen(err error) {
	if errors.Is(err, realtime.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || c.ctx.Err() != nil {
		c.fail("ERR not ready: the engine cannot be reached; subscribe again later")
		return
	}
	c.door.opts.Log.Error("subscription broken by a mistake of ours", "client", c.id, "err", err)
	c.fail("ERR internal: something went wrong here; it was logged")
}

// unsubscribe is UNSUBSCRIBE, without names from all.
func (c *respConn) unsubscribe(args [][]byte) {
	names := respNames(args)
	if len(args) == 0 {
		names = slices.Sorted(maps.Keys(c.channels))
	}
	if len(names) == 0 {
		c.confirmNothing("unsubscribe")
	}
	for _, name := range names {
		if l := c.channels[name]; l != nil {
			l.Stop()
			delete(c.channels, name)
		}
		c.confirm("unsubscribe", name)
	}
}

func (c *respConn) confirmNothing(word string) {
	n := int64(c.subscriptions())
	c.answer(func(w *respWords) {
		w.push(3)
		w.bulk(word)
		w.null()
		w.number(n)
	})
}

func respNames(args [][]byte) []string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = string(a)
	}
	return names
}

// psubscribe is PSUBSCRIBE: patterns of the names that the key may see, which are those of one kitchen and the global ones.
func (c *respConn) psubscribe(args [][]byte) {
	if c.who.Tenant == tenant.Global {
		c.fail("ERR PSUBSCRIBE needs a key of one kitchen, this one reaches all: SUBSCRIBE to names, or use a key name@kitchen")
		return
	}
	added := 0
	for _, arg := range args {
		if len(arg) > realtime.MaxNameBytes {
			c.fail(fmt.Sprintf("ERR bad pattern: it has %d bytes, at most %d are taken", len(arg), realtime.MaxNameBytes))
			return
		}
		if !slices.Contains(c.patterns, string(arg)) {
			added++
		}
	}
	if len(c.patterns)+added > respMaxPatterns || c.subscriptions()+added > c.door.opts.MaxChannels {
		c.fail(fmt.Sprintf("ERR too many patterns: a connection may have %d", respMaxPatterns))
		return
	}
	begin := func(follow func()) { follow() }
	if c.whole == nil {
		ctx, cancel := context.WithTimeout(c.ctx, respListen)
		defer cancel()
		l, err := c.door.opts.Listeners.Listen(ctx, realtime.Channel{Tenant: c.who.Tenant}, c.who.Tenant, c.hear)
		if err != nil {
			c.failToListen(err)
			return
		}
		c.whole, begin = l, l.Start
	}
	begin(func() {
		c.heard.Lock()
		defer c.heard.Unlock()
		for _, pattern := range respNames(args) {
			if !slices.Contains(c.patterns, pattern) {
				c.patterns = append(c.patterns, pattern)
			}
			c.confirm("psubscribe", pattern)
		}
		clear(c.matches)
	})
}

// respMatches bounds the names whose matching patterns are remembered.
const respMatches = 1000

// hear takes a publication of the whole kitchen.
func (c *respConn) hear(wire string, p *realtime.Publication) {
	c.heard.Lock()
	defer c.heard.Unlock()
	matching, known := c.matches[wire]
	if !known {
		for _, pattern := range c.patterns {
			if globMatch(pattern, wire) {
				matching = append(matching, pattern)
			}
		}
		if len(c.matches) >= respMatches {
			clear(c.matches)
		}
		c.matches[wire] = matching
	}
	for _, pattern := range matching {
		w := respWords{three: c.three}
		w.push(4)
		w.bulk("pmessage")
		w.bulk(pattern)
		w.bulk(wire)
		w.head('$', int64(len(p.Data)))
		c.message(w.b, p.Data)
	}
}

// punsubscribe is PUNSUBSCRIBE, without patterns from all.
func (c *respConn) punsubscribe(args [][]byte) {
	patterns := respNames(args)
	if len(args) == 0 {
		patterns = slices.Clone(c.patterns)
	}
	if len(patterns) == 0 {
		c.confirmNothing("punsubscribe")
	}
	c.heard.Lock()
	for _, pattern := range patterns {
		c.patterns = slices.DeleteFunc(c.patterns, func(p string) bool { return p == pattern })
		c.confirm("punsubscribe", pattern)
	}
	clear(c.matches)
	c.heard.Unlock()
	if len(c.patterns) == 0 && c.whole != nil {
		c.whole.Stop()
		c.whole = nil
	}
}

// unlisten ends all subscriptions without a word.
func (c *respConn) unlisten() {
	for _, l := range c.channels {
		l.Stop()
	}
	clear(c.channels)
	if c.whole != nil {
		c.whole.Stop()
		c.whole = nil
	}
	c.heard.Lock()
	c.patterns = nil
	clear(c.matches)
	c.heard.Unlock()
}
