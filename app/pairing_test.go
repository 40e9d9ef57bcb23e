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
	get := func(s *server, path, cookie string) (int, []*http.Cookie) {
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
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode, resp.Cookies()
	}

	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+t.TempDir()+"/k.db")
	status, cookies := get(s, link, "")
	if status != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly {
		t.Fatalf("the link is answered with %d, cookies %v", status, cookies)
	}
	eventually(t, "the batches of its kitchen", func() bool { // once the database is open
		status, _ := get(s, "/api/productions?active=true", cookies[0].Name+"="+cookies[0].Value)
		return status == http.StatusOK
	})
	if status, given := get(s, strings.Replace(link, "ticket=", "ticket=x", 1), ""); status != http.StatusGone || len(given) > 0 {
		t.Errorf("a link that was changed is answered with %d, cookies %v", status, given)
	}
	ticket := link[strings.Index(link, "=")+1:]
	eventually(t, "the line of the log", func() bool { return strings.Contains(s.logs.String(), `msg="signed in by link" sub=tablet_1`) })
	if log := s.logs.String(); strings.Contains(log, ticket) || strings.Contains(log, cookies[0].Value) {
		t.Errorf("the log has a key:\n%s", log)
	}

	if status, given := get(start(t), link, ""); len(given) > 0 {
		t.Errorf("beside an app the link is answered with %d, cookies %v", status, given)
	}
}
