package gateway

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// promising reports whether p may still become a handshake.
func promising(p []byte) bool {
	const get = "GET /"
	return len(p) < len(get) && string(p) == get[:len(p)] || bytes.HasPrefix(p, []byte(get))
}

// flawless is a request and its parts, whose memory serves one handshake after the other. Its texts are never used again: a session may
// keep them.
type flawless struct {
	request http.Request
	address url.URL
	header  http.Header
	values  []string // of all fields; header has parts of it
}

// reset forgets the request, which nobody uses any more.
func (f *flawless) reset() {
	f.request, f.address = http.Request{}, url.URL{}
	clear(f.header)
	clear(f.values)
}

// read returns the request in head, up to its empty line, if it is a handshake without any flaw, else nil. It
// is the request that [http.ReadRequest] makes of head, but for Close, which is about what comes behind a request, and for
// the Cache-Control that net/http adds to an old browser's Pragma. Whatever is not plain at first sight is none: net/http
// is there for it, and says what is wrong. f is new, or was reset.
func (f *flawless) read(head []byte) *http.Request {
	first, rest, _ := bytes.Cut(head, []byte("\r\n"))
	target, ok := f.readTarget(first)
	if !ok {
		return nil
	}
	lines := string(rest) // all values are parts of it
	count := strings.Count(lines, "\r\n") - 1
	if count < 1 || count > maxHeadLines {
		return nil
	}
	header, values := f.room(count)
	host, upgrades := "", 0
	for {
		var line string
		if line, lines, _ = strings.Cut(lines, "\r\n"); line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || name == "" || !consists(name, inName) || !consists(value, inValue) {
			return nil
		}
		switch name = canonicalName(name); name {
		case "Host":
			if host != "" || value == "" || !consists(value, inHost) {
				return nil
			}
			host = value
			continue
		case "Upgrade":
			if !strings.EqualFold(value, "websocket") {
				return nil
			}
			upgrades++
		case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
			return nil // there may be a body
		}
		if before := header[name]; before != nil {
			header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if host == "" || upgrades != 1 {
		return nil
	}
	f.request = http.Request{
		Method: http.MethodGet, URL: &f.address, RequestURI: target, Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	return &f.request
}

// room returns an empty header, and room for the values of so many fields.
func (f *flawless) room(fields int) (http.Header, []string) {
	if f.header == nil {
		f.header = make(http.Header, fields)
	}
	f.values = slices.Grow(f.values[:0], fields)[:fields]
	return f.header, f.values[:0]
}

// canonicalName is [textproto.CanonicalMIMEHeaderKey], which makes a new text of those names that browsers write in their own way.
func canonicalName(name string) string {
	switch name {
	case "Sec-WebSocket-Key":
		return "Sec-Websocket-Key"
	case "Sec-WebSocket-Version":
		return "Sec-Websocket-Version"
	case "Sec-WebSocket-Protocol":
		return "Sec-Websocket-Protocol"
	case "Sec-WebSocket-Extensions":
		return "Sec-Websocket-Extensions"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// readTarget reads a request line that asks for one of our endpoints over HTTP/1.1. The target is no part of the head's other
// memory: names of channels are parts of it, and stay.
func (f *flawless) readTarget(line []byte) (target string, ok bool) {
	line, get := bytes.CutPrefix(line, []byte("GET "))
	line, version := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !get || !version {
		return "", false
	}
	if target = endpoint; string(line) != endpoint {
		target = string(line)
	}
	path, query, asks := strings.Cut(target, "?")
	if path != endpoint && path != "/" || !consists(query, inQuery) {
		return "", false
	}
	f.address = url.URL{Path: path, RawQuery: query, ForceQuery: asks && query == ""}
	return target, true
}

// Where a byte may stand in a flawless head.
const (
	inName  = 1 << iota // of a field: letters, digits, - and _
	inHost              // letters, digits and what is in names of hosts, addresses and ports
	inValue             // of a field: no control characters but the tab
	inQuery             // what can be seen, in ASCII
)

var places = func() (p [256]uint8) {
	for i := range p {
		b := byte(i)
		if b == '\t' || b >= ' ' && b != 0x7f {
			p[i] |= inValue
		}
		if b > ' ' && b < 0x7f {
			p[i] |= inQuery
		}
		if letter := b | 0x20; letter >= 'a' && letter <= 'z' || b >= '0' && b <= '9' {
			p[i] |= inName | inHost
		}
		if strings.IndexByte("-_", b) >= 0 {
			p[i] |= inName
		}
		if strings.IndexByte("-._:[]", b) >= 0 {
			p[i] |= inHost
		}
	}
	return p
}()

// consists reports whether all bytes of s may stand at that place.
func consists(s string, place uint8) bool {
	for i := range len(s) {
		place &= places[s[i]]
	}
	return place != 0
}
