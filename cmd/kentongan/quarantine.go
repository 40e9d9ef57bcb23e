package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kentongan/app"
	"kentongan/tenant"
)

type quarantineCommand struct {
	List   quarantineListCommand   `cmd:"" help:"List what was refused."`
	Show   quarantineShowCommand   `cmd:"" help:"Print one refused message, with its data."`
	Replay quarantineReplayCommand `cmd:"" help:"Publish refused messages after all."`
	Drop   quarantineDropCommand   `cmd:"" help:"Let refused messages go."`
}

// Help is what quarantine --help adds.
func (*quarantineCommand) Help() string {
	return `Messages that came with plain PUBLISH, or over the durable stream, and did not fit the schema of their channel are kept
by a running server: 200 and 1 MiB a kitchen, for seven days. These commands talk to its admin listener.

Examples:

  kentongan quarantine list --tenant sppg_7

  kentongan quarantine show sppg_7:1795686000000-0

  kentongan quarantine replay sppg_7:1795686000000-0

  kentongan quarantine drop --tenant sppg_7 --all`
}

// quarantineFlags are the flags of all commands of the quarantine.
type quarantineFlags struct {
	adminFlags
	JSON bool `name:"json" help:"Print JSON."`
}

// kitchenFlag chooses the messages of one kitchen. Without it there is no way to say "those of all".
type kitchenFlag struct {
	Tenant *string `help:"Kitchen; empty is what belongs to all kitchens." placeholder:"ID"`
}

// query returns the flag as the admin listener wants it.
func (f kitchenFlag) query() (url.Values, error) {
	q := url.Values{}
	if f.Tenant == nil {
		return q, nil
	}
	if *f.Tenant != "" && !tenant.Valid(*f.Tenant) {
		return nil, usage("--tenant %.64q: a tenant id is 1 to 64 of A-Z a-z 0-9 _ -", *f.Tenant)
	}
	q.Set("tenant", *f.Tenant)
	return q, nil
}

// heldList is the answer of GET /quarantine.
type heldList struct {
	Messages []app.HeldMessage `json:"messages"`
	More     bool              `json:"more"`
}

type quarantineListCommand struct {
	quarantineFlags
	kitchenFlag
	Limit int `help:"How many at most, 1 to 10000." default:"100"`
}

// Run is kentongan quarantine list.
func (c *quarantineListCommand) Run(w *world) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	q.Set("limit", strconv.Itoa(c.Limit))
	ctx, stop := untilSignal()
	defer stop()
	var list heldList
	if err := c.ask(ctx, w, http.MethodGet, "/quarantine", q, &list); err != nil {
		return err
	}
	if c.JSON {
		return wrapWrite(json.NewEncoder(w.out).Encode(list))
	}
	if len(list.Messages) == 0 {
		_, err := fmt.Fprintln(w.out, "nothing is held")
		return wrapWrite(err)
	}
	rows := [][]string{{"ID", "CHANNEL", "DOOR", "BYTES", "REASON"}}
	for _, m := range list.Messages {
		rows = append(rows, []string{m.ID, m.Channel, m.Door, strconv.Itoa(m.Bytes), m.Reason})
	}
	if list.More {
		rows = append(rows, []string{"… there are more: --limit"})
	}
	return columns(w.out, rows)
}

type quarantineShowCommand struct {
	quarantineFlags
	ID string `arg:"" help:"Id, out of the list."`
}

// Run is kentongan quarantine show.
func (c *quarantineShowCommand) Run(w *world) error {
	ctx, stop := untilSignal()
	defer stop()
	var m app.HeldMessage
	if err := c.ask(ctx, w, http.MethodGet, "/quarantine/"+url.PathEscape(c.ID), nil, &m); err != nil {
		return err
	}
	if c.JSON {
		return wrapWrite(json.NewEncoder(w.out).Encode(m))
	}
	if err := table(w, [][2]string{
		{"id", m.ID}, {"kitchen", string(m.Tenant)}, {"channel", m.Channel}, {"came", m.Time.Format(time.RFC3339Nano)},
		{"door", m.Door}, {"reason", m.Reason}, {"bytes", strconv.Itoa(m.Bytes)},
	}); err != nil {
		return wrapWrite(err)
	}
	text := m.Text
	if m.Data != nil {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, m.Data, "", "  "); err != nil {
			return fmt.Errorf("read its data: %w", err)
		}
		text = pretty.String()
	}
	if text == "" && m.Bytes > 0 {
		text = "(too large to be kept)"
	}
	_, err := fmt.Fprintln(w.out, text)
	return wrapWrite(err)
}

// chosen is the flags of the commands that change something: ids, or all of one kitchen.
type chosen struct {
	kitchenFlag
	All bool     `help:"All that is held of the kitchen that --tenant names."`
	IDs []string `arg:"" optional:"" name:"id" help:"Ids, out of the list."`
}

var errSome = errors.New("not all of it was done")

// each calls do with every id that is meant, the oldest first, and prints what became of it.
func (c *chosen) each(w *world, f *quarantineFlags, done string, do func(ctx context.Context, id string, v any) error) error {
	ctx, stop := untilSignal()
	defer stop()
	ids := c.IDs
	switch {
	case c.All && c.Tenant == nil:
		return usage("--all needs --tenant, so that it is clear whose")
	case c.All == (len(ids) > 0):
		return usage("name ids, or a kitchen with --tenant ID --all")
	case c.All:
		q, err := c.query()
		if err != nil {
			return err
		}
		q.Set("limit", "10000")
		var list heldList
		if err := f.ask(ctx, w, http.MethodGet, "/quarantine", q, &list); err != nil {
			return err
		}
		for i := range list.Messages { // they come with the newest first; order matters to who replays
			ids = append(ids, list.Messages[len(list.Messages)-1-i].ID)
		}
	}
	failed := false
	for _, id := range ids {
		var answer json.RawMessage
		err := do(ctx, id, &answer)
		if _, refused := errors.AsType[*refusal](err); err != nil && !refused {
			return err
		}
		failed = failed || err != nil
		if err := f.say(w, id, done, answer, err); err != nil {
			return err
		}
	}
	if failed {
		return errSome
	}
	return nil
}

// say prints one line about one message.
func (f *quarantineFlags) say(w *world, id, done string, answer json.RawMessage, err error) error {
	if f.JSON {
		line := struct {
			ID     string          `json:"id"`
			Answer json.RawMessage `json:"answer,omitempty"`
			Error  string          `json:"error,omitempty"`
		}{ID: id, Answer: answer}
		if err != nil {
			line.Error = err.Error()
		}
		return wrapWrite(json.NewEncoder(w.out).Encode(line))
	}
	if err != nil {
		done = err.Error()
	}
	_, err = fmt.Fprintf(w.out, "%s: %s\n", id, done)
	return wrapWrite(err)
}

type quarantineReplayCommand struct {
	quarantineFlags
	chosen
	Force bool `help:"Also what still does not fit."`
}

// Run is kentongan quarantine replay.
func (c *quarantineReplayCommand) Run(w *world) error {
	q := url.Values{}
	if c.Force {
		q.Set("force", "true")
	}
	return c.each(w, &c.quarantineFlags, "published", func(ctx context.Context, id string, v any) error {
		return c.ask(ctx, w, http.MethodPost, "/quarantine/"+url.PathEscape(id)+"/replay", q, v)
	})
}

type quarantineDropCommand struct {
	quarantineFlags
	chosen
}

// Run is kentongan quarantine drop.
func (c *quarantineDropCommand) Run(w *world) error {
	return c.each(w, &c.quarantineFlags, "dropped", func(ctx context.Context, id string, v any) error {
		return c.ask(ctx, w, http.MethodDelete, "/quarantine/"+url.PathEscape(id), nil, v)
	})
}
