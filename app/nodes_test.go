package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/internal/testenv"
)

// TestStopHandsOver stops the server that stamps PUBLISH: the other one does so at once, and not when the lease has run out.
func TestStopHandsOver(t *testing.T) {
	for tries := 1; ; tries++ {
		addr := testenv.Redis(t)
		first, second := startRedis(t, addr), startRedis(t, addr)
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second stamps", func() bool {
			_, body := second.do(http.MethodGet, second.public+"/readyz", "", nil)
			return strings.Contains(body, "this node stamps")
		})
		let, took := first.logs.String(), second.logs.String()
		if strings.Contains(let, "this node has handed over") && strings.Contains(took, "cause=released") {
			return
		}
		// Where the machine stands still for longer than the second that a lease lasts, the other has it already when the first stops; or the
		// answer that it has it was lost, and then its log does not say why.
		if tries == 10 {
			t.Fatalf("the first did not hand over; it wrote:\n%s\nand the second:\n%s", let, took)
		}
	}
}

// TestExtensionOnEveryNode renews a session at one server: the connections at the other live as long as the new one, and those of other
// people, or with other rights, do not.
func TestExtensionOnEveryNode(t *testing.T) {
	redis := "REDIS_URL=redis://" + testenv.Redis(t)
	a, b := start(t, redis), start(t, redis)
	for _, s := range []*server{a, b} {
		eventually(t, "readiness", func() bool {
			status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
			return status == http.StatusOK
		})
	}
	before := time.Now().Add(2 * time.Minute) // when the first sessions have ended
	for _, who := range []struct{ sub, role string }{{"u1", "SPPG_KEPALA"}, {"u1", "SPPG_AKUNTAN"}, {"u2", "SPPG_KEPALA"}} {
		b.dial(b.cookieFor(who.sub, "k1", who.role, time.Minute))
	}
	status, body := a.do(http.MethodPost, a.public+"/api/ws/extend", "", a.cookieFor("u1", "k1", "SPPG_KEPALA", time.Hour))
	if status != http.StatusOK {
		t.Fatalf("extend is answered with %d %s", status, body)
	}
	type connection struct {
		User, Role string
		Expires    time.Time
	}
	extended := func() (n int, wrong string) {
		var list struct{ Connections []connection }
		_, body := b.do(http.MethodGet, b.admin+"/connections", "", nil)
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Connections) != 3 {
			t.Fatalf("/connections: %s, %v", body, err)
		}
		for _, c := range list.Connections {
			if !c.Expires.After(before) {
				continue
			}
			if n++; c.User != "u1" || c.Role != "SPPG_KEPALA" {
				wrong = fmt.Sprintf("%s with role %s", c.User, c.Role)
			}
		}
		return n, wrong
	}
	eventually(t, "the extension", func() bool { n, _ := extended(); return n > 0 })
	if n, wrong := extended(); n != 1 || wrong != "" {
		t.Errorf("%d connections were extended, among them %q; want that of u1 as SPPG_KEPALA", n, wrong)
	}
}

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
