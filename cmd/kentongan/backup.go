package main

import (
	"errors"
	"fmt"

	"kentongan/app"
)

type backupCommand struct {
	fileFlag
	Path string `arg:"" name:"file" help:"Where the copy goes; there must be no such file yet."`
}

// Help is what backup --help adds.
func (*backupCommand) Help() string {
	return `The copy is whole and of one moment, also while a server works on the database, and it is checked before the command ends. It
can be used as it is: put it where DATABASE_URL says, with no server running and without the -wal and -shm files of the old one.

This is for SQLite. PostgreSQL has its own means; everything lies in one schema:

  pg_dump --schema=kentongan --format=custom --file=kentongan.dump "$DATABASE_URL"

Example:

  KENTONGAN_PRODUCTION=on kentongan backup /backup/kentongan-$(date +%F).db`
}

// Run is kentongan backup.
func (c *backupCommand) Run(w *world) error {
	cfg, err := loadRecords(w, c.Config)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	size, err := app.Backup(ctx, cfg.Production.Database, c.Path)
	switch {
	case errors.Is(err, app.ErrNotBackedUp):
		return usageError{err}
	case err != nil:
		return err //nolint:wrapcheck // it says all
	}
	_, err = fmt.Fprintf(w.out, "%s is a copy of %s, %d bytes\n", c.Path, cfg.Production.Database, size)
	return wrapWrite(err)
}
