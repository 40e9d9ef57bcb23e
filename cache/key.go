package cache

import (
	"strings"
	"unicode/utf8"

	"kentongan/tenant"
)

// MaxKeyBytes is the longest key: a thousandth of what Redis takes, and ten times what the app uses.
const MaxKeyBytes = 1024

// name is a key of one tenant. In Redis it is one string, and here it stays in parts: so a lookup builds nothing, and no spelling of a
// key reaches into another tenant.
type name struct {
	tenant tenant.ID // tenant.Global: of no kitchen
	key    string
	own    bool // in the namespace that only Go writes
}

// The app's names, and beside them ours. The app leaves "bergizi:" away before a global tag, and so do we.
const (
	tenantEntries = "bergizi:cache:"
	globalEntries = "cache:global:"
	tenantTags    = "bergizi:tag:"
	globalTags    = "tag:global:"
	tenantEpochs  = "bergizi:epoch:"
	globalEpochs  = "epoch:global"
	ownEntries    = "kentongan:cache:own:"
)

// Prefixes are what the names of all entries and epochs begin with. No name begins with two of them.
func prefixes() []string {
	return []string{tenantEntries, globalEntries, tenantEpochs, globalEpochs, ownEntries}
}

// redis returns the name in Redis.
func (n name) redis() string {
	switch {
	case n.own:
		return ownEntries + string(n.tenant) + ":" + n.key
	case n.tenant == tenant.Global:
		return globalEntries + n.key
	}
	return tenantEntries + string(n.tenant) + ":" + n.key
}

// parseName is the opposite of name.redis. It does not allocate.
func parseName(s string) (name, bool) {
	if rest, ok := strings.CutPrefix(s, globalEntries); ok {
		return name{key: rest}, rest != ""
	}
	rest, own := strings.CutPrefix(s, ownEntries)
	if !own {
		var ok bool
		if rest, ok = strings.CutPrefix(s, tenantEntries); !ok {
			return name{}, false
		}
	}
	id, key, ok := strings.Cut(rest, ":")
	if !ok || key == "" || !tenant.Valid(id) && (id != "" || !own) {
		return name{}, false
	}
	return name{tenant.ID(id), key, own}, true
}

// tagSet returns the name in Redis of the set that lists the entries with a tag.
func tagSet(t tenant.ID, tag string) string {
	if t == tenant.Global {
		return globalTags + tag
	}
	return tenantTags + string(t) + ":" + tag
}

// epochsOf returns the name in Redis of the epochs of a tenant.
func epochsOf(t tenant.ID) string {
	if t == tenant.Global {
		return globalEpochs
	}
	return tenantEpochs + string(t)
}

// parseEpochs is the opposite of epochsOf.
func parseEpochs(s string) (tenant.ID, bool) {
	if s == globalEpochs {
		return tenant.Global, true
	}
	id, ok := strings.CutPrefix(s, tenantEpochs)
	return tenant.ID(id), ok && tenant.Valid(id)
}

// checkName refuses what could not be told apart in Redis. The app joins the parts of a key with colons and escapes nothing, so
// a tenant with a colon would be another tenant with a longer key.
func checkName(n name) error {
	if n.tenant != tenant.Global && !tenant.Valid(n.tenant) {
		return invalid("tenant %q has other characters than A-Z a-z 0-9 _ -, or more than %d", clip(string(n.tenant)), tenant.MaxBytes)
	}
	switch {
	case n.key == "":
		return invalid("key is empty; write the name of what is kept")
	case len(n.key) > MaxKeyBytes:
		return invalid("key has %d bytes; %d are the most", len(n.key), MaxKeyBytes)
	case n.key[0] == ':' || n.key[len(n.key)-1] == ':' || strings.Contains(n.key, "::"):
		return invalid("key %q has an empty part; the app drops those, so that two keys would be one", clip(n.key))
	case !utf8.ValidString(n.key):
		return invalid("key is no UTF-8")
	}
	return nil
}

// checkTag refuses tags that cannot stand in an epoch table or in the name of a tag set.
func checkTag(tag string) error {
	switch {
	case tag == "":
		return invalid("tag is empty")
	case len(tag) > 256:
		return invalid("tag has %d bytes; 256 are the most", len(tag))
	case tag[0] == star || tag[0] == '@':
		return invalid("tag %q begins with %c, which is kept for the cache itself", clip(tag), tag[0])
	case !utf8.ValidString(tag):
		return invalid("tag is no UTF-8")
	}
	return nil
}

// clip keeps long input out of errors.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// Kind says what the names with a prefix are.
type Kind struct {
	Prefix, What string
	tags         bool // sets of tags
}

// Names returns what the names of the cache in Redis begin with, for whoever counts them.
func Names() []Kind {
	return []Kind{
		{tenantEntries, "entries of kitchens", false}, {globalEntries, "entries of all kitchens", false},
		{ownEntries, "entries of our own", false},
		{tenantTags, "tag sets of kitchens", true}, {globalTags, "tag sets of all kitchens", true},
		{tenantEpochs, "epochs of kitchens", false}, {globalEpochs, "epochs of all kitchens", false},
	}
}

// NamesOf is Names of one kitchen.
func NamesOf(t tenant.ID) []Kind {
	entries, own := name{tenant: t}, name{tenant: t, own: true}
	return []Kind{
		{entries.redis(), "entries", false}, {own.redis(), "entries of our own", false}, {tagSet(t, ""), "tag sets", true},
	}
}
