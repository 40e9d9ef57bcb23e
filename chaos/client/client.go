// Package client is the other side of the gateway: devices that follow channels in each of the three dialects, connect again
// when their line is lost, resume where they were, and write down all that they see for package check.
//
// They do what the documentation tells clients to do and nothing that it does not, and they share no code with the server:
// a mistake in a frame would otherwise be made on both sides.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"kentongan/chaos/check"
	"kentongan/chaos/payload"
)

// Options are what a Client is. All fields without a default are needed.
type Options struct {
	Name     string
	Dialect  check.Dialect
	Tenant   string
	Cookie   string // "NAME=VALUE" of the session
	Origin   string // of the page; empty: none is sent
	World    *check.World
	Channels []int // in World, that it follows
	Nosy     int   // v1: a channel in World that it asks for without a right; negative: none
	Key      payload.Key
	Nodes    func() []string // "host:port" of the gateways, any of which may be tried
	Clock    func() time.Duration
	Seed     uint64

	// TLS has the client speak TLS with the nodes; nil: in the clear.
	TLS *tls.Config

	// Read tells which message of the run a text is, where it was not made by the package payload; nil: it was, with Key. It is
	// called by the goroutine in Run.
	Read func(data []byte) (payload.Mark, bool)

	// InUpgrade has a v1 client name its channels and positions in the upgrade, not in commands.
	InUpgrade bool

	// Narrow names the channels also where the dialect follows all by itself.
	Narrow bool
}

// Client is one device. Run is called once; all else may be called meanwhile.
type Client struct {
	opts    Options
	line    *Line
	http    *http.Client
	random  *rand.Rand
	numbers map[string]int // channels by name

	// Of the goroutine in Run.
	at      map[int]check.Position // v1
	cursor  string                 // sse
	cookies map[string]string      // that the server has set
	epochs  map[string]string      // one string for each epoch, not one for each message
	goaway  time.Duration          // when the server wants it back; zero: it has not said
	wait    time.Duration

	mu     sync.Mutex
	events []check.Event
	up     bool
	last   string // why the last attempt failed
}

// The waits between two attempts: anything up to a bound that doubles. They are shorter than those of pages, so that the faults
// of a run and not its waits decide how long it takes.
const (
	firstWait = 200 * time.Millisecond
	longWait  = 2 * time.Second
)

// dialTimeout bounds a handshake.
const dialTimeout = 5 * time.Second

// New returns a client that has not begun.
func New(opts Options) *Client {
	c := &Client{
		opts: opts, line: NewLine(), random: rand.New(rand.NewPCG(opts.Seed, 1)), //nolint:gosec // repeatable on purpose
		numbers: map[string]int{}, at: map[int]check.Position{}, cookies: map[string]string{}, epochs: map[string]string{}, wait: firstWait,
	}
	for i, ch := range opts.World.Channels {
		c.numbers[ch.Name] = i
	}
	if c.opts.Read == nil {
		c.opts.Read = func(data []byte) (payload.Mark, bool) { return payload.Read(opts.Key, data) }
	}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: c.line.DialContext, DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: opts.TLS,
	}}
	return c
}

// Line is the network of the client, to be ill-treated.
func (c *Client) Line() *Line { return c.line }

// Name returns the client's name.
func (c *Client) Name() string { return c.opts.Name }

// Up reports whether a connection is open, and if not, why the last attempt failed.
func (c *Client) Up() (bool, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up, c.last
}

// History returns what the client has seen so far. It may be called while it runs; what is returned does not change.
func (c *Client) History() check.Subscriber {
	c.mu.Lock()
	defer c.mu.Unlock()
	return check.Subscriber{
		Name: c.opts.Name, Dialect: c.opts.Dialect, Tenant: c.opts.Tenant, Channels: c.opts.Channels,
		Events: slices.Clip(c.events),
	}
}

// note writes an event down.
func (c *Client) note(e check.Event) {
	e.At = c.opts.Clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case check.Opened:
		c.up = true
	case check.Closed:
		if !c.up {
			return // it was not open
		}
		c.up = false
	default:
	}
	c.events = append(c.events, e)
}

// errPermanent is wrapped by errors after which the documentation says not to come back.
var errPermanent = errors.New("not to come back")

// Run keeps the client connected until ctx ends, or until the server says that coming back is of no use, which is an error.
func (c *Client) Run(ctx context.Context) error {
	defer c.line.Close()
	defer c.http.CloseIdleConnections()
	for {
		began := time.Now()
		err := c.session(ctx)
		if time.Since(began) > longWait {
			c.wait = firstWait // it was a good one; a server that lets in and closes again is not to be stormed
		}
		c.mu.Lock()
		c.last = err.Error()
		c.mu.Unlock()
		c.note(check.Event{Kind: check.Closed, Channel: -1, Cause: err.Error()})
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errPermanent) {
			return fmt.Errorf("%s: %w", c.opts.Name, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.pause()):
		}
	}
}

// pause returns how long to wait before the next attempt: what the server asked for, else jitter.
func (c *Client) pause() time.Duration {
	if asked := c.goaway; asked > 0 {
		c.goaway = 0
		return asked
	}
	pause := time.Duration(c.random.Int64N(int64(c.wait)))
	c.wait = min(2*c.wait, longWait)
	return pause
}

// session is one connection; it never returns nil.
func (c *Client) session(ctx context.Context) error {
	nodes := c.opts.Nodes()
	node := nodes[c.random.IntN(len(nodes))]
	if c.opts.Dialect == check.SSE {
		return c.stream(ctx, node)
	}
	return c.socket(ctx, node)
}

// opened notes that a connection is up.
func (c *Client) opened() {
	c.note(check.Event{Kind: check.Opened, Channel: -1})
}

// url is the address of a path at a node; kind is "http" or "ws".
func (c *Client) url(kind, node, path string) string {
	if c.opts.TLS != nil {
		kind += "s"
	}
	return kind + "://" + node + path
}

// header is what the device sends with each request.
func (c *Client) header() http.Header {
	h := http.Header{}
	cookies := []string{c.opts.Cookie}
	for name, value := range c.cookies {
		cookies = append(cookies, name+"="+value)
	}
	slices.Sort(cookies[1:])
	h.Set("Cookie", strings.Join(cookies, "; "))
	if c.opts.Origin != "" {
		h.Set("Origin", c.opts.Origin)
	}
	return h
}

// keep keeps the cookies of an answer, as a browser does.
func (c *Client) keep(resp *http.Response) {
	for _, cookie := range resp.Cookies() {
		c.cookies[cookie.Name] = cookie.Value
	}
}

// refused makes an error of an answer that is no connection. Only what says that the request itself is wrong is permanent.
func refused(resp *http.Response) error {
	body := make([]byte, 512)
	n := 0
	if resp.Body != nil {
		n, _ = resp.Body.Read(body)
	}
	err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body[:n]))
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return err
	}
	return fmt.Errorf("%w: %w", errPermanent, err)
}

// number returns the number of a channel, -1 if the run has none of that name.
func (c *Client) number(name string) int32 {
	if i, ok := c.numbers[name]; ok {
		return int32(i) //nolint:gosec // some hundreds
	}
	return -1
}

// position is a place in a channel's history, as it goes over the wire.
type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// place is p with one string for each epoch.
func (c *Client) place(p position) check.Position {
	epoch, ok := c.epochs[p.Epoch]
	if !ok {
		epoch = p.Epoch
		c.epochs[epoch] = epoch
	}
	return check.Position{Epoch: epoch, Offset: p.Offset}
}

// message notes a publication.
func (c *Client) message(channel int32, p check.Position, data []byte) {
	m, ok := c.opts.Read(data)
	e := check.Event{Kind: check.Message, Channel: channel, Position: p, Of: -1, Forged: !ok}
	if ok {
		e.Of, e.Publisher, e.Seq = int32(m.Channel), int32(m.Publisher), uint32(m.Seq) //nolint:gosec // our own numbers
	}
	if c.opts.Dialect == check.Bare {
		e.Channel = e.Of // the only word that there is about it
	}
	c.note(e)
}

// gap notes a gap. Who follows the whole kitchen hears also of channels in which nobody speaks here.
func (c *Client) gap(name, cause string, p position) {
	n := c.number(name)
	if n < 0 && c.opts.Dialect != check.V1 && !c.opts.Narrow && strings.Contains(name, c.opts.Tenant) {
		return
	}
	at := c.place(p)
	if n >= 0 {
		c.at[int(n)] = at
	}
	c.note(check.Event{Kind: check.Gap, Channel: n, Position: at, Cause: cause})
}
