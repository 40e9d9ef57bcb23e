package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"kentongan/config"
)

type healthCommand struct {
	fileFlag

	Ready   bool          `help:"Ask whether clients should be sent here (/readyz), not only whether it answers (/healthz)."`
	Timeout time.Duration `help:"How long it may take." default:"3s"`
}

// Help is what health --help adds.
func (*healthCommand) Help() string {
	return `It finds the server by the same settings, so that a container needs nothing else to check itself:

  HEALTHCHECK CMD ["/kentongan", "health"]

The exit code is 0 if it is well, else 1 with the reason. A certificate is not checked: the server asked is on this machine, under
a name that no certificate has.`
}

// maxHealthBytes is more than /readyz answers.
const maxHealthBytes = 64 << 10

// Run is kentongan health.
func (c *healthCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config})
	if err != nil {
		return err //nolint:wrapcheck // they are the problems
	}
	ctx, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	address := "http://" + hereOf(cfg.Server.Listen) + path
	if cfg.Server.TLSCert != "" {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	body, status, err := askHealth(ctx, address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing answers at %s; is the server running?", address)
	case err != nil:
		return fmt.Errorf("ask %s: %w", address, err)
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d: %s", address, status, strings.TrimSpace(body))
	}
	_, err = fmt.Fprintf(w.out, "%s\n", strings.TrimSpace(body))
	return wrapWrite(err)
}

// askHealth returns what address answers. Redirects are not followed: they lead away from this machine.
func askHealth(ctx context.Context, address string) (body string, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", 0, err //nolint:wrapcheck // the caller wraps all of them
	}
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, Proxy: nil,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, //nolint:gosec // see Help
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", 0, err //nolint:wrapcheck // as above
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthBytes))
	return string(text), resp.StatusCode, err //nolint:wrapcheck // as above
}

// hereOf returns the address by which this machine reaches what listens on listen: the loopback, if that is on all addresses.
func hereOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen // config has checked it; not reached
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Unmap().IsUnspecified() && !ip.Is6():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
