package postgres

import (
	"cmp"
	"slices"
	"sync"

	"kentongan/production"
	"kentongan/tenant"
)

// memory is what changes of batches want to know, as this node's own commits have left it, so that most changes need no read (Recall).
//
// It is true as long as nobody else commits for the tenant. That is not asked, but checked: a commit that was decided on it goes through
// the lane, whose statement writes only if the tenant's row in heads is as the lane's last commit has left it (known.go), and every commit
// of anybody moves that row. A chain of such commits has a stamp. Once it breaks, there is another stamp, or none, and what was decided on
// the old one is refused.
//
// Where several nodes change one kitchen, it would break again and again, and each time cost a group of commits an attempt. So after a
// break the tenant waits for some of the lane's commits in a row, twice as many each time, before there is a new stamp.
type memory struct {
	mu      sync.Mutex
	tenants map[tenant.ID]*recollection
	batches int // of all tenants
	stamps  uint64
}

// recollection is what is remembered of one tenant.
type recollection struct {
	stamp uint64 // of the chain; 0: there is none
	count uint64 // moves when kitchen or days may have changed
	fails int    // breaks, without a change between them that was made by memory
	wait  int    // commits until there is a stamp

	kitchen *production.KitchenState
	days    map[production.Day]production.DayLoad
	batches map[string]*remembered
}

// remembered is a batch with its facts and active alerts.
type remembered struct {
	production.Batch
	keys []string // of its newest changes: a repetition of one of them is answered, and that takes a Load
}

const (
	maxBatches = 20_000 // that are remembered: at 3 KB each, 60 MB. Six a day and kitchen are open at a time
	maxKeys    = 16     // of a batch; a repetition that is older is found out by the database, at the price of an attempt
	maxWait    = 64     // commits after a break
)

// Recall is as production.Recaller has it.
func (s *Store) Recall(t tenant.ID, w production.Want) (production.Loaded, bool) {
	others := len(w.People) > 0 || w.Menu+w.Programme+w.Alert+w.Reading+w.Observed != ""
	if w.Production == "" || others {
		return production.Loaded{}, false
	}
	return s.memory.recall(t, w.Production, w.Key)
}

func (m *memory) recall(t tenant.ID, id, key string) (l production.Loaded, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[t]
	if r == nil || r.stamp == 0 || r.kitchen == nil {
		return l, false
	}
	b := r.batches[id]
	if b == nil || key != "" && slices.Contains(b.keys, key) {
		return l, false
	}
	day, ok := r.days[b.Production.Day]
	return production.Loaded{Kitchen: *r.kitchen, Batch: b.Batch, Day: day, Recalled: r.stamp}, ok
}

// chain returns the stamp of a tenant and its count. A Load that is to be remembered asks for them before it begins.
func (m *memory) chain(t tenant.ID) (stamp, count uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.tenants[t]; r != nil {
		return r.stamp, r.count
	}
	return 0, 0
}

// learn takes in what a Load of a batch has answered that began at stamp and count. What the database had by then this node's own commits
// have left, or the chain is broken and its next commit will find out. Own commits that came meanwhile are newer.
func (m *memory) learn(t tenant.ID, stamp, count uint64, l *production.Loaded) {
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
func (m *memory) put(r *recollection, id string, b *remembered) {
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

func (m *memory) forget(t tenant.ID) {
	if r := m.tenants[t]; r != nil {
		m.batches -= len(r.batches)
		delete(m.tenants, t)
	}
}

func (m *memory) forgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.tenants)
	m.batches = 0
}

// drop ends the chain of a tenant: nobody knows what was written.
func (m *memory) drop(t tenant.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(t)
}

// broke ends the chain of a tenant: somebody else has committed for it.
func (m *memory) broke(t tenant.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[t]
	if r == nil {
		return
	}
	fails := r.fails
	if r.stamp != 0 {
		fails = min(fails+1, 10)
	}
	m.forget(t)
	m.tenants[t] = &recollection{fails: fails, wait: min(1<<fails, maxWait)}
}

// wrote takes in a commit of the lane, after which known has where its tenant stands.
func (m *memory) wrote(w *writing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tenants[w.tenant]
	if r == nil {
		r = &recollection{}
		m.tenants[w.tenant] = r
	}
	if r.stamp == 0 {
		r.wait--
		if r.wait > 0 {
			return
		}
		m.stamps++
		r.stamp, r.days, r.batches = m.stamps, map[production.Day]production.DayLoad{}, map[string]*remembered{}
	}
	if w.recalled != 0 {
		r.fails = 0
	}
	if w.kitchen != nil {
		r.count++
		r.kitchen = nil
	}
	if w.after == nil {
		return
	}
	id := w.batch.id
	b := r.batches[id]
	if b == nil || b.Revision != w.batch.base || b.Production.Counted() != w.after.Production.Counted() {
		r.count++
		clear(r.days)
	}
	switch {
	case b == nil:
	case b.Revision != w.batch.base || w.after.Production.Status.Final() || w.after.Production.DeletedAt.Known():
		delete(r.batches, id)
		m.batches--
	default:
		w.after.Alerts = succeeding(b.Alerts, w.alerts)
		b.Batch = *w.after
		if w.key != "" {
			if len(b.keys) == maxKeys {
				b.keys = slices.Delete(b.keys, 0, 1)
			}
			b.keys = append(b.keys, w.key)
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
