package gateway

import (
	"fmt"
	"net"
	"net/http"
)

// hijack takes the connection over from net/http, together with what the client sent behind its request.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	if short, ok := w.(*handshake); ok {
		conn, early := short.take()
		return conn, early, nil
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	var early []byte
	if n := buffered.Reader.Buffered(); n > 0 {
		early = make([]byte, n)
		if _, err := buffered.Read(early); err != nil {
			return nil, nil, fmt.Errorf("read what is buffered: %w", err)
		}
	}
	if checked, ok := conn.(interface{ unwrap() net.Conn }); ok {
		conn = checked.unwrap() // from here on the socket itself is wanted
	}
	return conn, early, nil
}
