package main

import (
	"errors"
	"fmt"

	"kentongan/app"
	"kentongan/config"
)

var errNoRecords = errors.New("the production service is off: set KENTONGAN_PRODUCTION=on, and DATABASE_URL if it is not " +
	"sqlite:kentongan.db")

type migrateCommand struct{ fileFlag }

// Help is what migrate --help adds.
func (*migrateCommand) Help() string {
	return `serve does the same at its start. This is for deployments whose servers may not change the schema, and to see what happens.
Several may run at once. A database of a newer program is left alone, and that is an error.

Example:

  KENTONGAN_PRODUCTION=on DATABASE_URL=postgres://… kentongan migrate`
}

// Run is kentongan migrate.
func (c *migrateCommand) Run(w *world) error {
	cfg, err := loadRecords(w, c.Config)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	from, to, err := app.Migrate(ctx, cfg.Production.Database, w.logger(cfg.Log))
	if err != nil {
		return err //nolint:wrapcheck // it says all
	}
	if from == to {
		_, err = fmt.Fprintf(w.out, "%s is up to date, at version %d\n", cfg.Production.Database, to)
	} else {
		_, err = fmt.Fprintf(w.out, "%s was at version %d and is at version %d now\n", cfg.Production.Database, from, to)
	}
	return wrapWrite(err)
}

// loadRecords reads the settings of a command that works on the database.
func loadRecords(w *world, file string) (config.Config, error) {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: file})
	if err != nil {
		return cfg, err //nolint:wrapcheck // they are the problems
	}
	if !cfg.Production.On {
		return cfg, usageError{errNoRecords}
	}
	return cfg, nil
}
