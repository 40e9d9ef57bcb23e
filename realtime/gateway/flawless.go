package gateway

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// promising reports whether p may still become a handshake.
func promising(p []byte) bool {
	const get = "GET /"
	return len(p) < len(get) && string(p) == get[:len(p)] || bytes.HasPrefix(p, []byte(get))
}

// handshakeRequest returns the request in head, up to its empty line, if it is a handshake without any flaw, else nil. It
// is the request that [http.ReadRequest] makes of head, but for Close, which is about what comes behind a request, and for
// the Cache-Control that net/http adds to an old browser's Pragma. Whatever is not plain at first sight is none: net/http
// is there for it, and says what is wrong.
func handshakeRequest(head []byte) *http.Request {
	first, rest, _ := bytes.Cut(head, []byte("\r\n"))
	target, address := handshakeTarget(first)
	if address == nil {
		return nil
	}
	lines := string(rest) // all values are parts of it
	count := strings.Count(lines, "\r\n") - 1
	if count < 1 || count > maxHeadLines {
		return nil
	}
	header, values := make(http.Header, count), make([]string, 0, count)
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
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
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
	return &http.Request{
		Method: http.MethodGet, URL: address, RequestURI: target, Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
}

// handshakeTarget reads a request line that asks for one of our endpoints over HTTP/1.1. The target is no part of the head's other
// memory: names of channels are parts of it, and stay.
func handshakeTarget(line []byte) (target string, address *url.URL) {
	line, get := bytes.CutPrefix(line, []byte("GET "))
	line, version := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !get || !version {
		return "", nil
	}
	target = string(line)
	path, query, asks := strings.Cut(target, "?")
	if path != endpoint && path != "/" || !consists(query, inQuery) {
		return "", nil
	}
	return target, &url.URL{Path: path, RawQuery: query, ForceQuery: asks && query == ""}
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
