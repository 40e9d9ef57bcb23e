package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"kentongan/production"
)

// code returns SQLite's primary and extended result codes of err, or 0.
func code(err error) (primary, extended int) {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff, e.Code()
	}
	return 0, 0
}

func busy(err error) bool {
	primary, _ := code(err)
	return primary == lib.SQLITE_BUSY || primary == lib.SQLITE_LOCKED
}

// taken reports whether err says that something is there already that may be there once only.
func taken(err error) bool {
	_, extended := code(err)
	return extended == lib.SQLITE_CONSTRAINT_UNIQUE || extended == lib.SQLITE_CONSTRAINT_PRIMARYKEY
}

// trouble returns err as the contract wants it: what is there already is ErrConflict, and what may be better later, ErrUnavailable.
// What the code has found out by itself passes as it is.
func trouble(err error) error {
	if err == nil {
		return nil
	}
	if taken(err) {
		return fmt.Errorf("%w: %w", production.ErrConflict, err)
	}
	if unavailable(err) && !errors.Is(err, production.ErrUnavailable) {
		return fmt.Errorf("%w: %w", production.ErrUnavailable, err)
	}
	return err
}

func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) {
		return true
	}
	switch primary, _ := code(err); primary {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_NOMEM,
		lib.SQLITE_INTERRUPT, lib.SQLITE_PROTOCOL:
		return true
	default:
		return false
	}
}

// explain says in words what is the matter with a file that cannot be opened.
func explain(err error) error {
	switch primary, _ := code(err); primary {
	case lib.SQLITE_NOTADB:
		return fmt.Errorf("the file is no SQLite database: give another path, or move it away: %w", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("the file or its folder cannot be written by this user: %w", err)
	case lib.SQLITE_BUSY:
		return fmt.Errorf("another process holds the file for too long: %w", err)
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the file is damaged: restore a copy: %w", err)
	default:
		return err
	}
}

// isNone reports whether err says that a query has no answer.
func isNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }
