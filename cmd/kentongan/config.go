package main

import (
	"fmt"

	"kentongan/config"
)

type configCommand struct {
	Show  configShowCommand  `cmd:"" default:"withargs" help:"Print every setting, its value and where that came from. Secrets are masked."`
	Check configCheckCommand `cmd:"" help:"Say whether serve would start with these settings."`
	Doc   configDocCommand   `cmd:"" help:"Print the reference of all settings as Markdown."`
}

// Help is what config --help adds.
func (*configCommand) Help() string {
	return `Examples:

  kentongan config

  kentongan config check --config /etc/kentongan.yaml

  kentongan config doc | less`
}

type configShowCommand struct{ fileFlag }

// Run is kentongan config show.
func (c *configShowCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config})
	if err != nil {
		return err
	}
	return cfg.Show(w.out)
}

type configCheckCommand struct{ fileFlag }

// Run is kentongan config check.
func (c *configCheckCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config, Serve: true})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.out, "serve would start, on %s, with the engine: %s\n", cfg.Server.Listen, cfg.Engine())
	return wrapWrite(err)
}

type configDocCommand struct{}

// Run is kentongan config doc.
func (*configDocCommand) Run(w *world) error {
	_, err := fmt.Fprint(w.out, config.Doc())
	return wrapWrite(err)
}

func wrapWrite(err error) error {
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
