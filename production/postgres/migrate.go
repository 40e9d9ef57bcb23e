package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema, NNNN_name.sql. Steps are only added.
type migration struct {
	version int
	name    string
	sql     string
}

// migrations are all steps, in their order: 1, 2, 3 …
func migrations() []migration {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		panic("postgres: " + err.Error())
	}
	list := make([]migration, 0, len(names))
	for i, name := range names {
		sql, err := migrationFiles.ReadFile(name)
		if err != nil {
			panic("postgres: " + err.Error())
		}
		digits, _, _ := strings.Cut(path.Base(name), "_")
		if n, err := strconv.Atoi(digits); err != nil || n != i+1 {
			panic("postgres: migration " + name + " should have number " + strconv.Itoa(i+1))
		}
		list = append(list, migration{i + 1, strings.TrimSuffix(path.Base(name), ".sql"), string(sql)})
	}
	return list
}

// migrationLock is the key of the advisory lock under which the schema changes: "kentonga" in ASCII.
const migrationLock = 0x6b656e746f6e6761

// Migrate brings the schema of the database up to date, and returns its version before and after. Open does the same; a
// deployment whose nodes may not change the schema calls Migrate as a user who may. Its errors are those of Open.
func Migrate(ctx context.Context, opts Options) (from, to int, err error) {
	s, err := connect(ctx, opts)
	if err != nil {
		return 0, 0, err
	}
	defer s.closePools()
	return s.migrate(ctx)
}

// migrate changes the schema in one transaction. Nodes that start at once wait for the first of them.
func (s *Store) migrate(ctx context.Context) (from, to int, err error) {
	steps := migrations()
	const patience = 10 * time.Minute // for this migration, and for those of other nodes
	err = s.callFor(ctx, s.pool, patience, "migrate", func(ctx context.Context, c *conn) error {
		// Without the lock first: at most starts nothing is to be done, and then no rights to change the schema are needed.
		if from, err = schemaVersion(ctx, c.Conn.Conn()); err != nil || from == len(steps) {
			return err
		}
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			const lock = "SELECT pg_advisory_xact_lock($1), set_config('statement_timeout', '0', true)"
			if _, err := tx.Exec(ctx, lock, int64(migrationLock)); err != nil {
				return err
			}
			if from, err = schemaVersion(ctx, tx.Conn()); err != nil {
				return err
			}
			for _, step := range steps[from:] {
				if err := step.run(ctx, tx); err != nil {
					return fmt.Errorf("migration %s: %w", step.name, err)
				}
				s.log.InfoContext(ctx, "database migrated", "step", step.name)
			}
			return nil
		})
	})
	if err != nil {
		return 0, 0, err
	}
	return from, len(steps), nil
}

func (m migration) run(ctx context.Context, tx pgx.Tx) error {
	if m.version == 1 {
		const create = `CREATE SCHEMA IF NOT EXISTS kentongan;
			CREATE TABLE kentongan.migrations (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())`
		if _, err := tx.Conn().PgConn().Exec(ctx, create).ReadAll(); err != nil {
			return err
		}
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, m.sql).ReadAll(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO kentongan.migrations (version, name) VALUES ($1, $2)", m.version, m.name)
	return err
}

// schemaVersion returns the number of the newest step that was run, 0 for a database without our schema. It is an error if this
// program does not know the step.
func schemaVersion(ctx context.Context, c *pgx.Conn) (int, error) {
	// to_regclass would answer from the connection's cache, which does not know yet what another node has just made.
	const made = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'kentongan' AND tablename = 'migrations')"
	var there bool
	if err := c.QueryRow(ctx, made).Scan(&there); err != nil || !there {
		return 0, err
	}
	var version int
	if err := c.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM kentongan.migrations").Scan(&version); err != nil {
		return 0, err
	}
	if known := len(migrations()); version > known {
		return 0, recordError{fmt.Errorf("the database has schema version %d, and this program knows only up to %d: "+
			"start the newer program, or restore a backup from before it", version, known)}
	}
	return version, nil
}
