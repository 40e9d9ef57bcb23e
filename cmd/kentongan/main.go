// Kentongan puts what an app publishes on every screen of a kitchen: at once, in order, and again after the line was down.
// This is its one binary; each command has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"kentongan/app"
	"kentongan/config"
)

// The exit codes. They stand in the help text too.
const (
	exitOK          = 0
	exitFailed      = 1   // it was tried and did not work
	exitUsage       = 2   // wrong command line or wrong settings: nothing was started
	exitInterrupted = 130 // ended by Ctrl-C before it was done
)

// commands is the command line. The order is that of the help text.
type commands struct {
	Serve      serveCommand      `cmd:"" help:"Run the server."`
	Demo       demoCommand       `cmd:"" help:"Run a server with three kitchens that cook; it needs nothing else."`
	Health     healthCommand     `cmd:"" help:"Ask a server on this machine how it is."`
	Publish    publishCommand    `cmd:"" help:"Publish JSON to a channel of a running server."`
	Tail       tailCommand       `cmd:"" help:"Follow channels of a running server."`
	Cache      cacheCommand      `cmd:"" help:"Read, write and invalidate entries of the cache in Redis."`
	Quarantine quarantineCommand `cmd:"" help:"Look at messages that were refused, and let them through or go."`
	Doctor     doctorCommand     `cmd:"" help:"Look for what is wrong with an installation."`
	Token      tokenCommand      `cmd:"" help:"Make a session cookie for trying things out."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the schema of the database up to date."`
	Backup     backupCommand     `cmd:"" help:"Copy the database of the production service, also while a server runs."`
	Audit      auditCommand      `cmd:"" help:"Look at the audit trails in the database."`
	Config     configCommand     `cmd:"" help:"Print, check and document the settings."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Print a script that completes commands in a shell."`
}

const description = `Live updates for the kitchens of the free-meals programme: what an app publishes is on every screen of the kitchen
at once, in order, and again after the line was down.

Settings come from the environment and an optional YAML file: see kentongan config doc.

Exit codes: 0 done, 1 failed, 2 wrong command line or settings (nothing was started), 3 only warnings (doctor), 130 interrupted.`

// world is what the commands see of the machine that they run on. Tests give them another one.
type world struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	run      func(context.Context, config.Config, app.Options) error
}

func main() {
	w := &world{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), run: app.Run}
	os.Exit(w.main(os.Args[1:]))
}

// usageError is a mistake of the one who typed the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errInterrupted ends a command that was stopped before it was done.
var errInterrupted = errors.New("interrupted")

// exited carries an exit code out of kong, which ends the process for --help.
type exited int

// main runs one command line and returns the exit code.
func (w *world) main(args []string) (code int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			code = int(r)
		default:
			panic(r)
		}
	}()
	parser, err := newParser(w)
	if err != nil {
		panic("kentongan: " + err.Error()) // the tags of a command are wrong: a mistake in the code
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		w.complain("%s; see: kentongan %s--help", oneLine(err), commandOf(err))
		return exitUsage
	}
	return w.report(ctx.Run(w))
}

func newParser(w *world) (*kong.Kong, error) {
	return kong.New(&commands{},
		kong.Name("kentongan"), kong.Description(description), kong.Writers(w.out, w.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Exit(func(code int) { panic(exited(code)) }),
	)
}

// commandOf returns the command that a mistake belongs to, with a space behind it, or nothing.
func commandOf(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil || parse.Context.Selected() == nil {
		return ""
	}
	path := ""
	for n := parse.Context.Selected(); n != nil && n.Type == kong.CommandNode; n = n.Parent {
		path = n.Name + " " + path
	}
	return path
}

// report prints what went wrong and returns the exit code.
func (w *world) report(err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	if outcome, ok := errors.AsType[examinedError](err); ok {
		return int(outcome)
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			w.complain("%s: %s", p.Where, p.Text)
		}
		return exitUsage
	}
	w.complain("%s", oneLine(err))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// complain writes one line about a problem.
func (w *world) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(w.err, "kentongan: "+format+"\n", args...) // there is nowhere else to tell
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. The second one kills the process, since what was to end
// in order evidently does not.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
