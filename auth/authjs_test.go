package auth

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
)

// order asks the real encoder for one session. Size is that of an extra claim.
type order struct {
	Version string `json:"version"`
	Name    string `json:"name"`
	Secret  any    `json:"secret"` // a list only for v5, whose first encrypts
	Size    int    `json:"size"`
}

type madeCookie struct{ Name, Value string }

// toRead asks the real decoder for the claims of a token.
type toRead struct {
	Token  string `json:"token"`
	Name   string `json:"name"`
	Secret any    `json:"secret"`
}

type authjsAnswer struct {
	Cookies  [][]madeCookie   `json:"cookies"`
	Read     []map[string]any `json:"read"`
	Versions []string         `json:"versions"`
}

// authjs runs @auth/core and next-auth from npm.
func authjs(t *testing.T, orders []order, read []toRead) authjsAnswer {
	t.Helper()
	job, err := json.Marshal(map[string]any{"make": append([]order{}, orders...), "read": append([]toRead{}, read...)})
	if err != nil {
		t.Fatal(err)
	}
	var a authjsAnswer
	if err := json.Unmarshal(testenv.Node(t, filepath.Join("testdata", "sessions.mjs"), string(job)), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Versions) != 2 || !strings.HasPrefix(a.Versions[0], "0.41.") || !strings.HasPrefix(a.Versions[1], "4.") {
		t.Fatalf("versions of @auth/core and next-auth are %v, want 0.41 and 4", a.Versions)
	}
	return a
}

// cookieHeader is what a browser sends for made, in any order and among the app's other cookies.
func cookieHeader(made []madeCookie, others ...string) string {
	pairs := append([]string{"theme=dark", "authjs.csrf-token=abc%7Cdef", "authjs.session-tokenx=neighbour"}, others...)
	for _, c := range made {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	rand.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return "Cookie: " + strings.Join(pairs, "; ")
}

func TestRealEncoders(t *testing.T) {
	const customName, oldSecret = "bergizi.session", "the secret before this one, 32 bytes"
	var orders []order
	for _, name := range append(slices.Clone(usualCookies), customName) {
		for _, version := range []string{"v4", "v5"} {
			for _, secret := range []string{testSecret, oldSecret} {
				for _, size := range []int{0, 5_000, 30_000} { // one piece, 2 chunks, 11 chunks
					orders = append(orders, order{version, name, secret, size})
				}
			}
		}
	}
	a := newAuth(t, Options{SessionSecrets: []string{testSecret, oldSecret}, SessionCookie: customName})
	answer := authjs(t, orders, nil)
	for i, o := range orders {
		made := answer.Cookies[i]
		t.Run(fmt.Sprintf("%s/%s/%d/%d", o.Version, o.Name, o.Size, i%6/3), func(t *testing.T) {
			if want := map[int]int{0: 1, 5_000: 2, 30_000: 11}[o.Size]; len(made) != want {
				t.Fatalf("%d cookies, want %d", len(made), want)
			}
			id, err := a.Authenticate(t.Context(), get("/api/ws", cookieHeader(made)))
			if err != nil {
				t.Fatal(err)
			}
			life := id.Expires.Time().Sub(id.IssuedAt.Time()) - tolerance
			if id.Subject != "usr_1" || id.Tenant != "sppg_7" || id.Role != "SPPG_KEPALA" || life != 8*time.Hour {
				t.Fatalf("identity %+v with life %v", id, life)
			}
		})
	}
}

func TestLeftoverCookies(t *testing.T) {
	const name = SessionCookie
	orders := []order{{"v5", name, testSecret, 0}, {"v5", name, testSecret, 5_000}, {"v5", name, testSecret, 30_000}, {"v4", name, testSecret, 5_000},
		{"v5", name, "an old secret of 32 bytes ......", 0}, {"v5", name, "an old secret of 32 bytes ......", 30_000}}
	made := authjs(t, orders, nil).Cookies
	whole, two, many, twoV4, deadWhole, deadMany := made[0], made[1], made[2], made[3], made[4], made[5]
	a := newAuth(t, Options{})
	for _, c := range []struct {
		name    string
		cookies []madeCookie
		others  []string
		good    bool
	}{
		{name: "PlainBesideNewChunks", cookies: slices.Concat(two, deadWhole), good: true},
		{name: "ChunksBesideNewPlain", cookies: slices.Concat(whole, deadMany), good: true},
		{name: "EndOfALongerSession", cookies: slices.Concat(two, deadMany[2:]), good: true},
		{name: "EndOfALongerSessionV4", cookies: slices.Concat(twoV4, many[2:]), good: true},
		{name: "OneChunkFarBehind", cookies: slices.Concat(two, many[9:10]), good: true},
		{name: "EmptiedChunks", cookies: two, others: []string{name + ".2=", name + ".3=", name + "="}, good: true},
		{name: "Neighbours", cookies: many, others: []string{name + ".x=1", name + ".01=1", name + ".99=1", name + ".-1=1", name + ".1.2=1", name + "s=1"}, good: true},
		{name: "FirstChunkMissing", cookies: two[1:]},
		{name: "MiddleChunkMissing", cookies: slices.Concat(many[:4], many[5:])},
		{name: "LastChunkMissing", cookies: many[:10]},
		{name: "ChunksOfTwoSessions", cookies: slices.Concat(two[:1], many[1:])},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := a.Authenticate(t.Context(), get("/", cookieHeader(c.cookies, c.others...)))
			if (err == nil) != c.good {
				t.Fatalf("%v, %v; want good %v", id, err, c.good)
			}
		})
	}
}

func TestSecretListEncryptsWithItsFirst(t *testing.T) {
	old := "the secret before this one, 32 bytes"
	made := authjs(t, []order{{"v5", SessionCookie, []string{old, testSecret}, 0}}, nil).Cookies[0]
	for secret, good := range map[string]bool{old: true, testSecret: false} {
		a := newAuth(t, Options{SessionSecrets: []string{secret}})
		if id, err := a.Authenticate(t.Context(), get("/", cookieHeader(made))); (err == nil) != good {
			t.Errorf("secret %q: %v, %v; want good %v", secret, id, err, good)
		}
	}
}

func TestRealDecoderReadsWhatWeMint(t *testing.T) {
	var read []toRead
	for _, name := range []string{SessionCookie, SecureSessionCookie, vectorCookie} {
		token, err := MintSession(testSecret, name, kepala(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, toRead{token, name, testSecret}, toRead{token, name, []string{"some other secret of 32 bytes ..", testSecret}})
	}
	for i, claims := range authjs(t, nil, read).Read {
		if claims["sub"] != "usr_1" || claims["sppgId"] != "sppg_7" || claims["jti"] == "" {
			t.Errorf("%s: claims %v", read[i].Name, claims)
		}
	}
}
