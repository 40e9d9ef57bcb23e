package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/nap"
	"kentongan/internal/quickconn"
)

// link is a connection that subscribes, in RESP2, which every Redis speaks. Reading and writing are for one goroutine each.
//
// A link is dead when nothing comes for the silence limit, in which it is pinged three times. A connection that is only half open
// looks healthy to Redis and to the kernel; silence is the only sign.
type link struct {
	conn     net.Conn
	r        *bufio.Reader
	limit    time.Duration
	maxBytes int    // longer messages are read over, and only their size is told
	lineage  string // of the server's data, as in trackedConn

	before func() // called before each wait for the connection; nil: nothing is

	wants func(kind eventKind, size int) bool // asked before each payload; what it does not want is read over too. Nil: all

	streams  bool      // something had come by the end of the last rest
	naps     nap.Often // of rest
	deadline time.Time // of reading, as it was last set
	scratch  []byte    // of what is not a payload
	chunk    []byte    // for the next small payloads

	unanswered atomic.Int32 // pings since the last pong

	mu  sync.Mutex // guards w
	w   *bufio.Writer
	out []byte
}

// event is one thing that came over a link. Its byte slices other than payload are valid until the next one.
type event struct {
	kind    eventKind
	pattern []byte // of eventPMessage
	channel []byte // of what is not a pong
	payload []byte // of a message or a pong; nil if it was longer than allowed
	size    int    // of the payload
}

type eventKind int

const (
	eventOther eventKind = iota
	eventMessage
	eventPMessage
	eventSubscribed
	eventUnsubscribed
	eventPong
)

// openLink connects and returns a link that is not subscribed to anything yet.
func openLink(ctx context.Context, d *dialer, maxBytes int) (*link, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := newLink(conn, d.opts.SilenceLimit, maxBytes)
	l.lineage = conn.lineage
	return l, nil
}

// newLink returns a link over a connection that is signed in.
func newLink(conn net.Conn, limit time.Duration, maxBytes int) *link {
	l := &link{conn: conn, w: bufio.NewWriterSize(conn, 16<<10), limit: limit, maxBytes: maxBytes}
	l.r = bufio.NewReaderSize(linkReader{l}, 64<<10)
	return l
}

// linkReader is where the reader of a link gets its bytes from.
type linkReader struct{ l *link }

func (r linkReader) Read(p []byte) (int, error) {
	if r.l.before != nil {
		r.l.before()
	}
	if err := r.l.expect(); err != nil {
		return 0, err
	}
	return r.l.conn.Read(p)
}

func (l *link) close() { _ = l.conn.Close() } // it is given up

// end closes the link; the reader is told why.
func (l *link) end(why error) {
	if c, ok := l.conn.(*trackedConn); ok {
		c.end(why)
		return
	}
	l.close()
}

// send writes one command and flushes it.
func (l *link) send(args ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.limit)); err != nil {
		return err
	}
	l.out = append(strconv.AppendInt(append(l.out[:0], '*'), int64(len(args)), 10), '\r', '\n')
	for _, a := range args {
		l.out = append(strconv.AppendInt(append(l.out, '$'), int64(len(a)), 10), '\r', '\n')
		l.out = append(append(l.out, a...), '\r', '\n')
		if len(l.out) > 32<<10 {
			if _, err := l.w.Write(l.out); err != nil {
				return err
			}
			l.out = l.out[:0]
		}
	}
	if _, err := l.w.Write(l.out); err != nil {
		return err
	}
	return l.w.Flush()
}

// ping asks for a pong that brings back when it was asked for. It may only be sent once something is subscribed to, for
// before that Redis answers it differently.
func (l *link) ping() error {
	l.unanswered.Add(1)
	return l.send("PING", strconv.FormatInt(time.Now().UnixNano(), 10))
}

// maxUnanswered is how many pings may go unanswered while messages come. It is twice what the silence limit allows, for a pong waits behind
// the messages of a busy moment; and it counts pings and no time, for a process that stands still sends none.
const maxUnanswered = 6

// keepAlive pings until ctx ends or the link breaks. If pings are not answered though messages come, only the direction to Redis is broken:
// what is subscribed to from here on would never be. spare is asked whether the link can be done without for a moment; nil: it can.
func (l *link) keepAlive(ctx context.Context, spare func() bool) {
	for nap.For(ctx, l.limit/3) {
		if l.unanswered.Load() >= maxUnanswered && (spare == nil || spare()) {
			l.end(fmt.Errorf("%d pings are not answered", maxUnanswered))
			return
		}
		if l.ping() != nil {
			l.close() // the reader learns of it
			return
		}
	}
}

// rest waits until something comes if nothing is buffered, and lets it gather for as long as allowed says: each time that a connection
// wakes up costs more than what it reads. In a stream it does not wake up for the first of what gathers either.
func (l *link) rest(ctx context.Context, allowed func(streams bool) time.Duration) error {
	if l.r.Buffered() > 0 {
		return nil
	}
	if l.streams {
		l.pause(ctx, allowed(true))
	}
	began := time.Now()
	if err := l.await(); err != nil {
		return err
	}
	rested := l.streams
	if l.streams = time.Since(began) < streamGap; !rested {
		l.pause(ctx, allowed(false))
	}
	return nil
}

// pause waits, and what arrives meanwhile does not wake up the process.
func (l *link) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	if c, ok := l.conn.(*trackedConn); ok {
		quickconn.Hush(c.Conn)
	}
	l.naps.For(ctx, d)
}

// streamGap is how long nothing may have come behind a rest for the stream to go on.
const streamGap = time.Millisecond

var errProtocol = errors.New("redis speaks no RESP2 here")

// next returns the next event. Any error ends the link.
func (l *link) next() (event, error) {
	e, err := l.read()
	return e, l.silence(err)
}

// await waits for the first byte of the next event. Any error ends the link.
func (l *link) await() error {
	_, err := l.r.Peek(1)
	return l.silence(err)
}

// expect gives the next read its time: whatever it brings, and be it a piece of a long message, is a sign of life.
func (l *link) expect() error {
	// A deadline costs a timer: it is moved when a tenth of it is used up, not for each read.
	if now := time.Now(); l.deadline.Sub(now) < l.limit*9/10 {
		l.deadline = now.Add(l.limit)
		if err := l.conn.SetReadDeadline(l.deadline); err != nil {
			return err
		}
	}
	return nil
}

// silence says in words that err is that nothing came.
func (l *link) silence(err error) error {
	if err == nil {
		return nil // before the variable below, which is allocated
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("no sign of life for %s", l.limit)
	}
	return err
}

func (l *link) read() (event, error) {
	count, err := l.header('*')
	if err != nil {
		return event{}, err
	}
	if count < 2 || count > 4 {
		return event{}, errProtocol
	}
	l.scratch = l.scratch[:0]
	word, err := l.short()
	if err != nil {
		return event{}, err
	}
	switch {
	case (string(word) == "message" || string(word) == "smessage") && count == 3:
		return l.message(eventMessage)
	case string(word) == "pmessage" && count == 4:
		return l.message(eventPMessage)
	case string(word) == "pong" && count == 2:
		l.unanswered.Store(0)
		e := event{kind: eventPong}
		e.payload, err = l.short()
		return e, err
	case count != 3:
		return event{}, errProtocol
	}
	e := event{}
	switch string(word) {
	case "subscribe", "psubscribe", "ssubscribe":
		e.kind = eventSubscribed
	case "unsubscribe", "punsubscribe", "sunsubscribe":
		e.kind = eventUnsubscribed
	}
	if e.channel, err = l.short(); err != nil {
		return event{}, err
	}
	_, err = l.header(':') // how many subscriptions there are now
	return e, err
}

func (l *link) message(kind eventKind) (e event, err error) {
	e.kind = kind
	if kind == eventPMessage {
		if e.pattern, err = l.short(); err != nil {
			return e, err
		}
	}
	if e.channel, err = l.short(); err != nil {
		return e, err
	}
	if e.size, err = l.header('$'); err != nil {
		return e, err
	}
	if e.size > l.maxBytes || l.wants != nil && !l.wants(kind, e.size) {
		return e, l.skip(e.size + 2)
	}
	if e.size < l.r.Size() {
		all, err := l.r.Peek(e.size)
		if err != nil {
			return e, err
		}
		e.payload = l.copyOf(all)
		return e, l.skip(e.size + 2)
	}
	e.payload = make([]byte, e.size)
	if _, err = io.ReadFull(l.r, e.payload); err != nil {
		return e, err
	}
	return e, l.skip(2)
}

// Small payloads have memory together: each by itself would cost as much as reading it does. Whoever keeps one of them keeps a chunk.
const (
	chunkBytes   = 32 << 10 // the largest for which the runtime has a list of free ones
	smallPayload = 1 << 10
)

// copyOf returns a copy of a payload.
func (l *link) copyOf(payload []byte) []byte {
	n := len(payload)
	if n == 0 || n > smallPayload {
		return bytes.Clone(payload) // which does not fill it with zeros first
	}
	if len(l.chunk) < n {
		l.chunk = make([]byte, chunkBytes)
	}
	p := l.chunk[:n:n]
	l.chunk = l.chunk[n:]
	copy(p, payload)
	return p
}

// skip reads over n bytes.
func (l *link) skip(n int) error {
	_, err := l.r.Discard(n)
	return err
}

// line returns one line without its end, valid until the next read.
func (l *link) line() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errProtocol
		}
		return nil, err
	}
	if len(b) < 2 || b[len(b)-2] != '\r' {
		return nil, errProtocol
	}
	return b[:len(b)-2], nil
}

// maxLength is the largest number that a header may have; Redis allows no longer string than 512 MB.
const maxLength = 1 << 30

// header reads "<kind><number>".
func (l *link) header(kind byte) (int, error) {
	b, err := l.line()
	if err != nil {
		return 0, err
	}
	if len(b) > 0 && b[0] == '-' && kind != '-' {
		return 0, fmt.Errorf("redis answers: %.200s", b[1:])
	}
	if len(b) < 2 || len(b) > 11 || b[0] != kind {
		return 0, errProtocol
	}
	n := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, errProtocol
		}
		n = n*10 + int(c-'0')
	}
	if n > maxLength {
		return 0, errProtocol
	}
	return n, nil
}

// maxShort bounds names of channels and patterns; the app's have up to 255 bytes, but anybody may publish to others.
const maxShort = 64 << 10

// short reads a string that is not a payload, into scratch. A longer one than maxShort is cut: it names nothing of ours.
func (l *link) short() ([]byte, error) {
	n, err := l.header('$')
	if err != nil {
		return nil, err
	}
	kept := min(n, maxShort)
	start := len(l.scratch)
	if cap(l.scratch)-start < kept {
		// What was returned before stays where it is.
		l.scratch = make([]byte, 0, max(kept, 512))
		start = 0
	}
	l.scratch = l.scratch[:start+kept]
	b := l.scratch[start : start+kept : start+kept]
	if _, err := io.ReadFull(l.r, b); err != nil {
		return nil, err
	}
	return b, l.skip(n - kept + 2)
}
