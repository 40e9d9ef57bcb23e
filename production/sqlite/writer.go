package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"kentongan/production"
	"kentongan/production/internal/hands"
)

// maxGroup is how many jobs share a transaction at most. At 50 µs each they hold up what comes next for a few milliseconds, about
// as long as a flush.
const maxGroup = 128

// job is something that the writer does inside of a transaction.
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

// update has the writer do something, and returns when it is committed, or was not done at all.
func (s *Store) update(ctx context.Context, do func(context.Context, *conn) error) error {
	return s.queue(ctx, &job{do: do, done: make(chan error, 1)})
}

func (s *Store) queue(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return trouble(err)
	}
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

// write is the loop of the one goroutine that owns the writing connection. version is the data version of the beginning.
func (s *Store) write(w *conn, version int64) {
	defer close(s.stopped)
	watch := time.NewTicker(s.opts.WatchEvery)
	defer watch.Stop()
	var settle <-chan time.Time
	for {
		select {
		case <-s.stop:
			// Statistics that the next start need not gather.
			_, _ = w.ExecContext(context.Background(), "PRAGMA optimize") // they are no record: it may fail
			return
		case j := <-s.jobs:
			s.writeGroup(w, s.group(j))
		case <-s.hands.Ripe():
			if settle == nil {
				settle = time.After(hands.SettleAfter)
			}
		case <-settle:
			settle = nil
			s.settle(w)
		case done := <-s.hands.Flush():
			s.settle(w)
			close(done)
		case <-watch.C:
			version = s.watch(w, version)
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
func (s *Store) writeGroup(w *conn, group []*job) {
	answers := make([]error, len(group))
	way := s.hands.Begin()
	err := transaction(w, func() error {
		for i, j := range group {
			if !j.state.CompareAndSwap(queued, begun) {
				continue
			}
			if j.commit != nil {
				j.commit.way = way
			}
			var err error
			if answers[i], err = alone(w, j.do); err != nil {
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
		way.Failed(tenantsOf(group))
	} else if handOn(way, done) {
		s.signal()
	}
	for i, j := range group {
		j.done <- answers[i] // one that was withdrawn has room for it, and nobody reads it
	}
}

// transaction runs f between BEGIN and COMMIT. Whatever fails, nothing is left open.
func transaction(w *conn, f func() error) error {
	ctx := context.Background()
	if _, err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		if _, err = w.exec(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// SQLite may have rolled back by itself, if the disk is full for example; then this fails, and that is all right.
	_, _ = w.exec(ctx, "ROLLBACK")
	return err
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
func (s *Store) watch(w *conn, version int64) int64 {
	ctx := context.Background()
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
