package auth

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"kentongan/tenant"
)

// Kind says which sort of credential an Identity was read from. The zero value is none.
type Kind uint8

// The kinds of credentials. Their names are labels of metrics and words of logs.
const (
	_               Kind = iota
	KindSession          // Auth.js or NextAuth session cookie
	KindBearer           // JWT in the Authorization header
	KindTicket           // one-use ticket
	KindAPIKey           // a server
	KindSocketToken      // the app's own HMAC token
)

var kinds = [...]string{"", "session", "bearer", "ticket", "api-key", "socket-token"}

// String returns the name of k.
func (k Kind) String() string { return kinds[k] }

// MarshalText writes the name of k.
func (k Kind) MarshalText() ([]byte, error) { return []byte(kinds[k]), nil }

// UnmarshalText reads a name.
func (k *Kind) UnmarshalText(name []byte) error {
	at := slices.Index(kinds[:], string(name))
	if at < 0 {
		return fmt.Errorf("%q is no kind of credential; they are %s", shorten(string(name), 32), strings.Join(kinds[1:], ", "))
	}
	*k = Kind(at) //nolint:gosec // a few
	return nil
}

// Identity is who somebody proved to be. It is immutable once it was returned and may be shared by all sessions of one
// user. It holds nothing that nobody asks for, such as the person's name: there is one for each connection.
type Identity struct {
	Kind     Kind
	Platform bool // may look into any tenant; each look is logged
	Server   bool // may publish: API keys

	Subject  string    // the user id; the name of the key for an API key
	Tenant   tenant.ID // tenant.Global: none (platform roles, API keys for all kitchens)
	Role     string    // userRole claim: SPPG_KEPALA, PLATFORM_SUPERADMIN …
	UserType string    // userType claim

	IssuedAt Instant // what "issued before" of a revocation is compared with
	Expires  Instant // when it ends; zero: never (API keys)
}

// MaySee reports whether i may follow channels of t. Global channels are everybody's.
func (i *Identity) MaySee(t tenant.ID) bool {
	return t == tenant.Global || i.Tenant == t || i.Platform || i.Server && i.Tenant == tenant.Global
}

// LogValue keeps names of people out of logs: the id says enough.
func (i *Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", i.Kind.String()), slog.String("sub", i.Subject),
		slog.String("tenant", string(i.Tenant)), slog.String("role", i.Role))
}
