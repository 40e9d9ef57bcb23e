package protocol

import (
	"bytes"
	"net/http"
	"strconv"
)

// The fields of the response that carries a stream. no-transform and X-Accel-Buffering keep proxies from compressing and collecting it
// (nginx, and those that took its field over); no-store keeps one kitchen's events out of caches.
const (
	sseContentType  = "text/event-stream; charset=utf-8"
	sseCacheControl = "no-store, no-transform"
)

// SSEHeader returns the fields of a stream's response for servers that frame by themselves (net/http over HTTP/2).
func SSEHeader() http.Header {
	return http.Header{
		"Content-Type":           {sseContentType},
		"Cache-Control":          {sseCacheControl},
		"X-Accel-Buffering":      {"no"},
		"X-Content-Type-Options": {"nosniff"},
	}
}

// sseFields are what a caller's header cannot replace.
var sseFields = map[string]bool{
	"Content-Type": true, "Cache-Control": true, "X-Accel-Buffering": true, "X-Content-Type-Options": true,
	"Connection": true, "Transfer-Encoding": true, "Content-Length": true,
}

// AppendSSEHead appends the head of the response on a hijacked HTTP/1.1 connection: chunked, and with what keeps proxies from
// buffering, changing or storing the stream. The connection ends with the stream, and says so. Header may add fields (CORS,
// a cookie); it cannot replace those of the stream.
func AppendSSEHead(dst []byte, header http.Header) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\n"...)
	dst = appendHeader(dst, SSEHeader(), nil)
	dst = append(dst, "Transfer-Encoding: chunked\r\nConnection: close\r\n"...)
	return append(appendHeader(dst, header, sseFields), "\r\n"...)
}

// appendHeader appends header without the fields of except. net/http makes line breaks in values harmless.
func appendHeader(dst []byte, header http.Header, except map[string]bool) []byte {
	if len(header) == 0 {
		return dst
	}
	b := bytes.NewBuffer(dst)
	if err := header.WriteSubset(b, except); err != nil {
		panic("protocol: write a header to memory: " + err.Error())
	}
	return b.Bytes()
}

// AppendChunk appends events as one HTTP chunk, so that the framed event can be shared by all sessions. Nothing is appended
// for nothing: an empty chunk would end the response.
func AppendChunk(dst, events []byte) []byte {
	if len(events) == 0 {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(len(events)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, events...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked response.
func AppendLastChunk(dst []byte) []byte { return append(dst, "0\r\n\r\n"...) }

// AppendSSEComment appends a comment, which clients ignore and proxies count as traffic. Line breaks in text become spaces.
func AppendSSEComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	for i := range len(text) {
		if c := text[i]; c == '\n' || c == '\r' {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, "\n\n"...)
}

// appendSSEID appends the id line. An id with CR or LF would forge lines, and one with NUL is ignored by browsers; ids are
// cursors, which have neither.
func appendSSEID[ID string | []byte](dst []byte, id ID) []byte {
	for i := range len(id) {
		if id[i] < ' ' {
			return dst
		}
	}
	if len(id) == 0 {
		return dst
	}
	dst = append(dst, "id: "...)
	dst = append(dst, id...)
	return append(dst, '\n')
}

// appendSSELines appends data behind "data: " and begins a new data line at each line break (LF, CR or CRLF), which are all that the
// event stream format knows. In JSON they stand between tokens only, where the LF that the client puts there means the same.
func appendSSELines(dst, data []byte) []byte {
	if bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 { // what JSON.stringify makes has none
		return append(dst, data...)
	}
	for {
		at := bytes.IndexAny(data, "\r\n")
		if at < 0 {
			return append(dst, data...)
		}
		dst = append(dst, data[:at]...)
		dst = append(dst, "\ndata: "...)
		if data[at] == '\r' && at+1 < len(data) && data[at+1] == '\n' {
			at++
		}
		data = data[at+1:]
	}
}
