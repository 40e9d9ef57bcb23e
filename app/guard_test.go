package app_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// TestAdminListenerIsGuarded asks as programs, as pages, and with and without the token.
func TestAdminListenerIsGuarded(t *testing.T) {
	const token = "an-admin-token-that-nobody-guesses"
	open, closed := newArena(t), newArena(t, "KENTONGAN_ADMIN_TOKEN="+token)
	for _, c := range []struct {
		name   string
		at     *arena
		path   string
		header http.Header
		want   int
	}{
		{"a program", open, "/connections", nil, 200},
		{"a program, by name", open, "/connections", http.Header{"Host": {"localhost:1"}}, 200},
		{"a program, by IPv6", open, "/connections", http.Header{"Host": {"[::1]:1"}}, 200},
		{"typed into a browser", open, "/metrics", http.Header{"Sec-Fetch-Site": {"none"}}, 200},
		{"a page of another site", open, "/metrics", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a page on another port", open, "/metrics", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		{"a script of another site", open, "/metrics", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"a sandboxed script", open, "/metrics", http.Header{"Origin": {"null"}}, 403},
		{"a name that points here", open, "/connections", http.Header{"Host": {"rebound.evil.example"}}, 403},
		{"a name that looks like here", open, "/connections", http.Header{"Host": {"127.0.0.1.evil.example:3002"}}, 403},
		{"health, by any name", open, "/healthz", http.Header{"Host": {"kentongan.example"}}, 200},
		{"no token", closed, "/metrics", nil, 401},
		{"a wrong token", closed, "/metrics", http.Header{"Authorization": {"Bearer " + token + "x"}}, 401},
		{"the token of nothing", closed, "/debug/pprof/", http.Header{"Authorization": {"Bearer "}}, 401},
		{"an API key", closed, "/connections", http.Header{"Authorization": {"Bearer " + apiKey}}, 401},
		{"the token", closed, "/metrics", http.Header{"Authorization": {"Bearer " + token}}, 200},
		{"the token, by any name", closed, "/connections", http.Header{"Authorization": {"Bearer " + token}, "Host": {"kentongan-0.svc"}}, 200},
		{"the token, in a page's hands", closed, "/metrics", http.Header{"Authorization": {"Bearer " + token}, "Origin": {"https://evil.example"}}, 403},
		{"health", closed, "/healthz", nil, 200},
		{"readiness", closed, "/readyz", nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.at.admin+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(req.Header, c.header)
			if host := c.header.Get("Host"); host != "" {
				req.Host = host
			}
			resp, err := c.at.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("answered %d, want %d", resp.StatusCode, c.want)
			}
			if resp.StatusCode == http.StatusUnauthorized && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Error("a 401 does not say what is wanted")
			}
		})
	}
}
