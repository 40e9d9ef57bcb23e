package auth

import (
	"log/slog"
	"time"

	"kentongan/tenant"
)

// Kind says which sort of credential an Identity was read from.
type Kind string

// The kinds of credentials. They are labels of metrics and words of logs.
const (
	KindSession     Kind = "session"      // Auth.js or NextAuth session cookie
	KindBearer      Kind = "bearer"       // JWT in the Authorization header
	KindTicket      Kind = "ticket"       // one-use ticket
	KindAPIKey      Kind = "api-key"      // a server
	KindSocketToken Kind = "socket-token" // the app's own HMAC token
)

// Identity is who somebody proved to be. It is immutable once it was returned and may be shared by all sessions of one
// user. It holds nothing that nobody asks for, such as the person's name: there is one for each connection.
type Identity struct {
	Kind     Kind
	Subject  string    // the user id; the name of the key for an API key
	Tenant   tenant.ID // tenant.Global: none (platform roles, API keys for all kitchens)
	Role     string    // userRole claim: SPPG_KEPALA, PLATFORM_SUPERADMIN …
	UserType string    // userType claim
	Platform bool      // may look into any tenant; each look is logged
	Server   bool      // may publish: API keys

	IssuedAt time.Time // what "issued before" of a revocation is compared with
	Expires  time.Time // when it ends; zero: never (API keys)
}

// MaySee reports whether i may follow channels of t. Global channels are everybody's.
func (i *Identity) MaySee(t tenant.ID) bool {
	return t == tenant.Global || i.Tenant == t || i.Platform || i.Server && i.Tenant == tenant.Global
}

// LogValue keeps names of people out of logs: the id says enough.
func (i *Identity) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(i.Kind)), slog.String("sub", i.Subject),
		slog.String("tenant", string(i.Tenant)), slog.String("role", i.Role))
}
