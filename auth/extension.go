package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"kentongan/tenant"
)

// Extension tells other nodes that somebody has renewed a credential, so that the sessions there live as long as the new one. It carries no
// right: a session keeps those that it has, and is left alone where they differ from those of the new credential.
type Extension struct {
	Subject  string
	Tenant   tenant.ID // Global: of no kitchen
	Role     string
	UserType string
	Platform bool
	IssuedAt time.Time
	Expires  time.Time
}

// ErrBadExtension says that what came as an extension cannot be one.
var ErrBadExtension = errors.New("bad extension")

const (
	maxExtensionBytes = 4 << 10

	// maxExtension bounds how far ahead a session may be extended: nobody's sessions last longer than a year.
	maxExtension = 366 * 24 * time.Hour
)

// ExtensionBy returns what other nodes are to be told about who; false if there is nothing: servers and credentials without an end are not
// extended.
func ExtensionBy(who *Identity) (Extension, bool) {
	if who.Server || who.Expires.IsZero() || who.Subject == "" {
		return Extension{}, false
	}
	return Extension{who.Subject, who.Tenant, who.Role, who.UserType, who.Platform, who.IssuedAt.Time(), who.Expires.Time()}, true
}

// Apply returns old with the life of e; nil if e is not for it, would change its rights, or would not make it longer.
func (e Extension) Apply(old *Identity) *Identity {
	same := old.Subject == e.Subject && old.Tenant == e.Tenant &&
		old.Role == e.Role && old.UserType == e.UserType && old.Platform == e.Platform
	if !same || old.Server || old.Expires.IsZero() || At(e.Expires) <= old.Expires {
		return nil
	}
	longer := *old
	longer.Expires = At(e.Expires)
	if issued := At(e.IssuedAt); issued > old.IssuedAt {
		longer.IssuedAt = issued
	}
	return &longer
}

// Identity is whose credential e speaks of, as far as revocations ask.
func (e Extension) Identity() *Identity {
	return &Identity{Kind: KindSession, Subject: e.Subject, Tenant: e.Tenant, IssuedAt: At(e.IssuedAt)}
}

// extensionJSON is an Extension on the wire.
type extensionJSON struct {
	Subject  string `json:"sub"`
	Tenant   string `json:"tenant"`
	Role     string `json:"role"`
	UserType string `json:"userType"`
	Platform bool   `json:"platform"`
	IssuedAt int64  `json:"issuedAt"` // ms; 0: not known
	Expires  int64  `json:"expires"`  // ms
}

// MarshalJSON writes what ParseExtension reads. Parts of milliseconds are cut off, so that an extension never gives more on the way.
func (e Extension) MarshalJSON() ([]byte, error) {
	wire := extensionJSON{e.Subject, string(e.Tenant), e.Role, e.UserType, e.Platform, 0, e.Expires.UnixMilli()}
	if !e.IssuedAt.IsZero() {
		wire.IssuedAt = e.IssuedAt.UnixMilli()
	}
	text, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("write extension: %w", err)
	}
	return text, nil
}

// ParseExtension reads what MarshalJSON writes. It returns ErrBadExtension for anything else, and for what ends in the past or too
// far ahead.
func ParseExtension(text []byte, now time.Time) (Extension, error) {
	if len(text) > maxExtensionBytes {
		return Extension{}, fmt.Errorf("%w: %d bytes, at most %d", ErrBadExtension, len(text), maxExtensionBytes)
	}
	var wire extensionJSON
	if err := json.Unmarshal(text, &wire, json.RejectUnknownMembers(true)); err != nil {
		return Extension{}, fmt.Errorf("%w: want sub, tenant, role, userType, platform, issuedAt and expires", ErrBadExtension)
	}
	e := Extension{
		Subject: wire.Subject, Tenant: tenant.ID(wire.Tenant), Role: wire.Role, UserType: wire.UserType, Platform: wire.Platform,
		Expires: time.UnixMilli(wire.Expires),
	}
	if wire.IssuedAt > 0 {
		e.IssuedAt = time.UnixMilli(wire.IssuedAt)
	}
	switch {
	case !validSubject(e.Subject):
		return Extension{}, fmt.Errorf("%w: sub is missing, longer than %d bytes, or has control characters",
			ErrBadExtension, maxSubjectBytes)
	case e.Tenant != tenant.Global && !tenant.Valid(e.Tenant):
		return Extension{}, fmt.Errorf("%w: %w", ErrBadExtension, tenant.ErrInvalid)
	case !e.Expires.After(now):
		return Extension{}, fmt.Errorf("%w: it has ended already", ErrBadExtension)
	case e.Expires.After(now.Add(maxExtension)):
		return Extension{}, fmt.Errorf("%w: it ends in more than %d days", ErrBadExtension, maxExtension/(24*time.Hour))
	case e.IssuedAt.After(now.Add(maxRevocationAhead)):
		return Extension{}, fmt.Errorf("%w: issuedAt is in the future", ErrBadExtension)
	}
	return e, nil
}
