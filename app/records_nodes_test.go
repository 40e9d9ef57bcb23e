//go:build linux

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production"
)

// planned plans a batch and lets work on it begin.
func (k *kitchen) planned() (path string, version int64) {
	k.t.Helper()
	now := time.Now()
	p := k.post("manajer", "/api/productions", map[string]any{
		"programId": "mbg", "menuId": "m1", "productionDate": production.DayOf(production.At(now), production.WIB), "plannedPortions": 1000,
		"plannedStartTime": now, "plannedEndTime": now.Add(time.Hour), "headCook": "koki",
	})
	path = "/api/productions/" + p.ID
	return path, k.post("koki", path+"/transition", map[string]any{"to": "PREPARING", "version": p.Version}).Version
}

func databaseIsThere(t *testing.T, s *server) {
	t.Helper()
	eventually(t, "the database", func() bool {
		_, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return strings.Contains(body, `{"name":"database","ok":true}`)
	})
}

// TestTwoServersRaceForOneBatch has two servers on one PostgreSQL asked at once for two changes of the same version of a batch: each time
// one wins, and the other answers 409 with the version that won.
func TestTwoServersRaceForOneBatch(t *testing.T) {
	settings := []string{"KENTONGAN_PRODUCTION=on", "REDIS_URL=redis://" + testenv.Redis(t), "DATABASE_URL=" + testenv.Postgres(t)}
	servers := []*server{start(t, settings...), start(t, settings...)}
	for _, s := range servers {
		databaseIsThere(t, s)
	}
	k := openKitchen(t, servers[0], "k1")
	path, version := k.planned()
	screen := servers[1].dial(servers[1].cookie("kepala", "k1", "SPPG_KEPALA"))
	const rounds = 15
	var won [2]int
	for round := range rounds {
		var answers [2]struct {
			status int
			body   string
		}
		waste := [2]float64{float64(2*round+1) / 10, float64(2*round+2) / 10} // never so much that it raises an alert
		var both sync.WaitGroup
		for n, s := range servers {
			header := s.cookie("koki", "k1", "SPPG_STAFF_DAPUR")
			header.Set("Content-Type", "application/json")
			both.Go(func() {
				body := fmt.Sprintf(`{"version":%d,"wasteAmount":%.1f}`, version, waste[n])
				answers[n].status, answers[n].body = s.do(http.MethodPost, s.public+path+"/work", body, header)
			})
		}
		both.Wait()
		winner := 0
		if answers[0].status != http.StatusOK {
			winner = 1
		}
		won[winner]++
		version++
		loser := answers[1-winner]
		var problem struct {
			Code           string
			CurrentVersion int64
		}
		if answers[winner].status != http.StatusOK || loser.status != http.StatusConflict {
			t.Fatalf("round %d is answered with %+v, want one 200 and one 409", round, answers)
		}
		if err := json.Unmarshal([]byte(loser.body), &problem); err != nil || problem.Code != "VERSION_CONFLICT" || problem.CurrentVersion != version {
			t.Fatalf("the loser is told %s, want VERSION_CONFLICT and version %d", loser.body, version)
		}
		event := read(t, screen)
		for _, want := range []string{fmt.Sprintf(`"wasteAmount":%.4g`, waste[winner]), fmt.Sprintf(`"version":%d`, version)} {
			if !strings.Contains(event, want) {
				t.Fatalf("the screen got %s, want it to have %s", event, want)
			}
		}
	}
	t.Logf("won by the first %d times, by the second %d times", won[0], won[1])
	body := k.want(http.StatusOK, http.MethodGet, "/api/audit/verify", "", servers[0].cookie("kepala", "k1", "SPPG_KEPALA"))
	if !strings.Contains(body, `"valid":true`) {
		t.Errorf("%s", body)
	}
}

// TestPostgresWithoutRoom fills the disk under PostgreSQL's tables for real. What is asked for is refused as a whole and said to be worth
// another try; what was there can be read; and with room again the same request goes through by itself.
func TestPostgresWithoutRoom(t *testing.T) {
	db := testenv.StartPostgres(t)
	url, room := db.SmallDatabase(t, "64")
	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL="+url)
	databaseIsThere(t, s)
	k := openKitchen(t, s, "k1")
	path, version := k.planned()
	gizi := s.cookie("gizi", "k1", string(staffOf["gizi"]))
	gizi.Set("Content-Type", "application/json")
	check := func(n int) (status int, body string) {
		t.Helper()
		gizi.Set("Idempotency-Key", fmt.Sprint("check-", n))
		notes := strings.Repeat("catatan ", 60) // so that a page is soon full
		return s.do(http.MethodPost, s.public+path+"/checks",
			fmt.Sprintf(`{"checkType":"HYGIENE","parameter":"area","actualValue":"bersih","score":95,"notes":%q}`, notes), gizi)
	}
	room.Fill(t)
	stored, refused := 0, ""
	for n := 0; refused == ""; n++ { // pages that are there already have some room
		switch status, body := check(n); status {
		case http.StatusCreated:
			stored++
		case http.StatusServiceUnavailable:
			refused = body
		default:
			t.Fatalf("on a full disk: %d %s, want 503", status, body)
		}
		if n == 2000 {
			t.Fatal("the disk does not fill up")
		}
	}
	if !strings.Contains(refused, `"UNAVAILABLE"`) || strings.Contains(refused, "SQLSTATE") {
		t.Errorf("on a full disk people are told %s", refused)
	}
	checks := func() int {
		_, body := s.do(http.MethodGet, s.public+path+"/records", "", gizi)
		return strings.Count(body, `"checkType"`)
	}
	if got := checks(); got != stored {
		t.Errorf("on a full disk %d checks are there, %d were acknowledged", got, stored)
	}
	room.Free(t)
	if status, body := check(stored); status != http.StatusCreated { // the very same request
		t.Fatalf("with room again: %d %s", status, body)
	}
	if got := checks(); got != stored+1 {
		t.Errorf("%d checks are there, want %d", got, stored+1)
	}
	body := k.want(http.StatusOK, http.MethodGet, path, "", s.cookie("kepala", "k1", "SPPG_KEPALA"))
	if want := fmt.Sprintf(`"version":%d`, version+int64(stored)+1); !strings.Contains(body, want) {
		t.Errorf("the batch is %s, want %s", body, want)
	}
	body = k.want(http.StatusOK, http.MethodGet, "/api/audit/verify", "", s.cookie("kepala", "k1", "SPPG_KEPALA"))
	if !strings.Contains(body, `"valid":true`) {
		t.Errorf("%s", body)
	}
}
