package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// application marks a file as ours: "Ktgn".
const application = 0x4b74676e

// Migrate brings the schema of the file up to date, as Open does, and returns from which version to which. Several nodes may do
// it at once: one does, and the others find it done.
func Migrate(ctx context.Context, o Options) (from, to int, err error) {
	o = o.withDefaults()
	fail := func(err error) (int, int, error) {
		return 0, 0, fmt.Errorf("migrate store %s: %w", o.Path, explain(err))
	}
	if err := create(o.Path); err != nil {
		return fail(err)
	}
	db := connect(o, 1, "")
	c, err := take(ctx, db)
	if err == nil {
		from, to, err = migrate(ctx, c)
		err = errors.Join(err, c.Close())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fail(err)
	}
	return from, to, nil
}

func migrate(ctx context.Context, c *conn) (from, to int, err error) {
	if err := writeAhead(ctx, c); err != nil {
		return 0, 0, err
	}
	// Other nodes wait here until this one has committed.
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return 0, 0, err
	}
	from, to, err = migrateInside(ctx, c)
	if err == nil {
		_, err = c.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, rollback := c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return 0, 0, errors.Join(err, rollback)
	}
	return from, to, nil
}

// writeAhead turns the log on. It is a property of the file, and the first node that does it needs the file for itself; SQLite
// does not wait for that by itself.
func writeAhead(ctx context.Context, c *conn) error {
	for wait := time.Millisecond; ; wait *= 2 {
		var mode string
		err := c.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && mode != "wal":
			return fmt.Errorf("the file system cannot keep a write-ahead log: the journal mode stays %s", mode)
		case err == nil || !busy(err) || wait > time.Second:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func migrateInside(ctx context.Context, c *conn) (from, to int, err error) {
	files, err := migrations.ReadDir("migrations") // sorted, and their numbers are 1, 2, 3 …
	if err != nil {
		return 0, 0, err
	}
	to = len(files)
	var app, tables int
	err = errors.Join(
		c.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app), c.QueryRowContext(ctx, "PRAGMA user_version").Scan(&from),
		c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return 0, 0, err
	case app != application && (app != 0 || from != 0 || tables != 0):
		return 0, 0, errors.New("the file is a database of another program: give another path")
	case from > to:
		return 0, 0, fmt.Errorf("its schema has version %d, and this program knows version %d: "+
			"start the newer program, or restore a copy from before the update", from, to)
	}
	for _, f := range files[from:] {
		text, err := migrations.ReadFile("migrations/" + f.Name())
		if err != nil {
			return 0, 0, err
		}
		if _, err := c.ExecContext(ctx, string(text)); err != nil {
			return 0, 0, fmt.Errorf("migration %s: %w", f.Name(), err)
		}
	}
	if from < to {
		_, err = c.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", application, to))
	}
	return from, to, err
}
