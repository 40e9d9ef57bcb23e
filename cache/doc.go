// Package cache keeps what was once looked up, for many tenants, in two tiers: the memory of this process, and Redis. It is coherent
// with an app that writes and reads the same keys and takes no notice of it.
//
//	v, err := cache.GetOrLoad(ctx, c, kitchen, "menus:today", &cache.Policy{TTL: cache.Medium, Tags: []string{"menus"}},
//		func(ctx context.Context) (Menus, error) { return store.Menus(ctx, kitchen) })
//
// # What is promised
//
// When Invalidate, InvalidateTag or InvalidateTenant returns without error, no later read on this node gets what was there, and no
// later read on another node does once Options.Bound has passed. InvalidateAndWait returns when that holds everywhere. A load
// that began before is not kept, by whoever it was begun; neither is what the app read before and writes after it.
//
// The app's own writes and removals are seen by this node within Options.Bound.
//
// # How
//
// Epochs. Redis keeps numbers for each tenant: one for all its entries, and one for each tag that was ever invalidated. An entry
// carries those that were current before it was loaded, and is valid while they are. So the invalidation of a tag is one number,
// however many entries it has. A number is a time of Redis in microseconds, so that entries of the app, which carry none, can be
// judged by when they were written: one that was written less than Options.Quarantine after an invalidation that concerns it may have
// been read before, and is not trusted. Epochs that were evicted, or that another Redis process wrote, are replaced by newer
// ones: what is lost never makes an old entry valid.
//
// Leases. Who loads first puts a lease in the place of the entry, and its value is only taken if the lease is still there. The
// lease is JSON for zero, which the app reads as a miss; its removal or its write ends the lease.
//
// Fence. Redis tells this node of every change of a name. Four times within Options.Bound the connection that is told so is asked for a
// sign of life. Memory answers only if one was asked for less than the bound ago and came: what was acknowledged
// before it was asked for had been told before it came. After a break everything is asked for anew.
//
// A value that is on its way from Redis when a change of it is told is not kept: its name is in one of 4,096 stripes, which counts.
//
// # Without Redis
//
// With Options.Shared nil all of this is kept in memory alone. When Redis is there and does not answer, memory answers within
// its bound; then loaders are called, by one caller at a time, and their values are good for the bound; then, if the policy
// allows it, what has ended is served. What this node knows to be invalidated is not.
package cache
