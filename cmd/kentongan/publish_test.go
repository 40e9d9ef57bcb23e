package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// publishTo runs publish against a server that answers by h.
func publishTo(h http.HandlerFunc, c publishCommand, in io.Reader) (code int, stdout, stderr string) {
	server := httptest.NewServer(h)
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is that type
	var out, errs bytes.Buffer
	w := &world{in: in, out: &out, err: &errs}
	c.Server, c.APIKey = server.URL, "key"
	if c.Channel == "" {
		c.Channel = "a:k"
	}
	return w.report(c.Run(w)), out.String(), errs.String()
}

type sent struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	ID      string          `json:"id"`
}

// acceptAll stores everything and appends it to all.
func acceptAll(t interface{ Errorf(string, ...any) }, all *[]sent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var batch []sent
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			t.Errorf("the server reads: %v", err)
		}
		if r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("Content-Type") != "application/json" || len(batch) > batchItems {
			t.Errorf("got %v with %d items", r.Header, len(batch))
		}
		results := make([]result, len(batch))
		for i := range batch {
			*all = append(*all, batch[i])
			results[i] = result{Epoch: "e", Offset: uint64(len(*all))}
		}
		_ = json.NewEncoder(w).Encode(results) // a client that has gone fails by itself
	}
}

// TestPublishKeepsEveryByte sends any number of values in any spelling and finds all of them, in order.
func TestPublishKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.SampledFrom([]string{`{"a": 1}`, `[1 , 2]`, `"<&>é\u00e9"`, `null`, `1e400`, `{}`, `-0.0`}), 0, 1200).Draw(t, "values")
		sep := rapid.SampledFrom([]string{"\n", "\n\n", " \r\n"}).Draw(t, "between")
		var got []sent
		code, out, errs := publishTo(acceptAll(t, &got), publishCommand{JSON: "-", ID: "k"}, strings.NewReader(strings.Join(values, sep)))
		if code != exitOK || errs != "" || strings.Count(out, "\n") != len(values) || len(got) != len(values) {
			t.Fatalf("exit code %d, %d lines, %d sent, %q; want 0 and %d", code, strings.Count(out, "\n"), len(got), errs, len(values))
		}
		for i, v := range values {
			if string(got[i].Data) != v || got[i].ID != fmt.Sprintf("k-%d", i+1) || got[i].Channel != "a:k" {
				t.Fatalf("value %d: got %s, want %s", i+1, got[i].Data, v)
			}
		}
	})
}

func TestPublishSendsAtOnceWhatASlowSourceHas(t *testing.T) {
	in, source := io.Pipe()
	seen := make(chan string)
	go func() {
		for _, v := range []string{"1\n", "2\n", "3\n"} {
			if _, err := io.WriteString(source, v); err != nil {
				t.Error(err)
			}
			if got := <-seen; got != strings.TrimSpace(v) { // the next is written only when this one was published
				t.Errorf("got %s, want %s", got, v)
			}
		}
		_ = source.Close() // of a pipe it never fails
	}()
	code, _, _ := publishTo(func(w http.ResponseWriter, r *http.Request) {
		var batch []sent
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil || len(batch) != 1 {
			t.Errorf("got %d items, %v; want one", len(batch), err)
			return
		}
		seen <- string(batch[0].Data)
		_, _ = io.WriteString(w, `[{"epoch":"e","offset":1}]`) // as above
	}, publishCommand{JSON: "-"}, in)
	if code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestPublishTellsWhatWentWrong(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // as above
		}
	}
	for _, one := range []struct {
		name   string
		server http.HandlerFunc
		in     string
		want   string
	}{
		{"OneOfTwo", answer(207, `[{"epoch":"e","offset":1},{"error":{"code":"INVALID_DATA","message":"no"}}]`), "1 2",
			"kentongan: publication 2: INVALID_DATA: no\nkentongan: 1 of 2 publications were refused\n"},
		{"All", answer(503, `{"success":false,"error":{"code":"UNAVAILABLE","message":"later"}}`), "1", "kentongan: the server answered 503 UNAVAILABLE: later\n"},
		{"Elsewhere", answer(301, ``), "1", "kentongan: the server answered 301 and sends elsewhere (is --server the address itself?)\n"},
		{"NotOurs", answer(200, `<html>`), "1", "cannot be read; is http"},
		{"TooFew", answer(200, `[]`), "1", "kentongan: the server answered 1 publications with 0 results\n"},
		{"BadInput", answer(200, `[{"epoch":"e","offset":1}]`), "1 {", "kentongan: value 2 of standard input is no JSON: unexpected EOF\n"},
	} {
		t.Run(one.name, func(t *testing.T) {
			code, _, errs := publishTo(one.server, publishCommand{JSON: "-"}, strings.NewReader(one.in))
			if code != exitFailed || !strings.Contains(errs, one.want) {
				t.Errorf("exit code %d and %q, want 1 and %q", code, errs, one.want)
			}
		})
	}
}
