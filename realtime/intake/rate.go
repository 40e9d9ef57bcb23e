package intake

import (
	"fmt"
	"sync"
	"time"
)

// Rates bounds how fast each API key publishes, at all doors together: a bucket for each, which holds the publications of one second.
// It may be used by many at once. The nil Rates has no bounds.
type Rates struct {
	perSecond int
	every     time.Duration // one more publication

	mu   sync.Mutex
	full map[string]time.Time // when the bucket of a key is full again
}

// NewRates returns Rates of so many publications a second, at most a million; nil for none or less, which is no bound.
func NewRates(perSecond int) *Rates {
	if perSecond <= 0 {
		return nil
	}
	perSecond = min(perSecond, maxRate)
	// Rounded up, so that it is never more.
	every := (time.Second + time.Duration(perSecond) - 1) / time.Duration(perSecond)
	return &Rates{perSecond: perSecond, every: every, full: map[string]time.Time{}}
}

// maxRate is far above what one node can store.
const maxRate = 1_000_000

// Take takes one publication out of the bucket of the key called name, and returns zero; or nothing, and after how long there is
// one again. There are as many buckets as API keys, so none is ever forgotten.
func (r *Rates) Take(name string) (wait time.Duration) {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	full := r.full[name]
	if full.Before(now) {
		full = now
	}
	full = full.Add(r.every)
	if wait = full.Sub(now) - time.Duration(r.perSecond)*r.every; wait > 0 {
		return wait
	}
	r.full[name] = full
	return 0
}

// Allow is Take with words for whoever has to wait.
func (r *Rates) Allow(name string) (wait time.Duration, why string) {
	if wait = r.Take(name); wait > 0 {
		ms := (wait + time.Millisecond - 1) / time.Millisecond
		why = fmt.Sprintf("this key publishes more than %d a second; it was not stored, try again in %d ms", r.perSecond, ms)
	}
	return wait, why
}
