package drive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kentongan/bench/mark"
)

// state is where a screen stands.
type state uint8

const (
	closed      state = iota // also before the first connect
	connecting               // TCP
	upgrading                // the request is sent
	subscribing              // V1: the upgrade is answered, the subscription is not
	open
)

// screen is one connection.
type screen struct {
	fd      int
	tenant  int
	last    int    // number of the last message
	begun   int64  // mark.Now at connect
	partial []byte // what was read of a frame or an answer that is not whole yet; nil for nearly all
	trip    *trip  // nil: it does not come back
	to      int    // which of the addresses
	turn    uint32 // how often it has come and gone
	state   state
	known   bool // it was connected once
}

// close ends the connection, if there is one.
func (s *screen) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd, s.state, s.partial = -1, closed, nil
}

// ready serves a socket that epoll has named.
func (c *crowd) ready(index int) {
	s := &c.screens[index]
	switch s.state {
	case closed: // an event of the same round in which it ended
	case connecting:
		if err := c.request(index); err != nil {
			c.refused(index, err.Error())
		}
	default:
		c.receive(index)
	}
}

// request sends the upgrade request on a connection that came up, or what an attacker sends in its place.
func (c *crowd) request(index int) error {
	s := &c.screens[index]
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	text := appendRequest(c.scratch[:0], c.plan, s, &c.plan.Screens[index])
	c.scratch = text
	if c.plan.Manner == Loris {
		text, _, _ = bytes.Cut(text, []byte("Sec-WebSocket-Key"))
	}
	n, err := unix.Write(s.fd, text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("send upgrade: %w", err)
	}
	s.state = upgrading
	if err := c.watch(index, unix.EPOLLIN); err != nil {
		return err
	}
	if c.plan.Manner == Loris {
		c.opened(index)
	}
	return nil
}

// appendRequest appends the upgrade request of a browser, shortened to the headers that servers look at.
func appendRequest(dst []byte, plan *Plan, at *screen, s *Screen) []byte {
	dst = append(dst, "GET "...)
	dst = append(dst, s.Path...)
	if plan.Manner == V1 {
		dst = at.trip.resume(dst, s.Channel)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, plan.Addresses[at.to]...)
	dst = append(dst, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: a2VudG9uZ2FuLWJlbmNoLg==\r\nUser-Agent: kentongan-bench\r\n"...)
	header := func(name, value string) {
		if value != "" {
			dst = append(dst, name...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	header("Origin: ", plan.Origin)
	header("Cookie: ", s.Cookie)
	header("Sec-WebSocket-Protocol: ", plan.protocol())
	if plan.Deflate {
		header("Sec-WebSocket-Extensions: ", "permessage-deflate; client_max_window_bits")
	}
	return append(dst, "\r\n"...)
}

// Subprotocol of V1.
const Subprotocol = "kentongan.v1"

// protocol returns the subprotocol that is asked for; empty: none.
func (p *Plan) protocol() string {
	if p.Manner == V1 {
		return Subprotocol
	}
	return p.Protocol
}

// receive reads what is there, once: epoll names the socket again if there is more, and others have their turn before.
func (c *crowd) receive(index int) {
	s := &c.screens[index]
	if c.plan.Manner == Deaf && s.state == open {
		c.lost(index, "connection ended by the server") // nothing else wakes it
		return
	}
	n, err := unix.Read(s.fd, c.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil || n == 0:
		why := "connection ended by the server"
		if err != nil {
			why = "connection ended: " + err.Error()
		}
		c.lost(index, why)
		return
	}
	now := mark.Now()
	c.counts.Bytes += n
	if c.plan.Manner == Loris {
		return // whatever it is, the end comes behind it
	}
	data := c.buffer[:n]
	if len(s.partial) > 0 {
		s.partial = append(s.partial, data...)
		data = s.partial
	}
	if s.state == upgrading {
		var ok bool
		if data, ok = c.answered(index, data); !ok {
			return
		}
	}
	rest, ok := c.frames(index, data, now)
	if !ok {
		return
	}
	if len(rest) == 0 {
		s.partial = nil
	} else {
		s.partial = append([]byte(nil), rest...)
	}
}

// lost ends a screen that the server, or a broken frame, has ended.
func (c *crowd) lost(index int, why string) {
	if c.screens[index].state != open {
		c.refused(index, why)
		return
	}
	c.counts.Closed++
	c.note(why)
	c.left(index)
}

// note keeps the first reason for trouble.
func (c *crowd) note(why string) {
	if c.counts.Why == "" {
		c.counts.Why = why
	}
}

// answered reads the answer to the upgrade. It returns what follows it and true, or false if it is not whole or not a 101.
func (c *crowd) answered(index int, data []byte) ([]byte, bool) {
	s := &c.screens[index]
	head, rest, whole := bytes.Cut(data, []byte("\r\n\r\n"))
	if !whole {
		s.partial = append([]byte(nil), data...)
		return nil, false
	}
	if c.plan.Manner == Knock {
		c.knocked(index, head)
		return nil, false
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		c.refused(index, strings.ReplaceAll(string(data[:min(len(data), 300)]), "\r\n", " | "))
		return nil, false
	}
	if c.plan.Deflate && !bytes.Contains(head, []byte("permessage-deflate")) {
		c.refused(index, "the server does not deflate")
		return nil, false
	}
	if p := c.plan.protocol(); !bytes.Contains(head, []byte(p)) {
		c.refused(index, "the server does not speak "+p)
		return nil, false
	}
	if err := c.greet(index); err != nil {
		c.refused(index, err.Error())
		return nil, false
	}
	if c.plan.Manner == V1 {
		s.state = subscribing // only who has been told a position has one to come back with
	} else {
		c.opened(index)
	}
	return rest, true
}

// greet does what comes before the first message.
func (c *crowd) greet(index int) error {
	if c.plan.Manner == Deaf {
		return c.watch(index, unix.EPOLLRDHUP)
	}
	if c.plan.Hello == "" {
		return nil
	}
	c.scratch = maskedFrame(c.scratch[:0], opText, []byte(c.plan.Hello))
	if _, err := unix.Write(c.screens[index].fd, c.scratch); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	return nil
}

// frames takes all whole frames out of data, which was read at now, and returns the rest. It returns false if the screen
// has ended.
func (c *crowd) frames(index int, data []byte, now int64) (rest []byte, ok bool) {
	s := &c.screens[index]
	for {
		f, after, whole, broken := next(data)
		if broken {
			c.counts.Broken++
			c.lost(index, fmt.Sprintf("broken frame % x", data[:min(len(data), 16)]))
			return nil, false
		}
		if !whole {
			return data, true
		}
		data = after
		switch {
		case f.op == opText || f.op == opBinary:
			c.message(index, f, now)
			if s.state == closed { // it was refused
				return nil, false
			}
		case f.op == opPing:
			c.counts.Pings++
			c.scratch = maskedFrame(c.scratch[:0], opPong, f.payload)
			// A full socket loses this pong; the server will ask again, or close, which is counted.
			_, _ = unix.Write(s.fd, c.scratch)
		case f.op == opClose:
			c.lost(index, closeReason(f.payload))
			return nil, false
		case f.op != opPong:
			c.counts.Broken++
			c.note(fmt.Sprintf("frame with opcode %d", f.op))
		}
	}
}

// message counts one data frame.
func (c *crowd) message(index int, f frame, now int64) {
	s, text := &c.screens[index], f.payload
	if !f.final {
		c.counts.Broken++
		c.note("a message in several frames")
		return
	}
	if f.deflated {
		var err error
		if text, err = c.inflater.inflate(f.payload); err != nil {
			c.counts.Broken++
			c.note("inflate: " + err.Error())
			return
		}
	}
	told := false
	if c.plan.Manner == V1 {
		if _, ok := c.heard(index, text); !ok {
			return
		}
		told, s.trip.told = s.trip.told, false
	}
	m, ok := mark.Find(text)
	switch {
	case !ok:
		c.counts.Unmarked++
	case m.Tenant != s.tenant:
		c.counts.Foreign++
		c.note(fmt.Sprintf("a message of tenant %d on a screen of tenant %d", m.Tenant, s.tenant))
	default:
		var fresh bool
		if s.last, fresh = c.counts.judge(s.last, m.Seq, told); fresh {
			c.counts.LastNs = now
			c.latency.Record(time.Duration(now - m.Sent))
		}
	}
}

// closeReason spells a close frame's payload.
func closeReason(payload []byte) string {
	if len(payload) < 2 {
		return "closed by the server without a code"
	}
	return fmt.Sprintf("closed by the server: %d %s", binary.BigEndian.Uint16(payload), payload[2:])
}
