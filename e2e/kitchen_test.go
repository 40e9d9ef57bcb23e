//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// kitchenServer is a server that is the production service of its kitchens, in a file of its own.
type kitchenServer struct {
	*server
	t       testing.TB // of the test that asks now
	kitchen string
	zone    string // of the kitchen
	day     string // the serving day, today in the kitchen
	head    map[string]string
}

// pin is that of everybody in the kitchens of these tests.
const pin = "2468"

// staff are the people of the kitchens of these tests, by id.
var staff = map[string]struct{ name, role string }{
	"kepala":  {"Ibu Ratna", "SPPG_KEPALA"},
	"gizi":    {"Dewi Lestari", "SPPG_AHLI_GIZI"},
	"manajer": {"Pak Hasan", "SPPG_PRODUKSI_MANAGER"},
	"koki":    {"Bu Sari", "SPPG_STAFF_DAPUR"},
	"mutu":    {"Rizky", "SPPG_STAFF_QC"},
	"kurir":   {"Agus", "SPPG_DISTRIBUSI_MANAGER"},
}

// member returns somebody of a kitchen, signed in to the app.
func member(kitchen, id string) user {
	return user{"v5", "authjs.session-token", map[string]any{
		"sub": id, "name": staff[id].name, "sppgId": kitchen, "userRole": staff[id].role, "userType": "SPPG",
	}}
}

// platform returns somebody of the platform, who belongs to no kitchen.
func platform() user {
	return user{"v5", "authjs.session-token", map[string]any{"sub": "pusat", "name": "Pusat", "userRole": "PLATFORM_SUPPORT", "userType": "SUPERADMIN"}}
}

// tablet returns the shared tablet of a kitchen.
func tablet(kitchen string) user {
	return user{"v5", "authjs.session-token", map[string]any{
		"sub": "tablet-1", "name": "Tablet dapur", "sppgId": kitchen, "userRole": "SPPG_STAFF_DAPUR", "userType": "SPPG",
	}}
}

// openKitchen starts a server with the lists of one kitchen.
func openKitchen(t *testing.T, env ...string) *kitchenServer {
	t.Helper()
	s := serve(t, append([]string{"KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:" + t.TempDir() + "/kitchen.db"}, env...)...)
	zone, day := awayFromMidnight(time.Now())
	k := &kitchenServer{server: s, t: t, kitchen: "sppg_7", zone: zone, day: day, head: map[string]string{}}
	eventually(t, "the database is open", func() bool {
		status, _ := s.get("/openapi.json")
		return status == http.StatusOK
	})
	k.fill()
	return k
}

// kitchens counts those of [kitchenServer.another], whose numbers begin where no test has written one.
var kitchens atomic.Int64

// another returns a kitchen beside k, at the same server, in which nobody else cooks.
func (k *kitchenServer) another(t testing.TB) *kitchenServer {
	t.Helper()
	part := k.in(t)
	part.kitchen, part.head = fmt.Sprint("sppg_", 1000+kitchens.Add(1)), map[string]string{}
	part.fill()
	return part
}

// fill gives a kitchen its lists and its name.
func (k *kitchenServer) fill() {
	k.t.Helper()
	lists := map[string]any{
		"programmes": []any{map[string]any{"id": "mbg", "name": "Makan Bergizi Gratis"}},
		"menus": []any{
			menu("ayam", "Nasi, ayam teriyaki, buncis, pisang", "Nasi", "Ayam teriyaki"),
			menu("ikan", "Nasi, ikan kuah kuning, sayur bening, jeruk"),
			menu("telur", "Nasi, telur balado, tumis kangkung, melon"),
		},
	}
	var people []any
	for id, p := range staff {
		people = append(people, map[string]any{"id": id, "name": p.name, "role": p.role, "pin": pin})
	}
	lists["staff"] = people
	k.ask(apiUser, http.MethodPut, "/api/references?tenant="+k.kitchen, lists, http.StatusOK)
	k.ask("kepala", http.MethodPut, "/api/kitchen", map[string]any{"version": 0, "name": "SPPG Sukamaju Bandung", "timeZone": k.zone}, http.StatusOK)
}

// awayFromMidnight returns the zone of a kitchen in which it does not become tomorrow for more than half an hour, and the day that it is
// there. A test that goes over midnight plans for a day that is over, and looks for batches of yesterday on a board of today.
func awayFromMidnight(now time.Time) (zone, day string) {
	zone, hours := "Asia/Jakarta", 7
	if soon := now.Add(45 * time.Minute).UTC(); soon.Hour() == (24-hours)%24 && soon.Minute() <= 45 {
		zone, hours = "Asia/Makassar", 8 // past midnight already
	}
	return zone, now.In(time.FixedZone(zone, hours*3600)).Format(time.DateOnly)
}

// TestAwayFromMidnight looks at each minute of a day.
func TestAwayFromMidnight(t *testing.T) {
	begin := time.Date(2026, time.March, 31, 0, 0, 30, 0, time.UTC)
	for now := begin; now.Before(begin.Add(24 * time.Hour)); now = now.Add(time.Minute) {
		zone, day := awayFromMidnight(now)
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if later := now.Add(30 * time.Minute).In(place).Format(time.DateOnly); later != day || now.In(place).Format(time.DateOnly) != day {
			t.Errorf("at %s in %s it is said to be %s, and half an hour later it is %s", now, zone, day, later)
		}
	}
}

// in returns k for a part of the test.
func (k *kitchenServer) in(t testing.TB) *kitchenServer {
	part := *k
	part.t = t
	return &part
}

func menu(id, name string, dishes ...string) map[string]any {
	list := []any{}
	for _, d := range dishes {
		list = append(list, map[string]any{"name": d})
	}
	return map[string]any{"id": id, "name": name, "dishes": list}
}

// apiUser stands for the API key instead of a person.
const apiUser = ""

// ask sends a request as a member of staff and returns the answer; another status than want fails the test.
func (k *kitchenServer) ask(who, method, path string, body any, want int) map[string]any {
	k.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		k.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, "http://"+k.Addr+path, strings.NewReader(string(text)))
	if err != nil {
		k.t.Fatal(err)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
	}
	if who == apiUser {
		req.Header.Set("Authorization", "Bearer "+apiKey)
	} else {
		if k.head[who] == "" {
			u := member(k.kitchen, who)
			k.head[who] = u.cookie + "=" + u.token(k.t)
		}
		req.Header.Set("Cookie", k.head[who])
		req.Header.Set("Origin", "http://"+k.Addr)
	}
	status, answer := do(k.t, req)
	for end := time.Now().Add(patience); status == http.StatusServiceUnavailable && method != http.MethodPost && time.Now().Before(end); {
		again := req.Clone(k.t.Context()) // a busy machine may take longer than a request has time, and these may be sent again
		again.Body = io.NopCloser(strings.NewReader(string(text)))
		status, answer = do(k.t, again)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(answer), &out); status != want || err != nil {
		k.t.Fatalf("%s %s as %q: got %d, %s; want %d", method, path, who, status, answer, want)
	}
	return out
}

// plan makes a batch for today and returns its id. Its time begins at start from now.
func (k *kitchenServer) plan(menu string, wave, portions int, start time.Duration) string {
	k.t.Helper()
	begin := time.Now().Add(start).UTC().Truncate(time.Second)
	out := k.ask("manajer", http.MethodPost, "/api/productions", map[string]any{
		"programId": "mbg", "menuId": menu, "productionDate": k.day, "plannedPortions": portions, "headCook": "manajer",
		"plannedStartTime": begin, "plannedEndTime": begin.Add(5 * time.Hour), "wave": wave, "targetGroup": "SD kelas 4–6",
	}, http.StatusCreated)
	return field(k.t, out, "production", "id")
}

// read returns a batch as the server has it.
func (k *kitchenServer) read(id string) map[string]any {
	k.t.Helper()
	p, ok := k.ask("kepala", http.MethodGet, "/api/productions/"+id, nil, http.StatusOK)["production"].(map[string]any)
	if !ok {
		k.t.Fatalf("production %s: no production in the answer", id)
	}
	return p
}

// act posts to a batch; with versions where they are needed.
func (k *kitchenServer) act(who, id, what string, body map[string]any) {
	k.t.Helper()
	if what == "work" || what == "transition" || what == "cancel" {
		body["version"] = k.read(id)["version"]
	}
	want := http.StatusCreated
	if body["version"] != nil {
		want = http.StatusOK
	}
	k.ask(who, http.MethodPost, "/api/productions/"+id+"/"+what, body, want)
}

// cookUntil takes a batch to a status in the shortest way.
func (k *kitchenServer) cookUntil(id, status string) {
	k.t.Helper()
	k.act("manajer", id, "transition", map[string]any{"to": "PREPARING"})
	if status == "PREPARING" {
		return
	}
	k.check("mutu", id, "HYGIENE", true)
	k.act("manajer", id, "transition", map[string]any{"to": "COOKING"})
	if status == "COOKING" {
		return
	}
	dishes, _ := k.read(id)["dishes"].([]any)
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 81.5})
	for _, d := range dishes {
		if name, ok := d.(map[string]any)["name"].(string); ok {
			k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 81.5, "dish": name})
		}
	}
	k.act("manajer", id, "work", map[string]any{"actualPortions": k.read(id)["plannedPortions"], "progress": 75})
	k.act("manajer", id, "transition", map[string]any{"to": "QUALITY_CHECK"})
	if status == "QUALITY_CHECK" {
		return
	}
	for _, kind := range []string{"TEMPERATURE", "TASTE", "APPEARANCE", "SAFETY"} {
		k.check("mutu", id, kind, true)
	}
	k.act("mutu", id, "samples", map[string]any{})
	k.act("gizi", id, "transition", map[string]any{"to": "COMPLETED"})
}

func (k *kitchenServer) check(who, id, kind string, passed bool) {
	k.t.Helper()
	k.act(who, id, "checks", map[string]any{"checkType": kind, "parameter": "rutin", "actualValue": fmt.Sprint(passed), "passed": passed})
}

// field returns a text out of nested objects.
func field(t testing.TB, v map[string]any, path ...string) string {
	t.Helper()
	for _, name := range path[:len(path)-1] {
		next, ok := v[name].(map[string]any)
		if !ok {
			t.Fatalf("%v: no object %q in %v", path, name, v)
		}
		v = next
	}
	text, ok := v[path[len(path)-1]].(string)
	if !ok {
		t.Fatalf("%v: no text in %v", path, v)
	}
	return text
}
