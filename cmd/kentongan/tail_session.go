package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// defaultSilence is how long the server may be silent before it has told its heartbeat.
const defaultSilence = time.Minute

// tailSession is one connection of a tail.
type tailSession struct {
	*tail
	conn    *websocket.Conn
	silence time.Duration // after which the line is taken for dead: two heartbeats
	asked   []string      // channel of each command, by its id from 1 on
}

// frame is anything that the server says in kentongan.v1.
type frame struct {
	ID      int `json:"id"`
	Welcome *struct {
		HeartbeatMs int64 `json:"heartbeatMs"`
	} `json:"welcome"`
	Message    *message    `json:"message"`
	Subscribed *subscribed `json:"subscribed"`
	History    *struct {
		position
		Channel  string    `json:"channel"`
		Messages []message `json:"messages"`
		More     bool      `json:"more"`
		Gap      string    `json:"gap"`
	} `json:"history"`
	Gap *struct {
		position
		Channel string `json:"channel"`
		Cause   string `json:"cause"`
	} `json:"gap"`
	Stale *struct {
		Since  int64  `json:"since"`
		Reason string `json:"reason"`
	} `json:"stale"`
	Fresh  *struct{} `json:"fresh"`
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

// message is one publication, as it comes and as it is printed.
type message struct {
	Channel string          `json:"channel"`
	Epoch   string          `json:"epoch"`
	Offset  uint64          `json:"offset"`
	Time    int64           `json:"time"` // ms
	Data    json.RawMessage `json:"data"`
}

type subscribed struct {
	position
	Channel   string `json:"channel"`
	Recovered bool   `json:"recovered"`
	Gap       string `json:"gap"`
}

// run subscribes and prints until the connection ends; it never returns nil.
func (s *tailSession) run(ctx context.Context) error {
	for _, name := range s.names {
		var err error
		if _, known := s.at[name]; !known && s.oldest {
			err = s.askHistory(ctx, name)
		} else {
			err = s.subscribe(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	for {
		f, err := s.read(ctx)
		if err != nil {
			return err
		}
		if err := s.take(ctx, f); err != nil {
			return err
		}
	}
}

// read waits for the next frame, but no longer than a living server is silent.
func (s *tailSession) read(ctx context.Context) (frame, error) {
	limited, cancel := context.WithTimeout(ctx, s.silence)
	defer cancel()
	_, data, err := s.conn.Read(limited)
	var f frame
	switch {
	case err == nil:
	case limited.Err() != nil:
		return f, fmt.Errorf("no sign of life for %s", s.silence)
	default:
		return f, fmt.Errorf("connection lost: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, permanent{fmt.Errorf("the server said what is no frame of this protocol: %w", err)}
	}
	return f, nil
}

// take does what one frame asks for.
func (s *tailSession) take(ctx context.Context, f frame) error {
	switch {
	case f.Welcome != nil:
		if ms := f.Welcome.HeartbeatMs; ms > 0 {
			s.silence = 2 * time.Duration(ms) * time.Millisecond
		}
	case f.Message != nil:
		return s.print(*f.Message)
	case f.Subscribed != nil:
		s.onSubscribed(*f.Subscribed)
	case f.History != nil:
		return s.onHistory(ctx, f)
	case f.Gap != nil:
		s.gap(f.Gap.Channel, f.Gap.Cause, f.Gap.position)
	case f.Stale != nil:
		s.w.complain("stale: the server knows nothing new since %s (%s)", time.UnixMilli(f.Stale.Since).Format("15:04:05"), f.Stale.Reason)
	case f.Fresh != nil:
		s.w.complain("fresh: messages come again as they happen")
	case f.Goaway != nil:
		s.goaway = max(time.Millisecond, time.Duration(f.Goaway.ReconnectInMs)*time.Millisecond)
	case f.Unsubscribed != nil:
		return permanent{fmt.Errorf("%s is no longer to be seen: %s", f.Unsubscribed.Channel, f.Unsubscribed.Code)}
	case f.Error != nil:
		return s.onError(f)
	}
	return nil
}

func (s *tailSession) onError(f frame) error {
	where := ""
	if 0 < f.ID && f.ID <= len(s.asked) {
		where = s.asked[f.ID-1] + ": "
	}
	err := fmt.Errorf("%s%s: %s", where, f.Error.Code, f.Error.Message)
	if f.Error.Temporary {
		return err
	}
	return permanent{err}
}

func (s *tailSession) onSubscribed(r subscribed) {
	s.wait = firstWait // the server is well
	_, known := s.at[r.Channel]
	switch {
	case r.Gap != "":
		s.gap(r.Channel, r.Gap, r.position)
	case !known:
		s.at[r.Channel] = r.position
	}
	// With a resume the position stays where it is: what lies between comes as messages, each of which moves it.
}

// gap says that something may be missing.
func (s *tailSession) gap(channel, cause string, now position) {
	s.w.complain("gap: messages of %s may be missing (%s); it goes on after %s/%d", channel, cause, now.Epoch, now.Offset)
	s.at[channel] = now
}

func (s *tailSession) onHistory(ctx context.Context, f frame) error {
	h := f.History
	if h.Gap != "" {
		s.gap(h.Channel, h.Gap, h.position)
		return s.subscribe(ctx, h.Channel)
	}
	for _, m := range h.Messages {
		m.Channel, m.Epoch = h.Channel, h.Epoch
		if err := s.print(m); err != nil {
			return err
		}
	}
	if h.More {
		return s.askHistory(ctx, h.Channel)
	}
	if _, known := s.at[h.Channel]; !known {
		s.at[h.Channel] = h.position // it is empty
	}
	return s.subscribe(ctx, h.Channel)
}

// request is the body of a command.
type request struct {
	Channel string    `json:"channel"`
	Since   *position `json:"since,omitempty"`
}

func (s *tailSession) subscribe(ctx context.Context, name string) error {
	return s.ask(ctx, "subscribe", name)
}

func (s *tailSession) askHistory(ctx context.Context, name string) error {
	return s.ask(ctx, "history", name)
}

// ask sends a command about a channel, with the position of that channel if it has one.
func (s *tailSession) ask(ctx context.Context, verb, name string) error {
	s.asked = append(s.asked, name)
	r := request{Channel: name}
	if at, ok := s.at[name]; ok {
		r.Since = &at
	}
	data, err := json.Marshal(map[string]any{"id": len(s.asked), verb: r})
	if err != nil {
		return fmt.Errorf("encode %s: %w", verb, err)
	}
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.conn.Write(limited, websocket.MessageText, data); err != nil {
		return fmt.Errorf("send %s of %s: %w", verb, name, err)
	}
	return nil
}

// print writes one message as one line and moves the channel's position.
func (s *tailSession) print(m message) error {
	line, err := format(s.format, m)
	if err != nil {
		return permanent{err}
	}
	if _, err := s.w.out.Write(line); err != nil {
		return permanent{fmt.Errorf("write message: %w", err)}
	}
	s.at[m.Channel] = position{m.Epoch, m.Offset}
	if s.left > 0 {
		s.left--
	}
	if s.left == 0 {
		return errEnough
	}
	return nil
}

// format returns m as one line.
func format(how string, m message) ([]byte, error) {
	var data bytes.Buffer
	if err := json.Compact(&data, m.Data); err != nil {
		return nil, errors.New("a message without valid data came: is this a Kentongan server?")
	}
	switch how {
	case "data":
		return append(data.Bytes(), '\n'), nil
	case "text":
		at := time.UnixMilli(m.Time).Format("15:04:05.000")
		return fmt.Appendf(nil, "%s %s #%d %s\n", at, m.Channel, m.Offset, data.Bytes()), nil
	}
	// By hand: json.Marshal would write the data in other characters than the app did.
	line := fmt.Appendf(nil, `{"channel":%s,"epoch":%s,"offset":%d,"time":%d,"data":`,
		quoteJSON(m.Channel), quoteJSON(m.Epoch), m.Offset, m.Time)
	return append(append(line, data.Bytes()...), "}\n"...), nil
}
