package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"kentongan/tenant"
)

// MinSecretBytes is the shortest session secret, socket token secret or API key that is accepted.
const MinSecretBytes = 16

// APIKey lets a server in: it may publish, and revoke sessions.
type APIKey struct {
	Name   string    // who holds it: for logs, and the Subject of the Identity
	Key    string    // at least MinSecretBytes long
	Tenant tenant.ID // the only kitchen that it may reach; Global: all
}

// String leaves the key out.
func (k APIKey) String() string { return fmt.Sprintf("%s@%s", k.Name, k.Tenant) }

// LogValue leaves the key out.
func (k APIKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParseAPIKey reads "name:key", or "name@tenant:key" for a key of one kitchen. Its errors do not hold the key.
func ParseAPIKey(s string) (APIKey, error) {
	name, key, ok := strings.Cut(s, ":")
	if !ok {
		return APIKey{}, errors.New("API key: want name:key or name@tenant:key")
	}
	k := APIKey{Name: name, Key: key}
	if holder, kitchen, bound := strings.Cut(name, "@"); bound {
		id, err := tenant.Parse(kitchen)
		if err != nil {
			return APIKey{}, fmt.Errorf("API key: %w", errors.Unwrap(err)) // err itself quotes, see check
		}
		k.Name, k.Tenant = holder, id
	}
	return k, k.check()
}

func (k APIKey) check() error {
	if !tenant.Valid(k.Name) { // the alphabet of tenant ids is as good for the names of servers
		// The text is not quoted: where the name was forgotten, a part of the key stands in its place.
		return fmt.Errorf("API key: name must be 1 to %d of A-Z a-z 0-9 _ -", tenant.MaxBytes)
	}
	if len(k.Key) < MinSecretBytes || strings.ContainsAny(k.Key, " \t\r\n,") || !plain(k.Key) {
		return fmt.Errorf("API key %q: key must be at least %d bytes without spaces and commas", k.Name, MinSecretBytes)
	}
	if k.Tenant != tenant.Global && !tenant.Valid(k.Tenant) {
		return fmt.Errorf("API key %q: %w", k.Name, tenant.ErrInvalid)
	}
	return nil
}

// apiKeys are the keys of servers, as hashes. They do not change after newAPIKeys.
type apiKeys []apiKey

type apiKey struct {
	hash [sha256.Size]byte
	id   *Identity
}

func newAPIKeys(list []APIKey) (apiKeys, error) {
	var keys apiKeys
	names := map[string]bool{}
	for _, k := range list {
		if err := k.check(); err != nil {
			return nil, err
		}
		if names[k.Name] {
			return nil, fmt.Errorf("API key %q: the name is there twice", k.Name)
		}
		names[k.Name] = true
		if keys.find(k.Key) != nil {
			return nil, fmt.Errorf("API key %q: another name has the same key", k.Name)
		}
		id := &Identity{Kind: KindAPIKey, Subject: k.Name, Tenant: k.Tenant, Server: true}
		keys = append(keys, apiKey{sha256.Sum256([]byte(k.Key)), id})
	}
	return keys, nil
}

// find returns the Identity of the key, or nil. Its time depends on the length of key only: all hashes are compared, in
// constant time, and a hash tells nothing about how much of a guess was right.
func (ks apiKeys) find(key string) *Identity {
	if len(ks) == 0 {
		return nil
	}
	hash := sha256.Sum256([]byte(key))
	found := -1
	for i := range ks {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(ks[i].hash[:], hash[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return ks[found].id
}

// APIKey returns the Identity of the server that holds key, or ErrBadCredential. It is for doors that do not speak HTTP. from is who
// brings it; too many wrong ones from there are ErrTooManyGuesses. One that is not valid is not counted, see [Options.Client].
func (a *Authenticator) APIKey(from netip.Addr, key string) (*Identity, error) {
	if from.IsValid() && inside(from) {
		from = netip.Addr{}
	}
	return a.guarded(from, func() (*Identity, error) {
		if len(key) <= maxBearerBytes {
			if id := a.keys.find(key); id != nil {
				return id, nil
			}
		}
		return nil, fmt.Errorf("no such API key: %w", ErrBadCredential)
	})
}
