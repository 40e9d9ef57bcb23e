package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Examination is what a look at a file has found.
type Examination struct {
	Exists         bool
	Version, Known int    // of its schema, and the newest that this program knows
	Bytes          int64  // of the file
	Folder         string // in which it is
}

// Examine looks at the file without changing it: whether it is there, is ours, can be written, and how old its schema is. The error says
// what is wrong, in words. Of a file that is not there it says whether it could be made.
func Examine(ctx context.Context, o Options) (e Examination, err error) {
	o = o.withDefaults()
	e.Folder = filepath.Dir(o.Path)
	fail := func(err error) (Examination, error) {
		return e, fmt.Errorf("examine store %s: %w", o.Path, explain(err))
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return fail(err)
	}
	e.Known = len(files)
	info, err := os.Stat(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := writable(e.Folder); err != nil {
			return fail(err)
		}
		return e, nil
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return fail(errors.New("it is not a file: want the path of a file"))
	}
	e.Exists, e.Bytes = true, info.Size()
	if e.Bytes == 0 {
		return e, nil // as good as none
	}
	db := connect(o, 1, "")
	c, err := take(ctx, db)
	if err == nil {
		err = errors.Join(e.look(ctx, c), c.Close())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fail(err)
	}
	if err := writable(e.Folder); err != nil {
		return fail(err) // SQLite writes its log beside the file
	}
	return e, nil
}

// look asks the file what it is, and takes the right to write for a moment.
func (e *Examination) look(ctx context.Context, c *conn) error {
	var app, tables int
	if err := errors.Join(
		c.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app), c.QueryRowContext(ctx, "PRAGMA user_version").Scan(&e.Version),
		c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	); err != nil {
		return err
	}
	switch {
	case app != application && (app != 0 || e.Version != 0 || tables != 0):
		return errors.New("the file is a database of another program: give another path")
	case e.Version > e.Known:
		return fmt.Errorf("its schema has version %d, and this program knows version %d: start the newer program, or restore a copy "+
			"from before the update", e.Version, e.Known)
	}
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	_, err := c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return err
}

// writable makes a file in a folder, and takes it away again.
func writable(folder string) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s: make it, or give another path", folder)
	}
	f, err := os.CreateTemp(folder, ".kentongan-doctor-*")
	if err != nil {
		return fmt.Errorf("the folder cannot be written by this user: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
