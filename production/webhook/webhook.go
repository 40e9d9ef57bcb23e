package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/internal/tracing"
	"kentongan/production"
)

// Notices is what is needed of a production.Timers.
type Notices interface {
	ClaimNotices(ctx context.Context, owner string, now production.Instant, lease time.Duration, limit int) ([]production.Notice, error)
	SettleNotice(ctx context.Context, owner string, n production.Notice, done bool) error
}

// Options are the knobs of a Caller.
type Options struct {
	URL    string // of the receiver; empty: nobody is called, and notices are settled as they come
	Secret []byte // the key of signatures; required with URL

	// Private allows receivers with private addresses, such as 10.0.0.7 or localhost.
	Private bool

	Timeout time.Duration // of one call; zero means 10 s

	// GiveUp is how long a notice is tried; zero means 24 h: after that the food is not there any more.
	GiveUp time.Duration

	Every time.Duration    // between two looks for notices; zero means 2 s
	Owner string           // names this process among all on the same database; empty: made at random
	Now   func() time.Time // nil is time.Now
	Log   *slog.Logger     // nil discards

	Traces *tracing.Tracer // has a span for each call, whose place the receiver is told in the field traceparent; nil: off
}

const (
	atOnce       = 4                // calls on their way: a receiver that hangs holds up the others of one round
	firstRetry   = 10 * time.Second // and then twice as long each time
	lastRetry    = 30 * time.Minute
	maxReply     = 4 << 10 // read of an answer, so that the connection can be used again
	maxErrorText = 200
)

// Caller delivers notices. Its methods may be called concurrently.
type Caller struct {
	notices Notices
	opts    Options
	client  *http.Client

	delivered, failed, givenUp atomic.Uint64
}

// New returns a Caller. It does no I/O. The error says which option is wrong.
func New(notices Notices, opts Options) (*Caller, error) {
	if opts.URL != "" {
		if err := CheckURL(opts.URL); err != nil {
			return nil, fmt.Errorf("webhook: the URL %w", err)
		}
		if len(opts.Secret) < minSecretBytes {
			return nil, errors.New("webhook: the secret must have at least 24 bytes")
		}
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.GiveUp <= 0 {
		opts.GiveUp = 24 * time.Hour
	}
	if opts.Every <= 0 {
		opts.Every = 2 * time.Second
	}
	if opts.Owner == "" {
		opts.Owner = rand.Text()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Caller{notices: notices, opts: opts, client: newClient(opts.Timeout, opts.Private)}, nil
}

// Run delivers until ctx ends, and returns nil.
func (c *Caller) Run(ctx context.Context) error {
	defer c.client.CloseIdleConnections()
	tick := time.NewTicker(c.opts.Every)
	defer tick.Stop()
	for {
		for c.round(ctx) {
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round delivers what is due, some at a time, and reports whether there may be more.
func (c *Caller) round(ctx context.Context) bool {
	// A lease outlasts the calls of a round; who dies in one leaves its notices to the others that long.
	list, err := c.notices.ClaimNotices(ctx, c.opts.Owner, production.At(c.opts.Now()), 3*c.opts.Timeout, atOnce)
	if err != nil {
		if ctx.Err() == nil {
			c.opts.Log.WarnContext(ctx, "notices cannot be read", "err", err)
		}
		return false
	}
	var g errgroup.Group
	for _, n := range list {
		g.Go(func() error { return c.deliver(ctx, n) })
	}
	return g.Wait() == nil && len(list) == atOnce && ctx.Err() == nil
}

// deliver makes one call and writes down how it went. The error is that of the store: then the notice comes again.
func (c *Caller) deliver(ctx context.Context, n production.Notice) error {
	if c.opts.URL == "" {
		n.LastError = "no webhook is set"
		return c.settle(ctx, n, true)
	}
	err := c.call(ctx, n)
	if err != nil && ctx.Err() != nil {
		return nil //nolint:nilerr // this process stops: the lease ends, and another one calls
	}
	n.Attempts++
	now := c.opts.Now()
	switch {
	case err == nil:
		c.delivered.Add(1)
		c.opts.Log.InfoContext(ctx, "notice delivered", "tenant", n.Tenant, "notice", n.ID, "attempts", n.Attempts)
		n.LastError = ""
		return c.settle(ctx, n, true)
	case now.Sub(n.At.Time()) >= c.opts.GiveUp:
		c.givenUp.Add(1)
		c.opts.Log.ErrorContext(ctx, "notice given up: nobody was called", "tenant", n.Tenant, "notice", n.ID,
			"attempts", n.Attempts, "err", err)
		n.LastError = cut(err.Error())
		return c.settle(ctx, n, true)
	}
	c.failed.Add(1)
	wait := min(firstRetry<<min(n.Attempts-1, 16), lastRetry)
	wait += mathrand.N(wait / 4) //nolint:gosec // spread, not secrecy
	n.NextTry, n.LastError = production.At(now.Add(wait)), cut(err.Error())
	c.opts.Log.WarnContext(ctx, "notice not delivered", "tenant", n.Tenant, "notice", n.ID, "attempts", n.Attempts,
		"again_in", wait.Round(time.Second).String(), "err", err)
	return c.settle(ctx, n, false)
}

func cut(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "")
	}
	return text
}

// settle goes on for a moment after ctx has ended: a call that went out is written down.
func (c *Caller) settle(ctx context.Context, n production.Notice, done bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := c.notices.SettleNotice(ctx, c.opts.Owner, n, done)
	if err != nil && !errors.Is(err, production.ErrConflict) { // in that case another one has it now
		c.opts.Log.WarnContext(ctx, "notice was not settled, and comes again", "tenant", n.Tenant, "notice", n.ID, "err", err)
		return err //nolint:wrapcheck // it is logged here
	}
	return nil
}

// call sends one notice.
func (c *Caller) call(ctx context.Context, n production.Notice) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opts.URL, bytes.NewReader(n.Payload))
	if err != nil {
		return fmt.Errorf("make request: %w", withoutURL(err))
	}
	now := c.opts.Now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "kentongan")
	r.Header.Set("webhook-id", n.ID)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", Sign(c.opts.Secret, n.ID, now, n.Payload))
	span := c.opts.Traces.Root("call webhook", tracing.Client, time.Time{}) //nolint:contextcheck // a trace begins here
	defer span.End()
	if at := span.Context(); at != nil {
		r.Header.Set(tracing.Header, at.String())
		span.Text("kentongan.tenant", string(n.Tenant))
	}
	resp, err := c.client.Do(r)
	if err != nil {
		span.Fail("not reached")
		return withoutURL(err)
	}
	span.Number("http.response.status_code", resp.StatusCode)
	defer func() { _ = resp.Body.Close() }() // it was read, as far as it matters
	_, _ = io.CopyN(io.Discard, resp.Body, maxReply)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %d", resp.StatusCode)
	}
	return nil
}

// withoutURL takes the receiver's address out of err: there may be a secret in its path or query.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// Stats are the figures of a Caller, of this process.
type Stats struct {
	Delivered uint64
	Failed    uint64 // calls that are tried again
	GivenUp   uint64 // notices that nobody got
}

// Stats returns the figures.
func (c *Caller) Stats() Stats {
	return Stats{c.delivered.Load(), c.failed.Load(), c.givenUp.Load()}
}
