package app

var (
	descCacheReads = desc("cache_reads_total",
		"Reads of the cache, by where the answer came from: memory, redis, stale (ended, for want of better), or miss.", "level")
	descCacheLoads   = desc("cache_loads_total", "Loads that the cache has called.", "outcome")
	descCacheLoading = desc("cache_loading", "Loads that run now.")
	descCacheJoined  = desc("cache_joined_total", "Callers that waited for a load of another.")
	descCacheLeases  = desc("cache_leases_total", "Leases on entries: taken, or waited for because another node had it.", "outcome")
	descCacheCommits = desc("cache_commits_total",
		"Loaded values: written, refused because something happened meanwhile, or failed.", "outcome")
	descCacheDistrusted = desc("cache_distrusted_total",
		"Entries in Redis not served: invalidated, of the app soon after an invalidation, or no entries.", "reason")
	descCacheEntries = desc("cache_entries", "Entries in memory.")
	descCacheBytes   = desc("cache_bytes", "Bytes that they are taken to be.")
	descCacheRedis   = desc("cache_redis_bytes",
		"Memory that Redis uses, for whatever is in it, as of the last minute; 0 if that is not known.")
	descCacheNames     = desc("cache_redis_names", "Names in the database of Redis that the cache uses, of anybody, as of the last minute.")
	descCacheTenants   = desc("cache_tenants", "Tenants that the cache knows.")
	descCachePushes    = desc("cache_changes_total", "Changes of entries and epochs told by Redis.")
	descCacheTagNames  = desc("cache_tag_names_total", "Names in sets of tags that were looked at, and those without an entry.", "state")
	descCacheBreaker   = desc("cache_breaker_open", "1 while the cache does not ask Redis, because it did not answer.")
	descCacheOpened    = desc("cache_breaker_opened_total", "Times that it stopped asking.")
	descCacheErrors    = desc("cache_redis_errors_total", "Questions that Redis did not answer.")
	descCacheStaleness = desc("cache_staleness_seconds", "How old the knowledge is by which memory answers; -1 while it does not answer.")
	descCacheBound     = desc("cache_bound_seconds", "How old it may be.")
	descCacheChores    = desc("cache_chores_total", "Portions of cleaning up after invalidations that this node did.")
)

func (m *metrics) collectCache(counter counterFunc, gauge gaugeFunc) {
	if m.app.cache == nil {
		return
	}
	st := m.app.cache.Stats()
	counter(descCacheReads, st.Hits, "memory")
	counter(descCacheReads, st.SharedHits, "redis")
	counter(descCacheReads, st.Stale, "stale")
	counter(descCacheReads, st.Misses, "miss")
	counter(descCacheLoads, st.Loads-min(st.Loads, st.LoadErrors), "ok")
	counter(descCacheLoads, st.LoadErrors, "failed")
	counter(descCacheLoads, st.Overloaded, "overloaded")
	gauge(descCacheLoading, float64(st.Loading))
	counter(descCacheJoined, st.Joined)
	counter(descCacheLeases, st.Leases, "taken")
	counter(descCacheLeases, st.LeaseWaits, "waited")
	counter(descCacheCommits, st.Commits, "written")
	counter(descCacheCommits, st.CommitsRefused, "refused")
	counter(descCacheCommits, st.CommitsFailed, "failed")
	counter(descCacheDistrusted, st.Voided, "invalidated")
	counter(descCacheDistrusted, st.Quarantined, "quarantine")
	counter(descCacheDistrusted, st.Malformed, "malformed")
	gauge(descCacheEntries, float64(st.Entries))
	gauge(descCacheBytes, float64(st.Bytes))
	if st.Redis {
		gauge(descCacheRedis, float64(st.RedisBytes))
		gauge(descCacheNames, float64(st.RedisNames))
	}
	gauge(descCacheTenants, float64(st.Tenants))
	counter(descCachePushes, st.Pushes)
	counter(descCacheTagNames, st.TagSampled, "looked")
	counter(descCacheTagNames, st.TagDead, "dead")
	open := 0.0
	if st.BreakerOpen {
		open = 1
	}
	gauge(descCacheBreaker, open)
	counter(descCacheOpened, st.BreakerOpened)
	counter(descCacheErrors, st.Errors)
	staleness := -1.0
	if st.Staleness >= 0 {
		staleness = st.Staleness.Seconds()
	}
	gauge(descCacheStaleness, staleness)
	gauge(descCacheBound, st.Bound.Seconds())
	counter(descCacheChores, st.Chores)
}
