package auth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Whoever tries keys out, or tokens, or tickets, has maxGuesses a guessWindow. All of them are too long to be found by trying; but keys
// are made by people, and a try that is never counted is never seen.
const (
	maxGuesses  = 20
	guessWindow = time.Minute

	// maxGuessers bounds the memory: about 1 MB. Who comes when it is full shares one count with all others who do.
	maxGuessers = 10_000
)

// TooManyGuessesError wraps ErrTooManyGuesses and says when the next try is looked at.
type TooManyGuessesError struct{ After time.Duration }

func (e *TooManyGuessesError) Error() string {
	return fmt.Sprintf("%v; wait %v", ErrTooManyGuesses, e.After)
}

// Unwrap makes errors.Is know ErrTooManyGuesses.
func (e *TooManyGuessesError) Unwrap() error { return ErrTooManyGuesses }

// guesses counts wrong credentials by the network that they came from. The zero value is not ready: see newGuesses.
type guesses struct {
	now func() time.Time

	mu    sync.Mutex
	began time.Time
	wrong map[netip.Prefix]int
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, wrong: map[netip.Prefix]int{}}
}

// wait returns how long from has to wait before its next try is looked at; zero: not at all. It is asked before, so that a guess which
// happens to be right opens nothing, either.
func (g *guesses) wait(from netip.Prefix) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	if _, known := g.wrong[from]; !known && len(g.wrong) >= maxGuessers {
		from = netip.Prefix{}
	}
	if g.wrong[from] < maxGuesses {
		return 0
	}
	return g.began.Add(guessWindow).Sub(g.now())
}

// add counts a wrong try.
func (g *guesses) add(from netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	if _, known := g.wrong[from]; !known && len(g.wrong) >= maxGuessers {
		from = netip.Prefix{} // no address makes it
	}
	g.wrong[from]++
}

// turn forgets everything when a window is over. The lock is held.
func (g *guesses) turn() {
	if age := g.now().Sub(g.began); age < 0 || age >= guessWindow {
		g.began = g.now()
		clear(g.wrong)
	}
}

// networkOf is what one guesser has of addresses: an IPv4 address, or the /64 that IPv6 gives to a household.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of no address: not reached
	}
	return p
}

// peerOf is who sent r as far as the connection tells; not valid where that is nobody in particular: on this machine and in private
// networks stands the proxy in front, through which everybody comes. Options.Client knows better.
func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil || inside(a) {
		return netip.Addr{}
	}
	return a
}

func inside(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// guarded has check look at a credential that can be guessed, unless too many guesses came from the same network. Expired and revoked
// ones were good once, and are no guesses; nor are session cookies counted, which a screen goes on sending when it is signed out.
func (a *Authenticator) guarded(from netip.Addr, check func() (*Identity, error)) (*Identity, error) {
	if !from.IsValid() {
		return check()
	}
	network := networkOf(from)
	if after := a.guesses.wait(network); after > 0 {
		return nil, &TooManyGuessesError{after}
	}
	id, err := check()
	if errors.Is(err, ErrBadCredential) {
		a.guesses.add(network)
	}
	return id, err
}
