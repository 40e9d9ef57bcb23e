package protocol_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

var update = flag.Bool("update", false, "write the golden frames anew")

var (
	now     = time.UnixMilli(1767243600123)
	head7   = realtime.Position{Epoch: "k3v9x2m7q4ab", Offset: 7}
	updates = "production:updates:sppg_7"
	channel = realtime.Channel{Tenant: "sppg_7", Name: "production:updates"}
	payload = []byte(`{"type":"production_update","productionId":"p1","data":{"status":"COOKING"},"timestamp":1767243600120,"updatedBy":"u1"}`)
	cursor7 = protocol.EncodeCursor("sppg_7", protocol.Cursor{channel: head7})
)

func publication(data []byte) *realtime.Publication {
	return &realtime.Publication{Channel: channel, Position: head7, Time: now, Data: data}
}

// unit is what all pushes and replies can do.
type unit interface {
	Append(dst []byte, d protocol.Dialect) []byte
}

// units are one of each push and reply; the golden frames are named after them.
var units = map[string]unit{
	"welcome": protocol.Welcome{Session: "s1", Time: now, Heartbeat: 15 * time.Second, MaxMessageBytes: 65536, Expires: now.Add(time.Hour),
		Channels: []string{updates, "system-alert"}, Retry: 2 * time.Second, Cursor: cursor7},
	"gap":                 protocol.Gap{Channel: updates, Cause: realtime.GapIntake, Position: head7, Cursor: cursor7},
	"stale":               protocol.Stale{Since: now, Reason: protocol.StaleEngine},
	"fresh":               protocol.Fresh{Time: now.Add(9 * time.Second)},
	"heartbeat":           protocol.Heartbeat{Time: now, Offsets: []protocol.ChannelOffset{{Channel: updates, Offset: 7}, {Channel: "system-alert"}}},
	"goaway":              protocol.Goaway{ReconnectIn: 1500 * time.Millisecond, Reason: protocol.CloseDrain.String()},
	"error":               protocol.NoSuchChannel("3"),
	"error-temporary":     &protocol.CommandError{Code: protocol.ErrUnavailable, Message: "the engine is out; try again"},
	"subscribed":          protocol.Subscribed{ID: "1", Channel: updates, Position: head7, Recovered: true},
	"subscribed-gap":      protocol.Subscribed{ID: `"a"`, Channel: updates, Position: head7, Gap: realtime.GapExpired},
	"subscribed-snapshot": protocol.Subscribed{ID: "1", Channel: updates, Position: head7, Snapshot: true},
	"snapshot":            protocol.Snapshot{Channel: updates, Position: realtime.Position{Epoch: head7.Epoch, Offset: 9}, Publications: []realtime.Publication{*publication(payload)}, Cursor: cursor7},
	"snapshot-part":       protocol.Snapshot{Channel: updates, Position: realtime.Position{Epoch: head7.Epoch, Offset: 9}, Publications: []realtime.Publication{*publication(payload)}, More: true},
	"unsubscribed":        protocol.Unsubscribed{ID: "2", Channel: updates},
	"unsubscribed-server": protocol.Unsubscribed{Channel: updates, Code: protocol.ErrForbidden},
	"published":           protocol.Published{ID: "4", Channel: updates, Position: head7},
	"published-duplicate": protocol.Published{ID: "4", Channel: updates, Position: head7, Duplicate: true},
	"history":             protocol.History{ID: "5", Channel: updates, Page: realtime.Page{Head: realtime.Position{Epoch: head7.Epoch, Offset: 9}, Publications: []realtime.Publication{*publication(payload)}, More: true}},
	"history-gap":         protocol.History{ID: "5", Channel: updates, Page: realtime.Page{Head: head7, Gap: realtime.GapEpoch}},
	"presence":            protocol.Presence{ID: "6", Channel: updates, Members: []realtime.Member{{User: "u1", Sessions: 2, Since: now}, {User: "u2", Sessions: 1, Since: now}}},
	"pong":                protocol.Pong{ID: "7", Time: now},
}

// frames are all golden frames by file name: of a WebSocket the payload of the frame, of SSE the event.
func frames() map[string][]byte {
	out := map[string][]byte{
		"bare-message.json": protocol.AppendBare(nil, publication(payload)),
		"v1-message.json":   protocol.AppendV1(nil, updates, publication(payload)),
		"sse-message.txt":   protocol.AppendSSE(nil, updates, cursor7, publication(payload)),
	}
	for name, u := range units {
		out["bare-"+name+".json"] = u.Append(nil, protocol.Bare)
		out["v1-"+name+".json"] = u.Append(nil, protocol.V1)
		out["sse-"+name+".txt"] = u.Append(nil, protocol.SSE)
	}
	for name, b := range out {
		if len(b) == 0 {
			delete(out, name)
		}
	}
	return out
}

func TestGoldenFrames(t *testing.T) {
	dir := filepath.Join("testdata", "frames")
	want := map[string]bool{}
	for name, b := range frames() {
		want[name] = true
		if strings.HasSuffix(name, ".json") {
			if b[0] != 0x81 || len(protocol.FramePayload(b)) != len(b)-2 && len(protocol.FramePayload(b)) != len(b)-4 {
				t.Errorf("%s: not one text frame: %x…", name, b[:4])
			}
			if b = protocol.FramePayload(b); !json.Valid(b) {
				t.Errorf("%s: not JSON: %s", name, b)
			}
			b = append(b, '\n')
		}
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, golden) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, b, golden)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[f.Name()] {
			t.Errorf("%s is no frame that is made; delete it", f.Name())
		}
	}
}

// TestUnitsAppendBehindWhatIsThere: an encoder that is given a full buffer must neither change nor miscount it.
func TestUnitsAppendBehindWhatIsThere(t *testing.T) {
	for name, u := range units {
		for _, d := range []protocol.Dialect{protocol.Bare, protocol.V1, protocol.SSE} {
			alone := u.Append(nil, d)
			if got := u.Append([]byte("before"), d); string(got) != "before"+string(alone) {
				t.Errorf("%s in %v: got %q behind %q", name, d, got, "before")
			}
		}
	}
}

// TestHTTPAnswersAreTheRepliesOfV1: the routes answer with the same objects as the commands.
func TestHTTPAnswersAreTheRepliesOfV1(t *testing.T) {
	type object interface {
		unit
		AppendJSON(dst []byte) []byte
	}
	for _, name := range []string{"history", "history-gap", "presence", "published", "published-duplicate"} {
		u := units[name].(object)
		var reply map[string]json.RawMessage
		if err := json.Unmarshal(protocol.FramePayload(u.Append(nil, protocol.V1)), &reply); err != nil {
			t.Fatal(err)
		}
		word, _, _ := strings.Cut(name, "-")
		if got := u.AppendJSON(nil); string(got) != string(reply[word]) {
			t.Errorf("%s: AppendJSON gives %s, the reply has %s", name, got, reply[word])
		}
	}
}

// TestStringsAreEscaped goes through every place at which a text of somebody else stands.
func TestStringsAreEscaped(t *testing.T) {
	const hostile = "\"\\\x00\n\r\t\u2028\u2029</script>\x7f\xff é🍚"
	const safe = "\"\\\x00\n\r\t\u2028\u2029</script>\x7f\ufffd é🍚"
	got := protocol.FramePayload(protocol.AppendV1(nil, hostile, publication([]byte("1"))))
	var v struct {
		Message struct{ Channel string }
	}
	if err := json.Unmarshal(got, &v); err != nil || v.Message.Channel != safe {
		t.Errorf("channel came back as %q, %v; want %q", v.Message.Channel, err, safe)
	}
	if bytes.ContainsAny(got, "<\x7f\u2028\u2029") {
		t.Errorf("not escaped in %s", got)
	}
	event := (&protocol.CommandError{Code: protocol.ErrBadRequest, Message: hostile}).Append(nil, protocol.SSE)
	if n := bytes.Count(event, []byte("\n")); n != 3 || bytes.Contains(event, []byte("\r")) {
		t.Errorf("the event has %d line breaks: %q", n, event)
	}
}

func TestDialects(t *testing.T) {
	for d, want := range map[protocol.Dialect]string{protocol.Bare: "bare", protocol.V1: "v1", protocol.SSE: "sse", 9: "unknown"} {
		if got := d.String(); got != want {
			t.Errorf("Dialect(%d) prints as %q, want %q", d, got, want)
		}
	}
}
