package intake

import (
	"cmp"
	"container/list"
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
	names  map[string]*list.Element // of *UnmatchedName
	recent list.List                // the one seen last in front
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
	return &Unmatched{limit: limit, names: map[string]*list.Element{}}
}

// Saw counts a message of size bytes. It reports whether the name is new here.
func (u *Unmatched) Saw(name []byte, size int, at time.Time) (isNew bool) {
	name = name[:min(len(name), realtime.MaxNameBytes)]
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total++
	e := u.names[string(name)]
	if e == nil {
		if len(u.names) >= u.limit {
			oldest := u.recent.Back()
			delete(u.names, oldest.Value.(*UnmatchedName).Name) //nolint:forcetypeassert // nothing else is in the list
			u.recent.Remove(oldest)
		}
		e = u.recent.PushFront(&UnmatchedName{Name: string(name), FirstSeen: at})
		u.names[string(name)] = e
		isNew = true
	} else {
		u.recent.MoveToFront(e)
	}
	n := e.Value.(*UnmatchedName) //nolint:forcetypeassert // as above
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
	for e := u.recent.Front(); e != nil; e = e.Next() {
		all = append(all, *e.Value.(*UnmatchedName)) //nolint:forcetypeassert // as above
	}
	slices.SortStableFunc(all, func(x, y UnmatchedName) int { return cmp.Compare(y.Count, x.Count) })
	return all
}
