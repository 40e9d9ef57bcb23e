package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// secretPrefix stands before secrets as other tools of Standard Webhooks make them; the rest is base64.
const secretPrefix = "whsec_"

// minSecretBytes is what the standard asks for.
const minSecretBytes = 24

// ParseSecret returns the key of a secret: "whsec_" and base64, or any other text as it is. It has at least 24 bytes.
func ParseSecret(secret string) ([]byte, error) {
	key := []byte(secret)
	if text, ok := strings.CutPrefix(secret, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("what follows whsec_ must be base64")
		}
	}
	if len(key) < minSecretBytes {
		return nil, errors.New("must have at least 24 bytes")
	}
	return key, nil
}

// Sign returns the value of webhook-signature.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
