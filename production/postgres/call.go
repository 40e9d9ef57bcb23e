package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kentongan/internal/nap"
	"kentongan/production"
	"kentongan/production/internal/rows"
)

// conn is a connection of the pool for the time of one call.
type conn struct{ *pgxpool.Conn }

// send runs all statements of b in one round trip. The first error ends them: none after it is run.
func (c *conn) send(ctx context.Context, b *pgx.Batch) error { return c.SendBatch(ctx, b).Close() }

// moment runs statements that only read, all on the same state of the database, in one round trip.
func (c *conn) moment(ctx context.Context, queue func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
	queue(b)
	b.Queue("COMMIT")
	return c.send(ctx, b) // after an error the pool closes the connection, and the transaction with it
}

// recordError says that a stored record, or the schema, is not what this program can read. Trying again does not help.
type recordError struct{ error }

func (e recordError) Unwrap() error { return e.error }

// unknownError is an error after which nobody knows whether what was written is there: the call must not be made again by itself.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

// written returns err of statements that wrote and committed in one go: if the server itself did not say that it took
// them back, they may be there.
func written(err error) error {
	var said *pgconn.PgError
	if err == nil || errors.As(err, &said) && said.SeverityUnlocalized == "ERROR" || pgconn.SafeToRetry(err) {
		return err
	}
	return unknownError{err}
}

// A call is tried again when the server ended it for the sake of another one, or the connection turned out to be dead.
// More than a few times would make callers wait for an answer that they can have now.
const (
	attempts   = 4
	firstPause = 10 * time.Millisecond // and twice that each time, with jitter
)

// call runs f with a connection within the store's time limit. what names the call in errors. f may run several times.
func (s *Store) call(ctx context.Context, what string, f func(ctx context.Context, c *conn) error) error {
	return s.callFor(ctx, s.pool, s.timeout, what, f)
}

func (s *Store) callFor(
	ctx context.Context, pool *pgxpool.Pool, limit time.Duration, what string, f func(ctx context.Context, c *conn) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := onConn(ctx, pool, f)
		if err == nil {
			return nil
		}
		if attempt == attempts || !s.again(err) || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, classed(err))
		}
		nap.For(ctx, jittered(pause)) // the next attempt sees that it has ended
		pause *= 2
	}
}

// jittered returns d or up to half of it less, so that those who met once do not meet again.
func jittered(d time.Duration) time.Duration {
	return d - rand.N(d/2) //nolint:gosec // no secret
}

func onConn(ctx context.Context, pool *pgxpool.Pool, f func(ctx context.Context, c *conn) error) error {
	c, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return f(ctx, &conn{c})
}

// SQLSTATE codes and classes of them.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	uniqueViolation      = "23505"
	exclusionViolation   = "23P01"
	divisionByZero       = "22012" // a guarded statement did not find what it was based on
	readOnly             = "25006" // the server has become a standby
	untranslatable       = "22P05" // \u0000 in JSON
	notInRepertoire      = "22021" // a NUL character, or bytes that are not UTF-8

	classConnection    = "08"
	classResources     = "53" // disk full, out of memory, too many connections
	classIntervention  = "57" // shut down, crashed, starting up, cancelled by a time limit
	classSystem        = "58" // errors of the operating system
	classAuthorization = "28"
)

// again reports whether a call that ended with err may be made again, and be it on another connection.
func (s *Store) again(err error) bool {
	var unknown unknownError
	if errors.As(err, &unknown) || errors.As(err, new(recordError)) || isSentinel(err) {
		return false
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return true // the connection is dead
	}
	switch said.Code {
	case serializationFailure, deadlockDetected:
		return true
	case readOnly:
		for _, pool := range []*pgxpool.Pool{s.pool, s.writers} {
			pool.Reset() // all connections lead to the standby
		}
		return true
	default:
		return said.SeverityUnlocalized != "ERROR" && said.Code[:2] == classIntervention // an old connection, or a server that starts
	}
}

func isSentinel(err error) bool {
	return errors.Is(err, production.ErrNotFound) || errors.Is(err, production.ErrConflict) || errors.Is(err, production.ErrInvalid)
}

// classed returns err as one of the errors that callers of a Store decide on. It is the only place where PostgreSQL's errors become ours.
func classed(err error) error {
	var said *pgconn.PgError
	switch {
	case isSentinel(err) || errors.Is(err, production.ErrUnavailable) || errors.As(err, new(recordError)):
		return err
	case !errors.As(err, &said): // no connection, or a broken one, or its time is over
		return fmt.Errorf("%w: %w", production.ErrUnavailable, err)
	}
	switch said.Code {
	case uniqueViolation, exclusionViolation:
		return fmt.Errorf("%w: %s: %w", production.ErrConflict, said.ConstraintName, err)
	case untranslatable, notInRepertoire:
		return fmt.Errorf("%w: a text has a NUL character, or is not UTF-8: %w", production.ErrInvalid, err)
	case serializationFailure, deadlockDetected, lockNotAvailable, readOnly:
		return fmt.Errorf("%w: %w", production.ErrUnavailable, err)
	}
	switch said.Code[:2] {
	case classConnection, classResources, classIntervention, classSystem, classAuthorization:
		return fmt.Errorf("%w: %w", production.ErrUnavailable, err)
	default:
		return err
	}
}

// key returns s as what is looked up by: null, which nothing equals, if PostgreSQL could not have stored it.
func key(s string) any {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		return nil
	}
	return s
}

// word returns s as a column that is only searched by: what PostgreSQL cannot store is replaced. The record has it as it is.
func word(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// decode reads a stored record into the variable that v points to.
func decode(doc []byte, v any) error {
	if err := rows.Decode(doc, v); err != nil {
		return recordError{fmt.Errorf("read a stored record: %w", err)}
	}
	return nil
}

// decoded scans a row of one column, a record.
func decoded[T any](row pgx.CollectableRow) (v T, err error) {
	var doc []byte
	if err := row.Scan(&doc); err != nil {
		return v, err
	}
	err = decode(doc, &v)
	return v, err
}

// into queues what collects all rows with scan into list.
func into[T any](q *pgx.QueuedQuery, list *[]T, scan func(pgx.CollectableRow) (T, error)) {
	q.Query(func(r pgx.Rows) error {
		got, err := pgx.AppendRows((*list)[:0], r, scan)
		*list = got
		return err
	})
}
