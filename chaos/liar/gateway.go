package liar

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Gateway stands in front of a real gateway and lies to those who come through it. It understands WebSocket connections
// without compression, and publications sent one at a time to POST /api/publish.
type Gateway struct {
	Address string // "host:port"

	teller   *teller
	real     string
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	shut  bool
	known map[string]bool // clients that were here, by their cookie
	told  string          // the last honest answer to a publisher, one further
}

// New opens a liar in front of the gateway at realAddress ("host:port"). It tells one lie of a kind, at the first occasion once
// it has let a number of messages pass. Whose tells the tenant of a channel, by its name or by the number that messages bear.
func New(ctx context.Context, realAddress string, kind Kind, after int, whose func(channel string) string) (*Gateway, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open liar: %w", err)
	}
	g := &Gateway{
		Address: listener.Addr().String(), teller: newTeller(kind, after, whose), real: realAddress, listener: listener,
		conns: map[net.Conn]struct{}{}, known: map[string]bool{},
	}
	g.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			g.work.Go(func() { g.serve(conn) })
		}
	})
	return g, nil
}

// Lies returns how many lies were told.
func (g *Gateway) Lies() int { return g.teller.lies() }

// Close ends all connections and waits for their end.
func (g *Gateway) Close() {
	_ = g.listener.Close()
	g.mu.Lock()
	g.shut = true
	for c := range g.conns {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.work.Wait()
}

// hold keeps conn for Close. It returns false if that was called.
func (g *Gateway) hold(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.conns[conn] = struct{}{}
	return true
}

func (g *Gateway) drop(conn net.Conn) {
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// serve carries one connection.
func (g *Gateway) serve(near net.Conn) {
	defer g.drop(near)
	const patience = 5 * time.Second
	far, err := net.DialTimeout("tcp", g.real, patience) //nolint:noctx // bounded by patience
	if err != nil {
		return
	}
	defer g.drop(far)
	if !g.hold(near) || !g.hold(far) {
		return
	}
	request := bufio.NewReader(near)
	head, err := readHead(request)
	if err != nil {
		return
	}
	if bytes.HasPrefix(head, []byte("POST ")) {
		g.publications(near, far, request, head)
		return
	}
	if _, err := far.Write(head); err != nil {
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, request) // the other direction notices the end, too
		_ = far.Close()
	})
	g.messages(near, far, g.talk(head))
	_ = near.Close()
	up.Wait()
}

// readHead reads a request or an answer up to its empty line.
func readHead(r *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		head = append(head, line...)
		if len(line) == 2 {
			return head, nil
		}
	}
}

// talk reads who a client is out of its request.
func (g *Gateway) talk(head []byte) *talk {
	t := &talk{}
	for line := range strings.Lines(string(head)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch strings.ToLower(name) {
		case "cookie":
			t.who, _, _ = strings.Cut(value, ";") // the session; what follows it may change
		case "sec-websocket-protocol":
			t.v1 = true
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t.again = g.known[t.who]
	g.known[t.who] = true
	return t
}

// messages carries what the gateway says to a client, with lies.
func (g *Gateway) messages(near io.Writer, far io.Reader, t *talk) {
	r := bufio.NewReader(far)
	head, err := readHead(r)
	if err != nil {
		return
	}
	if _, err := near.Write(head); err != nil {
		return
	}
	for {
		first, payload, err := readFrame(r)
		if err != nil {
			return
		}
		texts := [][]byte{payload}
		const text = 0x81
		if first == text {
			texts = g.teller.frames(t, payload)
		}
		for _, one := range texts {
			if _, err := near.Write(appendFrame(nil, first, one)); err != nil {
				return
			}
		}
	}
}

// maxFrame is more than a gateway sends here.
const maxFrame = 4 << 20

// readFrame reads an unmasked frame: its first byte and its payload.
func readFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return 0, nil, err
	}
	first, n := h[0], uint64(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(r, h[:8])
		n = binary.BigEndian.Uint64(h[:8])
	}
	if err != nil {
		return 0, nil, err
	}
	if n > maxFrame {
		return 0, nil, errors.New("liar: a frame of this size is none")
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return first, payload, err
}

func appendFrame(dst []byte, first byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, first, byte(n))
	case n < 1<<16:
		dst = append(dst, first, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, first, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(dst, payload...)
}

// publications carries the requests of a publisher, the first of which has begun with head.
func (g *Gateway) publications(near io.Writer, far net.Conn, r *bufio.Reader, head []byte) {
	answers := bufio.NewReader(far)
	for {
		req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), r)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if err := g.publication(near, far, answers, head, body); err != nil {
			return
		}
		if head, err = readHead(r); err != nil {
			return
		}
	}
}

// answerHead is for a status and the length of what follows.
const answerHead = "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

// publication passes one on, or does as if.
func (g *Gateway) publication(near, far io.Writer, answers *bufio.Reader, head, body []byte) error {
	g.mu.Lock()
	last := g.told
	g.mu.Unlock()
	if made, lie := g.teller.answer(last); lie {
		_, err := fmt.Fprintf(near, answerHead+"%s", "200 OK", len(made), made)
		return err
	}
	if _, err := far.Write(append(bytes.Clone(head), body...)); err != nil {
		return err
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read to its end
	if err != nil {
		return err
	}
	var position struct {
		Epoch  string
		Offset uint64
	}
	if json.Unmarshal(said, &position) == nil && position.Epoch != "" {
		g.mu.Lock()
		g.told = next(position.Epoch, position.Offset)
		g.mu.Unlock()
	}
	_, err = fmt.Fprintf(near, answerHead+"%s", resp.Status, len(said), said)
	return err
}
