package postgres

import (
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

var _ production.Direct = (*Store)(nil)

// Direct is as production.Direct has it.
func (s *Store) Direct(owner string, lease time.Duration) production.Way {
	return s.hands.Open(owner, lease, s.stopping)
}

func (x *transaction) tenants() []tenant.ID {
	list := make([]tenant.ID, 0, len(x.writes))
	for _, w := range x.writes {
		list = append(list, w.tenant)
	}
	return list
}

// handOn puts the events of a transaction that was written on the way, and notes whose wait for Claim.
func (x *transaction) handOn() {
	events := map[tenant.ID][]production.Event{}
	for _, w := range x.writes {
		if w.err == nil && len(w.numbered) > 0 {
			events[w.tenant] = append(events[w.tenant], w.numbered...)
		}
	}
	took := x.handing.Committed(events)
	for _, w := range x.writes {
		w.waits = len(w.numbered) > 0 && !took[w.tenant]
	}
}
