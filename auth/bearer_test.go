package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"
)

const jwtSecret = "a jwt secret of thirty-two bytes!"

func kepalaJWT() map[string]any {
	c := kepala()
	c["iat"], c["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	return c
}

// jws writes a compact JWS whose signature comes from sign.
func jws(t testing.TB, head map[string]any, claims any, sign func(input []byte) []byte) string {
	t.Helper()
	h, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := strict64.EncodeToString(h) + "." + strict64.EncodeToString(c)
	return input + "." + strict64.EncodeToString(sign([]byte(input)))
}

func signHS256(secret string) func([]byte) []byte {
	return func(input []byte) []byte {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write(input)
		return m.Sum(nil)
	}
}

func hs256(t testing.TB, secret string, claims any) string {
	t.Helper()
	return jws(t, map[string]any{"alg": "HS256", "typ": "JWT"}, claims, signHS256(secret))
}

const apiKeyText = "k-0123456789abcdef"
