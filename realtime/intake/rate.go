package intake

import (
	"fmt"
	"sync"
	"time"

	"kentongan/tenant"
)

// Rates bounds how often each name comes, at all doors together: a bucket for each, which holds the publications of one second.
// It may be used by many at once. The nil Rates has no bounds.
type Rates struct {
	perSecond int
	every     time.Duration // one more publication

	mu     sync.Mutex
	full   map[string]time.Time // when the bucket of a name is full again
	forgot time.Time
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

// Take takes one publication out of the bucket of name, and returns zero; or nothing, and after how long there is one again.
func (r *Rates) Take(name string) (wait time.Duration) {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	full := r.full[name]
	r.forget(now)
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

// forgetFull is the number of buckets from which on those that are full are forgotten, when one more is needed: names of kitchens come from
// publications, and with a key for all kitchens there is no end to them.
const forgetFull = 64 << 10

// forget makes room for one more bucket. Those that are not full stay, for a second at most. The lock is held.
func (r *Rates) forget(now time.Time) {
	if len(r.full) < forgetFull || now.Sub(r.forgot) < time.Second {
		return
	}
	r.forgot = now
	for name, full := range r.full {
		if !full.After(now) {
			delete(r.full, name)
		}
	}
}

// Publishing bounds publications by key and by kitchen, with words for whoever has to wait. The nil Publishing has no bounds.
type Publishing struct {
	Keys    *Rates // by name of the API key; nil: no bound
	Tenants *Rates // by kitchen, whoever publishes; nil: no bound
}

// Allow takes one publication to t by the key called name, and returns zero; or after how long there may be one again, and why. A kitchen
// that has to wait costs the key nothing: it serves others, too.
func (p *Publishing) Allow(name string, t tenant.ID) (wait time.Duration, why string) {
	if p == nil {
		return 0, ""
	}
	who, rates := "kitchen gets", p.Tenants
	if t != tenant.Global {
		wait = p.Tenants.Take(string(t))
	}
	if wait == 0 {
		who, rates = "key publishes", p.Keys
		wait = p.Keys.Take(name)
	}
	if wait > 0 {
		ms := (wait + time.Millisecond - 1) / time.Millisecond
		why = fmt.Sprintf("this %s more than %d a second; it was not stored, try again in %d ms", who, rates.perSecond, ms)
	}
	return wait, why
}
