package wstest_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"kentongan/realtime/protocol"
	"kentongan/realtime/protocol/wstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const maxMessage = 16 << 20

func serve(t *testing.T, h http.HandlerFunc) wstest.Options {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return wstest.Options{
		Addr: strings.TrimPrefix(server.URL, "http://"), Path: "/", Header: "X-Test: 1\r\n", MaxMessage: maxMessage, MaxFrames: 1024,
		Deflate: true, Protocol: protocol.SubprotocolV1,
	}
}

// echoer answers every message on one connection, with the reader and writer of package protocol.
type echoer struct {
	conn    net.Conn
	deflate bool
}

func (e *echoer) OnMessage(op protocol.Opcode, data []byte) error {
	if e.deflate {
		if out, ok := protocol.AppendDeflated(nil, op, data); ok {
			return e.write(out)
		}
	}
	return e.write(protocol.AppendFrame(nil, op, data))
}

func (e *echoer) OnControl(op protocol.Opcode, payload []byte) error {
	switch op {
	case protocol.OpPing:
		return e.write(protocol.AppendFrame(nil, protocol.OpPong, payload))
	case protocol.OpClose:
		code, _ := protocol.ParseClose(payload)
		return errors.Join(e.write(protocol.AppendClose(nil, code, "bye")), io.EOF)
	default:
		return nil
	}
}

func (e *echoer) write(p []byte) error {
	_, err := e.conn.Write(p)
	return err
}

func echo(w http.ResponseWriter, r *http.Request) {
	up, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{Deflate: true, Protocols: []string{protocol.SubprotocolV1}})
	if refused, ok := errors.AsType[*protocol.UpgradeError](err); ok {
		maps.Copy(w.Header(), refused.Header)
		http.Error(w, refused.Message, refused.Status)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	e := &echoer{conn: conn, deflate: up.Deflate}
	if e.write(protocol.AppendUpgradeResponse(nil, up, nil)) != nil {
		return
	}
	var reader protocol.Reader
	defer reader.Release()
	o := &protocol.ReaderOptions{MaxMessageBytes: maxMessage, Deflate: up.Deflate}
	buf := make([]byte, 32<<10)
	for {
		n, err := buffered.Read(buf)
		if failed := reader.Feed(buf[:n], o, e); failed != nil {
			e.fail(failed)
			return
		}
		if err != nil {
			return
		}
	}
}

// fail sends the close frame, and waits for the peer's end, so that nothing unread resets the connection.
func (e *echoer) fail(err error) {
	var broken *protocol.CloseError
	if !errors.As(err, &broken) || e.write(protocol.AppendClose(nil, broken.Code, broken.Reason)) != nil {
		return
	}
	if e.conn.(*net.TCPConn).CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, e.conn)
	}
}

// TestReaderAndWriterConform: the parser and the writers, without the gateway around them.
func TestReaderAndWriterConform(t *testing.T) {
	wstest.Run(t, serve(t, echo))
}

// TestClientFindsFaults: a client that passes everything would prove nothing. coder/websocket checks no UTF-8 and drops connections
// without a code for broken frames; the client must see that, and find the rest of it in order.
func TestClientFindsFaults(t *testing.T) {
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, Subprotocols: []string{protocol.SubprotocolV1}, CompressionMode: websocket.CompressionNoContextTakeover,
		})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxMessage)
		for {
			kind, data, err := conn.Read(context.Background())
			if err != nil || conn.Write(context.Background(), kind, data) != nil {
				return
			}
		}
	})
	o.Patience = 300 * time.Millisecond
	passed, failed := map[string]int{}, map[string]int{}
	for _, c := range wstest.Cases(o) {
		if c.Group == "limits" || c.Group == "compression" || c.Group == "extensions" || strings.HasPrefix(c.Name, "FailFast") {
			continue // its limits are its own, and a server that waits costs the whole patience
		}
		if c.Try(o) == nil {
			passed[c.Group]++
		} else {
			failed[c.Group]++
		}
	}
	for _, group := range []string{"UTF-8", "masks", "lengths"} {
		if failed[group] == 0 {
			t.Errorf("the client found nothing in %s, where this server is known to fail", group)
		}
	}
	for _, group := range []string{"handshake", "UTF-8", "lengths", "fragments", "close"} {
		if passed[group] == 0 {
			t.Errorf("the client let nothing pass in %s", group)
		}
	}
	t.Logf("passed %v, failed %v", passed, failed)
}
