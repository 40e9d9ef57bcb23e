package production

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"
)

// PINHash is what is stored of a PIN: "pbkdf2-sha256$rounds$salt$hash", the last two in base64. Empty: none is set.
//
// A PIN has so few values that whoever has the hashes finds it whatever the rounds. They are for somebody who sees the
// database for a moment; what keeps PINs from being tried out at a tablet is that Service counts wrong ones.
type PINHash string

// LogValue keeps hashes out of logs.
func (PINHash) LogValue() slog.Value { return slog.StringValue("…") }

const (
	pinRounds  = 50_000 // about 10 ms; a tablet waits for it at each check
	pinMinimum = 4
	pinMaximum = 12
)

// HashPIN returns the hash of 4 to 12 digits.
func HashPIN(digits string) (PINHash, error) {
	if len(digits) < pinMinimum || len(digits) > pinMaximum || strings.Trim(digits, "0123456789") != "" {
		return "", errors.New("want a PIN of 4 to 12 digits")
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	sum, err := pbkdf2.Key(sha256.New, digits, salt, pinRounds, sha256.Size)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return PINHash("pbkdf2-sha256$" + strconv.Itoa(pinRounds) + "$" + enc.EncodeToString(salt) + "$" + enc.EncodeToString(sum)), nil
}

// parts reads what HashPIN wrote.
func (h PINHash) parts() (rounds int, salt, sum []byte, ok bool) {
	parts := strings.Split(string(h), "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return 0, nil, nil, false
	}
	rounds, err := strconv.Atoi(parts[1])
	if err != nil || rounds < 1 || rounds > 10*pinRounds {
		return 0, nil, nil, false
	}
	salt, err = base64.RawStdEncoding.DecodeString(parts[2])
	if err != nil || len(salt) > 64 {
		return 0, nil, nil, false
	}
	sum, err = base64.RawStdEncoding.DecodeString(parts[3])
	return rounds, salt, sum, err == nil && len(sum) == sha256.Size
}

func (h PINHash) wellFormed() bool {
	_, _, _, ok := h.parts()
	return ok
}

// Matches reports whether h was made of digits. A hash that cannot be read matches nothing.
func (h PINHash) Matches(digits string) bool {
	rounds, salt, want, ok := h.parts()
	if !ok || len(digits) > pinMaximum {
		return false
	}
	sum, err := pbkdf2.Key(sha256.New, digits, salt, rounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(sum, want) == 1
}

// A person's PIN is locked for pinLock after pinTries wrong ones: with four digits, 60 tries an hour need a week for half of the
// PINs. Each node counts for itself.
const (
	pinTries   = 5
	pinLock    = 5 * time.Minute
	maxGuarded = 10_000 // people with wrong tries in the last minutes: far more than mistype
)

// pinGuard counts wrong PINs. The zero value is ready for use.
type pinGuard struct {
	mu    sync.Mutex
	wrong map[string]wrongPINs
}

type wrongPINs struct {
	count int
	last  time.Time
}

// try takes one of who's tries, and reports whether there was one. It is taken before the PIN is looked at, so that many
// tries at one moment are not more than others.
func (g *pinGuard) try(who string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, known := g.wrong[who]
	switch {
	case now.Sub(w.last) >= pinLock:
		w.count = 0
	case w.count >= pinTries:
		return false
	}
	if g.wrong == nil {
		g.wrong = map[string]wrongPINs{}
	}
	if !known && len(g.wrong) >= maxGuarded {
		maps.DeleteFunc(g.wrong, func(_ string, w wrongPINs) bool { return now.Sub(w.last) >= pinLock })
		if len(g.wrong) >= maxGuarded {
			return false
		}
	}
	g.wrong[who] = wrongPINs{w.count + 1, now}
	return true
}

// right gives who all tries back.
func (g *pinGuard) right(who string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.wrong, who)
}

// prove returns the actor of r, with the person whose PIN was given. Nobody can name a person but by a PIN.
func (s *Service) prove(ctx context.Context, r Request) (Actor, error) {
	a := r.Actor
	a.Person, a.PersonRole = "", ""
	if r.PIN == nil {
		return a, nil
	}
	in, err := s.store.Load(ctx, r.Tenant, Want{People: []string{r.PIN.Person}})
	if err != nil {
		return a, fmt.Errorf("load staff: %w", err)
	}
	p, known := in.People[r.PIN.Person]
	if !known || !p.Active || p.PIN == "" {
		return a, refuse(ErrForbidden, CodePINWrong, "the PIN is not that of an active member of staff")
	}
	who := string(r.Tenant) + "|" + p.ID
	if !s.pins.try(who, s.opts.Now()) {
		return a, refuse(ErrForbidden, CodePINLocked, "too many wrong PINs: wait five minutes")
	}
	if !p.PIN.Matches(r.PIN.Digits) {
		return a, refuse(ErrForbidden, CodePINWrong, "the PIN is not that of an active member of staff")
	}
	s.pins.right(who)
	a.Person, a.PersonRole = p.ID, p.Role
	return a, nil
}
