package protocol_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"kentongan/realtime/protocol"
)

const goodKey = "dGhlIHNhbXBsZSBub25jZQ==" // the example of RFC 6455, section 1.3

// request reads a request as net/http's server does. Lines of change replace or, with nothing behind the colon, remove those
// of a good handshake; "+Name: v" adds a second line.
func request(t testing.TB, first string, change ...string) *http.Request {
	t.Helper()
	lines := []string{"Host: example.com", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: " + goodKey, "Sec-WebSocket-Version: 13"}
	for _, c := range change {
		if after, ok := strings.CutPrefix(c, "+"); ok {
			lines = append(lines, after)
			continue
		}
		name, value, _ := strings.Cut(c, ":")
		found := false
		for i, l := range lines {
			if strings.HasPrefix(l, name+":") {
				lines[i], found = c, true
				if value == "" {
					lines = append(lines[:i], lines[i+1:]...)
				}
				break
			}
		}
		if !found {
			lines = append(lines, c)
		}
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(first + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("read request: %v", err)
	}
	return r
}

const get = "GET /api/ws HTTP/1.1"

func TestParseUpgradeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		first  string
		change []string
		status int
		code   protocol.ErrorCode
		header string // a field that the answer must have
	}{
		{"POST", "POST / HTTP/1.1", nil, 405, protocol.ErrMethod, "Allow"},
		{"HTTP10", "GET / HTTP/1.0", nil, 426, protocol.ErrUpgradeRequired, "Upgrade"},
		{"NoUpgrade", get, []string{"Upgrade:"}, 426, protocol.ErrUpgradeRequired, "Upgrade"},
		{"OtherUpgrade", get, []string{"Upgrade: h2c"}, 426, protocol.ErrUpgradeRequired, "Upgrade"},
		{"NoConnection", get, []string{"Connection: keep-alive"}, 426, protocol.ErrUpgradeRequired, "Connection"},
		{"NoVersion", get, []string{"Sec-WebSocket-Version:"}, 426, protocol.ErrWebSocketVersion, "Sec-Websocket-Version"},
		{"Version8", get, []string{"Sec-WebSocket-Version: 8"}, 426, protocol.ErrWebSocketVersion, "Sec-Websocket-Version"},
		{"TwoVersions", get, []string{"+Sec-WebSocket-Version: 8"}, 426, protocol.ErrWebSocketVersion, "Sec-Websocket-Version"},
		{"NoKey", get, []string{"Sec-WebSocket-Key:"}, 400, protocol.ErrBadUpgrade, ""},
		{"TwoKeys", get, []string{"+Sec-WebSocket-Key: " + goodKey}, 400, protocol.ErrBadUpgrade, ""},
		{"EmptyKey", get, []string{"Sec-WebSocket-Key: "}, 400, protocol.ErrBadUpgrade, ""},
		{"ShortKey", get, []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="}, 400, protocol.ErrBadUpgrade, ""},
		{"LongKey", get, []string{"Sec-WebSocket-Key: " + goodKey[:22] + "AA=="}, 400, protocol.ErrBadUpgrade, ""},
		{"SeventeenBytes", get, []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="}, 400, protocol.ErrBadUpgrade, ""},
		{"KeyNotBase64", get, []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!=="}, 400, protocol.ErrBadUpgrade, ""},
		{"Body", get, []string{"Content-Length: 5"}, 400, protocol.ErrBadUpgrade, ""},
		{"ChunkedBody", get, []string{"Transfer-Encoding: chunked"}, 400, protocol.ErrBadUpgrade, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.first, tt.change...)
			if !protocol.IsUpgrade(r) {
				t.Error("IsUpgrade is false, but the request is meant as a handshake")
			}
			u, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{})
			var ue *protocol.UpgradeError
			if !errors.As(err, &ue) {
				t.Fatalf("got %+v, %v; want an *UpgradeError", u, err)
			}
			if ue.Status != tt.status || ue.Code != tt.code || ue.Message == "" {
				t.Errorf("got %d %s %q, want %d %s", ue.Status, ue.Code, ue.Message, tt.status, tt.code)
			}
			if tt.header != "" && ue.Header.Get(tt.header) == "" {
				t.Errorf("the answer has no %s", tt.header)
			}
		})
	}
}

func TestParseUpgradeAccepts(t *testing.T) {
	for name, change := range map[string][]string{
		"Plain":           nil,
		"OtherCase":       {"Upgrade: WebSocket", "Connection: keep-alive, UPGRADE"},
		"ListOfUpgrades":  {"Upgrade: h2c, websocket"},
		"ConnectionTwice": {"Connection: keep-alive", "+Connection: upgrade"},
		"EmptyBody":       {"Content-Length: 0"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := protocol.ParseUpgrade(request(t, get, change...), protocol.UpgradeOptions{})
			if err != nil || u.Key != goodKey || u.Protocol != "" || u.Deflate {
				t.Errorf("got %+v, %v", u, err)
			}
		})
	}
	plain := request(t, get, "Upgrade:", "Connection:", "Sec-WebSocket-Key:", "Sec-WebSocket-Version:")
	if protocol.IsUpgrade(plain) {
		t.Error("IsUpgrade is true for a plain GET")
	}
}

func TestSubprotocols(t *testing.T) {
	for _, tt := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"kentongan.v1"}, "kentongan.v1"},
		{[]string{"chat, kentongan.v1"}, "kentongan.v1"},
		{[]string{"chat", "kentongan.v1"}, "kentongan.v1"},
		{[]string{"other.v1,kentongan.v1"}, "other.v1"},
		{[]string{"Kentongan.V1"}, ""},
		{[]string{"kentongan.v1x, ,"}, ""},
		{[]string{strings.Repeat("a,", 30000) + "kentongan.v1"}, "kentongan.v1"},
	} {
		r := request(t, get)
		for _, v := range tt.offered {
			r.Header.Add("Sec-WebSocket-Protocol", v)
		}
		u, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{Protocols: []string{"kentongan.v1", "other.v1"}})
		if err != nil || u.Protocol != tt.want {
			t.Errorf("offered %.40q: got %q, %v; want %q", tt.offered, u.Protocol, err, tt.want)
		}
	}
}

func TestCompressionOffers(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	tests := []struct {
		name  string
		offer []string
		want  string
	}{
		{"None", nil, ""},
		{"Plain", []string{"permessage-deflate"}, plain},
		{"Chrome", []string{"permessage-deflate; client_max_window_bits"}, plain},
		{"ClientWindow", []string{"permessage-deflate; client_max_window_bits=10"}, plain},
		{"ClientWindowQuoted", []string{`permessage-deflate; client_max_window_bits="10"`}, plain},
		{"NoTakeover", []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, plain},
		{"ServerWindow15", []string{"permessage-deflate; server_max_window_bits=15"}, plain + "; server_max_window_bits=15"},
		{"ServerWindow10", []string{"permessage-deflate; server_max_window_bits=10"}, ""},
		{"ServerWindow10ThenPlain", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, plain},
		{"ServerWindow10ThenPlainOnTwoLines", []string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, plain},
		{"OtherThenPlain", []string{"x-webkit-deflate-frame, permessage-deflate"}, plain},
		{"QuotedCommas", []string{`other; a=",permessage-deflate,"`}, ""},
		{"EscapedQuote", []string{`other; a="\",", permessage-deflate`}, plain},
		{"ServerWindowWithoutValue", []string{"permessage-deflate; server_max_window_bits"}, ""},
		{"WindowTooSmall", []string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{"WindowTooLarge", []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"WindowLeadingZero", []string{"permessage-deflate; client_max_window_bits=08"}, ""},
		{"WindowEmpty", []string{"permessage-deflate; client_max_window_bits="}, ""},
		{"WindowNoNumber", []string{"permessage-deflate; client_max_window_bits=ten"}, ""},
		{"TakeoverWithValue", []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"Twice", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, ""},
		{"UnknownParameter", []string{"permessage-deflate; speed=9"}, ""},
		{"EmptyParameter", []string{"permessage-deflate;"}, ""},
		{"OpenQuote", []string{`permessage-deflate; client_max_window_bits="10`}, ""},
		{"Garbage", []string{"\x01\x02;;;===,,,"}, ""},
		{"HundredOffers", []string{strings.Repeat("permessage-deflate; a, ", 100) + "permessage-deflate"}, ""},
		{"LongOffer", []string{"permessage-deflate; " + strings.Repeat("a", 60000)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, get)
			for _, v := range tt.offer {
				r.Header.Add("Sec-WebSocket-Extensions", v)
			}
			u, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{Deflate: true})
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			_, header := response(t, protocol.AppendUpgradeResponse(nil, u, nil))
			if got := header.Get("Sec-WebSocket-Extensions"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if u, _ = protocol.ParseUpgrade(r, protocol.UpgradeOptions{}); u.Deflate {
				t.Error("compression was agreed to by a server without it")
			}
		})
	}
}

// response reads one response head and fails if anything is left behind it.
func response(t testing.TB, raw []byte) (status int, header http.Header) {
	t.Helper()
	b := bufio.NewReader(bytes.NewReader(raw))
	res, err := http.ReadResponse(b, &http.Request{Method: http.MethodGet})
	if err != nil {
		t.Fatalf("read response %q: %v", raw, err)
	}
	defer res.Body.Close()
	if !bytes.HasSuffix(raw, []byte("\r\n\r\n")) || bytes.Count(raw, []byte("\r\n\r\n")) != 1 {
		t.Errorf("the head does not end at its end: %q", raw)
	}
	return res.StatusCode, res.Header
}

func TestUpgradeResponse(t *testing.T) {
	u := protocol.Upgrade{Key: goodKey, Protocol: protocol.SubprotocolV1}
	status, header := response(t, protocol.AppendUpgradeResponse(nil, u, []byte("Set-Cookie: device=1; Path=/\r\nSet-Cookie: other=2\r\n")))
	if status != http.StatusSwitchingProtocols {
		t.Errorf("status %d", status)
	}
	for name, want := range map[string]string{
		"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade": "websocket", "Connection": "Upgrade",
		"Sec-WebSocket-Protocol": "kentongan.v1", "Sec-WebSocket-Extensions": "",
	} {
		if got := strings.Join(header.Values(name), "|"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := header.Values("Set-Cookie"); len(got) != 2 {
		t.Errorf("Set-Cookie: got %q, want both", got)
	}
}

func FuzzParseUpgrade(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", "kentongan.v1, x", goodKey, "13")
	f.Add(`a;b="\",;",c`, ",,", "", "8")
	f.Fuzz(func(t *testing.T, extensions, protocols, key, version string) {
		r := request(t, get)
		r.Header["Sec-Websocket-Extensions"] = []string{extensions}
		r.Header["Sec-Websocket-Protocol"] = []string{protocols}
		r.Header["Sec-Websocket-Key"] = []string{key}
		r.Header["Sec-Websocket-Version"] = []string{version}
		u, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{Deflate: true, Protocols: []string{protocol.SubprotocolV1}})
		if err != nil {
			var ue *protocol.UpgradeError
			if !errors.As(err, &ue) || ue.Status < 400 || ue.Status > 499 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		response(t, protocol.AppendUpgradeResponse(nil, u, nil))
	})
}
