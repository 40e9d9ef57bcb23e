package publish

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// httpDoor posts lists of publications on one kept connection.
type httpDoor struct {
	client *http.Client
	url    string
	key    string
	lists  [][]byte // the last one may be short
	count  int      // in all lists
}

// listLength is how many publications go in one request. The server takes a thousand.
const listLength = 500

// HTTP opens a Door to POST url with an API key. Flush waits for the answer, so that messages stay in order; what becomes
// due meanwhile goes in the next list.
func HTTP(url, key string) Door {
	const patience = 10 * time.Second
	return &httpDoor{client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: 1}}, url: url, key: key}
}

func (d *httpDoor) Add(tenant int, text []byte) {
	start := byte(',')
	if d.count%listLength == 0 {
		d.lists, start = append(d.lists, nil), '['
	}
	d.count++
	last := &d.lists[len(d.lists)-1]
	*last = append(append(*last, start), `{"channel":"`...)
	*last = append(append(*last, Channel(tenant)...), `","data":`...)
	*last = append(append(*last, text...), '}')
}

func (d *httpDoor) Flush() error {
	lists := d.lists
	d.lists, d.count = nil, 0
	for _, list := range lists {
		if err := d.post(append(list, ']')); err != nil {
			return err
		}
	}
	return nil
}

// post sends one list and waits for its answer.
func (d *httpDoor) post(list []byte) error {
	req, err := http.NewRequest(http.MethodPost, d.url, bytes.NewReader(list)) //nolint:noctx // the client has a time limit
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	const enough = 1 << 20
	said, err := io.ReadAll(io.LimitReader(resp.Body, enough)) // to the end, or the connection is not kept
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.300s", resp.Status, said)
	}
	return err
}

func (d *httpDoor) Close() error {
	d.client.CloseIdleConnections()
	return nil
}
