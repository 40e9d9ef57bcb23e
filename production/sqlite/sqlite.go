// Package sqlite keeps the kitchens' records in one SQLite file.
//
// A file has one writer at a time, so a [Store] has one writing connection, and who has the turn uses it. A commit that meets no other
// one is made by its caller. Commits that have to wait for their turn go into one transaction together, each in a savepoint of its own,
// and share one flush to the disk: the more clients, the fewer flushes a commit. Readers have connections of their own, see the state of
// one moment, and neither wait for the writer nor hold it up (write-ahead log). What was acknowledged has been flushed (synchronous=FULL).
//
// What changes want to know of batches is remembered as the store's own commits have left it, so most of them read nothing. That nobody
// else has committed meanwhile is looked at in each transaction (production/internal/recall).
//
// Events go from a commit to the relay of the same process without a claim, and are marked once their kitchen rests for a moment, or many
// of them are without their marks (production/internal/hands).
//
// Several processes may use one file. They wait for each other's writes, at most [Options].BusyTimeout.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/production/internal/recall"
	"kentongan/tenant"
)

// Options say which file, and how. Only Path has no default.
type Options struct {
	Path string // of the file. It is made if it is not there, readable by its owner only; its folder must be there

	Readers     int           // connections that read at the same time; zero means 8. Each may use 2 MB for pages
	BusyTimeout time.Duration // longest wait for another process that writes; zero means 5 s
	WatchEvery  time.Duration // how often commits of other processes are looked for, for Wake; zero means 250 ms

	Now func() time.Time // the clock of leases; nil is time.Now
}

// Store is a production.Store in a file. Its methods may be called concurrently.
//
// A call whose context ends while it waits for the writer was not carried out. Once it is being written the end of its context is
// not heeded any more: it takes a flush, and the answer is known.
type Store struct {
	opts Options
	wake chan struct{}

	turn     chan struct{}      // has a value while somebody uses what is for who has the turn
	writing  *sql.DB            // of one connection, writer
	writer   *conn              // for who has the turn
	contents uint32             // of the file, after the writer's last transaction; for who has the turn
	heads    map[tenant.ID]head // as commits have left them, and nobody has changed them since; for who has the turn

	memory recall.Memory

	reading *sql.DB
	readers chan *conn // those that are free; nil is one that was not needed yet

	hands   *hands.Hands
	jobs    chan *job
	waiting atomic.Int32  // callers whose jobs are in jobs, or taken out and not answered
	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when write has ended
	close   func() error  // does its work once
}

var (
	_ production.Store    = (*Store)(nil)
	_ production.Recaller = (*Store)(nil)
)

// Open opens the file, makes it if it is not there, and brings its schema up to date. It fails with an error that a person
// understands if the folder is missing, the file is no database or of another program or of a newer version of this one, or
// cannot be written. Close it after use.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{
		opts: o, hands: hands.New(), wake: make(chan struct{}, 1), readers: make(chan *conn, o.Readers),
		// A full queue makes callers wait where they can still give up.
		jobs: make(chan *job, maxGroup), turn: make(chan struct{}, 1), heads: map[tenant.ID]head{},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	s.close = sync.OnceValue(s.shut)
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Path, err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Readers == 0 {
		o.Readers = 8
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.WatchEvery == 0 {
		o.WatchEvery = 250 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (s *Store) open(ctx context.Context) error {
	if err := create(s.opts.Path); err != nil {
		return err
	}
	s.writing, s.reading = connect(s.opts, 1, ""), connect(s.opts, s.opts.Readers, "query_only(1)")
	for range s.opts.Readers {
		s.readers <- nil
	}
	version, err := s.openWriter(ctx)
	if err != nil {
		return errors.Join(explain(err), s.reading.Close(), s.writing.Close())
	}
	go s.write(version) //nolint:contextcheck // it lives until Close, not as long as Open
	return nil
}

// openWriter returns the data version of the file once its schema is up to date.
func (s *Store) openWriter(ctx context.Context) (version int64, err error) {
	w, err := take(ctx, s.writing)
	if err != nil {
		return 0, err
	}
	if _, _, err = migrate(ctx, w); err == nil {
		// Statistics for the planner, of a sample of each index: a file that has grown since they were made gets new ones.
		_, err = w.ExecContext(ctx, "PRAGMA analysis_limit = 400; PRAGMA optimize = 0x10002")
	}
	if err == nil {
		version, err = dataVersion(ctx, w)
	}
	if err == nil {
		_, err = w.ExecContext(ctx, "PRAGMA busy_timeout = 0") // begin waits
	}
	if err != nil {
		return 0, errors.Join(err, w.Close())
	}
	s.writer, s.contents = w, w.contents()
	return version, nil
}

// Close waits for what is being written and closes the file. Calls that come later, or still wait for the writer, are ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	close(s.stop)
	<-s.stopped
	s.turn <- struct{}{} // for ever
	// Statistics that the next start need not gather.
	_, _ = s.writer.ExecContext(context.Background(), "PRAGMA optimize") // they are no record: it may fail
	var failed error
	for range s.opts.Readers { // those that read are waited for
		if c := <-s.readers; c != nil {
			failed = errors.Join(failed, c.Close())
		}
	}
	// The last connection of a file moves the log into it.
	if err := errors.Join(failed, s.reading.Close(), s.writer.Close(), s.writing.Close()); err != nil {
		return fmt.Errorf("close store %s: %w", s.opts.Path, err)
	}
	return nil
}

// Wake is as production.Outbox has it.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // one is waiting already
	}
}
