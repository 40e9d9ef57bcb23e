package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
)

// TestTwoNodes has two servers on one Redis: what one takes in reaches the screens of the other, and so does a revocation.
func TestTwoNodes(t *testing.T) {
	redis := "REDIS_URL=redis://" + testenv.Redis(t)
	a, b := start(t, redis), start(t, redis)
	for _, s := range []*server{a, b} {
		eventually(t, "readiness", func() bool {
			status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
			return status == http.StatusOK
		})
	}
	here, there := a.dial(a.cookie("u1", "k1", "SPPG_KEPALA")), b.dial(b.cookie("u2", "k1", "SPPG_KEPALA"))
	for i := range 20 {
		a.publish("production:updates:k1", fmt.Sprint(i))
		for name, conn := range map[string]string{"the same node": read(t, here), "the other node": read(t, there)} {
			if conn != fmt.Sprint(i) {
				t.Fatalf("%s reads %s, want %d", name, conn, i)
			}
		}
	}
	server := http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
	eventually(t, "presence of both nodes' users", func() bool {
		status, body := a.do(http.MethodGet, a.public+"/api/presence?channel=production:updates:k1", "", server)
		return status == http.StatusOK && strings.Contains(body, `"u1"`) && strings.Contains(body, `"u2"`)
	})
	before := time.Now().Add(time.Second).UnixMilli()
	if status, body := a.do(http.MethodPost, a.public+"/api/revoke", fmt.Sprintf(`{"sub":"u2","issuedBefore":%d}`, before), server); status != http.StatusOK {
		t.Fatalf("revoke was answered with %d %s", status, body)
	}
	if code := closeCode(there); code != 4500 {
		t.Errorf("the session on the other node was closed with %d, want 4500", code)
	}
	a.publish("production:updates:k1", `"still here"`)
	if got := read(t, here); got != `"still here"` {
		t.Errorf("who was not revoked reads %s", got)
	}
}
