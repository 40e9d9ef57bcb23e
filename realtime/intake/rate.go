package intake

import (
	"fmt"
	"math"
	"sync"
	"time"

	"kentongan/tenant"
)

// Rates bounds how often each name comes, at all doors together: a bucket for each, which holds the publications of one second.
// It may be used by many at once. The nil Rates has no bounds.
type Rates struct {
	perSecond int
	every     time.Duration // one more publication

	mu        sync.Mutex
	full      map[string]time.Time // when the bucket of a name is full again
	forgot    time.Time
	taken     map[string]int       // since Taken was last called; nil: nobody calls it
	since     time.Time            // when that was
	elsewhere map[string]Elsewhere // not changed
}

// Elsewhere is what a name publishes on other nodes.
type Elsewhere struct {
	PerSecond int // on all of them together
	Nodes     int // on which it does
}

// worthTelling is the part of a bound from which on other nodes are told of it, one of so many.
const worthTelling = 16

// Taken returns how many a second each name has taken since the last call, of those that have taken a sixteenth of the bound or more. The
// first call returns nothing: counting begins with it.
func (r *Rates) Taken() map[string]int {
	some := map[string]int{}
	if r == nil {
		return some
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if span := now.Sub(r.since).Seconds(); r.taken != nil && span > 0 {
		for name, n := range r.taken {
			if perSecond := int(math.Ceil(float64(n) / span)); perSecond >= r.perSecond/worthTelling {
				some[name] = perSecond
			}
		}
	}
	r.taken, r.since = map[string]int{}, now
	return some
}

// SetElsewhere says what names take on other nodes. From now on a name has here what they leave of its bound, but never less than an equal
// part: so two nodes that both want all of it come to terms, in whatever order they hear of each other. others must not be changed any
// more.
func (r *Rates) SetElsewhere(others map[string]Elsewhere) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.elsewhere = others
}

// pace returns the time between two publications of name. The lock is held.
func (r *Rates) pace(name string) time.Duration {
	o, known := r.elsewhere[name]
	if !known {
		return r.every
	}
	here := max(r.perSecond-o.PerSecond, r.perSecond/(o.Nodes+1), 1)
	return (time.Second + time.Duration(here) - 1) / time.Duration(here)
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
	every := r.pace(name)
	full = full.Add(every)
	burst := max(r.perSecond*int(r.every)/int(every), 1) // what comes in a second
	if wait = full.Sub(now) - time.Duration(burst)*every; wait > 0 {
		return wait
	}
	r.full[name] = full
	if r.taken != nil {
		if _, known := r.taken[name]; known || len(r.taken) < forgetFull {
			r.taken[name]++
		}
	}
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
