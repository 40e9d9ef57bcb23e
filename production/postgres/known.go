package postgres

import (
	"bytes"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production/internal/recall"
	"kentongan/tenant"
)

// known is where tenants stood after the last commit that the lane made for them. A group of which all tenants are in it needs no look
// before it writes: its statements check that nothing has changed (see guarded), and if something has, the group is taken back and looks
// first. Its methods are for the goroutine of the lane; a nil one knows nothing.
type known struct {
	heads  map[tenant.ID]head
	memory *recall.Memory // of the batches of these tenants
	doubt  int            // so many groups look first
	fails  int            // in a row
}

const (
	maxKnown = 50_000 // more than there are kitchens in the programme; 8 MB
	maxDoubt = 64     // groups that look first after a row of misses: other nodes commit for the same tenants
)

// recall reports whether all that x has to know is known, and takes it. What batches are based on is believed.
func (x *transaction) recall() bool {
	k := x.known
	if k == nil {
		return false
	}
	if k.doubt > 0 {
		k.doubt--
		return false
	}
	x.heads, x.batches, x.kitchens = map[tenant.ID]*head{}, map[place]int64{}, map[tenant.ID]int64{}
	for _, w := range x.writes {
		h, ok := k.heads[w.tenant]
		if !ok || w.kitchen != nil || w.lookAgain.Known() {
			return false
		}
		x.heads[w.tenant] = &h
		if w.batch == nil {
			continue
		}
		p := place{w.tenant, w.batch.id}
		if _, ok := x.batches[p]; !ok { // those behind it are compared with what it leaves
			x.batches[p] = w.batch.base
		}
	}
	return true
}

// keep remembers how x has left its tenants.
func (k *known) keep(x *transaction) {
	if k == nil {
		return
	}
	if len(k.heads) > maxKnown {
		clear(k.heads)
		k.memory.ForgetAll()
	}
	for _, w := range x.writes {
		if w.err == nil {
			k.memory.Wrote(w.written())
		}
	}
	for t, h := range x.heads {
		next := head{moves: h.moves, event: h.event, audit: h.audit, hash: h.hash}
		next.base.moves, next.base.event, next.base.audit, next.base.hash = h.moves, h.event, h.audit, h.base.hash
		if h.event != h.base.event || h.audit != h.base.audit { // else the row stayed as it was
			next.base.hash = bytes.Clone(h.hash[:])
		}
		k.heads[t] = next
	}
}

// drop forgets the tenants of x: nobody knows where they stand.
func (k *known) drop(x *transaction) {
	if k == nil {
		return
	}
	for _, w := range x.writes {
		delete(k.heads, w.tenant)
		k.memory.Drop(w.tenant)
	}
}

// check ends the chains of those tenants that do not stand where they stood after their last commits of the lane.
func (k *known) check(heads map[tenant.ID]*head) {
	if k == nil {
		return
	}
	for t, h := range heads {
		last, ok := k.heads[t]
		if !ok || last.moves != h.moves || last.event != h.event || last.audit != h.audit || last.hash != h.hash {
			k.memory.Broke(t)
		}
	}
}

// trusts reports whether what w was decided on is still so, as far as it was not read.
func (k *known) trusts(w *writing) bool {
	if k == nil {
		return w.recalled == 0
	}
	return k.memory.Trusts(w.tenant, w.recalled)
}

// missed says that the belief of a group was wrong. If that happens again and again, groups look first for a while.
func (k *known) missed() {
	k.doubt = min(1<<k.fails, maxDoubt) - 1
	k.fails = min(k.fails+1, 10)
}

// outdated reports whether err says that something was not as it was believed to be.
func outdated(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return false
	}
	switch said.Code {
	case divisionByZero, uniqueViolation, exclusionViolation:
		return true
	default:
		return false
	}
}
