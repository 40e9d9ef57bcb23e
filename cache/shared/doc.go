// Package shared is the tier of the cache that all nodes share: Redis, as the few acts that a coherent cache is made of. It knows
// names and texts, and nothing of what they mean; package cache has the meaning.
//
// Each act is one round trip, and one step for everybody else. What can take long, because a tag has a hundred thousand entries,
// becomes a chore that any node does later, in steps of less than 3 ms.
package shared

import (
	"context"
	"time"
)

// Tier is implemented by [Redis] and, for tests, by a simulated one. Its methods may be called by many goroutines at once. An error
// that is not one of the arguments says that it is not known whether the act was done.
type Tier interface {
	// Read returns the values of keys, empty where there is none and OtherKind where there is no text, and the epochs under the
	// names of hashes, read before the values. Where there are no epochs, or those of a Redis that has forgotten what it knew,
	// new ones are made: so nothing older is ever taken for current.
	Read(ctx context.Context, keys, hashes []string) ([]string, []Epochs, error)

	// Swap replaces a value, if what is there is what the caller expects. It returns ErrKind if that is no text, unless Any is set.
	Swap(ctx context.Context, s Swap) (Swapped, error)

	// Release ends a lease, if it is still there; its floor stays.
	Release(ctx context.Context, key, lease string) error

	// Drop removes an entry and ends the lease on it. With Again it is removed once more later, if the app has written it meanwhile.
	Drop(ctx context.Context, d Drop) error

	// Forget removes an entry that is older than the version, and refuses older ones for a while.
	Forget(ctx context.Context, f Forget) error

	// Bump gives a field of the epochs a new number and removes what the app would still find.
	Bump(ctx context.Context, b Bump) (Bumped, error)

	// DroppedAt returns when Drop with Again removed the key, as Redis' time in microseconds; zero if that is long ago.
	DroppedAt(ctx context.Context, key string) (int64, error)

	// Claim returns true to one caller in ttl.
	Claim(ctx context.Context, key string, ttl time.Duration) (bool, error)

	// Fence returns once all changes that were done before it was called have been told to the listener.
	Fence(ctx context.Context) (Passed, error)

	// AwaitNodes returns once every node that may still answer from memory has been told of all changes that were done
	// before, at the latest after bound.
	AwaitNodes(ctx context.Context, bound time.Duration) error

	// Listen sets who is told of changes. It is called once, before Fence. The listener must not block.
	Listen(l Listener)

	// Touch keeps epochs from being evicted as long unused.
	Touch(ctx context.Context, hashes []string) error

	// Chore does a portion of what is due and reports whether there was anything.
	Chore(ctx context.Context) (bool, error)

	// Record returns what the record of invalidations has, newest first.
	Record(ctx context.Context, stream string) ([]Invalidated, error)

	// Close ends all connections.
	Close()
}

// Listener is told of changes, by one goroutine, in the order in which they were done.
type Listener interface {
	Changed(keys []string) // their values or epochs
	Lost()                 // any may have changed
}

// Epochs are the numbers of one tenant: "*" of all its entries, and one of each tag that was ever invalidated. A number is the time in
// microseconds by Redis' clock, or one more than the last if that clock stood still.
type Epochs map[string]int64

// Star is the field of all entries of a tenant.
const Star = "*"

// Swap is one write of an entry, or of a lease on it.
type Swap struct {
	Key string

	// Expect is the Identity of what must be there; empty: nothing. With Any it does not matter what is there.
	Expect string
	Any    bool

	Value string // empty: a lease for Token, which keeps the floor of what was there
	Token string // 19 digits

	TTL     time.Duration
	Version int64 // of the value; zero: not known. It is refused below the floor, and below that of what is there

	TagSets []string // the entry is put into them
	TagTTL  time.Duration
}

// Swapped is what became of it.
type Swapped struct {
	Done     bool
	Outdated bool   // not done, for something newer is known
	Current  string // done: the lease; not done: what is there
	Now      int64  // by Redis' clock, in microseconds

	Sampled, Dead int // names in the tag sets that were looked at, and those without an entry, which were removed
}

// Drop is the removal of one entry.
type Drop struct {
	Key   string
	Again time.Duration // zero: never
	Note  Note
}

// Forget is the removal of what is older than a version.
type Forget struct {
	Key     string
	Version int64
	TTL     time.Duration // for how long older ones are refused
	Again   time.Duration // as in Drop
	Note    Note
}

// Bump is the invalidation of a tag, or of all entries of a tenant.
type Bump struct {
	Hash   string
	Field  string
	TagSet string // of a tag; empty: none
	Prefix string // of a tenant's entries; empty: none
	Note   Note
}

// Bumped is what became of it.
type Bumped struct {
	Number int64
	Folded bool // there were so many fields that all entries of the tenant were invalidated, and the fields dropped
}

// Note is what the record of invalidations says of one.
type Note struct {
	Stream string // its name in Redis; empty: it is not recorded
	What   string // "key", "version", "tag", "tenant"
	Name   string
}

// Invalidated is what the record says of one invalidation.
type Invalidated struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // "key", "version", "tag", "tenant"
	Name string    `json:"name,omitempty"`
	Node string    `json:"node"`
}

// Passed is a fence that was passed.
type Passed struct {
	Connection string // another than the last time: changes in between may not have been told
	Now        int64  // by Redis' clock, in microseconds
}
