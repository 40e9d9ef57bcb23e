package auth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newSignIn(t *testing.T, o SignInOptions) *SignIn {
	t.Helper()
	o.Secret = testSecret
	s, err := NewSignIn(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cookiesOf returns what a browser would send after w, as one header line.
func cookiesOf(w *httptest.ResponseRecorder) string {
	var pairs []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge > 0 {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	return "Cookie: " + strings.Join(pairs, "; ")
}

func TestSignInLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAuth(t, Options{}), newSignIn(t, SignInOptions{LinkLife: time.Hour, SessionLife: 8 * time.Hour})
		link, err := s.Link(kepala())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(link, "usr_1") {
			t.Errorf("the link shows its claims: %s", link)
		}
		for _, use := range []string{"preview", "person"} {
			w := serve(s, get(link))
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || w.Header().Get("Referrer-Policy") != "no-referrer" {
				t.Fatalf("%s: %d %v", use, w.Code, w.Header())
			}
			id, err := a.Authenticate(t.Context(), get("/", cookiesOf(w)))
			if err != nil || id.Subject != "usr_1" || id.Tenant != "sppg_7" || time.Until(id.Expires.Time()) != 8*time.Hour+tolerance {
				t.Fatalf("%s: %+v, %v", use, id, err)
			}
		}
		if link, err = s.LinkFor(kepala(), 30*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if id, err := a.Authenticate(t.Context(), get("/", cookiesOf(serve(s, get(link))))); err != nil || time.Until(id.Expires.Time()) != 30*24*time.Hour+tolerance {
			t.Errorf("by a link for thirty days: %+v, %v", id, err)
		}
		time.Sleep(time.Hour)
		for name, target := range map[string]string{
			"Expired": link, "Changed": link[:len(link)-3] + "AAA", "Unknown": "/signin?ticket=x", "None": "/signin", "Long": "/signin?ticket=" + strings.Repeat("A", maxLinkBytes+1),
			"SessionToken": "/signin?ticket=" + url.QueryEscape(mint(t, kepala())),
		} {
			w := serve(s, get(target))
			body := w.Body.String()
			if w.Code != http.StatusGone || len(w.Result().Cookies()) > 0 || !strings.Contains(body, "tidak berlaku") || !strings.Contains(body, "no longer valid") {
				t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), body)
			}
		}
		if w := serve(s, request(http.MethodPost, link)); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d, want 405", w.Code)
		}
	})
}

func TestSignInCookie(t *testing.T) {
	big := kepala()
	big["permissions"] = strings.Repeat("x", 2500)
	for _, c := range []struct {
		name   string
		secure bool
		target string
		claims map[string]any
		cookie string
	}{
		{"Plain", false, "http://localhost:3001", kepala(), SessionCookie},
		{"OwnTLS", false, "https://localhost:3001", kepala(), SecureSessionCookie},
		{"TLSAtAProxy", true, "http://localhost:3001", kepala(), SecureSessionCookie},
		{"Big", false, "http://localhost:3001", big, SessionCookie},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSignIn(t, SignInOptions{Secure: c.secure})
			link, err := s.Link(c.claims)
			if err != nil {
				t.Fatal(err)
			}
			w := serve(s, get(c.target+link))
			set := w.Result().Cookies()
			if len(set) == 0 {
				t.Fatalf("%d without a cookie", w.Code)
			}
			for _, k := range set {
				want := c.cookie == SecureSessionCookie
				if !strings.HasPrefix(k.Name, c.cookie) || k.Secure != want || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.MaxAge != 8*3600 {
					t.Errorf("cookie %+v", k)
				}
			}
			if _, err := newAuth(t, Options{}).Authenticate(t.Context(), get("/", cookiesOf(w))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSetSessionInChunks(t *testing.T) {
	big := kepala()
	big["permissions"] = strings.Repeat("x", 30_000)
	w := httptest.NewRecorder()
	SetSession(w, SessionCookie, mint(t, big), false, time.Hour)
	if n := len(w.Result().Cookies()); n != 11 {
		t.Errorf("%d cookies, want 11", n)
	}
	if _, err := newAuth(t, Options{}).Authenticate(t.Context(), get("/", cookiesOf(w))); err != nil {
		t.Error(err)
	}
}

func TestSignOut(t *testing.T) {
	a := newAuth(t, Options{})
	sent := "Cookie: theme=dark; authjs.session-token=x; __Secure-next-auth.session-token.0=y; __Secure-next-auth.session-token.1=z"
	w := serve(a.SignOutHandler(), request(http.MethodPost, "/signout", ownOrigin, sent))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	gone := map[string]bool{}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 || c.Value != "" || c.Secure != strings.HasPrefix(c.Name, "__Secure-") || c.Path != "/" {
			t.Errorf("cookie %+v", c)
		}
		gone[c.Name] = true
	}
	if len(gone) != 3 || !gone["authjs.session-token"] || !gone["__Secure-next-auth.session-token.0"] || !gone["__Secure-next-auth.session-token.1"] {
		t.Errorf("removed %v", gone)
	}
	for _, lines := range [][]string{{sent}, {sent, "Origin: https://evil.example"}} {
		if w := serve(a.SignOutHandler(), request(http.MethodPost, "/signout", lines...)); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
			t.Errorf("%v: %d, want 403", lines[1:], w.Code)
		}
	}
	if w := serve(a.SignOutHandler(), get("/signout", sent)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d, want 405", w.Code)
	}
}
