package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// The two content encryptions that Auth.js writes and reads, and the sizes of their parts in bytes.
const (
	encCBC = "A256CBC-HS512"
	encGCM = "A256GCM"

	cbcKeyBytes, cbcIVBytes, cbcTagBytes = 64, aes.BlockSize, 32
	gcmKeyBytes, gcmIVBytes, gcmTagBytes = 32, 12, 16
)

var errNotOurs = errors.New("tag does not match")

// sessionKey opens what was sealed under one derived key. It is safe for concurrent use.
//
// It uses the primitives of the standard library and no JOSE library: opening a session is most of the cost of a
// connect, and here it is two allocations and one pass over the token for each key, with the key schedules made once.
type sessionKey interface {
	// open returns the plain text of s, or errNotOurs if s was not sealed under this key or was changed since. It may
	// overwrite s.ciphertext only when it succeeds.
	open(s *sealed) ([]byte, error)
}

// deriveV5 derives the key of Auth.js v5: the name of the cookie is the salt and stands in the info.
func deriveV5(secret, cookieName string, size int) ([]byte, error) {
	info := "Auth.js Generated Encryption Key (" + cookieName + ")"
	return derive(secret, cookieName, info, size)
}

// deriveV4 derives the key of NextAuth v4 session tokens, which have no salt.
func deriveV4(secret string) ([]byte, error) {
	return derive(secret, "", "NextAuth.js Generated Encryption Key", gcmKeyBytes)
}

func derive(secret, salt, info string, size int) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), []byte(salt), info, size)
	if err != nil {
		return nil, fmt.Errorf("derive session key: %w", err)
	}
	return key, nil
}

// thumbprint is the kid that Auth.js v5 writes: RFC 7638 over the derived key, hashed with SHA-512 for the long key and
// with SHA-256 for the short one.
func thumbprint(key []byte) string {
	text := []byte(`{"k":"` + base64.RawURLEncoding.EncodeToString(key) + `","kty":"oct"}`)
	if len(key) == cbcKeyBytes {
		sum := sha512.Sum512(text)
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// cbcKey is A256CBC-HS512 (RFC 7518 §5.2.5).
type cbcKey struct {
	block cipher.Block
	tools sync.Pool // of *cbcTools; a keyed HMAC costs two hash blocks to make and none to reset
}

// cbcTools are what one token at a time is opened with.
type cbcTools struct {
	hash  hash.Hash
	sum   [sha512.Size]byte
	bits  [8]byte
	chain cipher.BlockMode // nil: not made yet
}

func newCBCKey(key []byte) (*cbcKey, error) {
	if len(key) != cbcKeyBytes {
		return nil, fmt.Errorf("session key of %d bytes, want %d", len(key), cbcKeyBytes)
	}
	block, err := aes.NewCipher(key[32:])
	if err != nil {
		return nil, fmt.Errorf("make AES key: %w", err)
	}
	macKey := append([]byte(nil), key[:32]...)
	k := &cbcKey{block: block}
	k.tools.New = func() any { return &cbcTools{hash: hmac.New(sha512.New, macKey)} }
	return k, nil
}

func (k *cbcKey) open(s *sealed) ([]byte, error) {
	n := len(s.ciphertext)
	if len(s.iv) != cbcIVBytes || len(s.tag) != cbcTagBytes || n == 0 || n%aes.BlockSize != 0 {
		return nil, errNotOurs
	}
	t := k.tools.Get().(*cbcTools) //nolint:forcetypeassert,errcheck // New makes nothing else
	defer k.tools.Put(t)
	if subtle.ConstantTimeCompare(t.tag(s.aad, s.iv, s.ciphertext), s.tag) != 1 {
		return nil, errNotOurs
	}
	t.decrypt(k.block, s.iv, s.ciphertext)
	// The tag was right, so the padding is what the app wrote; the check is no oracle for anybody else.
	pad := int(s.ciphertext[n-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errNotOurs
	}
	for _, b := range s.ciphertext[n-pad:] {
		if int(b) != pad {
			return nil, errNotOurs
		}
	}
	return s.ciphertext[:n-pad], nil
}

// tag returns the tag; it is valid until t is used again.
func (t *cbcTools) tag(aad, iv, ciphertext []byte) []byte {
	binary.BigEndian.PutUint64(t.bits[:], uint64(len(aad))*8)
	t.hash.Reset()
	t.hash.Write(aad)
	t.hash.Write(iv)
	t.hash.Write(ciphertext)
	t.hash.Write(t.bits[:])
	return t.hash.Sum(t.sum[:0])[:cbcTagBytes]
}

// decrypt decrypts text in its place.
func (t *cbcTools) decrypt(block cipher.Block, iv, text []byte) {
	if again, ok := t.chain.(interface{ SetIV(iv []byte) }); ok { // those of the standard library can be used again, as crypto/tls does
		again.SetIV(iv)
	} else {
		t.chain = cipher.NewCBCDecrypter(block, iv)
	}
	t.chain.CryptBlocks(text, text)
}

// gcmKey is A256GCM.
type gcmKey struct{ aead cipher.AEAD }

func newGCMKey(key []byte) (*gcmKey, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make AES key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make GCM: %w", err)
	}
	return &gcmKey{aead}, nil
}

func (k *gcmKey) open(s *sealed) ([]byte, error) {
	if len(s.iv) != gcmIVBytes || len(s.tag) != gcmTagBytes {
		return nil, errNotOurs
	}
	// parseSealed laid the tag behind the ciphertext. The plain text goes elsewhere, for a failure wipes its target and
	// the next key needs the ciphertext as it was.
	n := len(s.ciphertext)
	plain, err := k.aead.Open(make([]byte, 0, n), s.iv, s.ciphertext[:n+gcmTagBytes], s.aad)
	if err != nil {
		return nil, errNotOurs
	}
	return plain, nil
}
