package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"kentongan/tenant"
)

// maxSocketTokenBytes is many times the length of an honest one.
const maxSocketTokenBytes = 2 << 10

// socketClaims is what the app puts into its socket token; times in milliseconds.
type socketClaims struct {
	UserID    string `json:"userId"`
	Tenant    string `json:"sppgId"`
	Timestamp int64  `json:"timestamp"`
	Expires   int64  `json:"expires"`
}

// fromSocketToken reads the app's own token: the base64 of a JSON text, a dot, and the HMAC-SHA-256 of that base64 in hex.
// It names no role, so its holder has none. It stands in the address of the socket; nothing of ours writes addresses to a
// log, but a proxy in front may, which is why the token is off by default.
func (a *Authenticator) fromSocketToken(token string) (*Identity, error) {
	if len(token) > maxSocketTokenBytes {
		return nil, fmt.Errorf("socket token of %d bytes: %w", len(token), ErrBadCredential)
	}
	// A plus that was not escaped in the address has become a space; base64 has none.
	body, mac, ok := strings.Cut(strings.ReplaceAll(token, " ", "+"), ".")
	if !ok || mac != strings.ToLower(mac) {
		return nil, fmt.Errorf("socket token: not two parts: %w", ErrBadCredential)
	}
	sum, err := hex.DecodeString(mac)
	h := hmac.New(sha256.New, a.socketKey)
	h.Write([]byte(body))
	if err != nil || !hmac.Equal(sum, h.Sum(nil)) {
		return nil, fmt.Errorf("socket token: signature does not match: %w", ErrBadCredential)
	}
	text, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("socket token: not base64: %w", ErrBadCredential)
	}
	var c socketClaims
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("socket token: not its JSON: %w", ErrBadCredential)
	}
	if !validSubject(c.UserID) || c.Expires <= 0 || c.Timestamp <= 0 {
		return nil, fmt.Errorf("socket token: user or times are missing: %w", ErrBadCredential)
	}
	id := &Identity{Kind: KindSocketToken, Subject: c.UserID, Tenant: tenant.ID(c.Tenant),
		IssuedAt: Instant(c.Timestamp), Expires: Instant(c.Expires)}
	switch {
	case id.IssuedAt > At(a.now().Add(tolerance)):
		return nil, fmt.Errorf("socket token: made in the future: %w", ErrBadCredential)
	case !a.now().Before(id.Expires.Time()):
		return nil, ErrExpired
	case !tenant.Valid(c.Tenant):
		return nil, fmt.Errorf("socket token: %w", ErrNoTenant)
	case a.revocations.Revoked(id):
		return nil, ErrRevoked
	}
	return id, nil
}
