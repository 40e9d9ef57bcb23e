package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/tenant"
)

// Commits that come while others are on their way wait in the lane and then go together, in one transaction: that is one round trip or
// two and one flush for all of them, where each would need as much. There is one lane: with two or four,
// groups are smaller, and what is short is the processor of the database and not its disk.
//
// The lane is not kept waiting: if a tenant is locked by somebody else for more than a moment, or the database refuses the transaction,
// each of its commits is made alone by its caller, who then waits for nobody but his own tenant; and so are those that come for that
// tenant meanwhile.
const (
	maxGroup = 64 // commits in one transaction, some 500 statements if each went alone

	// Whoever was in the last group comes again in a moment, if he has more to do. Without a wait for that, the first who is back would
	// go alone, and all the others in the next transaction: two for what one can do. A part of the time that the last one took is little
	// for those who wait already, and who is alone never waits.
	waitPart         = 4
	maxWaitForOthers = 2 * time.Millisecond

	maxAlone = 7 // transactions of commits that go alone
)

// job is a commit that waits in a lane.
type job struct {
	*writing
	taken atomic.Bool // by the lane, or by the caller who gives up
	done  chan error  // of one place
}

// errAlone tells the caller to make the commit by himself.
var errAlone = errors.New("not in a group")

// together makes the commit w with others that are there. It returns the error of w.
func (s *Store) together(ctx context.Context, w *writing) error {
	if err := ctx.Err(); err != nil {
		return classed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// One with lookAgain changes batches of other commits, which must not be in one group with it.
	if w.lookAgain.Known() || s.apart.has(w.tenant) {
		return s.alone(ctx, w)
	}
	j := &job{writing: w, done: make(chan error, 1)}
	select {
	case s.jobs <- j:
	case <-ctx.Done():
		return classed(ctx.Err())
	case <-s.stopping:
		return errClosed
	}
	var err error
	select {
	case err = <-j.done:
	case <-s.stopping:
		if j.taken.CompareAndSwap(false, true) {
			return errClosed
		}
		err = <-j.done // Close waits for it
	case <-ctx.Done():
		j.taken.Store(true)
		return classed(ctx.Err()) // it is not made, or nobody knows
	}
	if errors.Is(err, errAlone) {
		return s.alone(ctx, w)
	}
	return err
}

// alone makes the commit w in a transaction of its own, and waits for who has its tenant locked.
func (s *Store) alone(ctx context.Context, w *writing) error {
	s.apart.add(w.tenant, 1)
	defer s.apart.add(w.tenant, -1)
	select {
	case s.solo <- struct{}{}: // the lane always has a connection
		defer func() { <-s.solo }()
	case <-ctx.Done():
		return classed(ctx.Err())
	}
	if err := s.transact(ctx, &transaction{writes: []*writing{w}, patient: true}); err != nil {
		return err
	}
	w.waits = len(w.numbered) > 0
	return w.err
}

var errClosed = fmt.Errorf("%w: the store is closed", production.ErrUnavailable)

func (s *Store) transact(ctx context.Context, x *transaction) error {
	return s.callFor(ctx, s.writers, s.timeout, "transaction", x.run)
}

// apart counts the commits of tenants that go alone.
type apart struct {
	mu    sync.Mutex
	count map[tenant.ID]int
}

func (a *apart) add(t tenant.ID, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[t] += n; a.count[t] == 0 {
		delete(a.count, t)
	}
}

func (a *apart) has(t tenant.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count[t] > 0
}

// lane makes the commits that come from jobs until the store is closed. What is on its way then comes to its end.
func (s *Store) lane(ctx context.Context, jobs <-chan *job) {
	group, known, last := make([]*job, 0, maxGroup), &known{heads: map[tenant.ID]head{}, memory: &s.memory}, company{}
	var settle <-chan time.Time
	for {
		select {
		case <-s.stopping:
			return
		case <-s.hands.Ripe():
			if settle == nil {
				settle = time.After(hands.SettleAfter)
			}
		case <-settle:
			settle = nil
			s.settle(ctx)
		case done := <-s.hands.Flush():
			s.settle(ctx)
			close(done)
		case j := <-jobs:
			group = gather(append(group[:0], j), jobs)
			group = last.wait(group, jobs)
			if len(group) > 0 {
				began := time.Now()
				s.carry(ctx, group, known)
				last = company{len(group), time.Since(began)}
			}
		}
	}
}

// company is the last group: how many it was, and how long it took.
type company struct {
	size int
	took time.Duration
}

// wait returns group with those who come while it waits for as many as there were in the last one.
func (c company) wait(group []*job, jobs <-chan *job) []*job {
	if c.size <= 1 || len(group) >= c.size {
		return group
	}
	end := time.NewTimer(min(c.took/waitPart, maxWaitForOthers))
	defer end.Stop()
	for len(group) < c.size {
		select {
		case j := <-jobs:
			if j.taken.CompareAndSwap(false, true) {
				group = append(group, j)
			}
		case <-end.C:
			return group
		}
	}
	return group
}

// gather returns group with what else is there, without those that were given up.
func gather(group []*job, jobs <-chan *job) []*job {
	if !group[0].taken.CompareAndSwap(false, true) {
		group = group[:0]
	}
	for len(group) < maxGroup {
		select {
		case j := <-jobs:
			if j.taken.CompareAndSwap(false, true) {
				group = append(group, j)
			}
		default:
			return group
		}
	}
	return group
}

// carry makes the commits of group and tells each how it went.
func (s *Store) carry(ctx context.Context, group []*job, known *known) {
	x := &transaction{known: known, handing: s.hands.Begin()}
	for _, j := range group {
		x.writes = append(x.writes, j.writing)
	}
	err := s.transact(ctx, x)
	if err == nil {
		x.handOn()
	} else {
		x.handing.Failed(x.tenants())
	}
	var said *pgconn.PgError
	if errors.As(err, &said) && said.SeverityUnlocalized == "ERROR" && (len(group) > 1 || said.Code == lockNotAvailable) {
		err = errAlone // it was taken back; who is to blame shows when each goes alone
	}
	for _, j := range group {
		if err == nil {
			j.done <- j.err
		} else {
			j.done <- err
		}
	}
}
