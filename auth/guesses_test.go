package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// guesser is an authenticator with a clock, and requests from an address.
func guesser(t *testing.T, client func(*http.Request) netip.Addr) (ask func(from, credential string) error, clock *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	a, err := New(Options{
		SessionSecrets: []string{"a-session-secret-of-32-bytes-here"}, APIKeys: []APIKey{{Name: "app", Key: apiKeyText}}, Client: client,
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(from, credential string) error {
		r := httptest.NewRequest(http.MethodPost, "/api/publish", http.NoBody)
		r.RemoteAddr = from
		r.Header.Set("Authorization", "Bearer "+credential)
		_, err := a.Authenticate(context.Background(), r)
		return err
	}, &now
}

func TestGuessesAreBounded(t *testing.T) {
	ask, now := guesser(t, nil)
	for n := range maxGuesses {
		if err := ask("203.0.113.7:1000", "wrong-key-of-an-attacker"); !errors.Is(err, ErrBadCredential) {
			t.Fatalf("guess %d: %v", n+1, err)
		}
	}
	for _, key := range []string{"wrong-key-of-an-attacker", apiKeyText} { // the right one is not told from a wrong one
		err := ask("203.0.113.7:2000", key)
		guessed, ok := errors.AsType[*TooManyGuessesError](err)
		if !ok || guessed.After <= 0 || guessed.After > guessWindow {
			t.Errorf("one guess more: %v", err)
		}
		w := httptest.NewRecorder()
		Deny(w, err)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" {
			t.Errorf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if err := ask("203.0.113.8:1000", apiKeyText); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	*now = now.Add(guessWindow)
	if err := ask("203.0.113.7:3000", apiKeyText); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestGuessersAreNetworks(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   func(n int) string
		locked bool
	}{
		{"one household of IPv6", func(n int) string { return fmt.Sprintf("[2001:db8::%x]:1", n+1) }, true},
		{"IPv4 in IPv6", func(int) string { return "[::ffff:203.0.113.7]:1" }, true},
		{"many addresses", func(n int) string { return fmt.Sprintf("203.0.113.%d:1", n) }, false},
		{"a proxy on this machine", func(int) string { return "127.0.0.1:1" }, false},
		{"a proxy in a private network", func(int) string { return "10.1.2.3:1" }, false},
		{"no address", func(int) string { return "@" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask, _ := guesser(t, nil)
			var err error
			for n := range maxGuesses + 1 {
				err = ask(c.from(n), "wrong-key-of-an-attacker")
			}
			if errors.Is(err, ErrTooManyGuesses) != c.locked {
				t.Errorf("got %v; want locked: %t", err, c.locked)
			}
		})
	}
	t.Run("a proxy that is trusted", func(t *testing.T) {
		ask, _ := guesser(t, func(*http.Request) netip.Addr { return netip.MustParseAddr("192.168.1.5") })
		var err error
		for range maxGuesses + 1 {
			err = ask("127.0.0.1:1", "wrong-key-of-an-attacker")
		}
		if !errors.Is(err, ErrTooManyGuesses) {
			t.Errorf("got %v", err)
		}
	})
}

// TestGoodCredentialsAreNoGuesses: who is right goes on, however often, and what was good once is no guess.
func TestGoodCredentialsAreNoGuesses(t *testing.T) {
	ask, _ := guesser(t, nil)
	for range 3 * maxGuesses {
		if err := ask("203.0.113.7:1", apiKeyText); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(Options{SessionSecrets: []string{"a-session-secret-of-32-bytes-here"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * maxGuesses {
		r := httptest.NewRequest(http.MethodGet, "/api/ws", http.NoBody)
		r.RemoteAddr = "203.0.113.7:1"
		r.AddCookie(&http.Cookie{Name: SessionCookie, Value: "an-old-cookie-that-is-sent-for-ever"})
		if _, err := a.Authenticate(context.Background(), r); !errors.Is(err, ErrBadCredential) {
			t.Fatalf("an old cookie: %v", err)
		}
	}
}

// TestGuessersAreBounded fills the count with addresses: memory stays bounded, and who comes later shares one count.
func TestGuessersAreBounded(t *testing.T) {
	g := newGuesses(time.Now)
	at := func(n int) netip.Prefix {
		return networkOf(netip.AddrFrom4([4]byte{203, byte(n >> 16), byte(n >> 8), byte(n)}))
	}
	for n := range maxGuessers + maxGuesses {
		g.add(at(n))
	}
	if len(g.wrong) > maxGuessers+1 {
		t.Errorf("%d addresses are kept", len(g.wrong))
	}
	if g.wait(at(1)) > 0 {
		t.Error("one guess locks an address")
	}
	if g.wait(at(maxGuessers+maxGuesses+1)) == 0 {
		t.Error("an attacker with more addresses than are kept is not stopped")
	}
}
