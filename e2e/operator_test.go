//go:build unix

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"kentongan/auth"
	"kentongan/internal/testenv/browser"
)

// Somebody of the platform looks at all kitchens: one of them alarms and has no screen, one is watched, the others rest.
func TestBoardOfAllKitchens(t *testing.T) {
	t.Parallel() // most of it is waiting for the next look, and until data is old
	chromium := browser.Shared(t)
	k := openKitchen(t)
	far := *k
	far.kitchen, far.head = "sppg_papua", map[string]string{}
	places := [][2]string{{"Ambon", "Asia/Jayapura"}, {"Banyumas", "Asia/Jakarta"}, {"Ende", "Asia/Makassar"}, {"Kupang", "Asia/Makassar"}, {"Palu", "Asia/Makassar"}} // where kitchens rest
	for i := range 1 + len(places) {
		lists := map[string]any{"programmes": []any{map[string]any{"id": "mbg", "name": "MBG"}}, "menus": []any{menu("ayam", "Ubi, ayam", "Ayam")}}
		if i == 0 {
			var people []any
			for id, p := range staff {
				people = append(people, map[string]any{"id": id, "name": p.name, "role": p.role, "pin": pin})
			}
			lists["staff"] = people
			k.ask(apiUser, http.MethodPut, "/api/references?tenant="+far.kitchen, lists, http.StatusOK)
			continue
		}
		rests := *k
		rests.kitchen, rests.head = fmt.Sprintf("sppg_%d", 20+i), map[string]string{"kepala": headOf(t, fmt.Sprintf("sppg_%d", 20+i))}
		rests.ask(apiUser, http.MethodPut, "/api/references?tenant="+rests.kitchen, lists, http.StatusOK)
		rests.ask("kepala", http.MethodPut, "/api/kitchen", map[string]any{"version": 0, "name": "SPPG " + places[i-1][0], "timeZone": places[i-1][1]}, http.StatusOK)
	}
	far.ask("kepala", http.MethodPut, "/api/kitchen", map[string]any{"version": 0, "name": "SPPG Sentani Permai, Jayapura", "timeZone": "Asia/Jayapura"}, http.StatusOK)
	far.day = time.Now().In(time.FixedZone("WIT", 9*3600)).Format(time.DateOnly)
	id := far.plan("ayam", 1, 300, -3*time.Hour) // it is far behind
	near := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)

	network := newLine(t, k.Addr)
	s := newScreen(t, chromium, platform(), "http://"+network.Addr+"/healthz")
	s.size(tabletWidth, tabletHeight)
	s.open("http://" + network.Addr + "/")
	s.connected()
	row := func(name, text string) {
		t.Helper()
		s.wait(fmt.Sprintf(`[...document.querySelectorAll('.standing')].some((e) => e.innerText.includes(%q) && e.innerText.includes(%q))`, name, text))
	}
	row("Sentani", "tertinggal")
	row("Sentani", "Tidak ada layar")
	row("Sukamaju", "1 layar, 1 orang")
	row("Ambon", "0 batch aktif")
	if first := s.list(`[document.querySelector('.standing').innerText]`)[0]; first == "" || s.list(`[...document.querySelectorAll('.standing')].map((e) => e.className)`)[0] == "standing tone-plain" {
		t.Errorf("the first of the list is %s; want a kitchen in trouble", first)
	}
	s.accessible("all kitchens")
	s.picture("operator")
	s.tap(".shows button", "Tanpa layar")
	s.wait(`document.querySelectorAll('.standing').length === 1 && document.querySelector('.standing').innerText.includes('Sentani')`)
	s.tap(".shows button", "Semua")
	for typed, want := range map[string]string{"permai": "Sentani Permai", "PAPUA": "Sentani Permai", "sppg_23": "Ende"} {
		s.write("#search", typed)
		s.wait(fmt.Sprintf(`document.querySelectorAll('.standing').length === 1 && document.querySelector('.standing').innerText.includes(%q)`, want))
	}
	s.accessible("a search of kitchens")
	s.write("#search", "tidak ada yang begini")
	s.waitText("Tidak ada dapur seperti ini.")
	s.write("#search", "")

	// A screen comes, and food that is too cold: both are seen without a tap.
	crew := k.show(chromium, member(far.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)
	far.cookUntil(id, "COOKING")
	far.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 62.5})
	far.act("manajer", id, "work", map[string]any{"actualPortions": 300})
	far.act("manajer", id, "transition", map[string]any{"to": "QUALITY_CHECK"})
	row("Sentani", "1 layar, 1 orang")
	row("Sentani", "1 Kritis")
	s.size(phoneWidth, phoneHeight)
	s.accessible("all kitchens on a phone")
	s.picture("operator-phone")
	s.tap("#language", "EN")
	s.waitText("Screens: 1, people: 1")
	s.size(wallWidth, wallHeight)
	s.picture("operator-wall-en")
	s.tap("#language", "ID")

	network.Cut()
	s.wait(`/Terputus – data pukul \d\d\.\d\d/.test(document.getElementById('banner').innerText) && document.getElementById('main').classList.contains('old')`)
	s.accessible("all kitchens, cut off")
	s.picture("operator-cut")
	network.Mend()
	s.connected()

	// Into a kitchen and back; it is written down there who looked.
	s.size(tabletWidth, tabletHeight)
	s.follow(".standing-link", "Sentani")
	s.connected()
	s.waitText("WIT")
	s.follow("a.view", "Semua dapur")
	row("Sentani", "1 Kritis")
	s.run(`((e) => { e.value = '../x'; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.getElementById('code'))`)
	s.tap(".operator-open button", "Buka dapur")
	s.waitText("Kode SPPG terdiri dari")
	near.open("about:blank")
	crew.open("about:blank")
	row("Sukamaju", "Tidak ada layar")
}

// headOf returns the cookie of a kitchen's head. It is made without the app's library: that is what other tests are about.
func headOf(t *testing.T, kitchen string) string {
	t.Helper()
	u := member(kitchen, "kepala")
	token, err := auth.MintSession(secret, u.cookie, u.claims, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return u.cookie + "=" + token
}

// write writes into a field, as a keyboard does.
func (s *screen) write(selector, text string) {
	s.t.Helper()
	s.run(fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.querySelector(%q))`, text, selector))
}

// follow opens where a link leads to that can be seen.
func (s *screen) follow(selector, text string) {
	s.t.Helper()
	link := fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text)
	s.wait(link + " !== undefined")
	s.open(s.list("[" + link + ".href]")[0])
}
