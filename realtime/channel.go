package realtime

import (
	"errors"
	"fmt"

	"kentongan/tenant"
)

// MaxNameBytes is the longest channel name on the wire, the tenant id in it included (facts: 255 bytes is what the
// leading servers accept).
const MaxNameBytes = 255

var (
	// ErrNoChannel says that a name belongs to no channel that is known here. A client gets the same answer for a
	// channel of another tenant: whether that one exists is not its business.
	ErrNoChannel = errors.New("no such channel")

	// ErrInvalid says that a publication cannot be accepted as it is, and never will be: its data is no JSON text, or
	// too large. Errors that wrap it say which.
	ErrInvalid = errors.New("invalid publication")

	// ErrUnavailable says that the engine cannot be reached now; the same call may succeed later. A Publish that
	// returned it may or may not have been stored: repeat it with its idempotency key.
	ErrUnavailable = errors.New("engine unavailable")

	// ErrOverloaded says that a bounded queue is full and the publication was not taken. It is an ErrUnavailable too.
	ErrOverloaded = fmt.Errorf("%w: too much at once", ErrUnavailable)

	// ErrNotStored says that a publication was not stored and never will be by this call: it never went out. It is an
	// ErrUnavailable too.
	ErrNotStored = fmt.Errorf("%w: not stored", ErrUnavailable)

	// ErrKeyReused says that an idempotency key has come before with other data.
	ErrKeyReused = errors.New("idempotency key used before with other data")
)

// Channel is a named stream of one tenant.
//
// The tenant is a field and not a prefix, so no name, however spelled, reaches another tenant's stream.
type Channel struct {
	Tenant tenant.ID // tenant.Global: the channel goes to all
	Name   string    // "production:updates"; only Names knows the spelling "production:updates:{tenant}"
}
