package gateway_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kentongan/realtime/gateway"
)

// framed is a client of HTTP/2 that says what the test says, and answers pings.
type framed struct {
	n       *clocked
	conn    net.Conn
	framer  *http2.Framer // of what is read, and of whole frames that are written
	turn    chan struct{} // holds one token: who has it writes. A lock would stop the clock of the bubble
	answers chan string   // the status of each request, in its order
	ended   chan time.Duration
	reader  sync.WaitGroup
	stream  uint32
	head    *hpack.Encoder
	encoded bytes.Buffer
}

func (n *clocked) framed() *framed {
	n.t.Helper()
	ours, theirs := net.Pipe()
	n.listener.conns <- theirs
	n.endsMu.Lock()
	n.ends = append(n.ends, ours)
	n.endsMu.Unlock()
	settings := n.client.Clone()
	settings.NextProtos = []string{"h2"}
	conn := tls.Client(ours, settings)
	if err := conn.Handshake(); err != nil {
		n.t.Fatal(err)
	}
	c := &framed{
		n: n, conn: conn, framer: http2.NewFramer(conn, conn), turn: make(chan struct{}, 1), answers: make(chan string, 100),
		ended: make(chan time.Duration, 1), stream: 1,
	}
	c.head = hpack.NewEncoder(&c.encoded)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.turn <- struct{}{}
	c.reader.Go(c.read)
	return c
}

// read takes what the server says, until the connection ends.
func (c *framed) read() {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.ended <- c.n.at()
			return
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			c.answers <- f.PseudoValue("status")
		case *http2.PingFrame:
			data := f.Data
			c.whole(func() error { return c.framer.WritePing(true, data) })
		}
	}
}

// whole has a whole frame written; what no longer can be is nothing to the test, which waits for the end.
func (c *framed) whole(write func() error) {
	<-c.turn
	_ = write()
	c.turn <- struct{}{}
}

// begin says what every client says first.
func (c *framed) begin() {
	c.whole(func() error { _, err := io.WriteString(c.conn, http2.ClientPreface); return err })
	c.whole(func() error { return c.framer.WriteSettings() })
}

// block is a head for a page that there is not.
func (c *framed) block() []byte {
	c.encoded.Reset()
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "test"}, {":path", "/nothing"}} {
		_ = c.head.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // into memory
	}
	return c.encoded.Bytes()
}

// ask sends a request, and waits for its answer. last says whether that was all of it.
func (c *framed) ask(last bool) {
	c.n.t.Helper()
	block := c.block()
	c.whole(func() error {
		return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block, EndHeaders: true, EndStream: last})
	})
	c.stream += 2
	select {
	case status := <-c.answers:
		if status != "404" {
			c.n.t.Errorf("answered %s, want 404", status)
		}
	case at := <-c.ended:
		c.n.t.Errorf("the connection ended after %v, and a request was not answered", at)
		c.ended <- at // for who waits for it
	}
}

// dribble writes bytes of what is one frame, one after the other with a pause behind each, until the connection ends; some at once before.
func (c *framed) dribble(text []byte, pause time.Duration, atOnce ...byte) {
	<-c.turn
	_, _ = c.conn.Write(atOnce) // if it cannot, neither can the next ones
	for i := range text {
		if _, err := c.conn.Write(text[i : i+1]); err != nil {
			break
		}
		time.Sleep(pause)
	}
	c.turn <- struct{}{}
}

// frame returns a frame.
func frame(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) []byte {
	var wire bytes.Buffer
	_ = http2.NewFramer(&wire, nil).WriteRawFrame(kind, flags, stream, payload) // into memory
	return wire.Bytes()
}

// TestSlowHTTP2 has clients that begin, and take their time to go on: the connection ends within the time for a head, as it does for
// HTTP/1.1, however busy it is meanwhile.
func TestSlowHTTP2(t *testing.T) {
	const limit = 5 * time.Second
	const rest = 20 * time.Second // between two requests
	for name, c := range map[string]struct {
		since time.Duration // when the time begins
		send  func(c *framed)
	}{
		"Silence":     {0, func(*framed) {}},
		"HalfPreface": {0, func(c *framed) { c.dribble([]byte(http2.ClientPreface[:12]), 0) }},
		"HTTP1":       {0, func(c *framed) { c.dribble([]byte("GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n"), 0) }},
		"Preface":     {0, func(c *framed) { c.dribble([]byte(http2.ClientPreface), time.Second) }},
		"NoSettings":  {0, func(c *framed) { c.dribble([]byte(http2.ClientPreface), 0) }},
		"NoRequest": {0, func(c *framed) {
			c.begin()
			for range 10 {
				c.whole(func() error { return c.framer.WritePing(false, [8]byte{}) })
				time.Sleep(time.Second)
			}
		}},
		"HalfHead": {0, func(c *framed) {
			c.begin()
			c.dribble(frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, c.block()), time.Second)
		}},
		"Continuations": {0, func(c *framed) {
			c.begin()
			block := c.block()
			c.whole(func() error {
				return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true})
			})
			for range 10 {
				time.Sleep(time.Second)
				c.whole(func() error { return c.framer.WriteContinuation(1, false, nil) })
			}
		}},
		"LaterHead": {rest, func(c *framed) {
			c.begin()
			c.ask(true)
			time.Sleep(rest)
			c.dribble(frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 3, c.block()), time.Second)
		}},
		"LaterPing": {rest, func(c *framed) {
			c.begin()
			c.ask(true)
			time.Sleep(rest)
			c.dribble(frame(http2.FramePing, 0, 0, make([]byte, 8)), time.Second)
		}},
		"BesideRequests": {4 * time.Second, func(c *framed) {
			c.begin()
			c.ask(true)
			time.Sleep(2 * time.Second)
			c.ask(true)
			time.Sleep(2 * time.Second)
			c.dribble(frame(http2.FramePing, 0, 0, make([]byte, 8))[:5], 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleOver(t, true, gateway.Options{}, func(t *testing.T, n *clocked) {
				client := n.framed()
				var writer sync.WaitGroup
				writer.Go(func() { c.send(client) })
				between(t, "the end", <-client.ended, c.since, c.since+limit)
				n.hangUp()
				writer.Wait()
				client.reader.Wait()
			})
		})
	}
}

// TestSteadyHTTP2 has a client that takes its time where it may: between requests, and for the data of one.
func TestSteadyHTTP2(t *testing.T) {
	inBubbleOver(t, true, gateway.Options{}, func(_ *testing.T, n *clocked) {
		c := n.framed()
		c.begin()
		for range 10 {
			c.ask(true)
			time.Sleep(3 * time.Second)
		}
		time.Sleep(time.Minute)
		c.ask(false)
		slow := frame(http2.FrameData, http2.FlagDataEndStream, c.stream-2, []byte("slowly"))
		c.dribble(slow[9:], 2*time.Second, slow[:9]...)
		c.ask(true)
		n.hangUp()
		c.reader.Wait()
	})
}
