package auth

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ClaimPaths says where in a token the four claims stand that make an Identity. A path is the name of a claim at the top
// level, also one with dots in it ("https://example.com/sppg"), or steps into objects joined by dots ("user.sppgId");
// where a token has both, the name at the top level wins.
type ClaimPaths struct {
	Subject  string // zero: sub
	Tenant   string // zero: sppgId
	Role     string // zero: userRole
	UserType string // zero: userType
}

// Bounds of claims in bytes: what is longer is no id and no role.
const (
	maxSubjectBytes = 256
	maxRoleBytes    = 64
	maxAudiences    = 64
)

// slot names one claim that is looked for. The four configured ones have a second slot for their dotted reading.
type slot int

const (
	slotExpires slot = iota
	slotIssued
	slotNotBefore
	slotIssuer
	slotAudience
	slotSubject
	slotTenant
	slotRole
	slotUserType
	slotDotted // slotDotted + slotSubject … is the reading of slotSubject as steps
	slots      = slotDotted + slotDotted
)

// claimTree finds all wanted claims in one walk over the token.
type claimTree struct {
	slots []slot
	next  map[string]*claimTree
}

func newClaimTree(p ClaimPaths) (*claimTree, error) {
	root := &claimTree{next: map[string]*claimTree{}}
	for name, s := range map[string]slot{"exp": slotExpires, "iat": slotIssued, "nbf": slotNotBefore, "iss": slotIssuer,
		"aud": slotAudience} {
		root.add([]string{name}, s)
	}
	for _, c := range []struct {
		path, standard string
		slot           slot
	}{
		{p.Subject, "sub", slotSubject},
		{p.Tenant, "sppgId", slotTenant},
		{p.Role, "userRole", slotRole},
		{p.UserType, "userType", slotUserType},
	} {
		path := c.path
		if path == "" {
			path = c.standard
		}
		if len(path) > 256 || !utf8.ValidString(path) {
			return nil, fmt.Errorf("claim path of %d bytes: want at most 256 bytes of UTF-8", len(path))
		}
		root.add([]string{path}, c.slot)
		if strings.Contains(path, ".") {
			root.add(strings.Split(path, "."), slotDotted+c.slot)
		}
	}
	return root, nil
}

func (t *claimTree) add(steps []string, s slot) {
	for _, step := range steps {
		if t.next == nil {
			t.next = map[string]*claimTree{}
		}
		n := t.next[step]
		if n == nil {
			n = &claimTree{}
			t.next[step] = n
		}
		t = n
	}
	t.slots = append(t.slots, s)
}

// claim is one claim as the token has it. Kind is that of JSON, 0 if the claim is missing or null.
type claim struct {
	kind jsontext.Kind
	text []byte   // of strings and numbers; it may lie in the memory of the token
	list []string // the strings of an array
}

// claims are the wanted claims of one token.
type claims [slots]claim

var errClaims = errors.New("claims are no JSON object")

// read walks over the claims and puts them into c, which is empty. It refuses what is not one JSON object in UTF-8 without duplicate names,
// at any depth.
func (t *claimTree) read(text []byte, c *claims) error {
	if err := readObject(text, func(d *decoder) error { return t.walk(d, c) }); err != nil {
		return errClaims // the decoder's own text may quote the token
	}
	return nil
}

// walk reads the object that comes next. It descends only along wanted paths, so hostile depth costs no stack.
func (t *claimTree) walk(d *decoder, c *claims) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		n := t.child(name)
		switch kind := d.PeekKind(); {
		case n == nil:
			err = d.SkipValue()
		case kind == '{' && n.next != nil:
			err = n.walk(d, c)
		default:
			var v claim
			if v, err = readClaim(d); err == nil {
				for _, s := range n.slots {
					c[s] = v
				}
			}
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// child returns the node for a quoted name, or nil.
func (t *claimTree) child(quoted []byte) *claimTree {
	name, err := unquoted(quoted)
	if err != nil {
		return nil
	}
	return t.next[string(name)]
}

// unquoted returns what a quoted text stands for; a part of it, if nothing is escaped.
func unquoted(quoted []byte) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	return jsontext.AppendUnquote(nil, quoted) //nolint:wrapcheck // read drops it
}

func readClaim(d *decoder) (claim, error) {
	switch kind := d.PeekKind(); kind {
	case '"', '0':
		value, err := d.readKept()
		if err == nil && kind == '"' {
			value, err = unquoted(value)
		}
		return claim{kind: kind, text: value}, err
	case '[':
		c := claim{kind: kind}
		if _, err := d.ReadToken(); err != nil {
			return claim{}, err
		}
		for d.PeekKind() != ']' {
			if d.PeekKind() == '"' && len(c.list) < maxAudiences {
				t, err := d.ReadToken()
				if err != nil {
					return claim{}, err
				}
				c.list = append(c.list, t.String())
			} else if err := d.SkipValue(); err != nil {
				return claim{}, err
			}
		}
		_, err := d.ReadToken()
		return c, err
	case 'n':
		return claim{}, d.SkipValue()
	default:
		return claim{kind: kind}, d.SkipValue()
	}
}

// wanted returns the claim of a configured path: the name at the top level, else the steps.
func (c *claims) wanted(s slot) claim {
	if c[s].kind != 0 {
		return c[s]
	}
	return c[slotDotted+s]
}

// id returns a claim that may be a string or a whole number, which some databases use for ids.
func (c claim) id() ([]byte, bool) {
	switch c.kind {
	case '"':
		return c.text, true
	case '0':
		if _, err := strconv.ParseUint(string(c.text), 10, 64); err == nil {
			return c.text, true
		}
	}
	return nil, false
}

// when returns a time claim (seconds since 1970, fractions allowed). found is false if the token does not have it, and
// the error is set if it has something else there.
func (c claim) when() (at time.Time, found bool, err error) {
	if c.kind == 0 {
		return time.Time{}, false, nil
	}
	const year9999 = 253402300799
	s, err := strconv.ParseFloat(string(c.text), 64)
	if c.kind != '0' || err != nil || !(s >= 0 && s <= year9999) {
		return time.Time{}, true, errors.New("time claim is no number of seconds since 1970")
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9)), true, nil
}

// plain reports whether s can stand in a log line, a header or a terminal as it is.
func plain(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// shorten cuts a text at a rune and drops control characters: it is shown, not compared.
func shorten(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
