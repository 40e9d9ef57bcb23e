package auth

import (
	"fmt"
	"slices"
	"time"
	"unique"

	"kentongan/tenant"
)

// identify makes an Identity of verified claims and checks all that does not depend on how they were verified: the
// times, the shape of the ids, the tenant, revocations.
func (a *Authenticator) identify(kind Kind, c *claims) (*Identity, error) {
	id, err := a.person(kind, c)
	if err != nil {
		return nil, err
	}
	now := a.now()
	if err := id.setTimes(c, now); err != nil {
		return nil, err
	}
	if t := c.wanted(slotTenant); t.kind != 0 {
		if _, ok := t.id(); !ok || !tenant.Valid(string(id.Tenant)) {
			// Also for platform roles: an id that we cannot keep apart from others is not the same as none.
			return nil, fmt.Errorf("tenant claim is no tenant id: %w", ErrNoTenant)
		}
	}
	if a.revocations.Revoked(id) {
		return nil, ErrRevoked
	}
	if id.Tenant == tenant.Global && !id.Platform {
		return nil, ErrNoTenant
	}
	return id, nil
}

// person reads the claims that say who it is, and where; the tenant is still to be checked. The two texts that are each person's own share
// one piece of memory, beside which nothing of the token is kept.
func (a *Authenticator) person(kind Kind, c *claims) (*Identity, error) {
	id := &Identity{Kind: kind}
	subject, ok := c.wanted(slotSubject).id()
	kitchen, _ := c.wanted(slotTenant).id()
	var memory [2 * usualID]byte
	both := string(append(append(memory[:0], subject...), kitchen...))
	id.Subject, id.Tenant = both[:len(subject)], tenant.ID(both[len(subject):])
	if !ok || !validSubject(id.Subject) {
		return nil, fmt.Errorf("subject claim is missing or no id: %w", ErrBadCredential)
	}
	for _, f := range []struct {
		into *string
		slot slot
	}{{&id.Role, slotRole}, {&id.UserType, slotUserType}} {
		v := c.wanted(f.slot)
		if v.kind != '"' {
			continue // no role: the least rights
		}
		if len(v.text) > maxRoleBytes || !plain(string(v.text)) {
			return nil, fmt.Errorf("role or user type claim is no name: %w", ErrBadCredential)
		}
		*f.into = unique.Make(string(v.text)).Value() // an app has a dozen of them
	}
	id.Platform = slices.Contains(a.platformRoles, id.Role)
	return id, nil
}

// setTimes checks exp, nbf and iat against now. A session's iat may lie in the future as far as Auth.js is concerned,
// so that an app whose clock is ahead goes on working; a bearer token's may not.
func (i *Identity) setTimes(c *claims, now time.Time) error {
	expires, found, err := c[slotExpires].when()
	if err != nil || !found {
		return fmt.Errorf("claim exp is missing or no time: %w", ErrBadCredential)
	}
	issued, _, err := c[slotIssued].when()
	if err != nil {
		return fmt.Errorf("claim iat is no time: %w", ErrBadCredential)
	}
	notBefore, found, err := c[slotNotBefore].when()
	if err != nil {
		return fmt.Errorf("claim nbf is no time: %w", ErrBadCredential)
	}
	if found && notBefore.After(now.Add(tolerance)) {
		return fmt.Errorf("claim nbf is in the future: %w", ErrBadCredential)
	}
	if i.Kind == KindBearer && issued.After(now.Add(tolerance)) {
		return fmt.Errorf("claim iat is in the future: %w", ErrBadCredential)
	}
	i.IssuedAt, i.Expires = At(issued), At(expires.Add(tolerance))
	if !now.Before(i.Expires.Time()) {
		return ErrExpired
	}
	return nil
}

// usualID is the length of a usual id: a UUID in text, or less. Longer ones cost an allocation.
const usualID = 36

// validSubject reports whether s can be a user's id.
func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubjectBytes && plain(s)
}
