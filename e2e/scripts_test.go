//go:build unix

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv/browser"
)

// TestScriptsAreText puts script text into every field that people of a kitchen, or an app, can fill, and opens every view of the
// board: it stands there as text, nothing of it runs, and the page's policy has nothing to complain about.
func TestScriptsAreText(t *testing.T) {
	t.Parallel()
	chromium := browser.Shared(t)
	k := openKitchen(t)
	evil := func(field string) string {
		return fmt.Sprintf(`<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>'"{{1}} %s`, field)
	}
	k.ask(apiUser, http.MethodPut, "/api/references?tenant="+k.kitchen, map[string]any{
		"programmes": []any{map[string]any{"id": "mbg", "name": evil("programme")}},
		"menus":      []any{menu("jahat", evil("menu"), evil("dish"))},
		"staff": []any{
			map[string]any{"id": "kepala", "name": evil("head"), "role": "SPPG_KEPALA", "pin": pin},
			map[string]any{"id": "mutu", "name": evil("inspector"), "role": "SPPG_STAFF_QC", "pin": pin},
			map[string]any{"id": "manajer", "name": evil("manager"), "role": "SPPG_PRODUKSI_MANAGER", "pin": pin},
		},
	}, http.StatusOK)
	k.ask("kepala", http.MethodPut, "/api/kitchen", map[string]any{"version": 1, "name": evil("kitchen"), "timeZone": k.zone}, http.StatusOK)
	begin := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	id := field(t, k.ask("manajer", http.MethodPost, "/api/productions", map[string]any{
		"programId": "mbg", "menuId": "jahat", "productionDate": k.day, "plannedPortions": 100, "headCook": "manajer", "wave": 1,
		"plannedStartTime": begin, "plannedEndTime": begin.Add(5 * time.Hour), "targetGroup": evil("group"), "notes": evil("notes"),
	}, http.StatusCreated), "production", "id")
	k.act("manajer", id, "transition", map[string]any{"to": "PREPARING"})
	k.act("mutu", id, "checks", map[string]any{
		"checkType": "HYGIENE", "parameter": evil("parameter"), "actualValue": evil("value"), "passed": false, "recommendations": evil("check"),
		"actionTaken": evil("action"),
	})

	s := newScreen(t, chromium, member(k.kitchen, "kepala"), "http://"+k.Addr+"/healthz")
	_, err := chromedp.Call(s.page, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `globalThis.faults = []; document.addEventListener('securitypolicyviolation', (e) => faults.push(e.violatedDirective + ' ' + e.blockedURI))`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range []string{"wall", "tablet", "day", "tablet/" + id} {
		for _, size := range [][2]int64{{wallWidth, wallHeight}, {phoneWidth, phoneHeight}} {
			s.size(size[0], size[1])
			s.open("http://" + k.Addr + "/?" + fmt.Sprint(size[0], view) + "#" + view) // another address loads it anew
			s.waitText(`<img src=x onerror="globalThis.pwned=1">`)
			// What an app publishes comes while the page looks on.
			k.publish("production:updates:"+k.kitchen, fmt.Sprintf(`{"type":"production_update","productionId":%q,"data":{"notes":%q,"menuName":%q}}`,
				id, evil("pushed notes"), evil("pushed menu")))
			k.publish("production:alerts:"+k.kitchen, fmt.Sprintf(`{"type":"production_alert","productionId":%q,"alert":{"id":"x","severity":"HIGH","message":%q}}`,
				id, evil("pushed alert")))
			s.waitText("pushed menu")
			for _, fault := range s.list(`[...globalThis.faults, ...(globalThis.pwned ? ['a script ran'] : []), ` +
				`...[...document.querySelectorAll('img[src="x"]')].map((e) => 'an element was made: ' + e.outerHTML)]`) {
				t.Errorf("%s: %s", view, fault)
			}
		}
	}
}
