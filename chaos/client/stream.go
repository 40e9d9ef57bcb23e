package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stream is one event stream. Between two of them the client keeps the last id, as EventSource does.
func (c *Client) stream(ctx context.Context, node string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(dialTimeout, func() { cancel(errSilent) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url("http", node, "/api/sse"+c.query()), http.NoBody)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	req.Header = c.header()
	req.Header.Set("Accept", "text/event-stream")
	if c.cursor != "" {
		req.Header.Set("Last-Event-ID", c.cursor)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return cmpCause(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // its end is that of the session
	if resp.StatusCode != http.StatusOK {
		return refused(resp)
	}
	c.keep(resp)
	lines := bufio.NewReaderSize(resp.Body, 4096)
	var e event
	silence := time.Minute
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the stream has ended")
			}
			return cmpCause(ctx, err)
		}
		watch.Reset(silence)
		if !e.add(bytes.TrimSuffix(line, []byte("\n"))) {
			continue
		}
		heartbeat, err := c.event(&e)
		if err != nil {
			return err
		}
		if heartbeat > 0 {
			silence = 2 * heartbeat
		}
		e = event{}
	}
}

// cmpCause returns why ctx has ended, if it has, else err.
func cmpCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// event is one event of a stream, as far as its lines have come.
type event struct {
	id    string
	hasID bool
	kind  string
	data  []byte
}

// add takes a line and reports whether it ends the event.
func (e *event) add(line []byte) (whole bool) {
	if len(line) == 0 {
		return true
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "id":
		e.id, e.hasID = string(value), true
	case "event":
		e.kind = string(value)
	case "data":
		if e.data != nil {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
	}
	return false
}

// event takes a whole event. It returns the heartbeat, if that was told.
func (c *Client) event(e *event) (heartbeat time.Duration, err error) {
	if e.hasID {
		c.cursor = e.id
	}
	if e.data == nil {
		return 0, nil // nothing is dispatched
	}
	var f struct {
		push
		HeartbeatMs   int64  `json:"heartbeatMs"`
		ReconnectInMs int64  `json:"reconnectInMs"`
		Cause         string `json:"cause"`
		Code          string `json:"code"`
		Temporary     bool   `json:"temporary"`
	}
	if err := json.Unmarshal(e.data, &f); err != nil {
		return 0, fmt.Errorf("%w: event %q: %w", errPermanent, e.kind, err)
	}
	switch e.kind {
	case "", "message":
		c.push(&f.push)
	case "welcome":
		c.opened()
		return time.Duration(f.HeartbeatMs) * time.Millisecond, nil
	case "gap":
		c.gap(f.Channel, f.Cause, f.position)
	case "goaway":
		c.goaway = time.Duration(f.ReconnectInMs) * time.Millisecond
	case "problem":
		if !f.Temporary {
			return 0, fmt.Errorf("%w: problem: %s", errPermanent, f.Code)
		}
	}
	return 0, nil
}
