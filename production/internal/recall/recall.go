// Package recall remembers what changes of batches want to know, as the commits of this process have left it, so that most changes
// read nothing ([production.Recaller]).
//
// What is remembered is true as long as nobody else commits. That is not asked but checked: a store looks, with each commit, whether
// somebody else has committed since its own last one. Its commits that follow each other are a chain, and each chain of a tenant has a
// stamp. Once it breaks, there is another stamp, or none, and what was decided on the old one is refused.
//
// Where several processes change one kitchen, it would break again and again, and each time cost a commit an attempt. So after a break
// nothing is remembered for some commits in a row, twice as many each time.
package recall

import (
	"cmp"
	"slices"
	"sync"

	"kentongan/production"
	"kentongan/tenant"
)

// Memory is what one store remembers. Its methods may be called concurrently; the zero value remembers nothing yet.
type Memory struct {
	mu      sync.Mutex
	tenants map[tenant.ID]*recollection
	batches int // of all tenants
	stamps  uint64
	all     caution // after breaks of all chains at once
}

// recollection is what is remembered of one tenant.
type recollection struct {
	stamp   uint64 // of the chain; 0: there is none
	count   uint64 // moves when kitchen or days may have changed
	caution caution

	kitchen *production.KitchenState
	days    map[production.Day]production.DayLoad
	batches map[string]*remembered
}

// remembered is a batch with its facts and active alerts.
type remembered struct {
	production.Batch
	keys []string // of its newest changes: a repetition of one of them is answered, and that takes a Load
}

// caution is for how long nothing is remembered after breaks.
type caution struct {
	fails int // breaks, without a change between them that was made by memory
	wait  int // commits until there may be a stamp
}

func (c *caution) broke(chain bool) {
	if chain {
		c.fails = min(c.fails+1, maxFails)
	}
	c.wait = min(1<<c.fails, maxWait)
}

// over counts a commit, and reports whether it was the last one to wait for.
func (c *caution) over() bool {
	c.wait = max(c.wait-1, 0)
	return c.wait == 0
}

const (
	maxBatches = 20_000 // that are remembered: at 3 KB each, 60 MB. Six a day and kitchen are open at a time
	maxTenants = 50_000 // more than there are kitchens in the programme; without batches, 10 MB
	maxKeys    = 16     // of a batch; a repetition that is older is found out by the database, at the price of an attempt
	maxWait    = 64     // commits after a break
	maxFails   = 10     // that make a difference
)

// Written is a commit that was made. Memory keeps Batch and Alerts: nobody else may write to what they point to.
type Written struct {
	Tenant   tenant.ID
	Recalled uint64 // as production.Commit has it
	Kitchen  bool   // it has written the kitchen

	Batch  *production.Batch // as it is now, without its alerts; nil: it has written none
	Base   int64             // its revision before
	Alerts []production.Alert
	Key    string // of idempotency
}

// Recall is as production.Recaller has it.
func (m *Memory) Recall(t tenant.ID, w production.Want) (l production.Loaded, ok bool) {
	others := len(w.People) > 0 || w.Menu+w.Programme+w.Alert+w.Reading+w.Observed != ""
	if w.Production == "" || others {
		return l, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[t]
	if r == nil || r.stamp == 0 || r.kitchen == nil {
		return l, false
	}
	b := r.batches[w.Production]
	if b == nil || w.Key != "" && slices.Contains(b.keys, w.Key) {
		return l, false
	}
	day, ok := r.days[b.Production.Day]
	return production.Loaded{Kitchen: *r.kitchen, Batch: b.Batch, Day: day, Recalled: r.stamp}, ok
}

// Trusts reports whether what was decided on a chain's stamp, or read (0), is still so, as far as this process knows.
func (m *Memory) Trusts(t tenant.ID, recalled uint64) bool {
	stamp, _ := m.Chain(t)
	return recalled == 0 || stamp == recalled
}

// Chain returns the stamp of a tenant and its count. A Load that is to be remembered asks for them before it begins.
func (m *Memory) Chain(t tenant.ID) (stamp, count uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.tenants[t]; r != nil {
		return r.stamp, r.count
	}
	return 0, 0
}

// Learn takes in what a Load of a batch has answered that began at stamp and count. What the database had by then this process's own
// commits have left, or the chain is broken and its next commit will find out. Own commits that came meanwhile are newer.
func (m *Memory) Learn(t tenant.ID, stamp, count uint64, l *production.Loaded) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[t]
	if r == nil || stamp == 0 || r.stamp != stamp {
		return
	}
	id := l.Batch.Production.ID
	if b := r.batches[id]; b == nil && !l.Batch.Production.Status.Final() {
		m.put(r, id, &remembered{Batch: l.Batch})
	} else if b != nil && b.Revision < l.Batch.Revision {
		b.Batch = l.Batch
	}
	if r.count == count {
		r.kitchen, r.days[l.Batch.Production.Day] = &l.Kitchen, l.Day
	}
}

// put remembers a batch. The caller has the lock.
func (m *Memory) put(r *recollection, id string, b *remembered) {
	for t, other := range m.tenants { // any tenant: which one matters little, and a list of the least used would be work for every change
		if m.batches < maxBatches {
			break
		}
		if other != r {
			m.forget(t)
		}
	}
	if m.batches < maxBatches {
		r.batches[id] = b
		m.batches++
	}
}

func (m *Memory) forget(t tenant.ID) {
	if r := m.tenants[t]; r != nil {
		m.batches -= len(r.batches)
		delete(m.tenants, t)
	}
}

// ForgetAll ends all chains.
func (m *Memory) ForgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetAll()
}

func (m *Memory) forgetAll() {
	clear(m.tenants)
	m.batches = 0
}

// Drop ends the chain of a tenant: nobody knows what was written, or more was than a Written tells.
func (m *Memory) Drop(t tenant.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(t)
}

// Broke ends the chain of a tenant: somebody else has committed for it.
func (m *Memory) Broke(t tenant.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[t]
	if r == nil {
		return
	}
	c := r.caution
	c.broke(r.stamp != 0)
	m.forget(t)
	m.tenants[t] = &recollection{caution: c}
}

// BrokeAll ends all chains: somebody else has committed, and for whom is not known.
func (m *Memory) BrokeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all.broke(len(m.tenants) > 0)
	m.forgetAll()
}

// Wrote takes in a commit, after which the store knows where its tenant stands. Those of a tenant are to come in their order, and before
// anybody is told of them.
func (m *Memory) Wrote(w *Written) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.all.over() {
		return
	}
	r := m.chained(w.Tenant)
	if r == nil {
		return
	}
	if w.Recalled != 0 {
		r.caution.fails, m.all.fails = 0, 0
	}
	if w.Kitchen {
		r.count++
		r.kitchen = nil
	}
	if w.Batch != nil {
		m.follow(r, w)
	}
}

// chained returns what is remembered of a tenant, or nil if nothing may be yet. The caller has the lock.
func (m *Memory) chained(t tenant.ID) *recollection {
	r := m.tenants[t]
	if r == nil {
		if len(m.tenants) >= maxTenants {
			m.forgetAll()
		}
		if m.tenants == nil {
			m.tenants = map[tenant.ID]*recollection{}
		}
		r = &recollection{}
		m.tenants[t] = r
	}
	if r.stamp == 0 {
		if !r.caution.over() {
			return nil
		}
		m.stamps++
		r.stamp, r.days, r.batches = m.stamps, map[production.Day]production.DayLoad{}, map[string]*remembered{}
	}
	return r
}

// follow takes in the batch of a commit. The caller has the lock.
func (m *Memory) follow(r *recollection, w *Written) {
	id := w.Batch.Production.ID
	b := r.batches[id]
	if b == nil || b.Revision != w.Base || b.Production.Counted() != w.Batch.Production.Counted() {
		r.count++
		clear(r.days)
	}
	switch {
	case b == nil:
	case b.Revision != w.Base || w.Batch.Production.Status.Final() || w.Batch.Production.DeletedAt.Known():
		delete(r.batches, id)
		m.batches--
	default:
		alerts := succeeding(b.Alerts, w.Alerts)
		b.Batch = *w.Batch
		b.Alerts = alerts
		if w.Key != "" {
			if len(b.keys) == maxKeys {
				b.keys = slices.Delete(b.keys, 0, 1)
			}
			b.keys = append(b.keys, w.Key)
		}
	}
}

// succeeding returns the active alerts after a commit that writes some, in the order in which Load has them.
func succeeding(before, written []production.Alert) []production.Alert {
	if len(written) == 0 {
		return before
	}
	after := slices.Clone(before)
	for i := range written {
		same := func(a production.Alert) bool { return a.ID == written[i].ID }
		after = append(slices.DeleteFunc(after, same), written[i])
	}
	after = slices.DeleteFunc(after, func(a production.Alert) bool { return !a.Active() })
	slices.SortFunc(after, func(a, b production.Alert) int {
		return cmp.Or(cmp.Compare(a.RaisedAt, b.RaisedAt), cmp.Compare(a.ID, b.ID))
	})
	if len(after) == 0 {
		return nil
	}
	return after
}
