package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

type publishCommand struct {
	clientFlags
	ID      string `help:"Idempotency key: the server publishes only once with it." placeholder:"KEY"`
	Channel string `arg:"" help:"Channel as it is called in Redis, for example production:updates:sppg_7."`
	JSON    string `arg:"" name:"json" help:"What to publish, as JSON; - reads one or more values from standard input."`
}

// Help is what publish --help adds.
func (*publishCommand) Help() string {
	return `Prints the position of each publication as a line of JSON, when the server has stored it. With --id a repeated call publishes
nothing twice; of several values each has its number behind the key.

Examples:

  kentongan publish production:updates:sppg_7 '{"type":"production_update","productionId":"p1","data":{"progress":40}}'

  kentongan publish --id order-17 system-alert '"Air mati sampai pukul 14.00"'

  kentongan publish production:updates:sppg_7 - < updates.ndjson`
}

// The limits of one request: half of what the server takes, and a size that never makes it wait long.
const (
	batchItems = 500
	batchBytes = 4 << 20
)

// publishTimeout is more than the server takes for the largest batch before it gives up by itself.
const publishTimeout = 15 * time.Second

// Run is kentongan publish. A signal ends it as it ends any filter.
func (c *publishCommand) Run(w *world) error {
	p := &publisher{command: c, w: w, client: newHTTPClient(publishTimeout), header: http.Header{"Content-Type": {"application/json"}}}
	u, err := c.endpoint("/api/publish")
	if err != nil {
		return err
	}
	p.url = u.String()
	if err := c.authorize(p.header, false); err != nil {
		return err
	}
	if len(c.ID) > 200 {
		return usage("--id has %d bytes; 200 are the most", len(c.ID))
	}
	if c.JSON != "-" {
		if !json.Valid([]byte(c.JSON)) {
			return usage("that is no JSON; a text needs quotes inside of those of the shell: '\"text\"'")
		}
		p.add([]byte(c.JSON), c.ID)
		return p.done()
	}
	return p.copy(w.in)
}

// publisher sends values in batches.
type publisher struct {
	command *publishCommand
	w       *world
	client  *http.Client
	header  http.Header
	url     string

	body   bytes.Buffer
	items  int // in body
	sent   int // before body
	failed int
}

// copy publishes every JSON value of in. It sends what it has as soon as in has nothing more at the moment, so that a slow
// source is published as it comes.
func (p *publisher) copy(in io.Reader) error {
	buffered := bufio.NewReaderSize(in, 256<<10)
	values := json.NewDecoder(buffered)
	for n := 1; ; n++ {
		var value json.RawMessage
		err := values.Decode(&value)
		if errors.Is(err, io.EOF) {
			return p.done()
		}
		if err != nil {
			// What came before the mistake is good; it was asked for.
			return errors.Join(p.done(), fmt.Errorf("value %d of standard input is no JSON: %w", n, err))
		}
		id := p.command.ID
		if id != "" {
			id += "-" + strconv.Itoa(n)
		}
		p.add(value, id)
		waiting := buffered.Buffered() > 0 || !onlySpace(values.Buffered())
		if waiting && p.items < batchItems && p.body.Len() < batchBytes {
			continue
		}
		if err := p.send(); err != nil {
			return err
		}
	}
}

// onlySpace reports whether r has nothing but white space.
func onlySpace(r io.Reader) bool {
	rest, err := io.ReadAll(r) // a decoder's own memory
	return err == nil && len(bytes.TrimSpace(rest)) == 0
}

// add puts one value into the batch, byte for byte as it came.
func (p *publisher) add(value []byte, id string) {
	sep := byte(',')
	if p.items == 0 {
		sep = '['
	}
	p.body.WriteByte(sep)
	p.body.WriteString(`{"channel":`)
	p.body.Write(quoteJSON(p.command.Channel))
	p.body.WriteString(`,"data":`)
	p.body.Write(value)
	if id != "" {
		p.body.WriteString(`,"id":`)
		p.body.Write(quoteJSON(id))
	}
	p.body.WriteByte('}')
	p.items++
}

func quoteJSON(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("kentongan: " + err.Error()) // a string always marshals
	}
	return text
}

// done sends the rest and says whether everything was stored.
func (p *publisher) done() error {
	if err := p.send(); err != nil {
		return err
	}
	if p.failed > 0 {
		return fmt.Errorf("%d of %d publications were refused", p.failed, p.sent)
	}
	return nil
}

// result is the server's answer to one publication.
type result struct {
	Epoch     string                          `json:"epoch"`
	Offset    uint64                          `json:"offset"`
	Duplicate bool                            `json:"duplicate"`
	Error     *struct{ Code, Message string } `json:"error"`
}

// stored is what is printed of one publication.
type stored struct {
	Channel   string `json:"channel"`
	Epoch     string `json:"epoch"`
	Offset    uint64 `json:"offset"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// send publishes the batch and prints what became of it.
func (p *publisher) send() error {
	if p.items == 0 {
		return nil
	}
	p.body.WriteByte(']')
	results, err := p.post()
	if err != nil {
		return err
	}
	if len(results) != p.items {
		return fmt.Errorf("the server answered %d publications with %d results", p.items, len(results))
	}
	out := json.NewEncoder(p.w.out)
	for i, r := range results {
		if r.Error != nil {
			p.failed++
			p.w.complain("publication %d: %s: %s", p.sent+i+1, r.Error.Code, r.Error.Message)
			continue
		}
		if err := out.Encode(stored{p.command.Channel, r.Epoch, r.Offset, r.Duplicate}); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
	p.sent += p.items
	p.items = 0
	p.body.Reset()
	return nil
}

func (p *publisher) post() ([]result, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url, &p.body)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	req.Header = p.header.Clone()
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, explain(p.command.Server, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or is given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, batchBytes))
	if err != nil {
		return nil, explain(p.command.Server, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusMultiStatus {
		return nil, readRefusal(resp.StatusCode, body)
	}
	var results []result
	if err := json.Unmarshal(body, &results); err != nil {
		return nil, fmt.Errorf("the server's answer cannot be read; is %s a Kentongan server?", p.command.Server)
	}
	return results, nil
}
