package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"kentongan/config"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/production/sqlite"
	"kentongan/tenant"
)

// store is a production.Store of either technology.
type store interface {
	production.Store
	io.Closer
}

// openStore opens the database and brings its schema up to date. production.ErrUnavailable, wrapped, says that it may be there later.
func openStore(ctx context.Context, db config.Database, log *slog.Logger) (store, error) {
	if db.Path != "" {
		s, err := sqlite.Open(ctx, sqlite.Options{Path: db.Path})
		if err != nil {
			return nil, err //nolint:wrapcheck // it says all
		}
		return s, nil
	}
	s, err := postgres.Open(ctx, postgres.Options{URL: db.URL.Reveal(), Log: log})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	return s, nil
}

// Migrate brings the schema of the database up to date, and returns its version before and after.
func Migrate(ctx context.Context, db config.Database, log *slog.Logger) (from, to int, err error) {
	if db.Path != "" {
		return sqlite.Migrate(ctx, sqlite.Options{Path: db.Path}) //nolint:wrapcheck // it says all
	}
	return postgres.Migrate(ctx, postgres.Options{URL: db.URL.Reveal(), Log: log}) //nolint:wrapcheck // it says all
}

// ErrNotBackedUp says that a database has means of its own to be copied.
var ErrNotBackedUp = errors.New("PostgreSQL is copied with its own programs: " +
	`pg_dump --schema=kentongan --format=custom --file=kentongan.dump "$DATABASE_URL"`)

// Backup copies the database into a new file, also while servers work on it, and returns its size in bytes.
func Backup(ctx context.Context, db config.Database, path string) (size int64, err error) {
	if db.Path == "" {
		return 0, ErrNotBackedUp
	}
	return sqlite.Backup(ctx, sqlite.Options{Path: db.Path}, path) //nolint:wrapcheck // it says all
}

// Trail is what VerifyAudit found of one kitchen.
type Trail struct {
	Tenant  tenant.ID `json:"sppgId"`
	Entries int64     `json:"entries"` // that are in order, from the first on
	Last    string    `json:"last"`    // hash of the last of these, to be compared with one that was written down elsewhere
	Problem string    `json:"problem,omitempty"`
}

// VerifyAudit reads the audit trails of tenants, or of all kitchens if there are none, and tells of each. The error says that the
// database cannot be read; a broken trail is a Trail with a Problem.
func VerifyAudit(ctx context.Context, db config.Database, log *slog.Logger, tenants []tenant.ID, tell func(Trail) error) error {
	s, err := openStore(ctx, db, log)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // nothing was written
	if len(tenants) > 0 {
		for _, t := range tenants {
			if err := tell(verify(ctx, s, t)); err != nil {
				return err
			}
		}
		return nil
	}
	const page = 1000
	for after := tenant.ID(""); ; {
		list, err := s.Kitchens(ctx, after, page)
		if err != nil {
			return fmt.Errorf("list kitchens: %w", err)
		}
		for i := range list {
			after = list[i].ID
			if err := tell(verify(ctx, s, after)); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
	}
}

func verify(ctx context.Context, s production.Lists, t tenant.ID) Trail {
	n, last, err := production.VerifyAudit(s.Audit(ctx, t, 1))
	trail := Trail{Tenant: t, Entries: n}
	if n > 0 {
		trail.Last = last.Hash.String()
	}
	if err != nil {
		trail.Problem = err.Error()
	}
	return trail
}
