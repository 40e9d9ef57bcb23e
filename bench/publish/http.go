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
	batch  []byte
}

// HTTP opens a Door to POST url with an API key. Flush waits for the answer, so that messages stay in order; what becomes
// due meanwhile goes in the next list.
func HTTP(url, key string) Door {
	const patience = 10 * time.Second
	return &httpDoor{client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxConnsPerHost: 1}}, url: url, key: key}
}

func (d *httpDoor) Add(tenant int, text []byte) {
	start := byte(',')
	if len(d.batch) == 0 {
		start = '['
	}
	d.batch = append(append(d.batch, start), `{"channel":"`...)
	d.batch = append(append(d.batch, Channel(tenant)...), `","data":`...)
	d.batch = append(append(d.batch, text...), '}')
}

func (d *httpDoor) Flush() error {
	d.batch = append(d.batch, ']')
	req, err := http.NewRequest(http.MethodPost, d.url, bytes.NewReader(d.batch)) //nolint:noctx // the client has a time limit
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	d.batch = d.batch[:0]
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
