package config

import (
	"errors"
	"fmt"
	"strings"

	"kentongan/tenant"
)

// minSecretBytes is the shortest secret that is accepted: below 16 bytes (128 bits at the very best) it can be guessed.
const minSecretBytes = 16

// minHMACBytes is the shortest key for HS256: RFC 7518, section 3.2, wants one as long as the hash.
const minHMACBytes = 32

// wellKnown are secrets that stand in public code as a fallback. Whoever reads that code could sign in as anybody.
var wellKnown = map[string]bool{
	"default-secret": true, "your-secret-key": true, "your-nextauth-secret": true, "your-secret-here": true,
	"change-me-in-production": true,
	"supersecretsupersecret":  true, "your-super-secret-key": true,
}

// checkSecret refuses what everybody can guess. The text is taken verbatim: no byte of it is cut off.
func checkSecret(s string, least int) error {
	switch {
	case wellKnown[strings.ToLower(strings.TrimSpace(s))]:
		return errors.New("is a well-known placeholder that everybody can guess; make one with: openssl rand -base64 32")
	case len(s) < least:
		return fmt.Errorf("has %d bytes and needs at least %d; make one with: openssl rand -base64 32", len(s), least)
	}
	return nil
}

// secret is one text that must not be seen.
type secret struct {
	at    func(*draft) *Secret
	least int // bytes
}

func (k secret) takes() string { return fmt.Sprintf("secret, at least %d bytes", k.least) }
func (secret) masked()         {}

func (k secret) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	if err := checkSecret(s, k.least); err != nil {
		return err
	}
	*k.at(d) = Secret(s)
	return nil
}

func (k secret) show(d *draft) []string {
	if *k.at(d) == "" {
		return nil
	}
	return []string{k.at(d).String()}
}

// sessionSecrets is a list of secrets, one in each variable.
type sessionSecrets struct{}

func (sessionSecrets) takes() string {
	return fmt.Sprintf("secrets, one in each variable, at least %d bytes, verbatim", minSecretBytes)
}
func (sessionSecrets) masked()       {}
func (sessionSecrets) eachVariable() {}

func (sessionSecrets) set(d *draft, items []string) error {
	list := make([]Secret, 0, len(items))
	var wrong many
	for _, s := range items {
		if err := checkSecret(s, minSecretBytes); err != nil {
			wrong = append(wrong, err)
			continue
		}
		list = append(list, Secret(s))
	}
	if len(wrong) > 0 {
		return wrong
	}
	d.Auth.SessionSecrets = list
	return nil
}

func (sessionSecrets) show(d *draft) []string {
	var lines []string
	for _, s := range d.Auth.SessionSecrets {
		lines = append(lines, s.String())
	}
	return lines
}

// apiKeys is a list of name:key and name@tenant:key.
type apiKeys struct{}

func (apiKeys) takes() string {
	return fmt.Sprintf("list of `name:key` or `name@tenant:key`, keys of at least %d bytes, names unique", minSecretBytes)
}
func (apiKeys) masked()                 {}
func (apiKeys) split(s string) []string { return splitList(s) }

// set repeats nothing of an entry in its errors, not even the name: who writes key:name has put the key there.
func (apiKeys) set(d *draft, items []string) error {
	var wrong many
	var keys []APIKey
	names, values := map[string]int{}, map[Secret]int{}
	for i, item := range items {
		k, err := parseAPIKey(item)
		if err == nil {
			if first, ok := names[k.Name]; ok {
				err = fmt.Errorf("has the same name as entry %d; names must be unique, for they stand in the log", first)
			} else if first, ok := values[k.Key]; ok {
				err = fmt.Errorf("has the same key as entry %d; give each server its own", first)
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("entry %d %w", i+1, err))
			continue
		}
		names[k.Name], values[k.Key] = i+1, i+1
		keys = append(keys, k)
	}
	if len(wrong) > 0 {
		return wrong
	}
	d.Auth.APIKeys = keys
	return nil
}

func (apiKeys) show(d *draft) []string {
	var lines []string
	for _, k := range d.Auth.APIKeys {
		who := k.Name
		if k.Tenant != tenant.Global {
			who += "@" + string(k.Tenant)
		}
		lines = append(lines, who+": "+k.Key.String())
	}
	return lines
}

// parseAPIKey reads one entry. The name ends at the first colon, so a key may hold colons.
func parseAPIKey(item string) (APIKey, error) {
	who, key, ok := strings.Cut(item, ":")
	if !ok {
		return APIKey{}, errors.New("has no colon; write name:key or name@tenant:key")
	}
	name, kitchen, bound := strings.Cut(who, "@")
	k := APIKey{Name: name, Key: Secret(key)}
	if !tenant.Valid(name) { // the alphabet of tenant ids is as good for the names of servers
		return APIKey{}, errors.New("has a bad name; write 1 to 64 of A-Z a-z 0-9 _ - before the colon")
	}
	if bound {
		if !tenant.Valid(kitchen) {
			return APIKey{}, errors.New("has a bad tenant after the @; a tenant id is 1 to 64 of A-Z a-z 0-9 _ -")
		}
		k.Tenant = tenant.ID(kitchen)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return APIKey{}, errors.New("has a key that cannot go into an HTTP header; use visible ASCII characters")
	}
	if err := checkSecret(key, minSecretBytes); err != nil {
		return APIKey{}, fmt.Errorf("has a bad key: it %w", err)
	}
	return k, nil
}
