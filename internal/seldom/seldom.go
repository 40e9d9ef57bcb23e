// Package seldom says whether something has been said already: logs that repeat one thing for each message help nobody.
package seldom

import (
	"sync"
	"time"
)

// Once remembers for a minute, or Every, what was said. The zero value is ready; its methods may be called concurrently.
type Once[K comparable] struct {
	Every time.Duration // zero means a minute
	Most  int           // different ones in that time; zero means 1,000. More are taken as said

	mu    sync.Mutex
	since time.Time // of the time that last is about
	last  map[K]struct{}
}

// First reports whether k was not said yet in the time around now.
func (o *Once[K]) First(k K, now time.Time) bool {
	every, most := o.Every, o.Most
	if every <= 0 {
		every = time.Minute
	}
	if most <= 0 {
		most = 1000
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil || now.Sub(o.since) >= every {
		o.since, o.last = now, map[K]struct{}{}
	}
	if _, said := o.last[k]; said || len(o.last) >= most {
		return false
	}
	o.last[k] = struct{}{}
	return true
}
