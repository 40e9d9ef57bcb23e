package auth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
)

// Bounds of tokens. A session grows with its claims and comes in chunks of 3.9 KB; ten of them and more are legal.
const (
	maxSessionBytes = 64 << 10
	maxBearerBytes  = 16 << 10
	maxHeaderBytes  = 2 << 10 // of the first part, encoded; Auth.js writes 192
)

// strict64 refuses bits behind the end: otherwise the last character of a part could be changed without any effect.
var strict64 = base64.RawURLEncoding.Strict()

var (
	errBase64 = errors.New("not base64url")
	errHeader = errors.New("header is no JSON object of texts") // the decoder's own text may quote the token
)

// header holds the members of a JOSE header that decide anything here.
type header struct {
	alg, enc, kid, typ string
}

// readHeader parses a decoded JOSE header. It refuses duplicate members, and every member by which a token could bring its
// own key (jku, x5u, x5c, jwk), ask for an extension that we do not know (crit, b64) or for decompression (zip).
func readHeader(text []byte) (header, error) {
	var h header
	err := readObject(text, h.read)
	return h, err
}

func (h *header) read(d *decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return errHeader
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return errHeader
		}
		var into *string
		switch name.String() {
		case "alg":
			into = &h.alg
		case "enc":
			into = &h.enc
		case "kid":
			into = &h.kid
		case "typ":
			into = &h.typ
		case "jku", "x5u", "x5c", "jwk", "crit", "b64", "zip":
			return errors.New("header asks for what it may not")
		default:
			if err := d.SkipValue(); err != nil {
				return errHeader
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil || value.Kind() != '"' {
			return errHeader
		}
		*into = value.String()
	}
	if _, err := d.ReadToken(); err != nil {
		return errHeader
	}
	return nil
}

// sealed is a compact JWE, cut and decoded but not yet believed.
type sealed struct {
	header
	aad        []byte // the first part as it was sent
	iv         []byte
	ciphertext []byte // the tag lies behind it in the same memory, as AES-GCM wants it
	tag        []byte
}

// parseSealed cuts a compact JWE with direct encryption (alg dir, so the second part is empty). The caller has bounded
// the length of token. What it returns lies in the memory of into.
func parseSealed(token string, into *scratch) (sealed, error) {
	var s sealed
	var parts [5]string
	if !cut(token, parts[:]) || parts[1] != "" {
		return s, errors.New("not five parts with an empty second")
	}
	if len(parts[0]) > maxHeaderBytes {
		return s, errors.New("header is too long")
	}
	// One piece of memory for everything: the token as sent, then each decoded part.
	memory := append(slices.Grow(into.memory[:0], 2*len(token)), token...)
	defer func() { into.memory = memory }()
	s.aad = memory[:len(parts[0]):len(parts[0])]
	decoded := [4][]byte{}
	for i, from := 0, len(parts[0])+2; i < len(decoded); i++ {
		source := s.aad
		if i > 0 {
			source = memory[from:][:len(parts[i+1])]
			from += len(source) + 1
		}
		start := len(memory)
		var err error
		if memory, err = appendBase64(memory, source); err != nil {
			return s, err
		}
		decoded[i] = memory[start:]
	}
	s.iv, s.ciphertext, s.tag = decoded[1], decoded[2], decoded[3]
	var err error
	s.header, err = sealedHeaders.read(decoded[0])
	return s, err
}

// sealedHeaders remembers headers of sessions: all sessions that an app makes with one secret have the same.
var sealedHeaders = headerCache{known: map[string]header{}}

// maxKnownHeaders is more than an app has secrets and cookie names. Others may fill the cache with headers that they make
// up; then theirs are read quickly and ours as before.
const maxKnownHeaders = 64

// headerCache is readHeader with a memory. It is safe for concurrent use. It knows headers and nothing about keys, so it
// decides nothing about a token.
type headerCache struct {
	mu    sync.RWMutex
	known map[string]header
}

func (c *headerCache) read(text []byte) (header, error) {
	c.mu.RLock()
	h, ok := c.known[string(text)]
	c.mu.RUnlock()
	if ok {
		return h, nil
	}
	h, err := readHeader(text)
	if err != nil {
		return header{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) < maxKnownHeaders {
		c.known[string(text)] = h
	}
	return h, nil
}

// cut splits token at its dots into exactly len(into) parts. It looks no further than one dot too many.
func cut(token string, into []string) bool {
	for i := range len(into) - 1 {
		part, rest, ok := strings.Cut(token, ".")
		if !ok {
			return false
		}
		into[i], token = part, rest
	}
	into[len(into)-1] = token
	return strings.IndexByte(token, '.') < 0
}

// appendBase64 appends the bytes that the unpadded base64url text s stands for.
func appendBase64(dst, s []byte) ([]byte, error) {
	start := len(dst)
	dst, err := strict64.AppendDecode(dst, s)
	// The decoder skips line breaks, so that a text with some would be a second spelling of the same token.
	if err != nil || len(dst)-start != strict64.DecodedLen(len(s)) {
		return dst[:start], errBase64
	}
	return dst, nil
}
