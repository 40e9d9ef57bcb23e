package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kentongan/app/doctor"
)

type doctorCommand struct {
	fileFlag
	URL     string        `name:"url" help:"Address by which browsers come: tries the way through what is in between." placeholder:"URL"`
	Cookie  string        `help:"Cookie header of a page that is refused: a file, or - for standard input." placeholder:"FILE"`
	Admin   []string      `help:"Admin listeners of running servers." env:"KENTONGAN_ADMIN_URL" placeholder:"URL"`
	Token   string        `name:"admin-token" help:"What they ask for." env:"KENTONGAN_ADMIN_TOKEN" placeholder:"TOKEN"`
	Timeout time.Duration `help:"How long one question over a network may take." default:"5s"`
	JSON    bool          `name:"json" help:"Print JSON."`
}

// Help is what doctor --help adds.
func (*doctorCommand) Help() string {
	return `Looks for what is wrong, with the settings that the server would have, and changes nothing. Run it on the machine of
the server, as its user. Neither a secret nor a token is printed. Without --admin it asks the admin listener of the settings.

The exit code is 0 if nothing is wrong, 3 if there are only warnings, 1 if something is broken, and 2 for a wrong command
line. Notes change nothing.

Examples:

  kentongan doctor

  kentongan doctor --url https://dapur.example.id

  kentongan doctor --cookie - < cookie.txt

  kentongan doctor --admin http://10.0.0.1:3002 --admin http://10.0.0.2:3002 --json`
}

// exitWarnings is the exit code of doctor if nothing is broken, and something should be changed.
const exitWarnings = 3

// examinedError is the outcome of an examination; it was printed.
type examinedError int

func (examinedError) Error() string { return "see above" }

// maxCookieFile is more than a browser sends.
const maxCookieFile = 1 << 20

// Run is kentongan doctor.
func (c *doctorCommand) Run(w *world) error {
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		return usage("--timeout is %s; write 100ms to 1m", c.Timeout)
	}
	cookie, err := c.cookie(w)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	r := doctor.Run(ctx, doctor.Options{
		Environ: w.environ, File: c.Config, Cookie: cookie, URL: c.URL, Admin: c.Admin, AdminToken: c.Token, Timeout: c.Timeout,
	})
	if ctx.Err() != nil {
		return errInterrupted
	}
	if c.JSON {
		err = wrapWrite(json.NewEncoder(w.out).Encode(r))
	} else {
		err = c.print(w.out, &r)
	}
	if err != nil {
		return err
	}
	switch r.Worst() {
	case doctor.Broken:
		return examinedError(exitFailed)
	case doctor.Warning:
		return examinedError(exitWarnings)
	default:
		return nil
	}
}

// cookie reads the one that was pasted.
func (c *doctorCommand) cookie(w *world) (string, error) {
	if c.Cookie == "" {
		return "", nil
	}
	in := w.in
	if c.Cookie != "-" {
		f, err := os.Open(c.Cookie)
		if err != nil {
			return "", usage("--cookie takes a file, or - for standard input: %s", strings.ReplaceAll(err.Error(), c.Cookie, "it"))
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCookieFile))
	if err != nil {
		return "", fmt.Errorf("read the cookie: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", usage("--cookie: there is nothing in it")
	}
	return string(text), nil
}

// print writes what was looked at, and then what was found.
func (*doctorCommand) print(out io.Writer, r *doctor.Report) error {
	counts := map[string]map[doctor.Level]int{}
	for _, f := range r.Findings {
		if counts[f.Check] == nil {
			counts[f.Check] = map[doctor.Level]int{}
		}
		counts[f.Check][f.Level]++
	}
	var rows [][]string
	for _, c := range r.Checked {
		state, detail := "ok", c.Detail
		switch n := counts[c.Check]; {
		case c.Skipped != "":
			state, detail = "not looked at", c.Skipped
		case n[doctor.Broken] > 0:
			state = "BROKEN"
		case n[doctor.Warning] > 0:
			state = "warning"
		}
		rows = append(rows, []string{c.Check, state, detail})
	}
	if err := columns(out, rows); err != nil {
		return err
	}
	for _, f := range r.Findings {
		level := string(f.Level)
		if f.Level == doctor.Broken {
			level = "BROKEN"
		}
		if _, err := fmt.Fprintf(out, "\n%s  %s: %s\n  what   %s\n  right  %s\n", level, f.Check, f.Where, f.What, f.Right); err != nil {
			return wrapWrite(err)
		}
	}
	return nil
}
