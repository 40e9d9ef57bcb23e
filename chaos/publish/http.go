package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"kentongan/chaos/check"
)

// httpDoor is POST /api/publish on any of several gateways.
type httpDoor struct {
	client *http.Client
	scheme string
	nodes  func() []string
	key    string
	turn   int // the node that is used
}

// HTTP returns a door to the gateways that nodes lists ("host:port"), with an API key, over TLS unless config is nil. It stays with one
// until that fails.
func HTTP(nodes func() []string, key string, first int, config *tls.Config) Door {
	const patience = 7 * time.Second // the server answers after 5 at the latest
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config}}
	scheme := "http://"
	if config != nil {
		scheme = "https://"
	}
	return &httpDoor{client: client, scheme: scheme, nodes: nodes, key: key, turn: first}
}

func (d *httpDoor) Repeats() bool { return true }
func (d *httpDoor) Close()        { d.client.CloseIdleConnections() }

func (d *httpDoor) Publish(ctx context.Context, items []Item) ([]Result, bool) {
	results := make([]Result, len(items))
	type publication struct {
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
		ID      string          `json:"id"`
	}
	list := make([]publication, len(items))
	for i, it := range items {
		list[i] = publication{it.Channel, it.Data, it.Key}
	}
	var body any = list
	if len(list) == 1 {
		body = list[0]
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic("publish: " + err.Error()) // our own payloads are JSON
	}
	status, answer, err := d.post(ctx, text)
	if err != nil {
		d.turn++
		return results, true // also when the connection was refused: a repeat is harmless
	}
	d.read(results, status, answer)
	return results, true
}

func (d *httpDoor) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	nodes := d.nodes()
	url := d.scheme + nodes[d.turn%len(nodes)] + "/api/publish"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	const enough = 1 << 20
	answer, err = io.ReadAll(io.LimitReader(resp.Body, enough))
	return resp.StatusCode, answer, err
}

// stored is one item of the answer.
type stored struct {
	Epoch  string    `json:"epoch"`
	Offset uint64    `json:"offset"`
	Error  *struct { // of an item in a list, and of a whole answer
		Code string `json:"code"`
	} `json:"error"`
}

// read fills in results. What the answer leaves open stays unknown.
func (d *httpDoor) read(results []Result, status int, answer []byte) {
	var all []stored
	if len(results) == 1 {
		all = make([]stored, 1)
		if json.Unmarshal(answer, &all[0]) != nil {
			return
		}
	} else if json.Unmarshal(answer, &all) != nil || len(all) != len(results) {
		all = nil
	}
	if status/100 == 4 && status != http.StatusTooManyRequests {
		for i := range results {
			results[i].Outcome = check.Refused
		}
		return
	}
	for i, s := range all {
		switch {
		case s.Error == nil && s.Epoch != "" && status/100 == 2:
			results[i] = Result{check.Acked, check.Position{Epoch: s.Epoch, Offset: s.Offset}}
		case s.Error != nil && s.Error.Code != "UNAVAILABLE" && s.Error.Code != "INTERNAL":
			results[i].Outcome = check.Refused
		}
	}
	if status >= http.StatusInternalServerError {
		d.turn++
	}
}
