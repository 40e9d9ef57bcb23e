package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production"
)

// Commits that come while others are on their way wait in a lane and then go together, in one transaction: that is two round trips and
// one flush for all of them, where each would need as much. Nobody waits for others to come. A tenant has one lane, so that no two
// transactions of this node want the same rows.
//
// A lane is not kept waiting: if a tenant is locked by somebody else for more than a moment, or the database refuses the transaction,
// each of its commits is made alone by its caller, who then waits for nobody but his own tenant.
const (
	laneCount = 4  // transactions on their way at once. More share less, fewer leave the server idle while one is planned
	maxGroup  = 64 // commits in one transaction, some 500 statements
)

// job is a commit that waits in a lane.
type job struct {
	*writing
	taken atomic.Bool // by the lane, or by the caller who gives up
	done  chan error  // of one place
}

// errAlone tells the caller to make the commit by himself.
var errAlone = errors.New("not in a group")

var laneSeed = maphash.MakeSeed()

// together makes the commit w with others that are there. It returns the error of w.
func (s *Store) together(ctx context.Context, w *writing) error {
	if err := ctx.Err(); err != nil {
		return classed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if w.lookAgain.Known() { // it changes batches of other commits, which must not be in one group with it
		return s.alone(ctx, w)
	}
	j := &job{writing: w, done: make(chan error, 1)}
	select {
	case s.lanes[maphash.String(laneSeed, string(w.tenant))%laneCount] <- j:
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
	if err := s.transact(ctx, &transaction{writes: []*writing{w}, patient: true}); err != nil {
		return err
	}
	return w.err
}

var errClosed = fmt.Errorf("%w: the store is closed", production.ErrUnavailable)

func (s *Store) transact(ctx context.Context, x *transaction) error {
	return s.callFor(ctx, s.writers, s.timeout, "transaction", x.run)
}

// lane makes the commits that come from jobs until the store is closed. What is on its way then comes to its end.
func (s *Store) lane(ctx context.Context, jobs <-chan *job) {
	group := make([]*job, 0, maxGroup)
	for {
		select {
		case <-s.stopping:
			return
		case j := <-jobs:
			if group = gather(append(group[:0], j), jobs); len(group) > 0 {
				s.carry(ctx, group)
			}
		}
	}
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
func (s *Store) carry(ctx context.Context, group []*job) {
	x := &transaction{}
	for _, j := range group {
		x.writes = append(x.writes, j.writing)
	}
	err := s.transact(ctx, x)
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
