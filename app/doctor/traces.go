package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// traces sends the collector of OpenTelemetry a request with nothing in it, as the server sends what it has recorded.
func (p *patient) traces(ctx context.Context) error {
	c := p.cfg.Traces
	if !c.On {
		return skip("KENTONGAN_TRACES is off")
	}
	trust, err := p.collectorTLS()
	if err != nil {
		p.found(Broken, "OTEL_EXPORTER_OTLP_CERTIFICATE", err.Error(), "PEM files that are there, and that this user may read")
		return nil
	}
	// An ExportTraceServiceRequest without spans has no bytes.
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.URL, err)
	}
	for name, value := range c.Headers {
		r.Header.Set(name, value.Reveal())
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	client := p.client()
	client.Transport = &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: trust, TLSNextProto: noHTTP2(), Proxy: http.ProxyFromEnvironment,
	}
	began := time.Now()
	resp, err := client.Do(r)
	if err != nil {
		p.found(Broken, c.URL, "traces do not get there: "+reason(err), "OTEL_EXPORTER_OTLP_ENDPOINT with the collector's port for HTTP, "+
			"which is usually 4318 (4317 is for gRPC); and a collector that runs")
		return nil
	}
	defer func() { _ = resp.Body.Close() }()                         // what it says is of no interest
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // as above
	p.detail = fmt.Sprintf("%s answers %d in %.0f ms", c.URL, resp.StatusCode, ms(time.Since(began)))
	p.collectorSaid(resp.StatusCode)
	return nil
}

// collectorSaid is what the status of its answer means.
func (p *patient) collectorSaid(status int) {
	where, said := p.cfg.Traces.URL, fmt.Sprintf("it answers %d", status)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		p.found(Broken, where, said+": it does not let this server in", "OTEL_EXPORTER_OTLP_HEADERS with the token that it wants")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= 300 && status < 400:
		p.found(Broken, where, said+": nobody takes traces at this address", "OTEL_EXPORTER_OTLP_ENDPOINT without a path, to which "+
			"/v1/traces is added; or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT with the whole one")
	case status == http.StatusTooManyRequests, status >= 500:
		p.found(Warning, where, said+": it takes nothing now, and traces are lost until it does", "a collector that is well")
	}
	// Other refusals come from something that has read the request: it wants no empty one.
}

// collectorTLS is whom the exporter trusts, and by what certificate it makes itself known: the library reads that from the environment by
// itself. Nil: nothing is set, and it is as for everybody.
func (p *patient) collectorTLS() (*tls.Config, error) {
	trusted, own, key := p.otlp("CERTIFICATE"), p.otlp("CLIENT_CERTIFICATE"), p.otlp("CLIENT_KEY")
	if trusted == "" && own == "" {
		return nil, nil //nolint:nilnil // what http.Transport has for "as for everybody"
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if trusted != "" {
		text, err := os.ReadFile(trusted) //nolint:gosec // the operator names it
		if err != nil {
			return nil, err //nolint:wrapcheck // it says all
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New(trusted + " has no certificate")
		}
	}
	if own != "" {
		pair, err := tls.LoadX509KeyPair(own, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %q: %w", own, key, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// otlp is a setting of the exporter: that for traces, or else the one for all signals.
func (p *patient) otlp(name string) (value string) {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		for _, e := range p.opts.Environ {
			if v, ok := strings.CutPrefix(e, prefix+name+"="); ok && v != "" {
				value = v
			}
		}
	}
	return value
}
