package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// metrics are those of a running server that are looked at, by name; labels are left out.
type metrics map[string]float64

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// client follows no redirects: they would carry a credential to somewhere else.
func (p *patient) client() *http.Client {
	return &http.Client{
		Timeout:       p.opts.Timeout,
		Transport:     &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: false, TLSNextProto: noHTTP2()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch asks for one page.
func (p *patient) fetch(ctx context.Context, address string, header http.Header) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", address, err)
	}
	maps.Copy(r.Header, header)
	resp, err := p.client().Do(r)
	if err != nil {
		return 0, nil, bare(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, bare(err)
	}
	return resp.StatusCode, body, nil
}

// bare is err without the URL in front.
func bare(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err
	}
	return err
}

// admins are the admin listeners that are asked.
func (p *patient) admins() []string {
	if p.opts.Admin != nil {
		return p.opts.Admin
	}
	if p.cfg.Server.AdminListen == "" {
		return nil
	}
	return []string{"http://" + reachable(p.cfg.Server.AdminListen)}
}

// reachable is how a listener on address is reached from this machine.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// admin asks an admin listener.
func (p *patient) admin(ctx context.Context, base, path string, v any) error {
	header := http.Header{}
	if p.opts.AdminToken != "" {
		header.Set("Authorization", "Bearer "+p.opts.AdminToken)
	}
	status, body, err := p.fetch(ctx, strings.TrimSuffix(base, "/")+path, header)
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("it answers %d: set KENTONGAN_ADMIN_TOKEN to the token of the server", status)
	case status != http.StatusOK && !strings.HasPrefix(path, "/readyz"):
		return fmt.Errorf("it answers %d for %s; is it the admin listener of this version?", status, path)
	}
	if into, ok := v.(*metrics); ok {
		*into = readMetrics(body)
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("it answers with what cannot be read for %s; is it the admin listener of Kentongan?", path)
	}
	return nil
}

// readMetrics reads the text format, and adds up what has labels.
func readMetrics(body []byte) metrics {
	m := metrics{}
	for scan := bufio.NewScanner(strings.NewReader(string(body))); scan.Scan(); {
		line := scan.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		name, _, _ := strings.Cut(line[:at], "{")
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			m[name] += v
		}
	}
	return m
}

// server asks the servers that run how they are.
func (p *patient) server(ctx context.Context) error {
	var seen []string
	for _, base := range p.admins() {
		var ready struct {
			Checks []struct {
				Name, Detail string
				OK, Weak     bool
			}
		}
		err := p.admin(ctx, base, "/readyz", &ready)
		if errors.Is(err, syscall.ECONNREFUSED) && p.opts.Admin == nil {
			continue // none runs here
		}
		if err != nil {
			p.found(Broken, base, err.Error(), "the address of KENTONGAN_ADMIN_LISTEN of a running server, as it is reached from here")
			continue
		}
		for _, c := range ready.Checks {
			if !c.OK {
				p.found(Broken, base+"/readyz", c.Name+": "+c.Detail, "see docs/operations.md, Health")
			}
		}
		var m metrics
		if err := p.admin(ctx, base, "/metrics", &m); err != nil {
			p.found(Broken, base, err.Error(), "the admin listener of Kentongan")
			continue
		}
		p.running[base] = m
		p.traffic(base, m)
		seen = append(seen, fmt.Sprintf("%s: %.0f connections", base, m["kentongan_connections"]))
	}
	if len(seen) == 0 && len(p.report.Findings) == 0 || len(seen) == 0 && p.opts.Admin == nil {
		return skip("none answers; --admin names the admin listeners of those that run")
	}
	p.detail = strings.Join(seen, "; ")
	return nil
}

// traffic looks at what a server has counted since its start.
func (p *patient) traffic(base string, m metrics) {
	if n := m["kentongan_intake_breaks_total"]; n > 0 {
		p.found(Warning, base, fmt.Sprintf("%.0f times nobody could go on with what was published, and everybody was told a gap", n),
			"look at its log for the cause; two connections to Redis (KENTONGAN_INTAKE_CONNECTIONS), and a larger "+
				"client-output-buffer-limit pubsub")
	}
	if n := m["kentongan_schema_mismatches_total"]; n > 0 {
		p.found(Warning, base+"/validation", fmt.Sprintf("%.0f messages did not fit the schema of their channel", n),
			"kentongan quarantine list, or /validation, say where")
	}
	if slow, all := m["kentongan_slow_closed_total"], m["kentongan_connections_opened_total"]; slow > 10 && slow > all/20 {
		p.found(Warning, base, fmt.Sprintf("%.0f of %.0f clients were closed because they did not keep up", slow, all),
			"smaller or fewer messages; or KENTONGAN_BACKLOG_BYTES, if it is only bursts")
	}
}

// ports looks whether the server could listen where it is to.
func (p *patient) ports(ctx context.Context) error {
	s := p.cfg.Server
	var free []string
	for _, l := range []struct{ setting, address string }{
		{"KENTONGAN_LISTEN", s.Listen}, {"KENTONGAN_ADMIN_LISTEN", s.AdminListen}, {"KENTONGAN_REDIS_DOOR", s.RedisDoor},
	} {
		if l.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
		if err == nil {
			free = append(free, l.address)
			_ = listener.Close() // nobody has come yet
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) && p.ours(ctx) {
			free = append(free, l.address+" (a running server)")
			continue
		}
		right := "another address, or stop what listens there"
		switch {
		case errors.Is(err, syscall.EACCES):
			right = "a port above 1023 with a proxy in front, or the right to use low ones (AmbientCapabilities=CAP_NET_BIND_SERVICE)"
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			right = "an address of this machine, or only a port (:3001)"
		}
		p.found(Broken, l.setting+"="+l.address, bindError(err), right)
	}
	p.detail = strings.Join(free, ", ")
	return nil
}

// bindError is the reason of the system.
func bindError(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}

// ours reports whether a server of these settings runs on this machine already.
func (p *patient) ours(ctx context.Context) bool {
	if len(p.running) > 0 {
		return true
	}
	scheme := "http://"
	if p.cfg.Server.TLSCert != "" {
		scheme = "https://"
	}
	status, body, err := p.fetch(ctx, scheme+reachable(p.cfg.Server.Listen)+"/healthz", nil)
	return err == nil && status == http.StatusOK && strings.Contains(string(body), `"status":"ok"`)
}

// besides is how many descriptors a server needs beside those of its connections: Redis, the database, files, listeners, and what is
// accepted only to be refused.
const besides = 200

// descriptors compares the limit of open files with that of connections.
func (p *patient) descriptors(context.Context) error {
	limit, err := openFiles()
	where := "ulimit -n, in this shell"
	for base, m := range p.running {
		if n := m["process_max_fds"]; n > 0 {
			limit, err, where = uint64(n), nil, base+" (process_max_fds)"
		}
	}
	if err != nil {
		return skip("this system does not tell: %s", err)
	}
	wanted := p.cfg.Limits.Connections
	p.detail = fmt.Sprintf("%d may be open, for %d connections", limit, wanted)
	if uint64(wanted)+besides > limit { //nolint:gosec // it is checked to be positive
		p.found(Warning, where, fmt.Sprintf("%d files may be open, and %d connections are let in, which need %d", limit, wanted,
			wanted+besides),
			fmt.Sprintf("LimitNOFILE=%d, or KENTONGAN_MAX_CONNECTIONS=%d", wanted+besides, max(1,
				int64(limit)-besides))) //nolint:gosec // as above
	}
	return nil
}
