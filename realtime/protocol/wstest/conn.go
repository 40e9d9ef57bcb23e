package wstest

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// conn is one WebSocket connection, seen from the client.
type conn struct {
	c       net.Conn
	r       *bufio.Reader
	deflate bool
}

const clientKey = "dGhlIHNhbXBsZSBub25jZQ=="

// request makes a handshake with the given further lines.
func request(o *Options, lines string) string {
	return "GET " + o.Path + " HTTP/1.1\r\nHost: " + o.Addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + clientKey +
		"\r\nSec-WebSocket-Version: 13\r\n" + o.Header + lines + "\r\n"
}

// send connects and sends raw; the answer's head is read.
func send(o *Options, raw string) (*conn, *answer, error) {
	tcp, err := net.DialTimeout("tcp", o.Addr, o.Patience)
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	if err := tcp.SetDeadline(time.Now().Add(o.Patience)); err != nil {
		return nil, nil, fmt.Errorf("set deadline: %w", err)
	}
	if o.TLS != nil {
		tcp = tls.Client(tcp, o.TLS)
	}
	c := &conn{c: tcp, r: bufio.NewReader(tcp)}
	if _, err := io.WriteString(tcp, raw); err != nil {
		c.hangUp()
		return nil, nil, fmt.Errorf("send request: %w", err)
	}
	res, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		c.hangUp()
		return nil, nil, fmt.Errorf("read response: %w", err)
	}
	_ = res.Body.Close() // of memory; nothing is read
	return c, &answer{res.StatusCode, res.Header}, nil
}

// answer is the head of the response to a handshake.
type answer struct {
	status int
	header http.Header
}

// open makes a connection, with an offer of extensions if there is one.
func open(o *Options, offer string) (*conn, *answer, error) {
	lines := ""
	if offer != "" {
		lines = "Sec-WebSocket-Extensions: " + offer + "\r\n"
	}
	c, res, err := send(o, request(o, lines))
	if err != nil {
		return nil, nil, err
	}
	if err := checkAccepted(res); err != nil {
		c.hangUp()
		return nil, nil, err
	}
	c.deflate = res.header.Get("Sec-WebSocket-Extensions") != ""
	return c, res, nil
}

// checkAccepted checks what RFC 6455, section 4.1 has a client check.
func checkAccepted(res *answer) error {
	sum := sha1.Sum([]byte(clientKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept := base64.StdEncoding.EncodeToString(sum[:])
	switch {
	case res.status != http.StatusSwitchingProtocols:
		return fmt.Errorf("got status %d, want 101", res.status)
	case res.header.Get("Sec-WebSocket-Accept") != accept:
		return fmt.Errorf("got Sec-WebSocket-Accept %q, want %q", res.header.Get("Sec-WebSocket-Accept"), accept)
	case res.header.Get("Upgrade") == "" || res.header.Get("Connection") == "":
		return errors.New("the answer has no Upgrade or no Connection")
	}
	return nil
}

func (c *conn) hangUp() { _ = c.c.Close() }

// got is what came from the server: a message or a control frame.
type got struct {
	op      byte
	payload string
}

func (g got) String() string {
	if len(g.payload) > 60 {
		return fmt.Sprintf("opcode %d with %d bytes %.40q…", g.op, len(g.payload), g.payload)
	}
	return fmt.Sprintf("opcode %d with %q", g.op, g.payload)
}

// next reads one message or control frame, and checks that the server keeps to the rules.
func (c *conn) next() (got, error) {
	var message []byte
	var op byte
	compressed := false
	for {
		b0, payload, err := c.frame()
		if err != nil {
			return got{}, err
		}
		kind := b0 & 0x0f
		switch {
		case b0&0x30 != 0 || b0&0x40 != 0 && (!c.deflate || kind != opText && kind != opBinary):
			return got{}, fmt.Errorf("the server set reserved bits: %#x", b0)
		case kind >= 8:
			if b0&fin == 0 || len(payload) > 125 {
				return got{}, fmt.Errorf("the server sent a control frame of %d bytes, first byte %#x", len(payload), b0)
			}
			return got{kind, string(payload)}, nil
		case (kind == 0) != (op != 0):
			return got{}, fmt.Errorf("the server sent opcode %d inside or outside of a message", kind)
		}
		if kind != 0 {
			op, compressed = kind, b0&rsv1 != 0
		}
		message = append(message, payload...)
		if b0&fin == 0 {
			continue
		}
		if compressed {
			if message, err = inflate(message); err != nil {
				return got{}, fmt.Errorf("inflate %d bytes of the server: %w", len(message), err)
			}
		}
		return got{op, string(message)}, nil
	}
}

func (c *conn) frame() (b0 byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	b0 = h[0]
	n := uint64(h[1])
	shortest := uint64(0)
	switch {
	case n >= 128:
		return 0, nil, errors.New("the server masks")
	case n == 126:
		_, err = io.ReadFull(c.r, h[:2])
		n, shortest = uint64(binary.BigEndian.Uint16(h[:2])), 126
	case n == 127:
		_, err = io.ReadFull(c.r, h[:8])
		n, shortest = binary.BigEndian.Uint64(h[:8]), 1<<16
	}
	if err != nil || n < shortest || n > 64<<20 {
		return 0, nil, fmt.Errorf("the server sent a length of %d: %w", n, err)
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return 0, nil, fmt.Errorf("read payload of %d bytes: %w", n, err)
	}
	return b0, payload, nil
}

// inflate inflates one message without context from the ones before.
func inflate(p []byte) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(bytes.NewReader(p), bytes.NewReader([]byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))), 64<<20))
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	return out, nil
}

// drained checks that nothing comes but the end of the connection. A server that hangs up while bytes of ours are on the way
// resets it, which is an end too.
func (c *conn) drained() error {
	b, err := c.r.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("after the close frame came more: %#x", b)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the connection does not end after the close frame")
	}
	return nil
}
