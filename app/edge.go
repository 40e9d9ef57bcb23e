package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kentongan/config"
	"kentongan/internal/answer"
	"kentongan/internal/certs"
	"kentongan/internal/clientip"
	"kentongan/realtime/gateway"
	"kentongan/realtime/intake"
)

// certificates are those of the public listener.
type certificates interface {
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	Run(ctx context.Context) error
	Status() certs.Status
}

// quotas are the limits of the gateway that the configuration sets.
func quotas(cfg config.Config) gateway.Quotas {
	return gateway.Quotas{
		PerTenant: cfg.Edge.TenantConnections, PerUser: cfg.Edge.UserConnections, PerAddress: cfg.Edge.AddressConnections,
		UpgradeRate: cfg.Edge.UpgradeRate,
	}
}

// publishRates are the bounds of publications.
func publishRates(cfg config.Config) *intake.Publishing {
	return &intake.Publishing{Keys: intake.NewRates(cfg.Limits.PublishRate), Tenants: intake.NewRates(cfg.Edge.TenantPublishRate)}
}

// proxies are those that are believed about where a request came from.
func proxies(cfg config.Config) *clientip.Proxies {
	return &clientip.Proxies{Trusted: config.Prefixes(cfg.Edge.TrustedProxies), Header: clientip.Header(cfg.Edge.ForwardedHeader)}
}

// openCertificates reads the certificates of the public listener, or prepares to get them; nil without an error: there is no TLS.
func (a *App) openCertificates(public, redirect net.Listener) (err error) {
	switch acme := a.cfg.Edge.ACME; {
	case a.cfg.Server.TLSCert != "":
		a.certs, err = certs.OpenFiles(a.cfg.Server.TLSCert, a.cfg.Server.TLSKey, a.log)
	case len(acme.Domains) > 0:
		opts := certs.ACMEOptions{
			Domains: acme.Domains, Email: acme.Email, Directory: acme.Directory, Roots: acme.Roots, Storage: acme.Storage,
			TLSPort: portOf(public), HTTPPort: portOf(redirect), Log: a.log,
		}
		a.acme, err = certs.OpenACME(opts)
		a.certs = a.acme
	}
	return err //nolint:wrapcheck // it says all
}

func portOf(l net.Listener) int {
	if l == nil {
		return 0
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port) // it is one
	return n
}

// front is the public listener, with TLS if there are certificates.
func (a *App) front(public net.Listener) net.Listener {
	if a.certs == nil {
		return a.gateway.Listen(public, a.cfg.Server.HeaderTimeout)
	}
	protos := []string{"h2", "http/1.1"}
	if a.acme != nil {
		protos = append(protos, certs.AlpnProtocol)
	}
	return a.gateway.ListenTLS(public, &tls.Config{
		GetCertificate: a.certs.Certificate, NextProtos: protos, MinVersion: tls.VersionTLS12,
	}, a.cfg.Server.HeaderTimeout)
}

// redirectServer sends whoever comes without TLS to where it is.
func (a *App) redirectServer() *http.Server {
	handler := http.Handler(http.HandlerFunc(a.redirect))
	if a.acme != nil {
		handler = a.acme.Handler(handler)
	}
	server := gateway.NewServer(handler)
	server.ReadHeaderTimeout, server.IdleTimeout = a.cfg.Server.HeaderTimeout, a.cfg.Server.IdleTimeout
	return server
}

// redirect answers with the same path at the public URL. Only what is read is sent on: what writes has shown its credential to everybody on
// the way already, and a client that is sent on by itself would go on doing so.
func (a *App) redirect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		answer.Error(w, http.StatusForbidden, "HTTPS_REQUIRED", "use "+a.cfg.Server.PublicURL)
		return
	}
	scheme, rest, _ := strings.Cut(a.cfg.Server.PublicURL, "://")
	host, _, _ := strings.Cut(rest, "/")
	w.Header().Set("Location", scheme+"://"+host+r.URL.RequestURI())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// expiryWarning is how long before its end a certificate is a person's business: authorities renew at a third of 90 days, and with half of
// that left something is wrong.
const expiryWarning = 14 * 24 * time.Hour

// certificateCheck is the line of /readyz about certificates. It never makes the server unready: with no other certificate elsewhere
// nobody would be helped.
func certificateCheck(st certs.Status, now time.Time) check {
	c := check{Name: "TLS certificate", OK: true}
	left := st.Expires.Sub(now)
	switch {
	case st.Expires.IsZero():
		c.OK, c.Weak, c.Detail = false, true, "there is none yet"
	case left <= 0:
		c.OK, c.Weak, c.Detail = false, true, "it has expired: "+st.Expires.UTC().Format(time.RFC3339)
	default:
		c.Weak = left < expiryWarning
		c.Detail = fmt.Sprintf("%s, until %s", strings.Join(st.Names, " "), st.Expires.UTC().Format(time.RFC3339))
	}
	if st.LastError != nil {
		c.Weak = true
		c.Detail += "; the last try to get a newer one: " + st.LastError.Error()
	}
	return c
}
