package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"kentongan/internal/clientip"
)

// ListenTLS wraps l for the http.Server of the public listener, as [Gateway.Listen] does, with TLS. It speaks what settings has in
// NextProtos: connections of HTTP/2 go to the server of [NewTLSServer] with their heads watched, all others with their first head read
// strictly. No handshake holds up another one; each, with the header of a proxy before it, may take headTimeout, zero meaning 5 s.
//
// It begins to accept at once and ends with Close, which must come before the end of g.Run.
func (g *Gateway) ListenTLS(l net.Listener, settings *tls.Config, headTimeout time.Duration) net.Listener {
	if headTimeout <= 0 {
		headTimeout = defaultHeadTimeout
	}
	s := &secured{
		Listener: l, gateway: g, settings: settings, headTimeout: headTimeout,
		ready: make(chan net.Conn), failed: make(chan error, 1),
	}
	s.ctx, s.cancel = context.WithCancel(g.ctx)
	g.goroutines.Go(s.accept)
	return s
}

// secured is a listener that gives away connections whose handshake is done.
type secured struct {
	net.Listener
	gateway     *Gateway
	settings    *tls.Config
	headTimeout time.Duration
	ready       chan net.Conn // to net/http
	failed      chan error    // why no more is accepted
	ctx         context.Context
	cancel      context.CancelFunc
	handshakes  sync.WaitGroup
}

// accept takes connections until the listener is closed. Errors that pass, such as too many open files, are waited out.
func (s *secured) accept() {
	defer s.handshakes.Wait()
	for pause := time.Duration(0); ; {
		conn, err := s.Listener.Accept()
		if err == nil {
			pause = 0
			s.handshakes.Go(func() { s.shake(conn) })
			continue
		}
		if passes, ok := errors.AsType[net.Error](err); !ok || !passes.Timeout() && !isTemporary(passes) {
			s.failed <- err
			return
		}
		s.gateway.opts.Log.Warn("connections cannot be accepted now", "err", err)
		pause = min(time.Second, max(5*time.Millisecond, 2*pause))
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
}

// isTemporary reports whether an error of accept is about the moment. net has no other word for it, and net/http asks in the same way.
func isTemporary(err net.Error) bool {
	return err.Temporary() //nolint:staticcheck // deprecated for other operations than accept
}

// shake does one handshake, and hands the connection on.
func (s *secured) shake(conn net.Conn) {
	ctx, cancel := context.WithTimeout(s.ctx, s.headTimeout)
	defer cancel()
	done := context.AfterFunc(ctx, func() { _ = conn.Close() }) // also while the header of a proxy is read
	secure, err := s.secure(ctx, conn)
	if err == nil && !done() {
		err = ctx.Err()
	}
	if err != nil {
		s.gateway.opts.Log.Debug("connection refused", "peer", conn.RemoteAddr().String(), "err", err)
		_ = conn.Close() // nobody can be answered
		return
	}
	select {
	case s.ready <- secure:
	case <-s.ctx.Done():
		_ = secure.Close()
	}
}

// secure returns conn with TLS on it.
func (s *secured) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	below, err := s.gateway.hearProxy(conn)
	if err != nil {
		s.gateway.stats.deny(badProxy)
		return nil, err
	}
	secure := tls.Server(below, s.settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		if ctx.Err() == nil || s.ctx.Err() == nil {
			s.gateway.stats.deny(badTLS)
		}
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	switch proto := secure.ConnectionState().NegotiatedProtocol; proto {
	case "h2":
		return watchHeads(secure, s.headTimeout), nil
	case "", "http/1.1":
		return &tlsHeadConn{headConn: &headConn{Conn: secure}, tls: secure}, nil
	default: // the certificate was all that was asked for: ACME's acme-tls/1
		return nil, fmt.Errorf("nothing is served over %s", proto) //nolint:err113 // for the log alone
	}
}

// hearProxy returns conn behind the header of the PROXY protocol, if it comes from a proxy that sends one. It waits for it.
func (g *Gateway) hearProxy(conn net.Conn) (net.Conn, error) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !g.fromProxy(tcp.AddrPort().Addr()) {
		return conn, nil
	}
	var got []byte
	for buf := make([]byte, 512); ; {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		client, length, broken := clientip.ParseHeader(got)
		switch {
		case broken != nil:
			return nil, broken //nolint:wrapcheck // it says all
		case length > 0:
			passed := &prefixedConn{Conn: conn, prefix: got[length:]}
			if client != (netip.AddrPort{}) {
				passed.client = net.TCPAddrFromAddrPort(client)
			}
			return passed, nil
		case err != nil:
			return nil, fmt.Errorf("read the PROXY header: %w", err)
		}
	}
}

// Accept implements net.Listener.
func (s *secured) Accept() (net.Conn, error) {
	select {
	case conn := <-s.ready:
		return conn, nil
	case err := <-s.failed:
		return nil, err
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It also hangs up on those whose handshake is not done.
func (s *secured) Close() error {
	s.cancel()
	return s.Listener.Close() //nolint:wrapcheck // net/http ignores it
}
