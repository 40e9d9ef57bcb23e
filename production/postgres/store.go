// Package postgres is a production.Store in PostgreSQL, for kitchens that are served by several nodes, or that are too many
// for one file. It needs PostgreSQL 13 or newer, with connections of its own or a pooler that keeps sessions.
//
// Everything lies in the schema "kentongan" of the database, so that it may be the database of an app: no table of the app is
// touched or can be in the way. [Open] brings the schema up to date; nodes that start at once wait for each other.
//
// # How a commit goes
//
// Commits of one tenant come one after the other, in the order in which they lock its row in heads: that is what gives events and
// audit entries their numbers without a hole. A node that made the tenant's last commit knows where it stands and writes everything
// by one statement (whole.go), which fails as a whole if that has changed (known.go). Else the first round trip begins a transaction, locks
// the row, and reads the revisions; the second one writes and commits. Commits that wait for those before them go together in one
// transaction, so that the more there are the less each of them costs (lanes.go).
//
// What changes want to know of batches is remembered as the node's own commits have left it, so most of them read nothing: the same check
// finds out if it is outdated (production/internal/recall, known.go).
//
// Events go from there to the relay of the same process without a claim, and are marked by the next commit
// (production/internal/hands); what that cannot take is claimed.
//
// Leases and marks of the outbox commit without waiting for the disk: if the server fails in that moment, events come again,
// as they do after a relay that fails, and each has its key against duplicates.
//
// # Failover
//
// Every call ends within [Options.Timeout]. A URL may name several hosts with target_session_attrs=read-write; connections
// to a server that has become a standby are given up. Transactions that the server ends for a deadlock are tried again inside.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kentongan/production"
	"kentongan/production/internal/hands"
	"kentongan/production/internal/recall"
	"kentongan/tenant"
)

// Options say which database, and how much of it.
type Options struct {
	// URL is postgres://user:password@host:5432/database?sslmode=verify-full, or libpq's keywords. Parameters that only Prisma
	// knows (schema, connection_limit …) are left out, so it may be the URL of an app that uses Prisma.
	URL string

	// MaxConns is how many connections calls may use at once; zero means 16. Commits have up to 8 of their own, and one listens.
	// PostgreSQL's default is 100 for all of its clients.
	MaxConns int

	// Timeout is how long one call may take, with waiting for a connection and for locks; zero means 10 s.
	Timeout time.Duration

	Log *slog.Logger // nil discards
}

// Store is a production.Store. Open makes one.
type Store struct {
	pool    *pgxpool.Pool
	writers *pgxpool.Pool // for transactions of commits
	timeout time.Duration
	log     *slog.Logger
	node    string // tells our own notifications from those of others

	wake chan struct{} // Wake
	told chan struct{} // a commit has something for other nodes

	jobs     chan *job     // the lane
	solo     chan struct{} // has a value for each commit that goes alone and has its turn
	apart    apart
	hands    *hands.Hands
	memory   recall.Memory      // of what changes of batches want to know: known checks it
	stopping chan struct{}      // closed by Close
	stop     context.CancelFunc // of the goroutines that tell and hear
	close    func()             // does its work once
	running  sync.WaitGroup
}

var (
	_ production.Store    = (*Store)(nil)
	_ production.Recaller = (*Store)(nil)
)

// Open connects to the database and brings its schema up to date. It returns ErrUnavailable, wrapped, if the database cannot
// be reached, another error if the URL makes no sense or the schema is of a newer program.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.migrate(ctx); err != nil {
		s.closePools()
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // they end by Close, not with who opened
	s.stop = stop
	s.running.Go(func() { s.listen(running) })
	s.running.Go(func() { s.notify(running) })
	s.running.Go(func() { s.lane(context.WithoutCancel(ctx), s.jobs) })
	return s, nil
}

// connect returns a Store without goroutines, which has not connected yet.
func connect(ctx context.Context, opts Options) (*Store, error) {
	if opts.MaxConns == 0 {
		opts.MaxConns = 16
	}
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	config, err := parseURL(opts)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	writers, err := pgxpool.NewWithConfig(ctx, forWriters(config))
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	s := &Store{
		pool: pool, writers: writers, timeout: opts.Timeout, log: opts.Log, node: rand.Text(),
		wake: make(chan struct{}, 1), told: make(chan struct{}, 1), stopping: make(chan struct{}),
		jobs: make(chan *job, maxGroup), // one that is full makes callers wait where they can still give up
		solo: make(chan struct{}, maxAlone), apart: apart{count: map[tenant.ID]int{}}, hands: hands.New(),
	}
	s.close = sync.OnceFunc(func() {
		close(s.stopping)
		s.stop()
		s.running.Wait()
		s.closePools()
	})
	return s, nil
}

func (s *Store) closePools() {
	s.pool.Close()
	s.writers.Close()
}

// Close ends what runs in the background and waits for calls that are under way. Calls after it are ErrUnavailable.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Ping returns ErrUnavailable, wrapped, if the database does not answer or does not take writes.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", func(ctx context.Context, c *conn) error {
		var standby bool
		if err := c.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
			return err
		}
		if standby {
			return fmt.Errorf("the server is a standby: %w", production.ErrUnavailable)
		}
		return nil
	})
}

var errURL = errors.New("want postgres://user:password@host:5432/database")
