//go:build unix

package e2e

import (
	"context"
	"fmt"
	"os"
	"time"
)

// showsEveryState goes through every view, on every size of screen, in both languages: when all is well, when something alarms, and when the
// line is dead. With BOARD_PICTURES it leaves a picture of each for people to look at; without, it looks at what no other test has: a phone in
// English in the two bad states.
func (k *kitchenServer) showsEveryState(chromium context.Context) {
	id := k.plan("telur", 5, 260, -2*time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(k.t, k.Addr)
	s := k.show(chromium, member(k.kitchen, "kepala"), network.Addr, "tablet", tabletWidth, tabletHeight)
	s.waitText("telur balado")
	s.run(`document.getElementById('alarm')?.click()`) // what another test has left
	s.wait(`document.getElementById('alarm') === null`)
	k.inEveryView(s, id, "connected")

	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 62.5})
	k.act("manajer", id, "work", map[string]any{"actualPortions": 260})
	k.act("manajer", id, "transition", map[string]any{"to": "QUALITY_CHECK"})
	s.wait(`document.getElementById('alarm') !== null`)
	k.inEveryView(s, id, "alarming")

	s.run(`document.getElementById('alarm').click()`)
	network.Cut()
	s.wait(`document.getElementById('main').classList.contains('old') && document.getElementById('banner').innerText.includes('Terputus')`)
	k.inEveryView(s, id, "stale")
}

func (k *kitchenServer) inEveryView(s *screen, id, state string) {
	pictures := os.Getenv("BOARD_PICTURES") != ""
	for _, language := range []struct{ name, word string }{{"en", "Wall"}, {"id", "Dinding"}} {
		s.run(fmt.Sprintf(`((b) => b.lang === %q && b.click())(document.getElementById('language'))`, language.name))
		s.waitText(language.word)
		for _, size := range []struct {
			name          string
			width, height int64
		}{{"phone", phoneWidth, phoneHeight}, {"tablet", tabletWidth, tabletHeight}, {"wall", wallWidth, wallHeight}} {
			if !pictures && (size.name != "phone" || language.name != "en" || state == "connected") {
				continue
			}
			s.size(size.width, size.height)
			for _, view := range []struct{ name, place, there string }{
				{"wall", "wall", "main.wall"}, {"tablet", "tablet", "main.tablet"}, {"batch", "tablet/b/" + id, "main.one"}, {"day", "day", "main.day"},
			} {
				s.turn(view.place)
				s.wait(fmt.Sprintf(`document.querySelector(%q) !== null`, view.there))
				if view.name == "day" && state != "stale" {
					s.wait(`document.querySelectorAll('.log tbody tr').length > 3`)
				}
				if pictures {
					s.run(`window.scrollTo(0, 0)`)
					s.picture(fmt.Sprintf("%s-%s-%s-%s", state, view.name, size.name, language.name))
				} else {
					s.accessible(fmt.Sprintf("%s, %s on a phone in English", state, view.name))
				}
			}
		}
	}
}
