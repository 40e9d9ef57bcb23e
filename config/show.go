package config

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// effective is one setting as Load found it.
type effective struct {
	section string
	name    string
	lines   []string // masked
	source  source
	unset   string
}

func (l *loader) found() []effective {
	var all []effective
	for _, sec := range table() {
		for _, s := range sec.settings {
			all = append(all, effective{
				section: sec.title, name: s.key, lines: s.kind.show(&l.d),
				source: l.sources[s.key], unset: s.unset,
			})
		}
	}
	return all
}

// Show writes every setting with its effective value and where that came from. Secrets are masked: it says that they are set and
// how long they are.
func (c Config) Show(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(tw, "# engine: %s\n", c.Engine()) // a tabwriter keeps its first error for Flush
	_, _ = fmt.Fprintf(tw, "# sockets: %s\n", c.SocketsInUse())
	section := ""
	for _, e := range c.effective {
		if e.section != section {
			section = e.section
			_, _ = fmt.Fprintf(tw, "\n# %s\n", section)
		}
		if len(e.lines) == 0 {
			_, _ = fmt.Fprintf(tw, "%s\t-\t%s\n", e.name, absent(e))
			continue
		}
		for i, line := range e.lines {
			name, from := e.name, e.source.String()
			if i > 0 {
				name = ""
			}
			if len(e.source.env) == len(e.lines) {
				from = "environment " + e.source.env[i]
			}
			_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\n", name, line, from)
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

func absent(e effective) string {
	what := strings.ReplaceAll(e.unset, "`", "")
	if e.source.given() {
		return e.source.String() + ": " + what
	}
	return "default: " + what
}

// Engine names the engine that this configuration asks for, with its address, for people.
func (c Config) Engine() string {
	if c.Redis.Enabled() {
		at := "redis at " + c.Redis.String()
		if len(c.Sentinels.Addresses) > 0 {
			at += ", by the sentinels " + strings.Join(c.Sentinels.Addresses, ", ")
		}
		return at
	}
	return "memory"
}

// SocketsInUse says what moves the bytes of connections, and why, for people.
func (c Config) SocketsInUse() string {
	switch {
	case c.Connections.Sockets == SocketsPortable:
		return "portable, as set"
	case c.TLS():
		return "portable, because TLS is served here"
	case runtime.GOOS != "linux":
		return "portable, because " + runtime.GOOS + " has no epoll"
	}
	return "epoll, because Linux has it and connections are plain TCP"
}

// IsSet reports whether the setting called key got its value from the environment or the file. It is for callers whose own
// default is another one.
func (c Config) IsSet(key string) bool {
	for _, e := range c.effective {
		if e.name == key {
			return e.source.given()
		}
	}
	panic("config: there is no setting " + key)
}

// Variables returns the environment variables that the setting called key got its value from, in the order of its items; none: it is
// from the file, or the default.
func (c Config) Variables(key string) []string {
	for _, e := range c.effective {
		if e.name == key {
			return slices.Clone(e.source.env)
		}
	}
	panic("config: there is no setting " + key)
}
