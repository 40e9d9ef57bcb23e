package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"kentongan/internal/answer"
)

// TicketLife is how long a ticket waits to be used, once.
const TicketLife = 30 * time.Second

// ticketsPerLife is how many tickets one user may buy in TicketLife: enough for every screen of a kitchen that signs in with
// one account to come back at the same moment, and too few to fill the store.
const ticketsPerLife = 100

// ticketBytes is the randomness in a ticket; it is sent as 43 characters of base64url.
const ticketBytes = 32

// ErrNoTicket says that a ticket was never sold, is used up, or too old.
var ErrNoTicket = errors.New("no such ticket")

// TicketStore keeps tickets for all nodes. It is given the hash of a ticket, so that who can read the store can use none.
// Implementations are safe for concurrent use.
type TicketStore interface {
	// PutTicket keeps data under id for ttl.
	PutTicket(ctx context.Context, id string, data []byte, ttl time.Duration) error
	// TakeTicket returns what was kept under id and forgets it in the same step: of two callers at most one gets it. If
	// there is nothing it returns ErrNoTicket or, in rooms that may not import this package, no data and no error.
	TakeTicket(ctx context.Context, id string) ([]byte, error)
}

// ticketID is the name of a ticket in the store.
func ticketID(ticket string) string {
	sum := sha256.Sum256([]byte("kentongan ticket\x00" + ticket))
	return hex.EncodeToString(sum[:])
}

// SellTicket returns a ticket for id. Whoever brings it within TicketLife is id, until the credential that it was bought with
// ends. A ticket buys no further one (ErrForbidden), or a single one would last for ever.
func (a *Authenticator) SellTicket(ctx context.Context, id *Identity) (string, error) {
	if id.Kind == KindTicket {
		return "", fmt.Errorf("ticket for a ticket: %w", ErrForbidden)
	}
	data, err := json.Marshal(id)
	if err != nil {
		return "", fmt.Errorf("write ticket: %w", err)
	}
	var random [ticketBytes]byte
	_, _ = rand.Read(random[:]) // it never fails: without randomness the process ends
	ticket := base64.RawURLEncoding.EncodeToString(random[:])
	if err := a.tickets.PutTicket(ctx, ticketID(ticket), data, TicketLife); err != nil {
		return "", fmt.Errorf("keep ticket: %w: %w", err, ErrUnavailable)
	}
	return ticket, nil
}

// fromTicket uses up a ticket.
func (a *Authenticator) fromTicket(ctx context.Context, ticket string) (*Identity, error) {
	if len(ticket) != base64.RawURLEncoding.EncodedLen(ticketBytes) {
		return nil, fmt.Errorf("ticket of %d bytes: %w", len(ticket), ErrBadCredential)
	}
	data, err := a.tickets.TakeTicket(ctx, ticketID(ticket))
	if errors.Is(err, ErrNoTicket) || err == nil && len(data) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNoTicket, ErrBadCredential)
	}
	if err != nil {
		return nil, fmt.Errorf("take ticket: %w: %w", err, ErrUnavailable)
	}
	id := new(Identity)
	if err := json.Unmarshal(data, id); err != nil {
		return nil, fmt.Errorf("read ticket: %w: %w", err, ErrUnavailable)
	}
	id.Kind = KindTicket
	if !id.Expires.IsZero() && !a.now().Before(id.Expires.Time()) {
		return nil, ErrExpired
	}
	if a.revocations.Revoked(id) {
		return nil, ErrRevoked
	}
	return id, nil
}

// TicketHandler answers POST /api/ticket with {"success":true,"data":{"ticket":"…","expiresInMs":30000}}.
//
// The ticket is for a page on an allowed origin to which our cookies are not sent, and for sockets and event streams, which
// take no headers: it goes into the address as ?ticket=, once. A page whose line was cut buys a new one.
func (a *Authenticator) TicketHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onlyPost(w, r) {
			return
		}
		id, err := a.Admit(r.Context(), r)
		if err != nil {
			a.deny(w, r, err)
			return
		}
		if wait := a.ticketRate.take(id.Kind.String() + "\x00" + string(id.Tenant) + "\x00" + id.Subject); wait > 0 {
			answer.Later(w, http.StatusTooManyRequests, "too_many_tickets", "Too many tickets at once. Wait a moment.", wait)
			return
		}
		ticket, err := a.SellTicket(r.Context(), id)
		if err != nil {
			a.deny(w, r, err)
			return
		}
		answer.JSON(w, http.StatusOK, success{true, struct {
			Ticket      string `json:"ticket"`
			ExpiresInMs int64  `json:"expiresInMs"`
		}{ticket, TicketLife.Milliseconds()}})
	})
}

// success is the envelope of the answers of this package.
type success struct {
	Success bool `json:"success"`
	Data    any  `json:"data"`
}

// deny answers with err, whose text goes to the debug log only.
func (a *Authenticator) deny(w http.ResponseWriter, r *http.Request, err error) {
	a.log.DebugContext(r.Context(), "request denied", "path", r.URL.Path, "reason", Reason(err), "err", err)
	Deny(w, err)
}

func onlyPost(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", http.MethodPost)
	answer.Error(w, http.StatusMethodNotAllowed, "method_not_allowed", "Use POST.")
	return false
}

// defaultMemoryTickets holds what 2,000 users buy in one TicketLife at their limit, in about 100 MB at worst.
const defaultMemoryTickets = 200_000

// MemoryTickets is a TicketStore in this process, for a single node.
type MemoryTickets struct {
	limit int

	mu      sync.Mutex
	tickets map[string]memoryTicket
	swept   time.Time
}

type memoryTicket struct {
	data []byte
	ends time.Time
}

// NewMemoryTickets returns a store for at most limit tickets; zero means 200,000.
func NewMemoryTickets(limit int) *MemoryTickets {
	if limit <= 0 {
		limit = defaultMemoryTickets
	}
	return &MemoryTickets{limit: limit, tickets: map[string]memoryTicket{}}
}

// PutTicket implements TicketStore. It returns an error if the store is full.
func (m *MemoryTickets) PutTicket(_ context.Context, id string, data []byte, ttl time.Duration) error {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	// Sweeping at most once in a second keeps a full store from walking over all its tickets at each call.
	if now.Sub(m.swept) >= TicketLife || len(m.tickets) >= m.limit && now.Sub(m.swept) >= time.Second {
		m.swept = now
		for k, t := range m.tickets {
			if !now.Before(t.ends) {
				delete(m.tickets, k)
			}
		}
	}
	if len(m.tickets) >= m.limit {
		return fmt.Errorf("ticket store is full with %d", m.limit)
	}
	m.tickets[id] = memoryTicket{append([]byte(nil), data...), now.Add(ttl)}
	return nil
}

// TakeTicket implements TicketStore.
func (m *MemoryTickets) TakeTicket(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tickets[id]
	delete(m.tickets, id)
	if !ok || !time.Now().Before(t.ends) {
		return nil, ErrNoTicket
	}
	return t.data, nil
}
