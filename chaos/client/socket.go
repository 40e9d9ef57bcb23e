package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"kentongan/chaos/check"
)

const subprotocol = "kentongan.v1"

// maxMessage is more than the server sends in one message here.
const maxMessage = 4 << 20

// socket is one WebSocket connection, bare or kentongan.v1.
func (c *Client) socket(ctx context.Context, node string) error {
	v1 := c.opts.Dialect == check.V1
	opts := &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: c.header()}
	if v1 {
		opts.Subprotocols = []string{subprotocol}
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(dialing, c.url("ws", node, "/api/ws"+c.query()), opts) //nolint:bodyclose // as the library says
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return refused(resp)
		}
		return err
	}
	defer func() { _ = conn.CloseNow() }() // its end is that of the session
	c.keep(resp)
	conn.SetReadLimit(maxMessage)
	if !v1 {
		c.opened()
		return c.listen(ctx, conn, 0, c.bare)
	}
	if conn.Subprotocol() != subprotocol {
		return fmt.Errorf("%w: the server does not speak %s", errPermanent, subprotocol)
	}
	s := &session{Client: c, conn: conn}
	return c.listen(ctx, conn, time.Minute, s.take)
}

// query names the channels, with the positions of a v1 client that resumes in the upgrade.
func (c *Client) query() string {
	v1 := c.opts.Dialect == check.V1
	if v1 && !c.opts.InUpgrade || !v1 && !c.opts.Narrow {
		return ""
	}
	var names []string
	for _, ch := range c.opts.Channels {
		name := c.opts.World.Channels[ch].Name
		if at, ok := c.at[ch]; ok && v1 {
			name = fmt.Sprintf("%s@%s/%d", name, at.Epoch, at.Offset)
		}
		names = append(names, name)
	}
	return "?channels=" + url.QueryEscape(strings.Join(names, ","))
}

// errSilent says that nothing came for longer than a living server is silent.
var errSilent = errors.New("no sign of life")

// listen gives take what comes, until the connection ends. Take returns how long the server may be silent from then on,
// zero for ever.
func (c *Client) listen(ctx context.Context, conn *websocket.Conn, silence time.Duration, take func([]byte) (time.Duration, error)) error {
	for {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if silence > 0 {
			limited, cancel = context.WithTimeoutCause(ctx, silence, errSilent)
		}
		_, data, err := conn.Read(limited)
		cause := context.Cause(limited) // before our own cancel is one
		cancel()
		if err != nil {
			return closed(cause, err)
		}
		next, err := take(data)
		if err != nil {
			return err
		}
		silence = next
	}
}

// closed explains the end of a connection; cause is why we ended it, if we did.
func closed(cause, err error) error {
	if cause != nil {
		return cause
	}
	code := websocket.CloseStatus(err)
	if code < 0 {
		return err
	}
	err = fmt.Errorf("closed with %d: %w", code, err)
	// What docs/protocol.md says about coming back, said again: the client shares no code with the server.
	switch {
	case code >= 4000 && code < 4500, code == 1001, code == 1005, code == 1006, code >= 1011 && code <= 1014:
		return err
	}
	return fmt.Errorf("%w: %w", errPermanent, err)
}

// bare takes a message of the bare dialect: what was published, or one of the few words that the server has of its own.
func (c *Client) bare(data []byte) (time.Duration, error) {
	if strings.HasPrefix(string(data[:min(len(data), 24)]), `{"type":"production_upd`) {
		c.message(-1, check.Position{}, data)
		return 0, nil
	}
	var f struct {
		position
		Type    string `json:"type"`
		Channel string `json:"channel"`
		Cause   string `json:"cause"`
	}
	_ = json.Unmarshal(data, &f) // what is no JSON has no type, and is found to be forged
	switch f.Type {
	case "gap":
		c.gap(f.Channel, f.Cause, f.position)
	case "stale", "fresh", "subscribed", "pong":
	default:
		c.message(-1, check.Position{}, data)
	}
	return 0, nil
}

// session is a connection in kentongan.v1.
type session struct {
	*Client

	conn      *websocket.Conn
	heartbeat time.Duration
	asked     []int // channel of each command, by its id from 1 on
}

// frame is what the server says.
type frame struct {
	ID      int `json:"id"`
	Welcome *struct {
		HeartbeatMs int64 `json:"heartbeatMs"`
	} `json:"welcome"`
	Message    *push `json:"message"`
	Subscribed *struct {
		position
		Channel   string `json:"channel"`
		Recovered bool   `json:"recovered"`
		Gap       string `json:"gap"`
	} `json:"subscribed"`
	Gap *struct {
		position
		Channel string `json:"channel"`
		Cause   string `json:"cause"`
	} `json:"gap"`
	Goaway *struct {
		ReconnectInMs int64 `json:"reconnectInMs"`
	} `json:"goaway"`
	Unsubscribed *struct {
		Channel string `json:"channel"`
		Code    string `json:"code"`
	} `json:"unsubscribed"`
	Error *struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Temporary bool   `json:"temporary"`
	} `json:"error"`
}

// push is one publication.
type push struct {
	position
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

func (s *session) take(data []byte) (time.Duration, error) {
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		return 0, fmt.Errorf("%w: no frame: %w", errPermanent, err)
	}
	switch {
	case f.Message != nil:
		s.push(f.Message)
	case f.Welcome != nil:
		s.heartbeat = time.Duration(f.Welcome.HeartbeatMs) * time.Millisecond
		s.opened()
		if err := s.subscribeAll(); err != nil {
			return 0, err
		}
	case f.Subscribed != nil:
		n := s.number(f.Subscribed.Channel)
		at := s.place(f.Subscribed.position)
		// With a resume the position stays where it is: what lies between comes as messages, each of which moves it.
		if n >= 0 && !f.Subscribed.Recovered {
			s.at[int(n)] = at
		}
		s.note(check.Event{Kind: check.Subscribed, Channel: n, Position: at, Recovered: f.Subscribed.Recovered, Cause: f.Subscribed.Gap})
	case f.Gap != nil:
		s.gap(f.Gap.Channel, f.Gap.Cause, f.Gap.position)
	case f.Goaway != nil:
		s.goaway = time.Duration(f.Goaway.ReconnectInMs) * time.Millisecond
	case f.Unsubscribed != nil:
		return 0, fmt.Errorf("%s was unsubscribed: %s", f.Unsubscribed.Channel, f.Unsubscribed.Code)
	case f.Error != nil:
		if err := s.failed(&f); err != nil {
			return 0, err
		}
	}
	return 2 * s.heartbeat, nil
}

// push notes a publication and moves the position.
func (c *Client) push(m *push) {
	n, at := c.number(m.Channel), c.place(m.position)
	if n >= 0 {
		c.at[int(n)] = at
	}
	c.message(n, at, m.Data)
}

// failed takes the answer to a command that was not carried out. The refusal of what it has no right to is as it should be.
func (s *session) failed(f *frame) error {
	if 0 < f.ID && f.ID <= len(s.asked) && s.asked[f.ID-1] == s.opts.Nosy && f.Error.Code == "NO_SUCH_CHANNEL" {
		return nil
	}
	err := fmt.Errorf("command %d: %s: %s", f.ID, f.Error.Code, f.Error.Message)
	if f.Error.Temporary {
		return err
	}
	return fmt.Errorf("%w: %w", errPermanent, err)
}

// subscribeAll follows the channels by commands, unless the upgrade did, and asks for what it should not have.
func (s *session) subscribeAll() error {
	var channels []int
	if !s.opts.InUpgrade {
		channels = append(channels, s.opts.Channels...)
	}
	if s.opts.Nosy >= 0 {
		channels = append(channels, s.opts.Nosy)
	}
	for _, ch := range channels {
		s.asked = append(s.asked, ch)
		body := map[string]any{"channel": s.opts.World.Channels[ch].Name}
		if at, ok := s.at[ch]; ok {
			body["since"] = position{at.Epoch, at.Offset}
		}
		data, err := json.Marshal(map[string]any{"id": len(s.asked), "subscribe": body})
		if err != nil {
			return fmt.Errorf("encode subscribe: %w", err)
		}
		writing, cancel := context.WithTimeout(context.Background(), dialTimeout)
		err = s.conn.Write(writing, websocket.MessageText, data)
		cancel()
		if err != nil {
			return fmt.Errorf("send subscribe: %w", err)
		}
	}
	return nil
}
