package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kentongan/tenant"
)

// structure is what hashes, lists and sets have in common: a name, and how long they live after the last write. They are read where
// they are and not kept in memory, so they need no invalidation; InvalidateTenant removes them too.
type structure struct {
	c   *Cache
	key string
	ttl time.Duration
}

func (c *Cache) structure(t tenant.ID, key string, ttl time.Duration) (structure, error) {
	n, err := c.check(t, key, &Policy{TTL: ttl})
	if err != nil {
		return structure{}, err
	}
	if ttl == 0 {
		return structure{}, invalid("TTL is 0; write how long the structure lives after its last write")
	}
	if c.structures == nil {
		return structure{}, invalid("this shared tier has no structures")
	}
	return structure{c, n.redis(), ttl}, nil
}

// ask calls Redis as all of the cache does: with its timeouts, retries and breaker.
func (s structure) ask(ctx context.Context, doing string, f func(context.Context) error) error {
	return s.c.ask(ctx, doing, f)
}

// A Hash is values of one type in the fields of one name.
type Hash[V any] struct{ structure }

// HashOf returns the hash of a tenant under key, which lives for ttl after its last write.
func HashOf[V any](c *Cache, t tenant.ID, key string, ttl time.Duration) (Hash[V], error) {
	s, err := c.structure(t, key, ttl)
	return Hash[V]{s}, err
}

// Set writes fields.
func (h Hash[V]) Set(ctx context.Context, fields map[string]V) error {
	if len(fields) == 0 {
		return nil
	}
	texts := make(map[string]string, len(fields))
	for f, v := range fields {
		data, err := marshal(v, h.c.opts.MaxValueBytes)
		if err != nil {
			return err
		}
		texts[f] = string(data)
	}
	return h.ask(ctx, "write hash", func(ctx context.Context) error { return h.c.structures.HashSet(ctx, h.key, h.ttl, texts) })
}

// Get returns one field, or ErrNotFound.
func (h Hash[V]) Get(ctx context.Context, field string) (V, error) {
	var text string
	var ok bool
	err := h.ask(ctx, "read hash", func(ctx context.Context) (err error) {
		text, ok, err = h.c.structures.HashGet(ctx, h.key, field)
		return err
	})
	var v V
	if err != nil {
		return v, err
	}
	if !ok {
		return v, ErrNotFound
	}
	return read[V](text)
}

// All returns all fields that are values of the type; others are left out and counted.
func (h Hash[V]) All(ctx context.Context) (map[string]V, error) {
	var texts map[string]string
	err := h.ask(ctx, "read hash", func(ctx context.Context) (err error) {
		texts, err = h.c.structures.HashAll(ctx, h.key)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]V, len(texts))
	for f, text := range texts {
		if v, err := read[V](text); err == nil {
			out[f] = v
		} else {
			h.c.counts.malformed.Add(1)
		}
	}
	return out, nil
}

// Delete removes fields.
func (h Hash[V]) Delete(ctx context.Context, fields ...string) error {
	if len(fields) == 0 {
		return nil
	}
	return h.ask(ctx, "delete from hash", func(ctx context.Context) error { return h.c.structures.HashDelete(ctx, h.key, fields) })
}

// A List is values of one type, the newest first.
type List[V any] struct {
	structure
	limit int
}

// ListOf returns the list of a tenant under key. It keeps the newest limit values, and lives for ttl after its last write.
func ListOf[V any](c *Cache, t tenant.ID, key string, limit int, ttl time.Duration) (List[V], error) {
	if limit < 1 {
		return List[V]{}, invalid("a list of %d values; write how many it keeps", limit)
	}
	s, err := c.structure(t, key, ttl)
	return List[V]{s, limit}, err
}

// Push adds values, of which the last is the newest.
func (l List[V]) Push(ctx context.Context, values ...V) error {
	if len(values) == 0 {
		return nil
	}
	texts, err := texts(values, l.c.opts.MaxValueBytes)
	if err != nil {
		return err
	}
	return l.ask(ctx, "write list", func(ctx context.Context) error { return l.c.structures.ListPush(ctx, l.key, l.ttl, l.limit, texts) })
}

// Newest returns up to n values, the newest first. What is no value of the type is left out and counted.
func (l List[V]) Newest(ctx context.Context, n int) ([]V, error) {
	if n < 1 {
		return nil, nil
	}
	var texts []string
	err := l.ask(ctx, "read list", func(ctx context.Context) (err error) {
		texts, err = l.c.structures.ListRange(ctx, l.key, 0, n-1)
		return err
	})
	if err != nil {
		return nil, err
	}
	return values[V](l.c, texts), nil
}

// A ValueSet is values of one type, each once.
type ValueSet[V comparable] struct{ structure }

// SetOf returns the set of a tenant under key, which lives for ttl after its last write.
func SetOf[V comparable](c *Cache, t tenant.ID, key string, ttl time.Duration) (ValueSet[V], error) {
	s, err := c.structure(t, key, ttl)
	return ValueSet[V]{s}, err
}

// Add adds values.
func (s ValueSet[V]) Add(ctx context.Context, values ...V) error {
	return s.change(ctx, "write set", values, func(ctx context.Context, texts []string) error {
		return s.c.structures.SetAdd(ctx, s.key, s.ttl, texts)
	})
}

// Remove removes values.
func (s ValueSet[V]) Remove(ctx context.Context, values ...V) error {
	return s.change(ctx, "remove from set", values, func(ctx context.Context, texts []string) error {
		return s.c.structures.SetRemove(ctx, s.key, texts)
	})
}

func (s ValueSet[V]) change(ctx context.Context, doing string, values []V, f func(context.Context, []string) error) error {
	if len(values) == 0 {
		return nil
	}
	texts, err := texts(values, s.c.opts.MaxValueBytes)
	if err != nil {
		return err
	}
	return s.ask(ctx, doing, func(ctx context.Context) error { return f(ctx, texts) })
}

// Has reports whether a value is in the set.
func (s ValueSet[V]) Has(ctx context.Context, value V) (bool, error) {
	texts, err := texts([]V{value}, s.c.opts.MaxValueBytes)
	if err != nil {
		return false, err
	}
	var has bool
	err = s.ask(ctx, "read set", func(ctx context.Context) (err error) {
		has, err = s.c.structures.SetHas(ctx, s.key, texts[0])
		return err
	})
	return has, err
}

// All returns all values, in no order.
func (s ValueSet[V]) All(ctx context.Context) ([]V, error) {
	var texts []string
	err := s.ask(ctx, "read set", func(ctx context.Context) (err error) {
		texts, err = s.c.structures.SetAll(ctx, s.key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return values[V](s.c, texts), nil
}

func texts[V any](values []V, limit int) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		data, err := marshal(v, limit)
		if err != nil {
			return nil, err
		}
		out[i] = string(data)
	}
	return out, nil
}

func values[V any](c *Cache, texts []string) []V {
	out := make([]V, 0, len(texts))
	for _, text := range texts {
		if v, err := read[V](text); err == nil {
			out = append(out, v)
		} else {
			c.counts.malformed.Add(1)
		}
	}
	return out
}

func read[V any](text string) (V, error) {
	var v V
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, fmt.Errorf("%w: the value is no %T", ErrNotFound, v)
	}
	return v, nil
}
