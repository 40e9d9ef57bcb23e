package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/config"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Broken  Level = "broken"  // something does not work, or will not
	Warning Level = "warning" // it works, and something can be lost or will go wrong one day
	Note    Level = "note"    // worth knowing; nothing is wrong by it alone
)

// Finding is one thing that a person should know.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	What  string `json:"what"`
	Where string `json:"where"`
	Right string `json:"right"` // what would be right
}

// Checked says that something was looked at, or why not.
type Checked struct {
	Check   string `json:"check"`
	Detail  string `json:"detail,omitempty"`  // what was seen, for people
	Skipped string `json:"skipped,omitempty"` // why it was not looked at; empty: it was
}

// Report is all that was found.
type Report struct {
	Findings []Finding `json:"findings"`
	Checked  []Checked `json:"checked"`
}

// Worst returns the level of the worst finding; empty: there is none.
func (r *Report) Worst() (worst Level) {
	rank := map[Level]int{Note: 1, Warning: 2, Broken: 3}
	for _, f := range r.Findings {
		if rank[f.Level] > rank[worst] {
			worst = f.Level
		}
	}
	return worst
}

// Options say what to look at. The settings are always looked at.
type Options struct {
	Environ []string // of the server, as os.Environ returns it
	File    string   // YAML file of the server; empty: what KENTONGAN_CONFIG says

	Cookie     string   // a session cookie that somebody has pasted; empty: none is looked at
	URL        string   // address by which browsers reach the server; empty: the way there is not looked at
	Admin      []string // addresses of admin listeners of running servers; nil: the one of the settings, if it answers
	AdminToken string   // that they ask for; may be empty

	Timeout time.Duration // of each question over a network; zero means 5 s
}

// patient is one examination.
type patient struct {
	opts   Options
	cfg    config.Config
	report *Report
	check  string // that is under way
	detail string // of it

	running map[string]metrics // of servers that answer, by the address of their admin listener
}

// found adds a finding of the check that is under way.
func (p *patient) found(level Level, where, what, right string) {
	p.report.Findings = append(p.report.Findings, Finding{p.check, level, what, where, right})
}

// errSkipped says why a check was not made.
type skippedError string

func (e skippedError) Error() string { return string(e) }

func skip(format string, args ...any) error { return skippedError(fmt.Sprintf(format, args...)) }

// Run looks at everything. What cannot be looked at is a finding or a skipped check, so there is no error; the end of ctx makes what is
// left fail quickly.
func Run(ctx context.Context, opts Options) Report {
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Second
	}
	var r Report
	p := &patient{opts: opts, report: &r, running: map[string]metrics{}}
	readable := false
	for _, c := range []struct {
		name  string
		do    func(context.Context) error
		needs bool // settings that can be read
	}{
		{"settings", func(context.Context) error {
			readable = p.settings()
			return nil
		}, false},
		{"secrets", p.secrets, true},
		{"cookie", p.cookie, true},
		{"certificate", p.certificate, true},
		{"redis", p.redis, true},
		{"database", p.database, true},
		{"traces", p.traces, true},
		{"server", p.server, true},
		{"ports", p.ports, true},
		{"descriptors", p.descriptors, true},
		{"proxy", p.proxy, true},
		{"channels", p.channels, true},
	} {
		p.check, p.detail = c.name, ""
		err := error(skippedError("the settings cannot be read"))
		if readable || !c.needs {
			err = c.do(ctx)
		}
		checked := Checked{Check: c.name, Detail: p.detail}
		if skipped, ok := errors.AsType[skippedError](err); ok {
			checked.Skipped = string(skipped)
		} else if err != nil {
			p.found(Broken, c.name, err.Error(), "see what it says")
		}
		r.Checked = append(r.Checked, checked)
	}
	return r
}
