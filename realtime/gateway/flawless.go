package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// promising reports whether p may still become a handshake.
func promising(p []byte) bool {
	const get = "GET /"
	return len(p) < len(get) && string(p) == get[:len(p)] || bytes.HasPrefix(p, []byte(get))
}

var headReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<10) }}

// handshakeRequest returns the request in head if it is a handshake that may take the short way, else nil.
func handshakeRequest(head []byte) *http.Request {
	path, ok := handshakePath(head)
	if !ok || !(&headConn{}).check(head) || !flawless(head) {
		return nil
	}
	br := headReaders.Get().(*bufio.Reader) //nolint:forcetypeassert,errcheck // the pool makes nothing else
	defer headReaders.Put(br)
	br.Reset(bytes.NewReader(head))
	r, err := http.ReadRequest(br)
	if err != nil || r.URL.Path != path || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil
	}
	if len(r.Header["Content-Length"]) > 0 || len(r.Header["Expect"]) > 0 || countLines(r.Header) > maxHeadLines {
		return nil
	}
	return r
}

// flawless checks what http.ReadRequest leaves to the server: names of plain letters, exactly one Host of plain letters;
// and that an upgrade to WebSocket is asked for.
func flawless(head []byte) bool {
	_, lines, _ := bytes.Cut(head, []byte("\r\n"))
	hosts, upgrades := 0, 0
	for {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		if len(line) == 0 {
			return hosts == 1 && upgrades == 1
		}
		lines = rest
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !only(name, "-_") {
			return false
		}
		value = bytes.Trim(value, " \t")
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
			if !only(value, "-._:[]") {
				return false
			}
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrades++
			if !bytes.EqualFold(value, []byte("websocket")) {
				return false
			}
		}
	}
}

// only reports whether p has at least one byte, and no others than letters, digits and those in more.
func only(p []byte, more string) bool {
	for _, b := range p {
		if letter := b | 0x20; (letter < 'a' || letter > 'z') && (b < '0' || b > '9') && strings.IndexByte(more, b) < 0 {
			return false
		}
	}
	return len(p) > 0
}

// handshakePath returns the path of a request line that asks for one of our endpoints over HTTP/1.1.
func handshakePath(head []byte) (path string, ok bool) {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	target, version, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("GET ")), []byte(" "))
	name, _, _ := bytes.Cut(target, []byte("?"))
	for _, path := range []string{endpoint, "/"} {
		if string(name) == path {
			return path, string(version) == "HTTP/1.1"
		}
	}
	return "", false
}
