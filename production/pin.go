package production

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"strconv"
	"strings"
)

// PINHash is what is stored of a PIN: "pbkdf2-sha256$rounds$salt$hash", the last two in base64. Empty: none is set.
//
// A PIN has so few values that whoever has the hashes finds it whatever the rounds. They are for somebody who sees the
// database for a moment; what keeps PINs from being tried out at a tablet is that Service counts wrong ones.
type PINHash string

// LogValue keeps hashes out of logs.
func (PINHash) LogValue() slog.Value { return slog.StringValue("…") }

const (
	pinRounds  = 50_000 // about 10 ms; a tablet waits for it at each check
	pinMinimum = 4
	pinMaximum = 12
)

// HashPIN returns the hash of 4 to 12 digits.
func HashPIN(digits string) (PINHash, error) {
	if len(digits) < pinMinimum || len(digits) > pinMaximum || strings.Trim(digits, "0123456789") != "" {
		return "", errors.New("want a PIN of 4 to 12 digits")
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	sum, err := pbkdf2.Key(sha256.New, digits, salt, pinRounds, sha256.Size)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return PINHash("pbkdf2-sha256$" + strconv.Itoa(pinRounds) + "$" + enc.EncodeToString(salt) + "$" + enc.EncodeToString(sum)), nil
}

// Matches reports whether h was made of digits. A hash that cannot be read matches nothing.
func (h PINHash) Matches(digits string) bool {
	parts := strings.Split(string(h), "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return false
	}
	rounds, err := strconv.Atoi(parts[1])
	if err != nil || rounds < 1 || rounds > 10*pinRounds {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[3])
	if err != nil || len(want) != sha256.Size {
		return false
	}
	sum, err := pbkdf2.Key(sha256.New, digits, salt, rounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(sum, want) == 1
}

type pinGuard struct{}

func newID() string { return "" }
