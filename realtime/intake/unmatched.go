package intake

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"kentongan/realtime"
)

// Unmatched remembers names that messages came for and that no pattern matches. The app publishes to names that nobody
// listens to, which is its worst kind of mistake: nothing happens. Here they are listed.
//
// It remembers the names that were seen last, up to a bound, and counts all. Its methods may be called concurrently.
type Unmatched struct {
	mu     sync.Mutex
	limit  int
	total  uint64
	names  map[string]*seenName
	newest seenName // the anchor of a ring: after it comes the one seen last, before it the one seen the longest ago
}

type seenName struct {
	UnmatchedName
	before, after *seenName
}

func (n *seenName) unlink() { n.before.after, n.after.before = n.after, n.before }

func (n *seenName) linkAfter(m *seenName) {
	n.before, n.after = m, m.after
	n.before.after, n.after.before = n, n
}

// UnmatchedName is a name that no pattern matches.
type UnmatchedName struct {
	Name        string    `json:"name"` // cut after 255 bytes
	Count       uint64    `json:"count"`
	FirstSeen   time.Time `json:"firstSeen"`
	LastSeen    time.Time `json:"lastSeen"`
	LastPayload int       `json:"lastPayload"` // bytes of the last message
}

// DefaultUnmatchedNames is more than an app has kinds of channels, times a few kitchens to see that it is all of them.
const DefaultUnmatchedNames = 1000

// NewUnmatched remembers limit names; zero means DefaultUnmatchedNames.
func NewUnmatched(limit int) *Unmatched {
	if limit <= 0 {
		limit = DefaultUnmatchedNames
	}
	u := &Unmatched{limit: limit, names: map[string]*seenName{}}
	u.newest.before, u.newest.after = &u.newest, &u.newest
	return u
}

// Saw counts a message of size bytes. It reports whether the name is new here.
func (u *Unmatched) Saw(name []byte, size int, at time.Time) (isNew bool) {
	name = name[:min(len(name), realtime.MaxNameBytes)]
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total++
	n := u.names[string(name)]
	if isNew = n == nil; isNew {
		if len(u.names) >= u.limit {
			oldest := u.newest.before
			delete(u.names, oldest.Name)
			oldest.unlink()
		}
		n = &seenName{UnmatchedName: UnmatchedName{Name: string(name), FirstSeen: at}}
		u.names[n.Name] = n
	} else {
		n.unlink()
	}
	n.linkAfter(&u.newest)
	n.Count++
	n.LastSeen, n.LastPayload = at, size
	return isNew
}

// Total returns how many messages came for such names.
func (u *Unmatched) Total() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}

// Names returns what is remembered, the most frequent first.
func (u *Unmatched) Names() []UnmatchedName {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]UnmatchedName, 0, len(u.names))
	for n := u.newest.after; n != &u.newest; n = n.after {
		all = append(all, n.UnmatchedName)
	}
	slices.SortStableFunc(all, func(x, y UnmatchedName) int { return cmp.Compare(y.Count, x.Count) })
	return all
}
