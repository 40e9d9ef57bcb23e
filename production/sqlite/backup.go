package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a copy of the file to path, whole and of one moment, while a server works on it: nobody waits for it. The copy has no log
// beside it, is readable by its owner only, has been read through once, and is on the disk when Backup returns; its size is returned, in
// bytes. A file that is at path already is left alone, and that is an error; what could not be finished is removed.
func Backup(ctx context.Context, o Options, path string) (size int64, err error) {
	o = o.withDefaults()
	fail := func(err error) (int64, error) {
		return 0, fmt.Errorf("back up store %s to %s: %w", o.Path, path, explain(err))
	}
	if _, err := os.Stat(o.Path); err != nil {
		return fail(errors.New("there is no such file to copy"))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's
	switch {
	case errors.Is(err, fs.ErrExist):
		return fail(errors.New("the copy is there already: give another path, or move it away"))
	case err != nil:
		return fail(fmt.Errorf("the copy cannot be made: %w", err))
	}
	if err := f.Close(); err != nil {
		return fail(err)
	}
	if err = copyInto(ctx, o, path); err == nil {
		size, err = settle(path)
	}
	if err != nil {
		return fail(errors.Join(err, os.Remove(path)))
	}
	return size, nil
}

// copyInto copies in one read transaction, which in a database with a write-ahead log holds up nobody, and checks the copy.
func copyInto(ctx context.Context, o Options, path string) error {
	ours := func(c *conn) error {
		var app int
		if err := c.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
			return err
		}
		if app != application {
			return errors.New("the file is a database of another program: give another path")
		}
		_, err := c.ExecContext(ctx, "VACUUM INTO ?", path)
		return err
	}
	whole := func(c *conn) error {
		var said string
		if err := c.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			return fmt.Errorf("the copy is damaged, and so is the file, maybe: %s", said)
		}
		return nil
	}
	if err := with(ctx, o, ours); err != nil {
		return err
	}
	o.Path = path
	return with(ctx, o, whole)
}

// with runs f on a connection of its own.
func with(ctx context.Context, o Options, f func(*conn) error) error {
	db := connect(o, 1, "")
	c, err := take(ctx, db)
	if err == nil {
		err = errors.Join(f(c), c.Close())
	}
	return errors.Join(err, db.Close())
}

// settle brings the file and its name to the disk.
func settle(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // as above
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path))); err != nil {
		return 0, err
	}
	return info.Size(), nil
}
