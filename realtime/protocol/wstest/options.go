package wstest

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"
)

// Options say what is tested.
type Options struct {
	Addr   string      // "127.0.0.1:3001"
	Path   string      // of the echo endpoint, such as "/api/ws"
	TLS    *tls.Config // nil: without
	Header string      // further lines of the request, each with "\r\n" at its end

	MaxMessage int    // the server's limit of a message, a multiple of 1 MiB
	MaxFrames  int    // the server's limit of frames of one message
	Deflate    bool   // the server offers permessage-deflate
	Protocol   string // a subprotocol that the server speaks

	// Patience is how long the server may take for anything; zero means 10 s. It decides nothing but how soon a server
	// that hangs is found.
	Patience time.Duration
}

// Case is one rule and how it is tried.
type Case struct {
	Group string // part of the RFCs: "lengths"
	Name  string
	run   func(o *Options) error
}

// Try runs the case on a connection of its own and returns what the server did wrong.
func (c Case) Try(o Options) error {
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	return c.run(&o)
}

// Cases returns all cases that fit o: groups in the order of the RFCs, by name within.
func Cases(o Options) []Case {
	var all []Case
	for _, group := range []func(*Options) []Case{
		handshakes, opcodes, reserved, lengths, masks, fragments, controls, texts, closes, limits, extensions, compression,
	} {
		cases := group(&o)
		slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
		all = append(all, cases...)
	}
	return all
}

// Run makes a subtest of every case.
func Run(t *testing.T, o Options) {
	t.Helper()
	for _, c := range Cases(o) {
		t.Run(c.Group+"/"+c.Name, func(t *testing.T) {
			if err := c.Try(o); err != nil {
				t.Error(err)
			}
		})
	}
}
