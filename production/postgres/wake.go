package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/internal/nap"
)

// bell is the channel of PostgreSQL on which nodes tell each other that something waits.
const bell = "kentongan_outbox"

// Wake is as production.Outbox has it.
func (s *Store) Wake() <-chan struct{} { return s.wake }

// committed wakes who waits here at once, and lets the others be told.
func (s *Store) committed() {
	raise(s.wake)
	raise(s.told)
}

// raise sets a flag: a channel of one place.
func raise(flag chan<- struct{}) {
	select {
	case flag <- struct{}{}:
	default: // it is set, and whoever takes it will see this one's work, too
	}
}

// notify tells other nodes of commits, until ctx ends. It is not done in the commits themselves: PostgreSQL takes one lock for
// the whole server over the flush of each transaction that notifies, so no two of them would share a flush.
func (s *Store) notify(ctx context.Context) {
	const between = 50 * time.Millisecond // at most 20 a second, however many commits: telling costs as much as half a commit
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.told:
		}
		err := s.call(ctx, "notify other nodes", func(ctx context.Context, c *conn) error {
			_, err := c.Exec(ctx, "SELECT "+relaxed+", pg_notify($1, $2)", bell, s.node)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "other nodes are not told of new events, they will look by themselves", "err", err)
		}
		nap.For(ctx, between)
	}
}

// listen wakes who waits here when another node tells of a commit, until ctx ends.
func (s *Store) listen(ctx context.Context) {
	const least, most = 100 * time.Millisecond, 5 * time.Second // between two connections
	wait := least
	for ctx.Err() == nil {
		began := time.Now()
		err := s.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "other nodes are not heard, they are asked again soon", "err", err)
		if time.Since(began) > most {
			wait = least // it was up for a while
		}
		nap.For(ctx, jittered(wait))
		wait = min(2*wait, most)
	}
}

// hear listens on a connection of its own until that breaks.
func (s *Store) hear(ctx context.Context) error {
	config := s.pool.Config().ConnConfig
	delete(config.RuntimeParams, "idle_in_transaction_session_timeout")
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.Close(end)
	}()
	if _, err := c.Exec(ctx, "LISTEN "+bell); err != nil {
		return err
	}
	raise(s.wake) // for what was told while nobody listened
	for {
		n, err := next(ctx, c)
		if err != nil {
			return err
		}
		if n != nil && n.Payload != s.node {
			raise(s.wake)
		}
	}
}

// next waits for a notification. Now and then there is none, but proof that the connection is alive: a line that is cut
// silently brings no error.
func next(ctx context.Context, c *pgx.Conn) (*pgconn.Notification, error) {
	const quiet, patience = 15 * time.Second, 5 * time.Second
	waiting, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := c.WaitForNotification(waiting)
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return n, err
	}
	ping, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return nil, c.Ping(ping)
}
