package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what RFC 6455 asks for; nothing is kept secret with it
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"kentongan/auth"
)

// noHTTP2 keeps a client at HTTP/1.1, which is what browsers open a WebSocket with.
func noHTTP2() map[string]func(string, *tls.Conn) http.RoundTripper {
	return map[string]func(string, *tls.Conn) http.RoundTripper{}
}

// visitor is the kitchen of the session that the way is tried with. Nobody publishes in it.
const visitor = "kentongan-doctor"

// proxy goes the way that a browser goes: the connection info, an upgrade, an event stream.
func (p *patient) proxy(ctx context.Context) error {
	if p.opts.URL == "" {
		return skip("--url names the address by which browsers come")
	}
	base, err := url.Parse(p.opts.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		p.found(Broken, "--url", "it is no address", "https://dapur.example.id")
		return nil //nolint:nilerr // it is a finding
	}
	if len(p.cfg.Auth.SessionSecrets) == 0 {
		return skip("there is no session secret to make a visitor's session with")
	}
	header, err := p.visit(base)
	if err != nil {
		return err
	}
	if !p.info(ctx, base, header) {
		return nil
	}
	p.upgrade(ctx, base, header)
	p.stream(ctx, base, header)
	return nil
}

// visit makes the header fields of a visitor: a session of one minute, and the origin of the page.
func (p *patient) visit(base *url.URL) (http.Header, error) {
	name := p.cfg.Auth.Cookie
	if name == "" {
		name = auth.SessionCookie
	}
	claims := map[string]any{}
	for path, value := range map[string]string{
		p.cfg.Auth.Claims.Subject: visitor, p.cfg.Auth.Claims.Tenant: visitor, p.cfg.Auth.Claims.Role: "SPPG_VIEWER",
	} {
		put(claims, strings.Split(path, "."), value)
	}
	token, err := auth.MintSession(p.cfg.Auth.SessionSecrets[0].Reveal(), name, claims, time.Minute)
	if err != nil {
		return nil, fmt.Errorf("make a visitor's session: %w", err)
	}
	return http.Header{"Cookie": {name + "=" + token}, "Origin": {base.Scheme + "://" + base.Host}, "User-Agent": {"kentongan-doctor"}}, nil
}

// put sets a value at a path of names.
func put(claims map[string]any, path []string, value string) {
	for _, name := range path[:len(path)-1] {
		next, ok := claims[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			claims[name] = next
		}
		claims = next
	}
	claims[path[len(path)-1]] = value
}

// info asks for the connection info, and reports whether the server was reached and lets the visitor in.
func (p *patient) info(ctx context.Context, base *url.URL, header http.Header) bool {
	where := base.JoinPath("/api/ws").String()
	began := time.Now()
	status, body, err := p.fetch(ctx, where, header)
	if err != nil {
		p.found(Broken, where, reason(err), "a proxy, or the server itself, that is reached at this address, with a certificate for it")
		return false
	}
	var answer struct {
		Data struct {
			WSURL string `json:"wsUrl"`
		}
		Error struct{ Code string }
	}
	ours := json.Unmarshal(body, &answer) == nil
	switch {
	case status == http.StatusOK && ours && answer.Data.WSURL != "":
		p.detail = fmt.Sprintf("%s answers in %.0f ms", base.Host, ms(time.Since(began)))
		p.address(where, base, answer.Data.WSURL)
		return true
	case status == http.StatusUnauthorized && ours:
		p.found(Broken, where, "the server does not know a session that was made with these settings",
			"the same AUTH_SECRET here and there; and a proxy that passes the Cookie header on")
	case status == http.StatusForbidden && answer.Error.Code == "origin_not_allowed":
		p.found(Broken, where, "the server takes the page for one of another site: the proxy gives it another Host than the browser's",
			"let the proxy pass the Host on (nginx: proxy_set_header Host $host), or set KENTONGAN_ALLOWED_ORIGINS="+header.Get("Origin"))
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		p.found(Broken, where, fmt.Sprintf("the proxy answers %d: it does not reach the server", status),
			"the address of the server (KENTONGAN_LISTEN) in the proxy")
	case status >= 300 && status < 400:
		p.found(Broken, where, fmt.Sprintf("it is answered with %d and sends elsewhere", status),
			"the address itself in --url, and no redirect for /api/ws")
	default:
		p.found(Broken, where, fmt.Sprintf("it is answered with %d, and not by Kentongan", status),
			"a rule of the proxy that sends /api/ws and /api/sse to the server")
	}
	return false
}

// address compares the one that the server tells browsers with the one by which it was asked.
func (p *patient) address(where string, base *url.URL, told string) {
	u, err := url.Parse(told)
	if err != nil {
		return
	}
	want := strings.Replace(base.Scheme, "http", "ws", 1)
	if u.Scheme != want || !strings.EqualFold(u.Host, base.Host) {
		p.found(Warning, where, "it tells browsers to connect to "+u.Scheme+"://"+u.Host+", which is not the address that they come by",
			"KENTONGAN_PUBLIC_URL="+base.Scheme+"://"+base.Host)
	}
}

// upgrade opens a WebSocket, and wants a first frame.
func (p *patient) upgrade(ctx context.Context, base *url.URL, header http.Header) {
	where := "an upgrade to WebSocket at " + base.JoinPath("/api/ws").String()
	right := "let the proxy pass the upgrade on (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header " +
		"Connection \"upgrade\")"
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	conn, err := dial(ctx, base)
	if err != nil {
		p.found(Broken, where, reason(err), "a proxy that is reached")
		return
	}
	defer func() { _ = conn.Close() }() // nothing is left to be said
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	var head bytes.Buffer
	fmt.Fprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: "+
		"kentongan.v1\r\n", "/"+strings.TrimPrefix(base.JoinPath("/api/ws").EscapedPath(), "/"), base.Host, key)
	_ = header.Write(&head) // a buffer takes everything
	head.WriteString("\r\n")
	if _, err := conn.Write(head.Bytes()); err != nil {
		p.found(Broken, where, reason(err), right)
		return
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	if err != nil {
		p.found(Broken, where, "no answer comes: "+reason(err), right)
		return
	}
	defer func() { _ = resp.Body.Close() }()                              // it is closed with conn
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	switch {
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusUpgradeRequired: // what the server says to who does not ask for it
		p.found(Broken, where, fmt.Sprintf("it is answered with %d, like a plain request: the proxy takes the upgrade out",
			resp.StatusCode), right)
		return
	case resp.StatusCode != http.StatusSwitchingProtocols:
		p.found(Broken, where, fmt.Sprintf("it is answered with %d", resp.StatusCode), right)
		return
	case resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		p.found(Broken, where, "the answer belongs to another handshake: something on the way keeps answers",
			"a proxy that does not cache /api/ws")
		return
	case resp.Header.Get("Sec-WebSocket-Protocol") != "kentongan.v1":
		p.found(Broken, where, "the subprotocol is lost on the way", "let the proxy pass Sec-WebSocket-Protocol on, in both directions")
		return
	}
	if _, err := r.ReadByte(); err != nil {
		p.found(Broken, where, "it is opened, and no frame comes through within "+p.opts.Timeout.String(), right)
	}
}

// dial connects to the host of base.
func dial(ctx context.Context, base *url.URL) (net.Conn, error) {
	host := base.Host
	if base.Port() == "" {
		host = net.JoinHostPort(base.Hostname(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	}
	if base.Scheme == "http" {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		return conn, nil
	}
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// stream opens an event stream, and wants its first event at once: the server sends one as soon as somebody comes.
func (p *patient) stream(ctx context.Context, base *url.URL, header http.Header) {
	where := "an event stream at " + base.JoinPath("/api/sse").String()
	const right = "no buffering, and no compression, of /api/sse in the proxy (nginx: proxy_buffering off; gzip off)"
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("/api/sse").String(), http.NoBody)
	if err != nil {
		p.found(Broken, where, reason(err), right)
		return
	}
	r.Header = header.Clone()
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "gzip, br") // as browsers do, so that it shows who compresses
	resp, err := p.client().Do(r)
	if errors.Is(err, context.DeadlineExceeded) || timedOut(err) {
		p.found(Broken, where, "nothing comes within "+p.opts.Timeout.String()+": the proxy collects the stream", right)
		return
	}
	if err != nil {
		p.found(Broken, where, reason(err), right)
		return
	}
	defer func() { _ = resp.Body.Close() }() // it never ends by itself
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		p.found(Broken, where, fmt.Sprintf("it is answered with %d %s", resp.StatusCode, resp.Header.Get("Content-Type")),
			"a rule of the proxy that sends /api/sse to the server")
		return
	}
	if how := resp.Header.Get("Content-Encoding"); how != "" {
		p.found(Broken, where, "the proxy compresses it with "+how+", which holds events back", right)
		return
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		what := "the head comes, and no event within " + p.opts.Timeout.String() + ": the proxy collects them"
		if !errors.Is(err, context.DeadlineExceeded) && !timedOut(err) {
			what = "it breaks off: " + reason(err)
		}
		p.found(Broken, where, what, right)
	}
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded)
}

// reason is what an operator can do something with.
func reason(err error) string {
	err = bare(err)
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return "the host " + unknown.Name + " is not known"
	case timedOut(err):
		return "nothing answers in time"
	}
	return err.Error()
}
