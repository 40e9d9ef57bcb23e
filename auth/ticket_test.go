package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serve returns what h answers to r.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const ownOrigin = "Origin: http://example.com" // httptest's requests go to example.com

// buyTicket buys one over HTTP with the session of claims.
func buyTicket(t *testing.T, a *Authenticator, claims map[string]any) string {
	t.Helper()
	w := serve(a.TicketHandler(), request(http.MethodPost, "/api/ticket", ownOrigin, "Cookie: "+SessionCookie+"="+mint(t, claims)))
	var body struct {
		Success bool
		Data    struct {
			Ticket      string
			ExpiresInMs int64
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK || !body.Success || body.Data.ExpiresInMs != 30_000 {
		t.Fatalf("ticket: %d %s", w.Code, w.Body)
	}
	return body.Data.Ticket
}

func TestTicketIsGoodOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, Options{})
		ticket := buyTicket(t, a, kepala())
		bought := time.Now()
		time.Sleep(TicketLife - time.Second)
		r := get("/api/ws?ticket="+ticket, ownOrigin)
		id, err := a.Admit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if id.Kind != KindTicket || id.Subject != "usr_1" || id.Tenant != "sppg_7" || id.Role != "SPPG_KEPALA" {
			t.Errorf("identity %+v", id)
		}
		if id.IssuedAt != At(bought) || id.Expires != At(bought.Add(time.Hour+tolerance)) {
			t.Errorf("times %v to %v, want those of the session", id.IssuedAt.Time(), id.Expires.Time())
		}
		if id, err := a.Admit(t.Context(), r); !errors.Is(err, ErrBadCredential) {
			t.Errorf("second use: %v, %v; want ErrBadCredential", id, err)
		}
		late := buyTicket(t, a, kepala())
		time.Sleep(TicketLife)
		if id, err := a.Authenticate(t.Context(), get("/?ticket="+late)); !errors.Is(err, ErrBadCredential) {
			t.Errorf("after its life: %v, %v; want ErrBadCredential", id, err)
		}
	})
}

func TestTicketEndsWithItsCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, Options{})
		short := kepala()
		token, err := MintSession(testSecret, SessionCookie, short, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		id, err := a.Authenticate(t.Context(), get("/", "Cookie: "+SessionCookie+"="+token))
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := a.SellTicket(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second + tolerance)
		if id, err := a.Authenticate(t.Context(), get("/?ticket="+ticket)); !errors.Is(err, ErrExpired) {
			t.Errorf("after the session's end: %v, %v; want ErrExpired", id, err)
		}
		revoked := buyTicket(t, a, kepala())
		time.Sleep(time.Second)
		if err := a.Revocations().Add(Revocation{Subject: "usr_1", IssuedBefore: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if id, err := a.Authenticate(t.Context(), get("/?ticket="+revoked)); !errors.Is(err, ErrRevoked) {
			t.Errorf("after a revocation: %v, %v; want ErrRevoked", id, err)
		}
	})
}

func TestTicketHandlerRefuses(t *testing.T) {
	a := newAuth(t, Options{APIKeys: []APIKey{{Name: "app", Key: apiKeyText}}})
	cookie := "Cookie: " + SessionCookie + "=" + mint(t, kepala())
	for _, c := range []struct {
		name   string
		method string
		lines  []string
		status int
	}{
		{"Nobody", http.MethodPost, []string{ownOrigin}, 401},
		{"Get", http.MethodGet, []string{ownOrigin, cookie}, 405},
		{"CookieWithoutOrigin", http.MethodPost, []string{cookie}, 403},
		{"CookieFromElsewhere", http.MethodPost, []string{cookie, "Origin: https://evil.example"}, 403},
		{"CookieOfSameSiteFetchWithoutOrigin", http.MethodPost, []string{cookie, "Sec-Fetch-Site: same-origin"}, 403},
		{"Server", http.MethodPost, []string{"Authorization: Bearer " + apiKeyText}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(a.TicketHandler(), request(c.method, "/api/ticket", c.lines...))
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
		})
	}
	// A ticket does not stand for a credential on a POST, and its Identity buys no further one.
	ticket := buyTicket(t, a, kepala())
	if w := serve(a.TicketHandler(), request(http.MethodPost, "/api/ticket?ticket="+ticket, ownOrigin)); w.Code != 401 {
		t.Errorf("ticket for a ticket: %d, want 401", w.Code)
	}
	if _, err := a.SellTicket(t.Context(), &Identity{Kind: KindTicket}); !errors.Is(err, ErrForbidden) {
		t.Errorf("ticket for a ticket: %v, want ErrForbidden", err)
	}
}

func TestOneUserCannotFillTheTicketStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuth(t, Options{})
		buy := func(sub string) int {
			r := request(http.MethodPost, "/api/ticket", ownOrigin, "Cookie: "+SessionCookie+"="+mint(t, map[string]any{"sub": sub, "sppgId": "s"}))
			w := serve(a.TicketHandler(), r)
			if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			return w.Code
		}
		for i := range ticketsPerLife {
			if code := buy("greedy"); code != 200 {
				t.Fatalf("ticket %d: %d, want 200", i+1, code)
			}
		}
		if code := buy("greedy"); code != 429 {
			t.Errorf("one more: %d, want 429", code)
		}
		if code := buy("other"); code != 200 {
			t.Errorf("another user: %d, want 200", code)
		}
		time.Sleep(TicketLife)
		if code := buy("greedy"); code != 200 {
			t.Errorf("later: %d, want 200", code)
		}
	})
}

// brokenStore is a TicketStore that is out of reach, or has nothing.
type brokenStore struct{ err error }

func (s brokenStore) PutTicket(context.Context, string, []byte, time.Duration) error { return s.err }
func (s brokenStore) TakeTicket(context.Context, string) ([]byte, error)             { return nil, s.err }

func TestTicketStoreOutOfReach(t *testing.T) {
	ticket := "/?ticket=" + strings.Repeat("A", 43)
	for err, want := range map[error]error{errors.New("redis is out"): ErrUnavailable, nil: ErrBadCredential, ErrNoTicket: ErrBadCredential} {
		a := newAuth(t, Options{Tickets: brokenStore{err}})
		if _, got := a.Authenticate(t.Context(), get(ticket)); !errors.Is(got, want) {
			t.Errorf("take with %v: %v, want %v", err, got, want)
		}
	}
	a := newAuth(t, Options{Tickets: brokenStore{errors.New("redis is out")}})
	if _, err := a.SellTicket(t.Context(), &Identity{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("put: %v, want ErrUnavailable", err)
	}
}

func TestMemoryTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ctx := NewMemoryTickets(10), t.Context()
		for i := range 10 {
			if err := m.PutTicket(ctx, fmt.Sprint(i), []byte("x"), TicketLife); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.PutTicket(ctx, "one more", []byte("x"), TicketLife); err == nil {
			t.Error("the eleventh ticket of ten was taken")
		}
		var wins sync.Map
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				if _, err := m.TakeTicket(ctx, "3"); err == nil {
					wins.Store(i, true)
				}
			})
		}
		group.Wait()
		n := 0
		wins.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d of 8 got the ticket, want 1", n)
		}
		time.Sleep(TicketLife)
		if err := m.PutTicket(ctx, "later", []byte("x"), TicketLife); err != nil || len(m.tickets) != 1 {
			t.Errorf("after the others' life: %v with %d tickets, want only the new one", err, len(m.tickets))
		}
	})
}

func TestTokenInTheAddress(t *testing.T) {
	cookie := "Cookie: " + SessionCookie + "=" + mint(t, kepala())
	a := newAuth(t, Options{JWTSecret: jwtSecret})
	token := hs256(t, jwtSecret, kepalaJWT())
	for _, query := range []string{"token=" + token, "access_token=" + token, "token=x", "a=1&token=x", "%74oken=x", "token=x&a=%zz", "token=&token=x"} {
		_, err := a.Authenticate(t.Context(), get("/api/ws?"+query, cookie))
		if !errors.Is(err, ErrTokenInQuery) || Status(err) != 400 || strings.Contains(err.Error(), token) {
			t.Errorf("%.20s: %v, want ErrTokenInQuery", query, err)
		}
	}
	for _, query := range []string{"", "token=", "tokens=x", "channels=a&t=1", "ticket="} {
		if _, err := a.Authenticate(t.Context(), get("/api/ws?"+query, cookie)); err != nil {
			t.Errorf("%s: %v, want none", query, err)
		}
	}
	if _, err := a.Authenticate(t.Context(), get("/?ticket=guess", cookie)); !errors.Is(err, ErrBadCredential) {
		t.Errorf("bad ticket beside a good cookie: %v, want ErrBadCredential", err)
	}
}
