package protocol_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

func TestParseV1(t *testing.T) {
	since := realtime.Position{Epoch: "e1", Offset: 12}
	c := []string{"a:b"}
	tests := []struct {
		in   string
		want protocol.Command
	}{
		{`{"id":1,"subscribe":{"channel":"a:b"}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: c}},
		{`{"id":1,"subscribe":{"channel":"a:b","since":{"epoch":"e1","offset":12}}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: c, Since: since}},
		{`{"subscribe":{"since":null,"channel":"a:b"},"id":"x"}`, protocol.Command{ID: `"x"`, Verb: protocol.VerbSubscribe, Channels: c}},
		{" {\n\"id\" : 9007199254740992 , \"ping\" : { } } ", protocol.Command{ID: "9007199254740992", Verb: protocol.VerbPing}},
		{`{"ping":{}}`, protocol.Command{Verb: protocol.VerbPing}},
		{`{"id":1,"subscribe":{"channel":"a:b","snapshot":true}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: c, Snapshot: true}},
		{`{"id":1,"subscribe":{"channel":"a:b","snapshot":false}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: c}},
		{`{"id":2,"unsubscribe":{"channel":"a:b"}}`, protocol.Command{ID: "2", Verb: protocol.VerbUnsubscribe, Channels: c}},
		{`{"id":3,"publish":{"channel":"a:b","data": {"x" : 1} ,"key":"k"}}`, protocol.Command{ID: "3", Verb: protocol.VerbPublish, Channels: c, Data: []byte(`{"x" : 1}`), Key: "k"}},
		{`{"id":3,"publish":{"channel":"a:b","data":null}}`, protocol.Command{ID: "3", Verb: protocol.VerbPublish, Channels: c, Data: []byte(`null`)}},
		{`{"id":4,"history":{"channel":"a:b","since":{"offset":12,"epoch":"e1"},"limit":50}}`, protocol.Command{ID: "4", Verb: protocol.VerbHistory, Channels: c, Since: since, Limit: 50}},
		{`{"id":5,"presence":{"channel":"\u0061:b"}}`, protocol.Command{ID: "5", Verb: protocol.VerbPresence, Channels: c}},
		{`{"id":"é\"\u0001","ping":{}}`, protocol.Command{ID: `"é\"\u0001"`, Verb: protocol.VerbPing}},
		{`{"id":1,"subscribe":{"channel":"` + strings.Repeat("x", 255) + `"}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: []string{strings.Repeat("x", 255)}}},
		{`{"id":1,"subscribe":{"channel":""}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: []string{""}}},
	}
	for _, bad := range []string{
		`{"epoch":"e1","offset":-1}`, `{"epoch":"e1","offset":9007199254740993}`, `{"epoch":"e1","offset":18446744073709551616}`, `{"epoch":"e1","offset":1.0}`,
		`{"epoch":"e1","offset":1e3}`, `{"epoch":"e1","offset":"1"}`, `{"epoch":"","offset":1}`, `{"epoch":"e 1","offset":1}`, `{"epoch":"` + strings.Repeat("e", 33) + `","offset":1}`,
		`{"epoch":1,"offset":1}`, `{"epoch":"e1"}`, `{"offset":1}`, `{}`, `{"epoch":"e1","offset":1,"more":1}`, `[]`, `"x"`, `12`, `true`,
	} {
		tests = append(tests, struct {
			in   string
			want protocol.Command
		}{`{"id":1,"subscribe":{"channel":"a:b","since":` + bad + `}}`, protocol.Command{ID: "1", Verb: protocol.VerbSubscribe, Channels: c, BadSince: true}})
	}
	for _, tt := range tests {
		if got, err := protocol.ParseV1([]byte(tt.in)); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseV1Refuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		in   string
		id   protocol.ID
		code protocol.ErrorCode
		says string // part of the message
	}{
		{``, "", protocol.ErrBadRequest, "one JSON object"},
		{`null`, "", protocol.ErrBadRequest, "one JSON object"},
		{`[{"id":1,"ping":{}}]`, "", protocol.ErrBadRequest, "one JSON object"},
		{`hello`, "", protocol.ErrBadRequest, "one JSON object"},
		{`{"id":1,"ping":{}`, "1", protocol.ErrBadRequest, "one JSON object"},
		{`{"id":1,"ping":{}} {}`, "1", protocol.ErrBadRequest, "one JSON object"},
		{`{"id":1,"ping":{},}`, "1", protocol.ErrBadRequest, "one JSON object"},
		{`{"id":1,"id":2,"ping":{}}`, "1", protocol.ErrBadRequest, "twice"},
		{`{"id":1,"ping":{},"ping":{}}`, "1", protocol.ErrBadRequest, "twice"},
		{`{"id":1,"publish":{"channel":"a","data":{"x":1,"\u0078":2}}}`, "1", protocol.ErrBadRequest, "twice"},
		{"{\"id\":1,\"ping\":{\"\xff\":1}}", "1", protocol.ErrBadRequest, "byte"},
		{`{"id":1,"publish":{"channel":"a","data":` + deep(31) + `}}`, "", protocol.ErrBadRequest, "deeper than 32"},
		{strings.Repeat(`{"a":`, 10000), "", protocol.ErrBadRequest, "deeper than 32"},
		{`{"id":0,"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":-1,"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":1.5,"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":1e3,"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":9007199254740993,"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":"","ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":"` + strings.Repeat("x", 65) + `","ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":{"a":1},"ping":{}}`, "", protocol.ErrBadRequest, "id"},
		{`{"id":1}`, "1", protocol.ErrBadRequest, "subscribe, unsubscribe, publish"},
		{`{}`, "", protocol.ErrBadRequest, "no command"},
		{`{"id":1,"subscribe":{"channel":"a","snapshot":1}}`, "1", protocol.ErrBadRequest, "true or false"},
		{`{"id":1,"fly":{}}`, "1", protocol.ErrUnknownCommand, "subscribe, unsubscribe, publish"},
		{`{"id":1,"` + strings.Repeat("é", 1000) + `":{}}`, "1", protocol.ErrUnknownCommand, "…"},
		{`{"id":1,"":{}}`, "1", protocol.ErrUnknownCommand, `""`},
		{`{"id":1,"unknown":{}}`, "1", protocol.ErrUnknownCommand, "unknown"},
		{`{"id":1,"ping":{},"subscribe":{"channel":"a"}}`, "1", protocol.ErrBadRequest, "not both"},
		{`{"id":1,"ping":null}`, "1", protocol.ErrBadRequest, "ping must be an object"},
		{`{"id":1,"subscribe":"a"}`, "1", protocol.ErrBadRequest, "subscribe must be an object"},
		{`{"id":1,"subscribe":{}}`, "1", protocol.ErrBadRequest, "needs a channel"},
		{`{"id":1,"subscribe":{"channel":7}}`, "1", protocol.ErrBadRequest, "channel must be a string"},
		{`{"id":1,"subscribe":{"channel":"a","from":{}}}`, "1", protocol.ErrBadRequest, "channel, since"},
		{`{"id":1,"ping":{"a":1}}`, "1", protocol.ErrBadRequest, "known are none"},
		{`{"id":1,"subscribe":{"channel":"` + strings.Repeat("x", 256) + `"}}`, "1", protocol.ErrNoChannel, "no such channel"},
		{`{"id":1,"publish":{"channel":"a"}}`, "1", protocol.ErrBadRequest, "needs data"},
		{`{"id":1,"publish":{"channel":"a","data":1,"key":7}}`, "1", protocol.ErrBadRequest, "key"},
		{`{"id":1,"publish":{"channel":"a","data":1,"key":"` + strings.Repeat("k", 256) + `"}}`, "1", protocol.ErrBadRequest, "key"},
		{`{"id":1,"history":{"channel":"a","limit":-1}}`, "1", protocol.ErrBadRequest, "limit"},
		{`{"id":1,"history":{"channel":"a","limit":1e9}}`, "1", protocol.ErrBadRequest, "limit"},
		{`{"id":1,"history":{"channel":"a","limit":99999999999}}`, "1", protocol.ErrBadRequest, "limit"},
	}
	for _, tt := range tests {
		got, err := protocol.ParseV1([]byte(tt.in))
		if err == nil {
			t.Errorf("%.100s: accepted as %+v", tt.in, got)
			continue
		}
		if err.ID != tt.id || err.Code != tt.code || !strings.Contains(err.Message, tt.says) || len(err.Message) > 200 {
			t.Errorf("%.100s: got %q %s %q, want %q %s …%s…", tt.in, err.ID, err.Code, err.Message, tt.id, tt.code, tt.says)
		}
	}
	if _, err := protocol.ParseV1([]byte(`{"id":1,"publish":{"channel":"a","data":` + deep(30) + `}}`)); err != nil {
		t.Errorf("a depth of 32: %v", err)
	}
	if _, err := protocol.ParseV1([]byte(`{"id":1,"publish":{"channel":"a","data":"` + strings.Repeat(`[{\"`, 100) + `"}}`)); err != nil {
		t.Errorf("brackets in a string: %v", err)
	}
}

func TestParseBare(t *testing.T) {
	one := []string{"production:updates:S"}
	many := func(n int) string { return `["` + strings.Join(make([]string, n), `","`) + `"]` }
	tests := []struct {
		in   string
		want protocol.Command
		code protocol.ErrorCode
	}{
		{`{"type":"subscribe","channel":"production:updates:S"}`, protocol.Command{Verb: protocol.VerbSubscribe, Channels: one}, ""},
		{`{"type":"SUBSCRIBE","channels":["a","b"]}`, protocol.Command{Verb: protocol.VerbSubscribe, Channels: []string{"a", "b"}}, ""},
		{`{"type":"Unsubscribe","channel":"production:updates:S","id":9}`, protocol.Command{ID: "9", Verb: protocol.VerbUnsubscribe, Channels: one}, ""},
		{`{"type":"ping"}`, protocol.Command{Verb: protocol.VerbPing}, ""},
		{`{"type":"PING","timestamp":1,"id":{"not":"an id"}}`, protocol.Command{Verb: protocol.VerbPing}, ""},
		{`{"type":"subscribe","channel":"production:updates:S","token":"t","data":{"x":[1]}}`, protocol.Command{Verb: protocol.VerbSubscribe, Channels: one}, ""},
		{`{"type":"subscribe","channels":` + many(128) + `}`, protocol.Command{Verb: protocol.VerbSubscribe, Channels: make([]string, 128)}, ""},
		{`{"type":"subscribe","channels":` + many(129) + `}`, protocol.Command{}, protocol.ErrTooManyChannels},
		{`{"type":"subscribe"}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"subscribe","channels":[]}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"subscribe","channels":"a"}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"subscribe","channels":[1]}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"subscribe","channel":null}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"subscribe","channels":["` + strings.Repeat("x", 256) + `"]}`, protocol.Command{}, protocol.ErrNoChannel},
		{`{"type":"authenticate","token":"t"}`, protocol.Command{}, protocol.ErrUnknownCommand},
		{`{"type":7}`, protocol.Command{}, protocol.ErrBadRequest},
		{`{}`, protocol.Command{}, protocol.ErrBadRequest},
		{`ping`, protocol.Command{}, protocol.ErrBadRequest},
		{`{"type":"ping","type":"subscribe"}`, protocol.Command{}, protocol.ErrBadRequest},
		{strings.Repeat(`{"type":`, 5000), protocol.Command{}, protocol.ErrBadRequest},
	}
	for _, tt := range tests {
		got, err := protocol.ParseBare([]byte(tt.in))
		if tt.code != "" {
			if err == nil || err.Code != tt.code {
				t.Errorf("%.100s: got %+v, %v; want %s", tt.in, got, err, tt.code)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%.100s: got %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
}

// TestCommandsOwnTheirMemory: the frame that a command was read from is used again at once.
func TestCommandsOwnTheirMemory(t *testing.T) {
	in := []byte(`{"id":"xyz","publish":{"channel":"a:b","data":{"x":1},"key":"k"}}`)
	c, err := protocol.ParseV1(in)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v", c)
	for i := range in {
		in[i] = 'z'
	}
	if after := fmt.Sprintf("%+v", c); after != before {
		t.Errorf("the command changed with the frame: %s, before %s", after, before)
	}
}

func TestVerbs(t *testing.T) {
	if got := protocol.VerbHistory.String() + " " + protocol.Verb(0).String() + " " + protocol.Verb(99).String(); got != "history unknown"+" unknown" {
		t.Errorf("verbs print as %q", got)
	}
}

// checkCommand checks what holds for every input: an answer is valid JSON, and a command has what its verb needs.
func checkCommand(t *testing.T, c protocol.Command, err *protocol.CommandError) {
	t.Helper()
	if err != nil {
		if len(err.Message) > 300 || len(err.ID) > 400 || !utf8.ValidString(err.Message) {
			t.Fatalf("the answer is long or no text: %q %q", err.ID, err.Message)
		}
		for _, d := range []protocol.Dialect{protocol.Bare, protocol.V1} {
			if reply := protocol.FramePayload(err.Append(nil, d)); !json.Valid(reply) {
				t.Fatalf("the answer is not JSON: %s", reply)
			}
		}
		return
	}
	if c.Verb == 0 || (len(c.Channels) == 0) != (c.Verb == protocol.VerbPing) || (c.Data == nil) != (c.Verb != protocol.VerbPublish) {
		t.Fatalf("half a command: %+v", c)
	}
	if c.ID != "" && !json.Valid([]byte(c.ID)) || c.Data != nil && !json.Valid(c.Data) {
		t.Fatalf("id or data is no JSON: %+v", c)
	}
}

func FuzzParseV1(f *testing.F) {
	f.Add([]byte(`{"id":1,"subscribe":{"channel":"a:b","since":{"epoch":"e1","offset":12}}}`))
	f.Add([]byte(`{"id":"x","publish":{"channel":"a","data":{"x":[1,2]},"key":"k"}}`))
	f.Add([]byte(`{"history":{"channel":"a","limit":5}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := protocol.ParseV1(in)
		checkCommand(t, c, err)
		if err == nil && (!json.Valid(in) || len(c.Channels) > 1) {
			t.Fatalf("accepted %q as %+v", in, c)
		}
	})
}

func FuzzParseBare(f *testing.F) {
	f.Add([]byte(`{"type":"SUBSCRIBE","channels":["a","b"]}`))
	f.Add([]byte(`{"type":"ping","id":7}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := protocol.ParseBare(in)
		checkCommand(t, c, err)
		if err == nil && (!json.Valid(in) || len(c.Channels) > protocol.MaxBareChannels+1) {
			t.Fatalf("accepted %q as %+v", in, c)
		}
	})
}
