package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// clientFlags are the flags of the commands that talk to a running server.
type clientFlags struct {
	Server string `help:"Address of the server." default:"http://localhost:3001" env:"KENTONGAN_SERVER" placeholder:"URL"`
	APIKey string `name:"api-key" help:"API key; better in the environment." env:"KENTONGAN_API_KEY" placeholder:"KEY"`
	Token  string `help:"Bearer token instead of an API key." env:"KENTONGAN_TOKEN" placeholder:"TOKEN"`
}

// endpoint returns the address of path on the server.
func (f clientFlags) endpoint(path string) (*url.URL, error) {
	u, err := url.Parse(f.Server)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, usage("--server must be an address such as http://localhost:3001")
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return nil, usage("--server must begin with http:// or https://")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/") + path}, nil
}

// authorize puts the credential into h. With optional it may be missing.
func (f clientFlags) authorize(h http.Header, optional bool) error {
	credential := f.APIKey
	switch {
	case f.APIKey != "" && f.Token != "":
		return usage("an API key and a token are set; use one of KENTONGAN_API_KEY and KENTONGAN_TOKEN")
	case f.Token != "":
		credential = f.Token
	case f.APIKey == "" && optional:
		return nil
	case f.APIKey == "":
		return usage("no credential; set KENTONGAN_API_KEY to one of the server's KENTONGAN_API_KEYS, or KENTONGAN_TOKEN")
	}
	if strings.ContainsFunc(credential, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return usage("the API key or token has characters that cannot be sent; it may hold visible ASCII only")
	}
	h.Set("Authorization", "Bearer "+credential)
	return nil
}

// newHTTPClient returns a client that follows no redirects: they would carry the credential to somewhere else.
func newHTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusal is an answer of the server that is no success.
type refusal struct {
	status  int
	code    string
	message string
}

// Error says what the server said, and what helps where that is known.
func (r *refusal) Error() string {
	s := fmt.Sprintf("the server answered %d", r.status)
	if r.code != "" {
		s += " " + r.code + ": " + r.message
	}
	switch {
	case r.status == http.StatusUnauthorized:
		s += " (is the API key or token the right one?)"
	case r.status >= 300 && r.status < 400:
		s += " and sends elsewhere (is --server the address itself?)"
	case r.code == "" && r.status == http.StatusNotFound:
		s += " (is this a Kentongan server?)"
	}
	return s
}

// readRefusal reads the answer's error; body may be anything.
func readRefusal(status int, body []byte) *refusal {
	var a struct {
		Error struct{ Code, Message string }
	}
	r := &refusal{status: status}
	if json.Unmarshal(body, &a) == nil {
		r.code, r.message = a.Error.Code, a.Error.Message
	}
	return r
}

// explain turns an error of the network into words about the server, without the URL around it.
func explain(server string, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("the host %s is not known; is --server right?", lookup.Name)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at %s; is the server running?", server)
	}
	return fmt.Errorf("talk to %s: %w", server, err)
}
