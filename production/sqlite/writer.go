package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"kentongan/production"
	"kentongan/production/internal/hands"
)

// maxGroup is how many jobs share a transaction at most. At 50 µs each they hold up what comes next for a few milliseconds, about
// as long as a flush.
const maxGroup = 128

// job is something that is done inside of a transaction that writes.
type job struct {
	do     func(context.Context, *conn) error // its context never ends
	commit *commit                            // that it is; nil: something else
	state  atomic.Int32                       // queued, begun or withdrawn
	done   chan error                         // gets the answer, if it has begun
}

const (
	queued int32 = iota
	begun
	withdrawn
)

var errClosed = fmt.Errorf("%w: the store is closed", production.ErrUnavailable)

// update does something in a transaction, and returns when it is committed, or was not done at all.
func (s *Store) update(ctx context.Context, do func(context.Context, *conn) error) error {
	return s.carryOut(ctx, &job{do: func(ctx context.Context, c *conn) error {
		clear(s.heads) // it may be about any of them
		return do(ctx, c)
	}})
}

func (s *Store) carryOut(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return trouble(err)
	}
	if done, err := s.lone(j); done { //nolint:contextcheck // it takes no longer than a flush: see Store
		return trouble(err)
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	j.done = make(chan error, 1)
	select {
	case s.jobs <- j:
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return trouble(ctx.Err())
	}
	var gaveUp error
	select {
	case err := <-j.done:
		return trouble(err)
	case <-ctx.Done():
		gaveUp = trouble(ctx.Err())
	case <-s.stopped:
		gaveUp = errClosed
	}
	if j.state.CompareAndSwap(queued, withdrawn) {
		return gaveUp
	}
	return trouble(<-j.done)
}

// lone carries out j on the goroutine of its caller, if nobody else writes or waits for that: to hand it to another goroutine and the
// answer back would take as long as two or three of its statements. It waits for nothing but the disk. done is false if j has to queue.
func (s *Store) lone(j *job) (done bool, err error) {
	select {
	case s.turn <- struct{}{}:
	default:
		return false, nil
	}
	defer s.leave()
	if s.waiting.Load() > 0 { // they were here before
		return false, nil
	}
	select {
	case <-s.stop:
		return true, errClosed
	default:
	}
	err = s.writeLone(j)
	return !errors.Is(err, errHeld), err
}

// leave ends the turn. Who waits for it gets it in the order of asking, so those who do not wait never keep the others out.
func (s *Store) leave() { <-s.turn }

// inTurn runs f once nobody else writes.
func (s *Store) inTurn(f func()) {
	s.turn <- struct{}{}
	defer s.leave()
	f()
}

// write is the loop of the goroutine that writes what has to wait, and what nobody asks for. version is the data version of the beginning.
func (s *Store) write(version int64) {
	defer close(s.stopped)
	watch := time.NewTicker(s.opts.WatchEvery)
	defer watch.Stop()
	var settle <-chan time.Time
	for {
		select {
		case <-s.stop:
			return
		case j := <-s.jobs:
			s.inTurn(func() { s.writeGroup(s.group(j)) })
		case <-s.hands.Ripe():
			if settle == nil {
				settle = time.After(hands.SettleAfter)
			}
		case <-settle:
			settle = nil
			s.inTurn(s.settle)
		case done := <-s.hands.Flush():
			s.inTurn(s.settle)
			close(done)
		case <-watch.C:
			s.inTurn(func() { version = s.watch(version) })
		}
	}
}

// group returns first and what has gathered behind it, without waiting for more: while one group is flushed the next one gathers.
func (s *Store) group(first *job) []*job {
	list := []*job{first}
	for len(list) < maxGroup {
		select {
		case j := <-s.jobs:
			list = append(list, j)
		default:
			return list
		}
	}
	return list
}

// writeGroup carries out jobs in one transaction and answers them. One that fails leaves no trace and does not concern the others.
func (s *Store) writeGroup(group []*job) {
	answers := make([]error, len(group))
	way := s.hands.Begin()
	err := s.transaction(s.opts.BusyTimeout, func() error {
		for i, j := range group {
			if !j.state.CompareAndSwap(queued, begun) {
				continue
			}
			if j.commit != nil {
				j.commit.way = way
			}
			var err error
			if answers[i], err = alone(s.writer, j.do); err != nil {
				return err
			}
		}
		return nil
	})
	var done []*commit
	for i, j := range group {
		if err != nil {
			answers[i] = err
		}
		j.state.CompareAndSwap(queued, begun) // of a transaction that failed before its turn came
		if j.commit != nil && answers[i] == nil && j.state.Load() == begun {
			done = append(done, j.commit)
		}
	}
	if err != nil {
		s.lost(way, group)
	} else {
		s.made(way, done)
	}
	for i, j := range group {
		j.done <- answers[i] // one that was withdrawn has room for it, and nobody reads it
	}
}

// errHeld says that another process writes.
var errHeld = errors.New("another process holds the file")

// writeLone carries out j in a transaction of its own, which needs no savepoint. It returns errHeld, and has not begun, if it would have to
// wait for another process: its caller may give up meanwhile.
func (s *Store) writeLone(j *job) error {
	way := s.hands.Begin()
	if j.commit != nil {
		j.commit.way = way
	}
	began := false
	var its error
	err := s.transaction(0, func() error {
		began = true
		its = j.do(context.Background(), s.writer)
		return its
	})
	switch {
	case !began && busy(err):
		return errHeld
	case err == nil && j.commit != nil:
		s.made(way, []*commit{j.commit})
	case err == nil, its != nil && !unavailable(its):
		s.made(way, nil)
	default:
		s.lost(way, []*job{j})
	}
	return err
}

// made takes in what was written. It comes before anybody is told of it.
func (s *Store) made(way *hands.Handing, done []*commit) {
	for _, w := range done {
		if w.LookAgain.Known() {
			s.memory.Drop(w.Tenant) // batches beside its own have changed
		} else {
			s.memory.Wrote(&w.written)
		}
	}
	if handOn(way, done) {
		s.signal()
	}
}

// lost is for a transaction of which nobody knows what the disk has.
func (s *Store) lost(way *hands.Handing, group []*job) {
	tenants := tenantsOf(group)
	for _, t := range tenants {
		s.memory.Drop(t)
	}
	way.Failed(tenants)
}

// transaction runs f between BEGIN and COMMIT. Whatever fails, nothing is left open. It waits for another process that writes as long as
// patience. The caller has the turn.
func (s *Store) transaction(patience time.Duration, f func() error) error {
	ctx := context.Background()
	if err := s.begin(patience); err != nil {
		return err
	}
	s.hear()
	err := f()
	if err == nil {
		_, err = s.writer.exec(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite may have rolled back by itself, if the disk is full for example; then this fails, and that is all right.
		_, _ = s.writer.exec(ctx, "ROLLBACK")
		clear(s.heads)
	}
	s.contents = s.writer.contents()
	return err
}

// begin waits for another process by itself and not in SQLite, which would do it for lone ones, too.
func (s *Store) begin(patience time.Duration) error {
	const longest = 25 * time.Millisecond // a look is cheap, and SQLite looks as often in the first half second
	for wait, end := time.Millisecond, time.Now().Add(patience); ; wait = min(2*wait, longest) {
		_, err := s.writer.exec(context.Background(), "BEGIN IMMEDIATE")
		if !busy(err) || !time.Now().Before(end) {
			return err
		}
		time.Sleep(wait)
	}
}

// hear ends what is remembered, if another connection has committed since our last transaction. In a transaction that writes nobody can
// any more.
func (s *Store) hear() {
	if now := s.writer.contents(); now == unknown || now != s.contents {
		s.memory.BrokeAll()
		clear(s.heads)
	}
}

// alone runs do in a savepoint. broken says that the whole transaction is lost.
func alone(w *conn, do func(context.Context, *conn) error) (err, broken error) {
	ctx := context.Background()
	if _, err := w.exec(ctx, "SAVEPOINT job"); err != nil {
		return err, err
	}
	if err = do(ctx, w); err != nil {
		if _, err := w.exec(ctx, "ROLLBACK TO job"); err != nil {
			return err, err
		}
		if unavailable(err) { // no room, or a broken disk: nothing of the group can be trusted to fit
			return err, err
		}
	}
	if _, broken := w.exec(ctx, "RELEASE job"); broken != nil {
		return broken, broken
	}
	return err, nil
}

// watch wakes the relay if another process has committed something since version, and something waits. The data version
// changes with commits of other connections only.
func (s *Store) watch(version int64) int64 {
	ctx, w := context.Background(), s.writer
	now, err := dataVersion(ctx, w)
	if err != nil || now == version {
		return version // the next look will tell
	}
	var waiting bool
	err = w.one(ctx,
		"SELECT EXISTS (SELECT 1 FROM heads WHERE waiting IS NOT NULL) OR EXISTS (SELECT 1 FROM notices WHERE done = 0)", nil, &waiting)
	if err != nil {
		return version
	}
	if waiting {
		s.signal()
	}
	return now
}

func dataVersion(ctx context.Context, c *conn) (version int64, err error) {
	err = c.one(ctx, "PRAGMA data_version", nil, &version)
	return version, err
}

// read runs f on a reading connection, all of it on the state of one moment.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	return s.ask(ctx, func(c *conn) error {
		if _, err := c.exec(ctx, "BEGIN"); err != nil {
			return err
		}
		err := f(c)
		if _, end := c.exec(context.WithoutCancel(ctx), "COMMIT"); err == nil {
			err = end
		}
		return err
	})
}

// ask runs f, of one statement, on a reading connection: a statement by itself is of one moment, and two that begin and end a transaction
// would take longer than it.
func (s *Store) ask(ctx context.Context, f func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return trouble(err)
	}
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return trouble(ctx.Err())
	}
	defer func() { s.readers <- c }()
	if c == nil {
		fresh, err := take(ctx, s.reading)
		if err != nil {
			return trouble(err)
		}
		c = fresh
	}
	return trouble(f(c))
}
