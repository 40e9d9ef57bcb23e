package realtime

import (
	"context"
	"errors"
	"time"

	"kentongan/tenant"
)

// Held is a publication that was refused after its publisher could be told, and that is kept for people to look at.
type Held struct {
	ID      string    // within its tenant, given by Hold: when it came, so that a later one is greater
	Channel Channel   // where it would have gone
	Time    time.Time // when it was put there, in milliseconds
	Door    string    // through which it came: "pubsub" or "stream"
	Reason  string    // why it was refused, without any value of the data
	Bytes   int       // of its data
	Data    []byte    // nil if it was larger than MaxHeldBytes; lists leave it out
}

// The bounds of a Quarantine. An app that is wrong is wrong all the time: the newest few are enough to see in what.
const (
	MaxHeld        = 200                // of one tenant; the oldest go
	MaxHeldTotal   = 1 << 20            // bytes of one tenant; the oldest go
	MaxHeldBytes   = MaxHeldTotal / 4   // of one publication, that are kept
	MaxHeldTenants = 1000               // that something is kept of; those that were the last to have something new go
	HeldAge        = 7 * 24 * time.Hour // after which it goes
)

// ErrNotHeld says that nothing is held under an id.
var ErrNotHeld = errors.New("nothing is held under that id")

// Quarantine keeps what was refused, each tenant's for itself. Its methods may be called concurrently; their errors are ErrUnavailable,
// and what they say beside.
type Quarantine interface {
	// Hold keeps h, and lets go what is over the bounds. It sets h.ID and h.Time, and h.Data to nil if that is too large.
	Hold(ctx context.Context, h *Held) error

	// Tenants returns whose something is held, the one with the newest first.
	Tenants(ctx context.Context) ([]tenant.ID, error)

	// List returns what is held of t, the newest first, at most limit.
	List(ctx context.Context, t tenant.ID, limit int) ([]Held, error)

	// Find returns one with its data, or ErrNotHeld.
	Find(ctx context.Context, t tenant.ID, id string) (Held, error)

	// Drop lets go of ids, and returns how many of them were there.
	Drop(ctx context.Context, t tenant.ID, ids ...string) (int, error)
}
