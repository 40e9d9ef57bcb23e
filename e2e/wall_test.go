//go:build unix

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// cut finds what cannot be read on the wall: parts of a card that are cut off, that lie over each other or break where they are one word,
// and cards and alerts that are not whole on the screen. A name may have two lines.
const cut = `(() => {
	const found = []
	const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1
	const name = (e) => e.closest('li').innerText.replaceAll('\n', ' ').slice(0, 40) + ' > ' + (e.className.baseVal ?? e.className)
	const cards = [...document.querySelectorAll('.tile, .wall-alert')]
	for (const card of cards) {
		const box = card.getBoundingClientRect()
		if (!inside(box, { left: 0, top: 0, right: innerWidth, bottom: innerHeight })) found.push(name(card) + ' is not whole on the screen')
		for (const other of cards) {
			const b = other.getBoundingClientRect()
			if (other !== card && box.left < b.right - 1 && b.left < box.right - 1 && box.top < b.bottom - 1 && b.top < box.bottom - 1) found.push(name(card) + ' lies over another')
		}
		const parts = [...card.querySelectorAll('*')].filter((e) => e.checkVisibility())
		for (const e of [card, ...parts]) {
			if (!inside(e.getBoundingClientRect(), box)) found.push(name(e) + ' reaches out of its card')
			if (getComputedStyle(e).overflow !== 'visible' && e.tagName !== 'PROGRESS' && (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)) found.push(name(e) + ' is cut off')
		}
		// Where the letters are, and not only the boxes that they were meant for.
		const words = parts.filter((e) => e.childElementCount === 0 && !(e instanceof SVGElement) && e.textContent.trim() !== '').map((e) => {
			const range = document.createRange()
			range.selectNodeContents(e)
			const r = range.getBoundingClientRect()
			const air = parseFloat(getComputedStyle(e).fontSize) / 6 // above and below the letters
			return { e, left: r.left, right: r.right, top: r.top + air, bottom: r.bottom - air, lines: r.height / (6 * air) }
		})
		for (const a of words) {
			if (!inside(a, box)) found.push(name(a.e) + ' reaches out of its card: ' + a.e.textContent)
			if (card.classList.contains('tile') && a.lines > 1.7) found.push(name(a.e) + ' breaks: ' + a.e.textContent)
			for (const b of words) {
				if (a !== b && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom && b.top < a.bottom) found.push(name(a.e) + ' lies over ' + b.e.textContent)
			}
		}
	}
	return found
})()`

// fits has a wall on which more and more is cooked, each batch with an alert: as long as there are twelve all are seen, and nothing of them
// is cut off. Of more the wall shows one part after the other, and says so.
func (k *kitchenServer) fits(t *testing.T, chromium context.Context) {
	s := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)
	publish := func(n int) {
		status := []string{"QUALITY_CHECK", "COOKING", "PREPARING"}[n%3]
		severity := []string{"CRITICAL", "MEDIUM", "HIGH"}[n%3]
		id := fmt.Sprintf("fits-%d", n)
		// What is over since hours has the longest countdown.
		k.publish("production:updates:"+k.kitchen, fmt.Sprintf(`{"type":"production_created","productionId":%q,"data":{"id":%q,"batchNumber":"BATCH-20261126-%04d",`+
			`"menuName":"Nasi, ikan kuah kuning, sayur bening, jeruk","status":%q,"version":1,"progress":80,"plannedPortions":3500,"actualPortions":3412,"actualTemperature":-18.5,"cookedAt":%q,"consumeBy":%q},"timestamp":1}`,
			id, id, n, status, time.Now().Add(-9*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Duration(n*2-9)*time.Hour).UTC().Format(time.RFC3339)))
		k.publish("production:alerts:"+k.kitchen, fmt.Sprintf(`{"type":"production_alert","productionId":%q,"alert":{"id":%q,"code":"DISPATCH_TOO_LATE","severity":%q,"status":"OPEN","productionId":%q,"batchNumber":"BATCH-20261126-%04d","message":{"id":"Suhu penyimpanan panas turun","en":"Core temperature too low"}},"timestamp":%d}`,
			id, id, severity, id, n, time.Now().UnixMilli()))
	}
	shown := s.list(`['' + document.querySelectorAll('.tile').length]`)[0]
	if shown != "0" {
		t.Fatalf("the wall begins with %s batches; want none", shown)
	}
	look := func(n int, language string, width, height int64) {
		s.run(fmt.Sprintf(`((b) => b.lang === %q && b.click())(document.getElementById('language'))`, language))
		s.size(width, height)
		s.wait(fmt.Sprintf(`innerWidth === %d && document.documentElement.lang === %q && document.querySelectorAll('.tile').length === %d && document.querySelectorAll('.tile .severity').length === %d`,
			width, language, n, n))
		// The wall measures itself after the screen has changed.
		s.wait(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		for _, what := range s.list(cut) {
			t.Errorf("%d batches, %dx%d, %s: %s", n, width, height, language, what)
		}
	}
	for n := 1; n <= 12; n++ {
		publish(n)
		for _, language := range []string{"en", "id"} {
			if language == "en" && n%4 > 1 {
				continue // the first and the last of each number of rows are enough for the shorter words
			}
			for _, size := range [][2]int64{{1366, 768}, {wallWidth, wallHeight}} {
				look(n, language, size[0], size[1])
				s.picture(fmt.Sprintf("wall-%d-%d-%s", n, size[1], language))
			}
		}
	}
	s.accessible("a full wall")

	// The thirteenth is on the next page. What is most urgent is on both; whoever wants to read on holds one.
	publish(13)
	look(12, "id", wallWidth, wallHeight)
	s.waitText("13 batch – halaman 2 dari 2. Yang paling mendesak tetap di atas.")
	number := func(n int) string {
		return fmt.Sprintf(`[...document.querySelectorAll('.tile-number')].some((e) => e.textContent === '%04d')`, n)
	}
	s.wait(number(13) + ` && ` + number(1) + ` && document.querySelectorAll('.tile').length < 12`)
	s.tap("#hold", "Tahan halaman")
	s.wait(`document.getElementById('hold').getAttribute('aria-pressed') === 'true'`)
	s.accessible("a page that is held")
	s.picture("wall-pages")
	s.tap("#hold", "Tahan halaman")
	s.waitText("13 batch – halaman 1 dari 2.")
	s.wait(number(12) + ` && ` + number(1))
}
