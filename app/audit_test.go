package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/auth"
)

// TestActsAreLoggedAtEveryLevel: a server that writes nothing but errors still writes who did what, and nothing else.
func TestActsAreLoggedAtEveryLevel(t *testing.T) {
	signIn, err := auth.NewSignIn(auth.SignInOptions{Secret: secret, LinkLife: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	link, err := signIn.Link(map[string]any{"sub": "tablet_7", "sppgId": "a", "userRole": "SPPG_KEPALA"})
	if err != nil {
		t.Fatal(err)
	}
	s := startAt(t, slog.LevelError, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+t.TempDir()+"/k.db")
	conn := s.dial(s.cookie("koki", "a", "SPPG_KEPALA"))
	key := http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
	for _, c := range []struct {
		method, address, body string
		header                http.Header
		want                  int
	}{
		{"POST", s.admin + "/connections/kick?user=nobody", "", nil, http.StatusOK},
		{"PUT", s.admin + "/log/level?level=error", "", nil, http.StatusNotFound}, // of this log it cannot be changed; it was tried
		{"POST", s.admin + "/quarantine/a:none/replay", "", nil, http.StatusNotFound},
		{"DELETE", s.admin + "/quarantine/a:none", "", nil, http.StatusNotFound},
		{"POST", s.admin + "/connections/kick?user=koki", "", http.Header{"Origin": {"http://x"}}, http.StatusForbidden},
		{"POST", s.public + "/api/revoke", fmt.Sprintf(`{"sub":"koki","issuedBefore":%d}`, time.Now().Add(time.Second).UnixMilli()), key, http.StatusOK},
	} {
		if status, body := s.do(c.method, c.address, c.body, c.header); status != c.want {
			t.Errorf("%s %s is answered with %d %s, want %d", c.method, c.address, status, body, c.want)
		}
	}
	if code := closeCode(conn); code != 4500 {
		t.Errorf("the revoked session was closed with %d, want 4500", code)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.public+link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	look, _, err := websocket.Dial(ctx, "ws://"+s.public+"/api/ws?tenant=b", &websocket.DialOptions{
		HTTPHeader: s.cookie("super", "", "PLATFORM_SUPERADMIN"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.CloseNow() }()
	eventually(t, "the overview, once the database is open", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/api/overview", "", s.cookie("super", "", "PLATFORM_SUPERADMIN"))
		return status == http.StatusOK
	})
	for _, line := range []string{
		`msg="admin act" act=kick path=/connections/kick query="user=nobody"`, `msg="admin act" act="log level"`, `msg="admin act" act=replay`,
		`msg="admin act" act=drop`, `msg="admin act refused" method=POST`, `msg=revoked by.kind=`, `msg="sessions revoked" sub=koki`,
		`msg="signed in by link" sub=tablet_7`, `msg="platform role looks into a kitchen" sub=super`, `msg="the platform looks at all kitchens" user=super`,
	} {
		eventually(t, "the line "+line, func() bool { return strings.Contains(s.logs.String(), line) })
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"server started", "server stopped", "production service started", "resources"} {
		if strings.Contains(s.logs.String(), "msg="+other) || strings.Contains(s.logs.String(), `msg="`+other) {
			t.Errorf("at the level error %q is written", other)
		}
	}
}
