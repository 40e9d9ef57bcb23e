package protocol

import "net/http"

// AppendSSEHead appends the head of the response on a hijacked HTTP/1.1 connection: chunked, and with what keeps proxies from
// buffering, changing or storing the stream. Header may add fields (CORS, a cookie); it cannot replace those of the stream.
func AppendSSEHead(dst []byte, header http.Header) []byte { panic("protocol: AppendSSEHead") }

// SSEHeader returns the fields of a stream's response for servers that frame by themselves (net/http over HTTP/2).
func SSEHeader() http.Header { panic("protocol: SSEHeader") }

// AppendChunk appends events as one HTTP chunk, so that the framed event can be shared by all sessions.
func AppendChunk(dst, events []byte) []byte { panic("protocol: AppendChunk") }

// AppendLastChunk appends the end of a chunked response.
func AppendLastChunk(dst []byte) []byte { return append(dst, "0\r\n\r\n"...) }

// AppendSSEComment appends a comment, which clients ignore and proxies count as traffic. Line breaks in text become spaces.
func AppendSSEComment(dst []byte, text string) []byte { panic("protocol: AppendSSEComment") }
