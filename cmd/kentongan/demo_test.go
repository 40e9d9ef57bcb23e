package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/app"
	"kentongan/app/demo"
	"kentongan/config"
	"kentongan/internal/process"
	"kentongan/internal/testenv"
)

// TestDemo runs the demo, opens each link as a browser would, and finds a cooking kitchen behind it.
func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	w := &world{out: &out, err: &errs, environ: []string{"KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=off", "KENTONGAN_DRAIN_TIME=1s"}}
	w.run = func(ctx context.Context, cfg config.Config, opts app.Options) error {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Minute) // all visits together
		defer cancel()
		ready := opts.Ready
		visited := make(chan struct{})
		opts.Ready = func(a app.Addresses) {
			ready(a)
			go func() {
				defer close(visited)
				visit(t, out.String(), strings.Replace(a.Public, "127.0.0.1", "localhost", 1))
				cancel()
			}()
		}
		err := app.Run(ctx, cfg, opts)
		<-visited
		return err
	}
	if code := w.main([]string{"demo"}); code != exitOK {
		t.Errorf("exit code %d, want 0; %s", code, errs.String())
	}
}

func visit(t *testing.T, printed, host string) {
	links := regexp.MustCompile(`http://\S+/signin\?ticket=\S+`).FindAllString(printed, -1)
	if len(links) != len(demo.Kitchens())+1 {
		t.Errorf("got %d links, want one for each kitchen and one for the platform:\n%s", len(links), printed)
		return
	}
	for i, link := range links {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Error(err)
			return
		}
		browser := &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		if status, _ := get(t, browser, link, host); status != http.StatusSeeOther {
			t.Errorf("%s: got %d, want a redirect", link, status)
		}
		status, body := get(t, browser, "http://"+host+"/api/ws", host)
		var info struct {
			Data struct {
				Tenant   string   `json:"sppgId"`
				Channels []string `json:"channels"`
				Platform bool     `json:"platform"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &info); status != http.StatusOK || err != nil {
			t.Errorf("connection info: %d %s", status, body)
			continue
		}
		cutsTheLine(t, browser, host)
		if i == len(links)-1 {
			if info.Data.Tenant != "" || !info.Data.Platform {
				t.Errorf("the last link signs in as %+v, want the platform", info.Data)
			}
			continue
		}
		kitchen := string(demo.Kitchens()[i].ID)
		if info.Data.Tenant != kitchen || !slices.Contains(info.Data.Channels, "production:updates:"+kitchen) {
			t.Errorf("link %d signs in as %+v, want %s", i+1, info.Data, kitchen)
		}
	}
}

// cutsTheLine has a visitor cut the line, without which nothing is answered but what mends it.
func cutsTheLine(t *testing.T, browser *http.Client, host string) {
	api := "http://" + host + "/api/ws"
	line := func(method, body string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/api/demo/line", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Origin", "http://"+host)
		resp, err := browser.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close() // there is nothing to read
		if resp.StatusCode != want {
			t.Errorf("%s the line with %s: got %d, want %d", method, body, resp.StatusCode, want)
		}
	}
	for _, body := range []string{"", "{}", `{"seconds":-1}`, `{"seconds":121}`, `{"seconds":"1"}`, `{"seconds":1,"x":"` + strings.Repeat("x", 2000) + `"}`} {
		line(http.MethodPost, body, http.StatusBadRequest)
	}
	line(http.MethodGet, "", http.StatusMethodNotAllowed)
	page := &websocket.DialOptions{HTTPClient: browser, HTTPHeader: http.Header{"Origin": {"http://" + host}}}
	address := "ws" + strings.TrimPrefix(api, "http")
	socket, _, err := websocket.Dial(t.Context(), address, page)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = socket.CloseNow() }()
	line(http.MethodPost, `{"seconds":60}`, http.StatusNoContent)
	for err == nil {
		_, _, err = socket.Read(t.Context()) // what was on its way
	}
	if code := websocket.CloseStatus(err); code != -1 {
		t.Errorf("the socket was closed with %d, want a break without a word", code)
	}
	if _, resp, err := websocket.Dial(t.Context(), address, page); err == nil || resp != nil && resp.StatusCode < 500 {
		t.Errorf("a line that is cut opens a socket: %v", err)
	}
	for _, path := range []string{"/api/ws", "/api/productions?active=true", "/api/overview"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := browser.Do(req); err == nil {
			_ = resp.Body.Close() // it should not be there
			t.Errorf("a line that is cut answers %s with %d", path, resp.StatusCode)
		}
	}
	if status, _ := get(t, browser, "http://"+host+"/", host); status != http.StatusOK {
		t.Errorf("the page: got %d", status)
	}
	line(http.MethodPost, `{"seconds":0}`, http.StatusNoContent)
	if status, _ := get(t, browser, api, host); status != http.StatusOK {
		t.Errorf("after mending: got %d", status)
	}
	nobody := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/api/demo/line", strings.NewReader(`{"seconds":1}`))
	if err != nil {
		t.Error(err)
		return
	}
	if resp, err := nobody.Do(req); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("somebody without a session: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close() // there is nothing to read
	}
}

func get(t *testing.T, browser *http.Client, url, host string) (int, []byte) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	req.Header.Set("Origin", "http://"+host)
	resp, err := browser.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }() // it is read below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, body
}

func TestFreePort(t *testing.T) {
	free := testenv.Port(t, process.FreeAddresses(1)[0])
	if got, err := freePort(t.Context(), free, 0); err != nil || got < free {
		t.Errorf("got %d, %v; want %d or one after it", got, err, free)
	}
	if got, err := freePort(t.Context(), free, free); err != nil || got <= free {
		t.Errorf("got %d, %v; want one after %d", got, err, free)
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		"[::]:3001": "localhost:3001", "0.0.0.0:3001": "localhost:3001", "127.0.0.1:80": "localhost:80",
		"192.168.1.5:3001": "192.168.1.5:3001", "[fd00::1]:1": "[fd00::1]:1",
	} {
		if got := reachable(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
