package gateway

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"kentongan/realtime/protocol"
)

// stream is an event stream over HTTP/2, as the net.Conn that the socket engine serves. A connection of HTTP/2 carries many requests and
// cannot be taken over as one of HTTP/1.1 is, so the handler of the request stays until the session has ended. What the session writes
// is made for HTTP/1.1, encoded once for all its readers; here the head and the marks of the chunks are taken off again.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	ended   chan struct{} // closed by Close: the handler returns

	writing sync.Mutex // of one write; after Close nobody may use w any more
	closed  bool
	headers bool   // the head of HTTP/1.1 has passed
	rest    []byte // what came of the head, or of a chunk's size
	left    int    // bytes of the current chunk that are to come, with the line end behind it

	mu    sync.Mutex // guards wake
	wake  chan struct{}
	awake bool
}

// streamWriter is the http.ResponseWriter of a request for an event stream over HTTP/2, until a session takes its stream.
type streamWriter struct {
	http.ResponseWriter
	stream *stream
	taken  bool
}

func newStreamWriter(w http.ResponseWriter, r *http.Request) *streamWriter {
	return &streamWriter{ResponseWriter: w, stream: &stream{
		w: w, control: http.NewResponseController(w), request: r, ended: make(chan struct{}), wake: make(chan struct{}),
	}}
}

// take returns the stream for a session to write to. Its head goes out with the first bytes.
func (w *streamWriter) take() *stream {
	w.taken = true
	maps.Copy(w.Header(), protocol.SSEHeader())
	return w.stream
}

// await returns when the session has ended that has taken the stream, if one has.
func (w *streamWriter) await() {
	if w.taken {
		<-w.stream.ended
	}
}

// Read implements net.Conn. The client has nothing to say: it returns when the client has gone, or a deadline has passed.
func (s *stream) Read([]byte) (int, error) {
	select {
	case <-s.request.Context().Done():
		return 0, io.EOF
	case <-s.wake:
		return 0, os.ErrDeadlineExceeded
	case <-s.ended:
		return 0, net.ErrClosed
	}
}

var errStreamFraming = errors.New("gateway: an event stream was not framed as chunks")

// Write implements net.Conn. It waits for the client's window.
func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if err := s.unframe(p); err != nil {
		return 0, err
	}
	if err := s.control.Flush(); err != nil {
		return 0, err //nolint:wrapcheck // nobody looks at it but for nil
	}
	return len(p), nil
}

var lineEnd = []byte("\r\n")

// unframe writes what stands in the chunks of p. A part of a head or of a size is kept until the rest comes.
func (s *stream) unframe(p []byte) error {
	for len(p) > 0 {
		if s.left > 0 {
			n := min(len(p), s.left)
			if data := min(n, s.left-len(lineEnd)); data > 0 {
				if _, err := s.w.Write(p[:data]); err != nil {
					return err //nolint:wrapcheck // as above
				}
			}
			s.left -= n
			p = p[n:]
			continue
		}
		mark := lineEnd
		if !s.headers {
			mark = headEnd
		}
		if s.rest != nil {
			p = append(s.rest, p...)
			s.rest = nil
		}
		line, more, ok := bytes.Cut(p, mark)
		if !ok {
			s.rest = bytes.Clone(p)
			return nil
		}
		p = more
		if !s.headers {
			s.headers = true // what stands in them was said with WriteHeader
			continue
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return errStreamFraming
		}
		s.left = int(size) + len(lineEnd)
	}
	return nil
}

// Close implements net.Conn: it lets the handler return, which ends the stream. A write that waits is broken off.
func (s *stream) Close() error {
	if !s.writing.TryLock() {
		_ = s.control.SetWriteDeadline(time.Now().Add(-time.Second)) // resets the stream
		s.writing.Lock()
	}
	defer s.writing.Unlock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
	return nil
}

// SetReadDeadline implements net.Conn, for a deadline that has passed: the engine sets no other.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.IsZero() && !s.awake {
		s.awake = true
		close(s.wake)
	}
	return nil
}

// SetDeadline, SetWriteDeadline, LocalAddr and RemoteAddr implement net.Conn; nobody calls them.
func (s *stream) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (s *stream) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
