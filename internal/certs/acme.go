package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ACMEOptions are the knobs of an ACME.
type ACMEOptions struct {
	Domains   []string // for which certificates are wanted
	Email     string   // for notices of the authority; may be empty
	Directory string   // URL of the authority
	Roots     string   // PEM file with what vouches for the authority; empty: the system's
	Storage   string   // directory of account, keys and certificates, made if it is not there

	// TLSPort is where this server listens with TLS, and HTTPPort without; zero: it does not. The authority comes to 443 and 80, which
	// has to lead here.
	TLSPort, HTTPPort int

	Log *slog.Logger // nil discards
}

// ACME gets certificates from an authority, keeps them in a directory and renews them when two thirds of their life are over. It may be
// used by many at once.
type ACME struct {
	opts   ACMEOptions
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer

	reloads, failures atomic.Uint64
	lastError         atomic.Pointer[error]
}

// AlpnProtocol is what a listener has to offer, so that the authority can ask it over TLS.
const AlpnProtocol = "acme-tls/1"

// OpenACME reads what vouches for the authority. Run does all the rest, and has to be called.
func OpenACME(opts ACMEOptions) (*ACME, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	var roots *x509.CertPool
	if opts.Roots != "" {
		pem, err := os.ReadFile(opts.Roots)
		if err != nil {
			return nil, fmt.Errorf("certificates of the ACME authority: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates of the ACME authority: %s has none", opts.Roots) //nolint:err113 // for a person
		}
	}
	if err := os.MkdirAll(opts.Storage, 0o700); err != nil {
		return nil, fmt.Errorf("storage of certificates: %w", err)
	}
	a := &ACME{opts: opts}
	quiet := zap.NewNop() // what it has to say comes as events
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil }, Logger: quiet,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: opts.Storage}, OnEvent: a.onEvent, Logger: quiet,
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: opts.Directory, TestCA: opts.Directory, Email: opts.Email, Agreed: true, TrustedRoots: roots,
		DisableHTTPChallenge: opts.HTTPPort == 0, AltHTTPPort: opts.HTTPPort,
		DisableTLSALPNChallenge: opts.TLSPort == 0, AltTLSALPNPort: opts.TLSPort, Logger: quiet,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

// onEvent logs and counts what the library does by itself.
func (a *ACME) onEvent(ctx context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		a.reloads.Add(1)
		a.lastError.Store(nil)
		a.opts.Log.InfoContext(ctx, "certificate from the authority", "name", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		err, ok := data["error"].(error)
		if !ok {
			err = errors.New("the authority gave none") //nolint:err113 // for a person
		}
		a.failures.Add(1)
		a.lastError.Store(&err)
		a.opts.Log.ErrorContext(ctx, "no certificate from the authority", "name", data["identifier"], "err", err)
	}
	return nil
}

// Certificate implements tls.Config.GetCertificate. It also answers what the authority asks over TLS.
func (a *ACME) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.config.GetCertificate(hello) //nolint:wrapcheck // it is for crypto/tls
}

// Handler answers what the authority asks over HTTP, and leaves all else to next.
func (a *ACME) Handler(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// Run gets what is missing and renews what grows old, until ctx ends. What the authority refuses is tried again, ever more rarely; the
// server goes on meanwhile.
func (a *ACME) Run(ctx context.Context) error {
	defer a.cache.Stop()
	if err := a.config.ManageAsync(ctx, a.opts.Domains); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	<-ctx.Done()
	return nil
}

// Status tells for which of the names there are certificates, and until when.
func (a *ACME) Status() Status {
	st := Status{Reloads: a.reloads.Load(), Failures: a.failures.Load()}
	if err := a.lastError.Load(); err != nil {
		st.LastError = *err
	}
	for _, name := range a.opts.Domains {
		for _, cert := range a.cache.AllMatchingCertificates(name) {
			if cert.Leaf == nil || time.Now().After(cert.Leaf.NotAfter) {
				continue
			}
			st.Names = append(st.Names, name)
			if st.Expires.IsZero() || cert.Leaf.NotAfter.Before(st.Expires) {
				st.Expires = cert.Leaf.NotAfter
			}
			break
		}
	}
	return st
}
