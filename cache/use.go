package cache

import (
	"context"

	"kentongan/tenant"
)

// A Use is one kind of entry by name: how its keys begin, and how it is kept. So what writes it and what forgets it cannot disagree.
type Use[T any] struct {
	Prefix string // of the keys, with the colon
	Policy Policy
}

// ProductionRealtime is the app's real-time state of a production: under production:realtime:{id}, for 300 s, with the tags production
// and realtime. T is what the caller makes of it, at least json.RawMessage.
func ProductionRealtime[T any]() Use[T] {
	return Use[T]{Prefix: productionRealtime, Policy: Policy{TTL: Short, Tags: []string{"production", "realtime"}}}
}

const productionRealtime = "production:realtime:"

// Key returns the key of one of them.
func (u *Use[T]) Key(id string) string { return u.Prefix + id }

// Get is cache.Get.
func (u *Use[T]) Get(ctx context.Context, c *Cache, t tenant.ID, id string) (T, error) {
	return Get[T](ctx, c, t, u.Key(id), &u.Policy)
}

// GetOrLoad is cache.GetOrLoad.
func (u *Use[T]) GetOrLoad(ctx context.Context, c *Cache, t tenant.ID, id string, load func(context.Context) (T, error)) (T, error) {
	return GetOrLoad(ctx, c, t, u.Key(id), &u.Policy, load)
}

// Set is cache.Set, with the version of the value; zero: not known.
func (u *Use[T]) Set(ctx context.Context, c *Cache, t tenant.ID, id string, value T, version int64) error {
	p := u.Policy
	p.Version = version
	return Set(ctx, c, t, u.Key(id), value, &p)
}

// Forget is Cache.Forget: what is older than version is removed, and refused for a while.
func (u *Use[T]) Forget(ctx context.Context, c *Cache, t tenant.ID, id string, version int64) error {
	return c.Forget(ctx, t, u.Key(id), version, &u.Policy)
}

// ForgetProduction makes this node ask Redis for the real-time state of a production, whatever memory has. It does not block.
func (c *Cache) ForgetProduction(t tenant.ID, id string) { c.ForgetHere(t, productionRealtime+id) }
