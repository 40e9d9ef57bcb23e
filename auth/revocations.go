package auth

import (
	"slices"
	"sync"
	"time"

	"kentongan/tenant"
)

// RevocationOptions bounds a Revocations.
type RevocationOptions struct {
	LongestLife time.Duration    // of a credential; an entry this old ends nothing any more. Zero: 30 days, as Auth.js
	MaxEntries  int              // zero: 100,000, about 20 MB
	Now         func() time.Time // nil: time.Now
}

// maxTenantEntries is how many users of one kitchen are listed by name: more than a kitchen employs.
const maxTenantEntries = 1000

// Revocations is the list of what was revoked. It is safe for concurrent use.
//
// It is bounded, and it errs on the side of refusing: too many users of one kitchen become the whole kitchen, and when the list
// is full the oldest half gives way to one date, before which nothing is believed any more. Who is wrongly refused signs in
// again.
type Revocations struct {
	o RevocationOptions

	mu      sync.RWMutex
	floor   time.Time               // whatever was issued before it is revoked
	users   map[string]time.Time    // by subject, in whatever kitchen
	tenants map[tenant.ID]*kitchens // with their users
	entries int
	swept   time.Time
	hear    []func(Revocation)
}

// kitchens is what was revoked in one kitchen.
type kitchens struct {
	all   time.Time
	users map[string]time.Time
}

// NewRevocations returns an empty list.
func NewRevocations(o RevocationOptions) *Revocations {
	if o.LongestLife <= 0 {
		o.LongestLife = 30 * 24 * time.Hour
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Revocations{o: o, users: map[string]time.Time{}, tenants: map[tenant.ID]*kitchens{}, swept: o.Now()}
}

// OnAdd has f called with each Revocation that is added from now on, after it took effect for new requests, by the
// goroutine that adds it. f must not block.
func (l *Revocations) OnAdd(f func(Revocation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hear = append(slices.Clip(l.hear), f)
}

// Add takes r into the list and tells those who asked with OnAdd. It returns ErrBadRevocation if r names nobody or a moment that is
// not yet, and does nothing with one that is too old to end anything.
func (l *Revocations) Add(r Revocation) error {
	if err := r.check(); err != nil {
		return err
	}
	now := l.o.Now()
	if err := r.notAhead(now); err != nil {
		return err
	}
	if now.Sub(r.IssuedBefore) > l.o.LongestLife {
		return nil
	}
	l.mu.Lock()
	l.add(r, now)
	hear := l.hear
	l.mu.Unlock()
	for _, f := range hear {
		f(r)
	}
	return nil
}

// add writes r into the maps; l.mu is held.
func (l *Revocations) add(r Revocation, now time.Time) {
	if l.entries >= l.o.MaxEntries || now.Sub(l.swept) > time.Hour {
		l.swept = now
		l.forgetBefore(now.Add(-l.o.LongestLife))
		if l.entries >= l.o.MaxEntries {
			l.floor = later(l.floor, l.middle())
			l.forgetBefore(l.floor)
		}
	}
	if r.Tenant == tenant.Global {
		l.put(l.users, r)
		return
	}
	k := l.tenants[r.Tenant]
	if k == nil {
		k = &kitchens{users: map[string]time.Time{}}
		l.tenants[r.Tenant] = k
		l.entries++
	}
	if r.Subject == "" {
		k.all = later(k.all, r.IssuedBefore)
		return
	}
	l.put(k.users, r)
	if len(k.users) > maxTenantEntries {
		for _, at := range k.users {
			k.all = later(k.all, at)
		}
		l.entries -= len(k.users)
		clear(k.users)
	}
}

func (l *Revocations) put(users map[string]time.Time, r Revocation) {
	before := len(users)
	users[r.Subject] = later(users[r.Subject], r.IssuedBefore)
	l.entries += len(users) - before
}

// forgetBefore drops what says nothing beyond t; l.mu is held.
func (l *Revocations) forgetBefore(t time.Time) {
	forget := func(users map[string]time.Time) {
		for subject, at := range users {
			if !at.After(t) {
				delete(users, subject)
				l.entries--
			}
		}
	}
	forget(l.users)
	for id, k := range l.tenants {
		forget(k.users)
		if len(k.users) == 0 && !k.all.After(t) {
			delete(l.tenants, id)
			l.entries--
		}
	}
}

// middle returns the median of all moments in the list; l.mu is held.
func (l *Revocations) middle() time.Time {
	all := l.list()
	slices.SortFunc(all, func(a, b Revocation) int { return a.IssuedBefore.Compare(b.IssuedBefore) })
	return all[len(all)/2].IssuedBefore
}

// Revoked reports whether the credential of id was revoked. See [Revocation.Covers].
func (l *Revocations) Revoked(id *Identity) bool {
	if id.Server {
		return false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	issued := id.IssuedAt.Time()
	if issued.Before(l.floor) || issued.Before(l.users[id.Subject]) {
		return true
	}
	k := l.tenants[id.Tenant]
	return k != nil && (issued.Before(k.all) || issued.Before(k.users[id.Subject]))
}

// All returns what is in the list, in no order, so that a node that starts can be told by one that knows.
func (l *Revocations) All() []Revocation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.list()
}

// list is All; l.mu is held.
func (l *Revocations) list() []Revocation {
	all := make([]Revocation, 0, l.entries)
	for subject, at := range l.users {
		all = append(all, Revocation{Subject: subject, IssuedBefore: at})
	}
	for id, k := range l.tenants {
		if !k.all.IsZero() {
			all = append(all, Revocation{Tenant: id, IssuedBefore: k.all})
		}
		for subject, at := range k.users {
			all = append(all, Revocation{subject, id, at})
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
