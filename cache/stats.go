package cache

import (
	"sync/atomic"
	"time"
	"unsafe"

	"kentongan/tenant"
)

// counts are what is counted outside of a kitchen.
type counts struct {
	pushes, malformed, voided, quarantined, joined, leases, leaseWaits, commits, commitsRefused, commitsFailed, alone, overloaded,
	loadErrors, refreshes, chores, refused, tierErrors, sampled, dead atomic.Uint64

	past tenantCounts // of kitchens that were forgotten
}

// tenantCounts are what is counted of each tenant.
type tenantCounts struct {
	hits                              tally
	sharedHits, misses, loads, stales atomic.Uint64
}

// tally is a counter that each hit in memory adds to. With one cell, two processors that read one kitchen spent half of a hit waiting
// for each other's line of memory. So there are several, each on a line of its own, and a goroutine stays with one: that of its
// stack's address. Two that meet in a cell are slower and no less right.
type tally struct {
	_     [64]byte // what every reader looks at lies before it
	cells [tallyCells]struct {
		n atomic.Uint64
		_ [56]byte
	}
}

const (
	tallyCells = 4  // 320 bytes a tenant, 11 MB for 35,000
	stackBits  = 11 // of an address, below those that tell two stacks apart: the smallest have 2 KiB
)

// Add is as that of atomic.Uint64, without what comes of it.
func (t *tally) Add(n uint64) {
	var here byte
	stack := uintptr(unsafe.Pointer(&here)) >> stackBits //nolint:gosec // only a number is made of it
	t.cells[(stack^stack>>5)%tallyCells].n.Add(n)
}

// Load returns the sum.
func (t *tally) Load() (sum uint64) {
	for i := range t.cells {
		sum += t.cells[i].n.Load()
	}
	return sum
}

// add adds the counts of o.
func (t *tenantCounts) add(o *tenantCounts) {
	t.hits.Add(o.hits.Load())
	t.sharedHits.Add(o.sharedHits.Load())
	t.misses.Add(o.misses.Load())
	t.loads.Add(o.loads.Load())
	t.stales.Add(o.stales.Load())
}

// Stats are figures of this node since it began. Rates of tenants are in Tenants, for there may be 35,000 of them.
type Stats struct {
	Hits       uint64 `json:"hits"`       // answered from memory
	SharedHits uint64 `json:"sharedHits"` // answered from Redis
	Misses     uint64 `json:"misses"`     // neither
	Stale      uint64 `json:"stale"`      // ended, and served because there was nothing better
	Loads      uint64 `json:"loads"`      // runs of loaders
	LoadErrors uint64 `json:"loadErrors"`
	Loading    int    `json:"loading"`    // loads that run now
	Joined     uint64 `json:"joined"`     // callers that waited for another's load
	Overloaded uint64 `json:"overloaded"` // loads refused because too many ran

	Leases         uint64 `json:"leases"`         // taken
	LeaseWaits     uint64 `json:"leaseWaits"`     // waits for another node's
	Commits        uint64 `json:"commits"`        // loaded values written
	CommitsRefused uint64 `json:"commitsRefused"` // of these, refused: something happened meanwhile
	CommitsFailed  uint64 `json:"commitsFailed"`
	Refreshes      uint64 `json:"refreshes"` // values replaced before their end
	Alone          uint64 `json:"alone"`     // loads while Redis could not be asked

	Entries     int    `json:"entries"` // in memory
	Bytes       uint64 `json:"bytes"`   // that they are taken to be
	MaxBytes    uint64 `json:"maxBytes"`
	RedisBytes  int64  `json:"redisBytes"` // memory of Redis, whatever it holds, as of the last minute; 0: not known
	RedisNames  int64  `json:"redisNames"` // in its database, of anybody
	Tenants     int    `json:"tenants"`
	Malformed   uint64 `json:"malformed"`   // texts under our names that are no entries, or of another shape than asked for
	Voided      uint64 `json:"voided"`      // entries in Redis that were invalidated
	Quarantined uint64 `json:"quarantined"` // entries of the app not trusted, because the key was invalidated shortly before
	Pushes      uint64 `json:"pushes"`      // changes told by Redis
	Chores      uint64 `json:"chores"`      // portions of cleaning up done here

	TagSampled uint64 `json:"tagSampled"` // names in sets of tags that were looked at
	TagDead    uint64 `json:"tagDead"`    // of these, without an entry; they were removed

	Redis         bool          `json:"redis"`
	BreakerOpen   bool          `json:"breakerOpen"`
	BreakerOpened uint64        `json:"breakerOpened"`
	Refused       uint64        `json:"refused"`     // questions not asked because it was open
	Errors        uint64        `json:"errors"`      // questions that Redis did not answer
	Staleness     time.Duration `json:"stalenessNs"` // how old the knowledge is by which memory answers; -1: it does not answer
	Bound         time.Duration `json:"boundNs"`
}

// Stats returns the figures.
func (c *Cache) Stats() Stats {
	n := &c.counts
	s := Stats{
		LoadErrors: n.loadErrors.Load(), Loading: len(c.loads), Joined: n.joined.Load(), Overloaded: n.overloaded.Load(),
		Leases: n.leases.Load(), LeaseWaits: n.leaseWaits.Load(), Commits: n.commits.Load(), CommitsRefused: n.commitsRefused.Load(),
		CommitsFailed: n.commitsFailed.Load(), Refreshes: n.refreshes.Load(), Alone: n.alone.Load(),
		Entries: c.memory.cache.EstimatedSize(), Bytes: c.memory.cache.WeightedSize(), MaxBytes: c.memory.cache.GetMaximum(),
		Malformed: n.malformed.Load(), Voided: n.voided.Load(), Quarantined: n.quarantined.Load(), Pushes: n.pushes.Load(),
		Chores: n.chores.Load(), TagSampled: n.sampled.Load(), TagDead: n.dead.Load(), Redis: c.tier != nil, Refused: n.refused.Load(),
		Errors: n.tierErrors.Load(), Bound: c.opts.Bound,
	}
	s.RedisBytes, s.RedisNames = c.redisBytes.Load(), c.redisNames.Load()
	s.BreakerOpen, s.BreakerOpened = c.breaker.isOpen()
	var all tenantCounts
	all.add(&n.past)
	c.eachKitchen(func(k *kitchen) {
		s.Tenants++
		all.add(&k.tenantCounts)
	})
	s.Hits, s.SharedHits, s.Misses = all.hits.Load(), all.sharedHits.Load(), all.misses.Load()
	s.Stale, s.Loads = all.stales.Load(), all.loads.Load()
	s.Staleness = c.staleness()
	return s
}

// staleness returns how old the knowledge is by which memory answers now.
func (c *Cache) staleness() time.Duration {
	if c.tier == nil {
		return 0
	}
	age := time.Duration(c.now() - c.fence.Load())
	if age >= c.opts.Bound || age < 0 {
		return -1
	}
	return age
}

// TenantStats are the figures of one tenant on this node.
type TenantStats struct {
	Tenant     tenant.ID `json:"tenant"`
	Hits       uint64    `json:"hits"`
	SharedHits uint64    `json:"sharedHits"`
	Misses     uint64    `json:"misses"`
	Stale      uint64    `json:"stale"`
	Loads      uint64    `json:"loads"`
	Bytes      int64     `json:"bytes"`
}

// TenantStats returns the figures of all tenants that this node knows, in no order.
func (c *Cache) TenantStats() []TenantStats {
	var all []TenantStats
	c.eachKitchen(func(k *kitchen) {
		all = append(all, TenantStats{
			k.id, k.hits.Load(), k.sharedHits.Load(), k.misses.Load(), k.stales.Load(), k.loads.Load(), k.bytes.Load(),
		})
	})
	return all
}
