package cache

import (
	"context"
	"fmt"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// floorTime is for how long versions older than a forgotten one are refused: longer than a load may take and a replica may
// lag.
const floorTime = 90 * time.Second

// Invalidate removes an entry. When it returns without error this node does not serve it any more, others not longer than
// Options.Bound, and a load that began before it is not kept anywhere.
func (c *Cache) Invalidate(ctx context.Context, t tenant.ID, key string, p *Policy) error {
	p = p.orZero()
	n, err := c.check(t, key, p)
	if err != nil {
		return err
	}
	defer c.markDropped(n)
	if c.tier == nil {
		c.keepFloor(n, 0)
		return nil
	}
	err = c.ask(ctx, "invalidate key", func(ctx context.Context) error {
		return c.tier.Drop(ctx, shared.Drop{Key: n.redis(), Again: c.again(n), Note: noteOf(t, "key", key)})
	})
	return err
}

// markDropped makes this node forget a key after Redis has.
func (c *Cache) markDropped(n name) {
	k := c.kitchen(n.tenant)
	k.mu.Lock()
	k.bumped = c.now()
	k.mu.Unlock()
	if c.tier != nil {
		c.forgetHere(n)
	}
}

// again is after how long an invalidated key is looked at once more.
func (c *Cache) again(n name) time.Duration {
	if n.own {
		return 0 // the app does not write there
	}
	return c.opts.Quarantine
}

// Forget removes an entry that is older than version, and refuses to keep what is older for a while: what a slower reader, or a
// replica that lags, brings late. It is for those who know that a version was committed, and may be repeated.
func (c *Cache) Forget(ctx context.Context, t tenant.ID, key string, version int64, p *Policy) error {
	p = p.orZero()
	n, err := c.check(t, key, p)
	if err != nil {
		return err
	}
	if version < 1 {
		return invalid("version %d; versions count from 1", version)
	}
	defer c.markDropped(n)
	if c.tier == nil {
		c.keepFloor(n, version)
		return nil
	}
	return c.ask(ctx, "forget a version", func(ctx context.Context) error {
		return c.tier.Forget(ctx, shared.Forget{
			Key: n.redis(), Version: version, TTL: floorTime, Again: c.again(n), Note: noteOf(t, "version", key),
		})
	})
}

// keepFloor removes an entry without Redis, and remembers from which version on a new one is taken.
func (c *Cache) keepFloor(n name, version int64) {
	k := c.kitchen(n.tenant)
	c.stripe(n.key).Add(1)
	floor := version
	if old := c.memory.peek(n); old != nil {
		if version > 0 && old.version >= version && c.now() < old.expires && old.value != nil {
			return // it is as new as that
		}
		if old.value == nil && c.now() < old.expires {
			floor = max(floor, old.floor)
		}
	}
	if floor == 0 {
		c.forgetHere(n)
		return
	}
	it := &item{name: n, home: k, floor: floor, expires: c.now() + int64(floorTime), weight: weigh(n, 0)}
	c.memory.put(it, func(*item) bool { return true })
	c.stripe(n.key).Add(1)
	c.wake(n)
}

// ForgetHere makes this node forget a key, and nothing else: the next read asks Redis. It does not block. It is for those who
// hear that something changed before others ask for it.
func (c *Cache) ForgetHere(t tenant.ID, key string) {
	if c.tier != nil { // without Redis there would be nothing left
		c.forgetHere(name{tenant: t, key: key})
	}
}

// InvalidateTag removes all entries of a tenant with a tag, in one round trip however many they are. It promises what Invalidate does.
func (c *Cache) InvalidateTag(ctx context.Context, t tenant.ID, tag string) error {
	if t != tenant.Global && !tenant.Valid(t) {
		return checkName(name{tenant: t, key: tag})
	}
	if err := checkTag(tag); err != nil {
		return err
	}
	return c.bump(ctx, t, shared.Bump{
		Hash: epochsOf(t), Field: tag, TagSet: tagSet(t, tag), Note: noteOf(t, "tag", tag),
	})
}

// InvalidateTenant removes all entries of a tenant, in one round trip however many they are. It promises what Invalidate does.
func (c *Cache) InvalidateTenant(ctx context.Context, t tenant.ID) error {
	if t != tenant.Global && !tenant.Valid(t) {
		return checkName(name{tenant: t, key: "x"})
	}
	all := name{tenant: t}
	return c.bump(ctx, t, shared.Bump{
		Hash: epochsOf(t), Field: shared.Star, Prefix: all.redis(), Note: noteOf(t, "tenant", ""),
	})
}

func (c *Cache) bump(ctx context.Context, t tenant.ID, b shared.Bump) error {
	if c.closed.Load() {
		return ErrClosed
	}
	if c.tier == nil {
		k := c.kitchen(t)
		k.apply(b.Field, c.number(), c.now())
		c.foldHere(k)
		return nil
	}
	var bumped shared.Bumped
	err := c.ask(ctx, "invalidate "+b.Note.What, func(ctx context.Context) (err error) {
		bumped, err = c.tier.Bump(ctx, b)
		return err
	})
	k := c.kitchen(t) // now: the one of before may have been forgotten meanwhile, and another be in use
	if err != nil {
		c.retire(k) // it may have happened, and this node is to have forgotten it
		return err
	}
	k.apply(b.Field, bumped.Number, c.now())
	if bumped.Folded {
		k.lose()
	}
	return nil
}

// maxFieldsHere bounds the epochs of a tenant without Redis, as those in Redis are.
const maxFieldsHere = 1000

func (c *Cache) foldHere(k *kitchen) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.last.fields) <= maxFieldsHere {
		return
	}
	k.last = &table{fields: shared.Epochs{shared.Star: c.number()}}
	k.table.Store(k.last)
}

// A Scope is what InvalidateAndWait removes: exactly one of Key, Tag and All.
type Scope struct {
	Key string
	Own bool // of Key, as in Policy
	Tag string
	All bool
}

// InvalidateAndWait invalidates and returns when no node serves the old any more: as soon as every node that may answer from memory
// has heard of it, at the latest after Options.Bound, for a node that is silent so long has stopped answering from memory. That
// holds if all nodes have the same Bound.
func (c *Cache) InvalidateAndWait(ctx context.Context, t tenant.ID, s Scope) error {
	var err error
	switch {
	case s.Key != "" && s.Tag == "" && !s.All:
		err = c.Invalidate(ctx, t, s.Key, &Policy{Own: s.Own})
	case s.Tag != "" && s.Key == "" && !s.All:
		err = c.InvalidateTag(ctx, t, s.Tag)
	case s.All && s.Key == "" && s.Tag == "":
		err = c.InvalidateTenant(ctx, t)
	default:
		err = invalid("a Scope with none or several of Key, Tag and All")
	}
	if err != nil || c.tier == nil {
		return err
	}
	if err := c.tier.AwaitNodes(ctx, c.opts.Bound); err != nil {
		return fmt.Errorf("wait for the other nodes: %w", err)
	}
	return nil
}

// noteOf is what the record of invalidations says.
func noteOf(t tenant.ID, what, subject string) shared.Note {
	return shared.Note{Stream: auditOf(t), What: what, Name: subject}
}

// auditOf returns the name in Redis of the record of a tenant's invalidations.
func auditOf(t tenant.ID) string { return "kentongan:cache:audit:" + string(t) }
