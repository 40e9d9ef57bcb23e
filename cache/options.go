package cache

import (
	"log/slog"
	"time"

	"kentongan/cache/shared"
)

// The app's named times to live. Any other is as good, in whole seconds up to MaxTTL.
const (
	Short    = 5 * time.Minute
	Medium   = 30 * time.Minute
	Long     = 2 * time.Hour
	VeryLong = 24 * time.Hour
	Week     = 7 * 24 * time.Hour
)

// MaxTTL is the longest time to live. Epochs are kept an hour longer than that: then no entry is left that knows older ones.
const MaxTTL = Week

// Options are the knobs of a Cache. The zero value is safe: a cache in memory alone.
type Options struct {
	// Shared is the tier that all nodes share; nil: there is only the memory of this process, with the same API.
	Shared shared.Tier

	// MaxBytes bounds the memory tier; zero means 64 MiB. It counts the encoded size of a value twice, for decoded ones are
	// larger, and 256 bytes for each entry.
	MaxBytes int64

	// TenantShare is the part of MaxBytes that the entries of one tenant may take before they push out each other and no longer those
	// of others; zero means 1/8, 1 switches it off.
	TenantShare float64

	// Bound is how old the knowledge may be by which the memory tier answers: what another node has invalidated is served at
	// most that much longer. Zero means 1 s. The listening connection is asked for a sign of life four times in it.
	Bound time.Duration

	// Quarantine is how long after an invalidation an entry of the app is not trusted: it takes no lease, so it may have been read
	// before. Zero means 5 s. How far the clock of a machine of the app's is ahead of Redis' is missing from it.
	Quarantine time.Duration

	// HoldOff makes entries whose load began within it after an invalidation live no longer than it does: set it to how far
	// replicas lag, if loaders read from them. Zero: loaders read what was committed.
	HoldOff time.Duration

	// MaxValueBytes is the largest value, encoded; zero means 8 MiB. A larger one would hold up all others on the connection.
	MaxValueBytes int

	// MaxLoads bounds the loads that run at once, those that take too long included; zero means 256.
	MaxLoads int

	Log *slog.Logger // nil discards
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.TenantShare == 0 {
		o.TenantShare = 1. / 8
	}
	if o.Bound == 0 {
		o.Bound = time.Second
	}
	if o.Quarantine == 0 {
		o.Quarantine = 5 * time.Second
	}
	if o.MaxValueBytes == 0 {
		o.MaxValueBytes = 8 << 20
	}
	if o.MaxLoads == 0 {
		o.MaxLoads = 256
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.MaxBytes < 64<<10:
		return o, invalid("MaxBytes is %d; a cache of less than 64 KiB keeps nothing", o.MaxBytes)
	case o.TenantShare < 0 || o.TenantShare > 1:
		return o, invalid("TenantShare is %v; write a part between 0 and 1", o.TenantShare)
	case o.Bound < 10*time.Millisecond || o.Bound > time.Minute:
		return o, invalid("Bound is %s; write 10ms to 1m", o.Bound)
	case o.Quarantine < 0 || o.Quarantine > time.Minute:
		return o, invalid("Quarantine is %s; write 0s to 1m", o.Quarantine)
	case o.HoldOff < 0 || o.HoldOff > time.Hour:
		return o, invalid("HoldOff is %s; write 0s to 1h", o.HoldOff)
	case o.MaxValueBytes < 1 || o.MaxValueBytes > 256<<20:
		return o, invalid("MaxValueBytes is %d; write 1 to 268435456", o.MaxValueBytes)
	case o.MaxLoads < 1:
		return o, invalid("MaxLoads is %d; write 1 or more", o.MaxLoads)
	}
	return o, nil
}

// Policy says how one kind of entry is kept. It is read only: one value serves all calls, from any goroutine. A nil *Policy is the
// zero Policy.
type Policy struct {
	// TTL is how long an entry lives; zero means Medium in calls that only read and in loads. It is rounded up to whole seconds, as
	// the app writes them. Negative ones, and those above MaxTTL, are refused.
	TTL time.Duration

	// Jitter lengthens or shortens the TTL of each entry by up to that part of it, so that what was filled together does not end
	// together. 0.1 is ten percent; at most 0.5.
	Jitter float64

	// Tags are what entries can be invalidated by together.
	Tags []string

	// Version is that of the value given to Set: a write of an older version than is known is refused with ErrOutdated. Zero: not
	// known. A loaded value that implements Versioned brings its own.
	Version int64

	// Own keeps the entry under a name that the app does not read. Only there can it be compressed.
	Own bool

	// CompressFrom is the encoded size in bytes from which an Own entry is kept as zstd; zero: never.
	CompressFrom int

	// Negative is how long it is remembered that a loader returned ErrNotFound; zero: not at all.
	Negative time.Duration

	// HardTimeout is how long a load may take; zero means 10 s, at most a minute. Its context ends then, callers get ErrLoadTimeout,
	// and what it returns after that is not kept.
	HardTimeout time.Duration

	// SoftTimeout is how long callers wait for a load if there is an expired value, which they get then; zero: as long as it takes.
	SoftTimeout time.Duration

	// StaleOnError is for how long after its end an entry is still kept in memory and served if neither Redis nor the
	// loader can give a better one; zero: never. What this node knows to be invalidated is not served.
	StaleOnError time.Duration

	// RefreshAhead loads a new value in the background before the old one ends, the more likely the nearer the end and the
	// longer loads take (XFetch, VLDB 2015).
	RefreshAhead bool

	// MaxStaleness narrows Options.Bound for these calls. Strict asks Redis each time, in one round trip.
	MaxStaleness time.Duration
	Strict       bool
}

// Versioned is implemented by values that know their version: a number that rises with each change.
type Versioned interface{ CacheVersion() int64 }

var zeroPolicy Policy

func (p *Policy) orZero() *Policy {
	if p == nil {
		return &zeroPolicy
	}
	return p
}

func (p *Policy) ttl() time.Duration {
	if p.TTL == 0 {
		return Medium
	}
	return p.TTL
}

func (p *Policy) hardTimeout() time.Duration {
	if p.HardTimeout == 0 {
		return 10 * time.Second
	}
	return p.HardTimeout
}

// check refuses what can never be right. It is not asked on the way of a hit, where the policy was checked when the entry was kept.
func (p *Policy) check() error {
	switch {
	case p.TTL < 0 || p.TTL > MaxTTL:
		return invalid("TTL is %s; write 1s to %s", p.TTL, MaxTTL)
	case p.Jitter < 0 || p.Jitter > 0.5:
		return invalid("Jitter is %v; write a part between 0 and 0.5", p.Jitter)
	case p.Version < 0:
		return invalid("Version is %d; versions count from 1", p.Version)
	case p.CompressFrom < 0:
		return invalid("CompressFrom is %d; write a size in bytes", p.CompressFrom)
	case p.CompressFrom > 0 && !p.Own:
		return invalid("CompressFrom is set without Own: the app would take a compressed entry for a hit without data")
	case p.Negative < 0 || p.Negative > MaxTTL:
		return invalid("Negative is %s; write 0s to %s", p.Negative, MaxTTL)
	case p.HardTimeout < 0 || p.HardTimeout > time.Minute:
		return invalid("HardTimeout is %s; write up to 1m", p.HardTimeout)
	case p.SoftTimeout < 0 || p.StaleOnError < 0 || p.MaxStaleness < 0:
		return invalid("SoftTimeout, StaleOnError and MaxStaleness cannot be negative")
	case p.StaleOnError > MaxTTL:
		return invalid("StaleOnError is %s; %s is the most", p.StaleOnError, MaxTTL)
	case len(p.Tags) > 64:
		return invalid("an entry with %d tags; 64 are the most", len(p.Tags))
	}
	for _, tag := range p.Tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	return nil
}
