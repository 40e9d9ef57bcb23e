package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/auth"
)

// TestPairing opens a link as a tablet does for which an operator has made it, and reads with what it was given. Without the production
// service there is an app to sign in at, and no link.
func TestPairing(t *testing.T) {
	signIn, err := auth.NewSignIn(auth.SignInOptions{Secret: secret, LinkLife: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	link, err := signIn.LinkFor(map[string]any{"sub": "tablet_1", "sppgId": "k1", "userRole": "SPPG_STAFF_DAPUR", "userType": "SPPG_USER"}, 720*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	get := func(s *server, path, cookie string) (*http.Response, func()) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, func() { _ = resp.Body.Close() }
	}

	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+t.TempDir()+"/k.db")
	resp, done := get(s, link, "")
	defer done()
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly {
		t.Fatalf("the link is answered with %s, cookies %v", resp.Status, cookies)
	}
	eventually(t, "the batches of its kitchen", func() bool { // once the database is open
		resp, done := get(s, "/api/productions?active=true", cookies[0].Name+"="+cookies[0].Value)
		defer done()
		return resp.StatusCode == http.StatusOK
	})
	resp, done = get(s, strings.Replace(link, "ticket=", "ticket=x", 1), "")
	defer done()
	if resp.StatusCode != http.StatusGone || len(resp.Cookies()) > 0 {
		t.Errorf("a link that was changed is answered with %s, cookies %v", resp.Status, resp.Cookies())
	}
	ticket := link[strings.Index(link, "=")+1:]
	eventually(t, "the line of the log", func() bool { return strings.Contains(s.logs.String(), `msg="signed in by link" sub=tablet_1`) })
	if log := s.logs.String(); strings.Contains(log, ticket) || strings.Contains(log, cookies[0].Value) {
		t.Errorf("the log has a key:\n%s", log)
	}

	app := start(t)
	resp, done = get(app, link, "")
	defer done()
	if len(resp.Cookies()) > 0 {
		t.Errorf("beside an app the link is answered with %s, cookies %v", resp.Status, resp.Cookies())
	}
}
