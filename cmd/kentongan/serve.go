package main

import (
	"log/slog"
	"os"

	"kentongan/app"
	"kentongan/config"
)

// fileFlag is the flag of all commands that read settings. Config reads KENTONGAN_CONFIG itself.
type fileFlag struct {
	Config string `help:"YAML file with settings; without it what KENTONGAN_CONFIG names." placeholder:"PATH"`
}

type serveCommand struct {
	fileFlag
}

// Help is what serve --help adds.
func (*serveCommand) Help() string {
	return `All settings come from the environment or a YAML file. Mistakes in them are reported all at once, and nothing is started.
SIGTERM or Ctrl-C stops in order: clients are told when to come back, what is on its way is written. The exit code is 0 then.

Examples:

  AUTH_SECRET=… kentongan serve

  NEXTAUTH_SECRET=… REDIS_URL=redis://localhost:6379 kentongan serve

  kentongan serve --config /etc/kentongan.yaml`
}

// Run is kentongan serve.
func (c *serveCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config, Serve: true})
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	level := new(slog.LevelVar)
	level.Set(cfg.Log.Level)
	return w.run(ctx, cfg, app.Options{Log: w.loggerAt(cfg.Log, level), Level: level, Version: readVersion().Version})
}

// logger writes to standard error.
func (w *world) logger(c config.Log) *slog.Logger { return w.loggerAt(c, c.Level) }

// loggerAt is logger with a level that may change.
func (w *world) loggerAt(c config.Log, level slog.Leveler) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == config.LogText || c.Format == config.LogAuto && isTerminal(w.err) {
		return slog.New(slog.NewTextHandler(w.err, opts))
	}
	return slog.New(slog.NewJSONHandler(w.err, opts))
}

// isTerminal reports whether a person may be reading. The null device counts too, where it does not matter.
func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
