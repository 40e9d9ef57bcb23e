package gateway

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"kentongan/realtime/socket"
)

// takeOver takes the connection of a request over for s, together with what the client sent behind its request. If it comes from net/http
// it is paused.
func (g *Gateway) takeOver(w http.ResponseWriter, s *session) (*socket.Conn, []byte, error) {
	if short, ok := w.(*handshake); ok {
		short.taken = true
		short.conn.SetHandler(s)
		return short.conn, short.early, nil
	}
	if over, ok := w.(*streamWriter); ok {
		adopted, err := g.sockets.Adopt(over.take(), s)
		if err != nil {
			return nil, nil, fmt.Errorf("adopt: %w", err)
		}
		return adopted, nil, nil
	}
	conn, early, err := hijack(w)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{}) // net/http's deadlines end here; on a dead connection the next read tells
	adopted, err := g.sockets.Adopt(conn, s)
	if err != nil {
		_ = conn.Close() // net/http has given it away
		return nil, nil, fmt.Errorf("adopt: %w", err)
	}
	return adopted, early, nil
}

// hijack takes the connection from net/http.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	var early []byte
	if n := buffered.Reader.Buffered(); n > 0 {
		early = make([]byte, n)
		if _, err := buffered.Read(early); err != nil {
			_ = conn.Close()
			return nil, nil, fmt.Errorf("read what is buffered: %w", err)
		}
	}
	if checked, ok := conn.(interface{ unwrap() net.Conn }); ok {
		conn = checked.unwrap() // from here on the socket itself is wanted
	}
	return conn, early, nil
}
