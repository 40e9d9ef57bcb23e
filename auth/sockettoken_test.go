package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

const socketSecret = "the secret of the app's sockets"

// socketToken makes a token as the app does.
func socketToken(secret, text string) string {
	body := base64.StdEncoding.EncodeToString([]byte(text))
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return body + "." + hex.EncodeToString(m.Sum(nil))
}

func TestSocketToken(t *testing.T) {
	now := time.Now().UnixMilli()
	hour := int64(time.Hour / time.Millisecond)
	text := func(user, kitchen string, from, to int64) string {
		return fmt.Sprintf(`{"userId":%q,"sppgId":%q,"timestamp":%d,"expires":%d}`, user, kitchen, from, to)
	}
	good := socketToken(socketSecret, text("usr_1", "sppg_7", now, now+24*hour))
	for _, c := range []struct {
		name, token string
		want        error
	}{
		{"Good", good, nil},
		{"MoreMembers", socketToken(socketSecret, strings.Replace(text("u", "s", now, now+hour), "{", `{"role":"x",`, 1)), nil},
		{"Expired", socketToken(socketSecret, text("usr_1", "sppg_7", now-2*hour, now-hour)), ErrExpired},
		{"FromTheFuture", socketToken(socketSecret, text("usr_1", "sppg_7", now+hour, now+2*hour)), ErrBadCredential},
		{"OtherSecret", socketToken("default-secret", text("usr_1", "sppg_7", now, now+hour)), ErrBadCredential},
		{"NoTenant", socketToken(socketSecret, text("usr_1", "", now, now+hour)), ErrNoTenant},
		{"BadTenant", socketToken(socketSecret, text("usr_1", "a:b", now, now+hour)), ErrNoTenant},
		{"NoUser", socketToken(socketSecret, text("", "sppg_7", now, now+hour)), ErrBadCredential},
		{"NoTimes", socketToken(socketSecret, `{"userId":"u","sppgId":"s"}`), ErrBadCredential},
		{"NotJSON", socketToken(socketSecret, `{`), ErrBadCredential},
		{"DuplicateMember", socketToken(socketSecret, strings.Replace(text("u", "s", now, now+hour), "{", `{"sppgId":"x",`, 1)), ErrBadCredential},
		{"UpperCaseMAC", good[:len(good)-64] + strings.ToUpper(good[len(good)-64:]), ErrBadCredential},
		{"CutMAC", good[:len(good)-2], ErrBadCredential},
		{"NoMAC", good[:len(good)-64], ErrBadCredential},
		{"NoDot", "abc", ErrBadCredential},
		{"TooLong", strings.Repeat("A", maxSocketTokenBytes+1), ErrBadCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuth(t, Options{SocketTokenSecret: socketSecret})
			id, err := a.Authenticate(t.Context(), get("/api/ws?token="+url.QueryEscape(c.token)))
			if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
				t.Fatalf("%v, %v; want %v", id, err, c.want)
			}
			if err == nil && (id.Kind != KindSocketToken || id.Role != "" || id.Platform || id.Server) {
				t.Fatalf("identity %+v", id)
			}
		})
	}
	a := newAuth(t, Options{SocketTokenSecret: socketSecret})
	plus := socketToken(socketSecret, text("usr_1", "s", now, now+hour)+"   >>>") // base64 with a plus sign
	if _, err := a.Authenticate(t.Context(), get("/?token="+plus)); !errors.Is(err, ErrBadCredential) {
		t.Errorf("text behind the JSON: %v, want ErrBadCredential", err)
	}
	unescaped := socketToken(socketSecret, text("~~~>", "s", now, now+hour))
	for i := 0; !strings.Contains(unescaped, "+"); i++ {
		unescaped = socketToken(socketSecret, text(strings.Repeat("~", i)+">>>", "s", now, now+hour))
	}
	if _, err := a.Authenticate(t.Context(), get("/?token="+unescaped)); err != nil {
		t.Errorf("plus sign that was not escaped: %v", err)
	}
	if err := a.Revocations().Add(Revocation{Tenant: "sppg_7", IssuedBefore: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), get("/?token="+url.QueryEscape(good))); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked: %v, want ErrRevoked", err)
	}
}
