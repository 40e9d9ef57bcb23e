package cache

import (
	"errors"
	"fmt"

	"kentongan/cache/shared"
)

// What a caller may decide on. Every error of this package wraps one of these, or is the error of a loader or of the context.
var (
	// ErrNotFound says that there is nothing under this key: Get found no entry, or a loader said so and that is remembered. A
	// loader returns it, wrapped or not, for what does not exist.
	ErrNotFound = errors.New("not in the cache")

	// ErrInvalid says that an argument can never be right; the error tells which one, and what would be.
	ErrInvalid = errors.New("invalid cache argument")

	// ErrTooLarge says that a value is longer than Options.MaxValueBytes once it is encoded.
	ErrTooLarge = errors.New("value is too large for the cache")

	// ErrUnavailable says that Redis does not answer. After an invalidation that returned it the own node has forgotten what
	// was to be forgotten, and the others may not have: repeat it.
	ErrUnavailable = errors.New("redis is not available to the cache")

	// ErrOutdated says that a write or a load was refused because something newer is known of the key.
	ErrOutdated = errors.New("a newer version is known")

	// ErrLoadTimeout says that a load took longer than Policy.HardTimeout. It may still be running.
	ErrLoadTimeout = errors.New("load takes too long")

	// ErrOverloaded says that Options.MaxLoads loads are running already.
	ErrOverloaded = errors.New("too many loads at once")

	// ErrKind says that something of another kind is under this name in Redis, such as a list where an entry should be. A read takes it
	// for a miss, and loads do not replace it; Set, Forget and the invalidations do.
	ErrKind = shared.ErrKind

	// ErrFull says that the memory of a cache without Redis has no room for more in hashes, lists and sets.
	ErrFull = shared.ErrFull

	// ErrClosed is returned to those who come after the end of Run.
	ErrClosed = errors.New("cache is closed")
)

// LoaderPanicError is what callers get when a loader panicked. The process goes on, for one bad record must not take all kitchens
// with it. Value is not in the text: it may hold data, and errors are logged.
type LoaderPanicError struct {
	Value any    // of the panic; nil if the loader ended its goroutine
	Stack []byte // of the loader
}

// Error implements error.
func (e *LoaderPanicError) Error() string {
	if e.Value == nil {
		return "loader ended its goroutine"
	}
	return fmt.Sprintf("loader panicked with a %T", e.Value)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// unavailable wraps what the shared tier says when it cannot be reached.
func unavailable(doing string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}
