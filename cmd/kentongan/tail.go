package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"kentongan/realtime/protocol"
)

type tailCommand struct {
	clientFlags
	Cookie   string   `help:"Session cookie instead of an API key, as kentongan token prints it." placeholder:"NAME=VALUE"`
	Since    string   `help:"Begin after this EPOCH/OFFSET, or at the 'oldest'; without it, now." placeholder:"POSITION"`
	Format   string   `help:"What a line holds: ${enum}." enum:"json,data,text" default:"json"`
	Limit    int      `short:"n" help:"End after so many messages; 0 never ends." default:"0" placeholder:"COUNT"`
	Channels []string `arg:"" name:"channel" help:"Channels as they are called in Redis."`
}

// Help is what tail --help adds.
func (*tailCommand) Help() string {
	return `Prints one line for each message: with --format json its channel, position, time and data, with data the data alone, with text
something for people. --since takes the position of one channel, or begins all channels at the oldest that the server holds.

After a lost line it connects again and goes on where it was: nothing is missing and nothing comes twice. If something may be
missing all the same, it says so on standard error. Ctrl-C ends it with exit code 130.

Examples:

  kentongan tail production:updates:sppg_7 production:alerts:sppg_7

  kentongan tail --since oldest --format data production:alerts:sppg_7 | jq .alert.code

  kentongan tail --cookie "$(kentongan token --tenant sppg_7)" production:updates:sppg_7`
}

// The waits between two attempts: full jitter below a bound that doubles, as all our clients do it. The first comes
// soon, for most breaks are short.
const (
	firstWait = 500 * time.Millisecond
	longWait  = 20 * time.Second
)

// Run is kentongan tail.
func (c *tailCommand) Run(w *world) error {
	t, err := newTail(c, w)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	return t.follow(ctx)
}

// tail follows channels over any number of connections.
type tail struct {
	w      *world
	server string
	url    string
	header http.Header
	client *http.Client
	format string
	oldest bool // begin with the oldest that is held
	left   int  // messages to print before the end; negative: without end

	names     []string
	at        map[string]position // where each channel is; without an entry: nothing has come yet
	connected bool                // at least once
	wait      time.Duration       // bound of the next wait
	goaway    time.Duration       // when the server wants us back; zero: it said nothing
}

// position is a place in a channel's history, as it goes over the wire.
type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

func newTail(c *tailCommand, w *world) (*tail, error) {
	u, err := c.endpoint("/api/ws")
	if err != nil {
		return nil, err
	}
	t := &tail{
		w: w, server: c.Server, url: u.String(), header: http.Header{}, client: newHTTPClient(0), format: c.Format, left: c.Limit,
		at: map[string]position{}, wait: firstWait,
	}
	switch {
	case c.Limit < 0:
		return nil, usage("--limit must not be negative")
	case c.Limit == 0:
		t.left = -1
	}
	for _, name := range c.Channels {
		if !slices.Contains(t.names, name) {
			t.names = append(t.names, name)
		}
	}
	if err := c.authorize(t.header, c.Cookie != ""); err != nil {
		return nil, err
	}
	if c.Cookie != "" {
		if err := t.setCookie(c.Cookie, u); err != nil {
			return nil, err
		}
	}
	if err := t.setSince(c.Since); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *tail) setCookie(cookie string, u *url.URL) error {
	cookie = strings.TrimSpace(strings.TrimPrefix(cookie, "Cookie:"))
	if t.header.Get("Authorization") != "" {
		return usage("a cookie and an API key or token are set; use one of them")
	}
	if _, err := http.ParseCookie(cookie); err != nil {
		return usage("--cookie must be NAME=VALUE, as kentongan token prints it")
	}
	t.header.Set("Cookie", cookie)
	// A server that gets a cookie wants to know which page sent it; a terminal stands for the server's own.
	t.header.Set("Origin", u.Scheme+"://"+u.Host)
	return nil
}

func (t *tail) setSince(since string) error {
	switch {
	case since == "":
		return nil
	case since == "oldest":
		t.oldest = true
		return nil
	case len(t.names) != 1:
		return usage("--since with a position is for one channel")
	}
	epoch, offset, ok := strings.Cut(since, "/")
	n, err := strconv.ParseUint(offset, 10, 64)
	if !ok || epoch == "" || err != nil {
		return usage("--since must be EPOCH/OFFSET, as a message has them, or oldest")
	}
	t.at[t.names[0]] = position{epoch, n}
	return nil
}

// errEnough ends a tail that has printed what was asked for.
var errEnough = errors.New("enough")

// permanent is an error after which trying again changes nothing.
type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

// follow connects again and again until ctx ends or the server says that it is of no use.
func (t *tail) follow(ctx context.Context) error {
	for {
		err := t.session(ctx)
		if errors.Is(err, errEnough) {
			return nil
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		if _, ok := errors.AsType[permanent](err); ok || !t.connected {
			return err
		}
		pause := t.pause()
		t.w.complain("%s; back in %s", oneLine(err), pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(pause):
		}
	}
}

// pause returns how long to wait now: what the server asked for, else anything up to a bound that doubles.
func (t *tail) pause() time.Duration {
	if asked := t.goaway; asked > 0 {
		t.goaway = 0
		return asked
	}
	pause := rand.N(t.wait) //nolint:gosec // jitter, no secret
	t.wait = min(2*t.wait, longWait)
	return pause
}

// dialTimeout bounds the handshake.
const dialTimeout = 10 * time.Second

// maxAnswerBytes is more than the largest page of history that a server sends in one message by default: a thousand
// publications of a kilobyte, or a few of the largest.
const maxAnswerBytes = 64 << 20

// session is one connection, from the handshake to its end; it never returns nil.
func (t *tail) session(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(dialing, t.url, &websocket.DialOptions{ //nolint:bodyclose // as the library says
		HTTPClient: t.client, HTTPHeader: t.header, Subprotocols: []string{protocol.SubprotocolV1},
	})
	if err != nil {
		return t.refused(resp, err)
	}
	defer func() { _ = conn.CloseNow() }() // after Close it does nothing
	if conn.Subprotocol() != protocol.SubprotocolV1 {
		return permanent{fmt.Errorf("%s does not speak %s", t.server, protocol.SubprotocolV1)}
	}
	t.connected = true
	conn.SetReadLimit(maxAnswerBytes)
	s := &tailSession{tail: t, conn: conn, silence: defaultSilence}
	bye := make(chan struct{})
	// Ctrl-C: the server should not take us for a broken line. It may be gone, so its answer is not worth an error.
	stay := context.AfterFunc(ctx, func() {
		defer close(bye)
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	err = s.run(context.WithoutCancel(ctx))
	if !stay() {
		<-bye
	}
	if errors.Is(err, errEnough) {
		_ = conn.Close(websocket.StatusNormalClosure, "") // as above
	}
	return t.closed(err)
}

// refused explains why there is no connection. What the server said about the request is permanent, the rest is not.
func (t *tail) refused(resp *http.Response, err error) error {
	if resp == nil {
		return explain(t.server, err)
	}
	body := make([]byte, 4096)
	n := 0
	if resp.Body != nil {
		n, _ = resp.Body.Read(body) // the library keeps the first kilobyte; without one the status is all
	}
	r := readRefusal(resp.StatusCode, body[:n])
	if r.status >= 500 || r.status == http.StatusTooManyRequests {
		return r
	}
	return permanent{r}
}

// closed explains the end of a connection.
func (t *tail) closed(err error) error {
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		return err
	}
	code := protocol.Code(closed.Code) //nolint:gosec // a close code has 16 bits on the wire
	end := fmt.Errorf("the server closed the connection: %s (%d)", code, code)
	if closed.Reason != "" {
		end = fmt.Errorf("%w: %s", end, closed.Reason)
	}
	if code.ComeBack() {
		return end
	}
	return permanent{end}
}
