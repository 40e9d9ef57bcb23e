package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/bench/drive"
)

// tlsCertificate is the setting with which the server speaks TLS.
const tlsCertificate = "KENTONGAN_TLS_CERT="

// ourServer is how a server of ours is reached over TLS: its certificate is one that we have just made, and who answers at that address of
// this machine is the process that we have started.
var ourServer = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // as above

// selfSigned writes a certificate for 127.0.0.1 and its key into dir, and returns where they are.
func selfSigned(dir string) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("write a key: %w", err)
	}
	certificate, key = filepath.Join(dir, "bench.crt"), filepath.Join(dir, "bench.key")
	err = errors.Join(
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	if err != nil {
		return "", "", fmt.Errorf("write a certificate: %w", err)
	}
	return certificate, key, nil
}

// overTLS is the round of an idle scene over TLS. The clients are in this process: the drivers speak no TLS.
func (l *lab) overTLS(ctx context.Context, s scene, engine string, r *running, out *outcome) (err error) {
	plan, err := s.plan(r)
	if err != nil {
		return err
	}
	started := time.Now()
	lines, err := dialTLS(ctx, plan)
	defer func() {
		for _, conn := range lines {
			_ = conn.Close() // the server is about to be stopped
		}
	}()
	if err := errors.Join(err, r.ended()); err != nil {
		return fmt.Errorf("open %d connections over TLS: %w", s.screens(), err)
	}
	out.Opened = time.Since(started)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(l.pace.settle):
	}
	if held, err := metric(ctx, r.admin, `kentongan_connections{dialect="bare"}`); err != nil || int(held) != s.screens() {
		out.Failed = fmt.Sprintf("%.0f of %d connections are left: %v", held, s.screens(), err)
	}
	return l.look(ctx, r, s.name+"-"+engine, out)
}

// dialTLS opens the screens of a plan, some at a time. It returns those that are open also with an error.
func dialTLS(ctx context.Context, plan drive.Plan) (open []net.Conn, err error) {
	const atOnce = 32 // handshakes under way, which keep both sides' processors busy
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	dialer := tls.Dialer{Config: ourServer}
	for i := range plan.Screens {
		g.Go(func() error {
			conn, err := dialer.DialContext(ctx, "tcp", plan.Addresses[0])
			if err != nil {
				return fmt.Errorf("dial: %w", err)
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			return upgrade(conn, plan, plan.Screens[i])
		})
	}
	return open, g.Wait()
}

// upgrade makes a WebSocket of conn, and leaves it alone then.
func upgrade(conn net.Conn, plan drive.Plan, s drive.Screen) error {
	const patience = 10 * time.Second
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	var request strings.Builder
	_, _ = fmt.Fprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2VudG9uZ2FuLWJlbmNoLg==\r\nOrigin: %s\r\nCookie: %s\r\n\r\n",
		s.Path, plan.Addresses[0], plan.Origin, s.Cookie)
	if _, err := conn.Write([]byte(request.String())); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<10), nil)
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: it is answered %s", resp.Status)
	}
	return nil
}
