package protocol_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"kentongan/realtime/protocol"
)

// event is what a browser makes of a stream.
type event struct{ name, data, id string }

// parseSSE reads a stream as the HTML standard says (section 9.2.6), and returns the events and the last id.
func parseSSE(stream string) (events []event, lastID, retry string) {
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var name string
	var data []string
	for line := range strings.SplitSeq(stream, "\n") {
		if line == "" {
			if data != nil {
				if name == "" {
					name = "message"
				}
				events = append(events, event{name, strings.Join(data, "\n"), lastID})
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.Contains(value, "\x00") {
				lastID = value
			}
		case "retry":
			retry = value
		}
	}
	return events, lastID, retry
}

type envelope struct {
	Channel string          `json:"channel"`
	Offset  uint64          `json:"offset"`
	Epoch   string          `json:"epoch"`
	Time    int64           `json:"time"`
	Data    json.RawMessage `json:"data"`
}

// checkSSE encodes data as an event and reads it back: one event, equivalent data.
func checkSSE(t interface{ Fatalf(string, ...any) }, data []byte, id string) {
	stream := string(protocol.AppendSSE(nil, updates, id, publication(data)))
	events, lastID, _ := parseSSE(stream)
	if len(events) != 1 || events[0].name != "message" {
		t.Fatalf("got the events %q of %q, want one message", events, stream)
	}
	var e envelope
	if err := json.Unmarshal([]byte(events[0].data), &e); err != nil {
		t.Fatalf("%v in %q", err, events[0].data)
	}
	if e.Channel != updates || e.Offset != 7 || e.Epoch != head7.Epoch || e.Time != now.UnixMilli() {
		t.Fatalf("got the envelope %+v", e)
	}
	var got, want bytes.Buffer
	if json.Compact(&got, e.Data) != nil || json.Compact(&want, data) != nil || got.String() != want.String() {
		t.Fatalf("got data %q, want %q", got.String(), want.String())
	}
	if clean := !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' }); clean && lastID != id {
		t.Fatalf("got the id %q, want %q", lastID, id)
	}
}

func TestAppendSSE(t *testing.T) {
	for _, data := range []string{
		`1`, `"data: x"`, "{\n\"a\":1}", "{\r\n\"a\":\r1\r\r\n}", "[1,\n\n2]", "\n1\n", "\"\u2028\u2029\"", `"\n\nevent: forged\ndata: x\n\n"`, "[\ndata: 1]"[:1] + "1\r\n\r\n]",
	} {
		checkSSE(t, []byte(data), "id1")
	}
	checkSSE(t, payload, "")
	for _, id := range []string{"a\nevent: forged", "a\rb", "a\x00b"} {
		checkSSE(t, payload, id)
	}
}

// drawJSON draws a JSON text with all kinds of white space between its tokens.
func drawJSON(t *rapid.T, depth int) string {
	space := func() string {
		return rapid.SampledFrom([]string{"", "", " ", "\n", "\r", "\r\n", "\n\n", "\t", "\r\n\r\n"}).Draw(t, "space")
	}
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	if depth == 0 {
		kind = 0
	}
	switch kind {
	case 1:
		return space() + "[" + drawJSON(t, depth-1) + "," + drawJSON(t, depth-1) + "]" + space()
	case 2:
		return space() + "{" + space() + `"data: a"` + space() + ":" + drawJSON(t, depth-1) + "}" + space()
	}
	s, _ := json.Marshal(rapid.String().Draw(t, "string"))
	return space() + string(s) + space()
}

func TestAppendSSEKeepsAnyJSON(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		checkSSE(rt, []byte(drawJSON(rt, 3)), rapid.StringMatching(`[A-Za-z0-9_-]{0,20}`).Draw(rt, "id"))
	})
}

func FuzzAppendSSE(f *testing.F) {
	f.Add([]byte("{\"a\":\r\n1}"), "id")
	f.Add([]byte(`"\u2028"`), "a\nb")
	f.Fuzz(func(t *testing.T, data []byte, id string) {
		if !utf8.Valid(data) || !utf8.ValidString(id) {
			return // no door lets such data in, and ids are our own
		}
		stream := string(protocol.AppendSSE(nil, updates, id, publication(data)))
		if events, _, _ := parseSSE(stream); len(events) != 1 || events[0].name != "message" {
			t.Fatalf("got the events %q, want one message", events)
		}
		if json.Valid(data) {
			checkSSE(t, data, id)
		}
	})
}

func TestSSEPushes(t *testing.T) {
	for name, u := range units {
		b := u.Append(nil, protocol.SSE)
		if len(b) == 0 {
			continue
		}
		events, id, retry := parseSSE(string(b))
		if len(events) != 1 || !json.Valid([]byte(events[0].data)) {
			t.Errorf("%s: got %q, want one event with JSON", name, events)
			continue
		}
		word, _, _ := strings.Cut(name, "-")
		if word == "error" {
			word = "problem"
		}
		if events[0].name != word {
			t.Errorf("%s: the event is called %q", name, events[0].name)
		}
		switch name {
		case "welcome":
			if id != cursor7 || retry != "2000" {
				t.Errorf("welcome: id %q, retry %q", id, retry)
			}
		case "goaway":
			if retry != "1500" {
				t.Errorf("goaway: retry %q", retry)
			}
		}
	}
}

func TestSSEComment(t *testing.T) {
	got := string(protocol.AppendSSEComment(nil, "a\r\ndata: x"))
	if events, _, _ := parseSSE(got); len(events) != 0 || got != ": a  data: x\n\n" {
		t.Errorf("got %q with the events %q, want a comment", got, events)
	}
}

func TestSSEResponse(t *testing.T) {
	raw := protocol.AppendSSEHead(nil, http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Content-Type": {"text/html"}, "X-A": {"b\r\nX-Forged: 1"}})
	body := string(protocol.AppendSSE(nil, updates, "i", publication(payload)))
	raw = protocol.AppendChunk(raw, []byte(body))
	raw = protocol.AppendChunk(raw, nil)
	raw = protocol.AppendChunk(raw, protocol.AppendSSEComment(nil, ""))
	raw = protocol.AppendLastChunk(raw)
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || string(got) != body+": \n\n" {
		t.Errorf("read %q, %v", got, err)
	}
	want := protocol.SSEHeader()
	want.Set("Access-Control-Allow-Origin", "https://app.example")
	for name := range want {
		if got := res.Header[name]; strings.Join(got, "|") != strings.Join(want[name], "|") {
			t.Errorf("%s: got %q, want %q", name, got, want[name])
		}
	}
	if res.Header.Get("X-Forged") != "" || !res.Close || len(res.TransferEncoding) != 1 {
		dump, _ := httputil.DumpResponse(res, false)
		t.Errorf("got the head\n%s", dump)
	}
}
