//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv/browser"
)

// The board is looked at on the screens that kitchens have.
const (
	wallWidth, wallHeight     = 1920, 1080
	tabletWidth, tabletHeight = 1280, 800
	phoneWidth, phoneHeight   = 390, 844
)

// show opens a view of the board at addr for u, on a screen of this size.
func (k *kitchenServer) show(chromium context.Context, u user, addr, view string, width, height int64) *screen {
	k.t.Helper()
	s := newScreen(k.t, chromium, u, "http://"+addr+"/healthz") // the cookie first
	s.size(width, height)
	s.open("http://" + addr + "/#" + view)
	s.connected()
	return s
}

func (s *screen) connected() {
	s.t.Helper()
	s.wait(`document.getElementById('lamp')?.textContent === 'Terhubung' && document.getElementById('banner').hidden`)
}

func (s *screen) size(width, height int64) {
	s.t.Helper()
	_, err := chromedp.Call(s.page, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < tabletWidth,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// tap clicks the first element that matches selector and has text in it, as a finger can: it is seen and enabled.
func (s *screen) tap(selector, text string) {
	s.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.checkVisibility() && !e.disabled && (e.innerText === %q || (e.innerText.includes(%q) && %q.length > 1)))`,
		selector, text, text, text)
	s.wait(find + " !== undefined")
	s.run(find + ".click()")
}

func (s *screen) run(script string) {
	s.t.Helper()
	if _, err := chromedp.Run(s.page, chromedp.Evaluate[bool]("("+script+", true)")); err != nil {
		s.t.Fatalf("%s: %v", script, err)
	}
}

// keys types a number on the pad.
func (s *screen) keys(digits string) {
	s.t.Helper()
	for _, d := range digits {
		s.tap(".pad-keys .key", string(d))
	}
}

// say writes into the only text field of a sheet, as a keyboard does.
func (s *screen) say(text string) {
	s.t.Helper()
	s.wait(`document.querySelector('.sheet textarea') !== null`)
	s.run(fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.querySelector('.sheet textarea'))`, text))
	s.tap(".sheet .primary", "Simpan")
}

// gone waits until text cannot be read on the page.
func (s *screen) gone(text string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("!document.body.innerText.includes(%q)", text))
}

// picture writes what the screen shows into the folder BOARD_PICTURES, for people to look at.
func (s *screen) picture(name string) {
	s.t.Helper()
	dir := os.Getenv("BOARD_PICTURES")
	if dir == "" {
		return
	}
	shot, err := chromedp.Call(s.page, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot.Data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// accessible lets axe look at the page, by all its rules of WCAG 2.2 A and AA, and looks itself at what a thumb in a glove needs.
func (s *screen) accessible(where string) {
	s.t.Helper()
	axe, err := os.ReadFile("../web/node_modules/axe-core/axe.min.js")
	if err != nil {
		s.t.Fatalf("axe-core is not there (make packages): %v", err)
	}
	if _, err := chromedp.Run(s.page, chromedp.Evaluate[bool](string(axe)+"; true")); err != nil {
		s.t.Fatal(err)
	}
	const look = `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then((r) => JSON.stringify(
		r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | '))))`
	text, err := chromedp.Run(s.page, chromedp.Evaluate[string](look, chromedp.EvalAwaitPromise))
	if err != nil {
		s.t.Fatal(err)
	}
	var violations []string
	if err := json.Unmarshal([]byte(text), &violations); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range violations {
		s.t.Errorf("%s: %s", where, v)
	}
	small := s.list(`[...document.querySelectorAll('button, a.action, a.view, a.row-link, a.badge, a.standing-link, input')].filter((e) => e.checkVisibility() && !e.closest('.page-wall'))
		.filter((e) => Math.min(e.getBoundingClientRect().height, e.getBoundingClientRect().width) < 55.5).map((e) => e.outerHTML.slice(0, 120))`)
	for _, e := range small {
		s.t.Errorf("%s: less than 56 px: %s", where, e)
	}
	if wide := s.list(`document.documentElement.scrollWidth > innerWidth ? ['' + document.documentElement.scrollWidth] : []`); len(wide) > 0 {
		s.t.Errorf("%s: the page is wider than the screen: %s px", where, wide[0])
	}
}

// list returns the texts that the JavaScript expression gives.
func (s *screen) list(expression string) []string {
	s.t.Helper()
	v, err := chromedp.Run(s.page, chromedp.Evaluate[[]string](expression))
	if err != nil {
		s.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// turn goes to another view.
func (s *screen) turn(view string) {
	s.t.Helper()
	s.run(fmt.Sprintf("location.hash = %q", view))
}

func TestBoard(t *testing.T) {
	t.Parallel() // much of it is waiting until data is old
	chromium := browser.Shared(t)
	k := openKitchen(t)
	for name, part := range map[string]func(*kitchenServer, *testing.T, context.Context){
		"CooksABatchByTapsAlone":         (*kitchenServer).cooksByTaps,
		"KeepsWhatIsEnteredWithoutALine": (*kitchenServer).keepsEntries,
		"TakesPhotosWithoutALine":        (*kitchenServer).takesPhotos,
		"LetsEntriesOvertakePhotos":      (*kitchenServer).overtakesPhotos,
		"ShowsBothValuesOfAConflict":     (*kitchenServer).showsConflicts,
		"ShowsTwelveBatchesWhole":        (*kitchenServer).fits,
		"SaysHowToSignIn":                (*kitchenServer).saysHowToSignIn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(k.another(t), t, chromium)
		})
	}
}

// TestBoardInEveryView looks at all that there is to be seen of one kitchen, in which that becomes more and more.
func TestBoardInEveryView(t *testing.T) {
	t.Parallel()
	chromium := browser.Shared(t)
	k := openKitchen(t)
	t.Run("IsAccessible", func(t *testing.T) { k.in(t).isAccessible(chromium) })
	t.Run("SoundsUntilSomebodyTaps", func(t *testing.T) { k.in(t).sounds(chromium) })
	t.Run("ShowsEveryState", func(t *testing.T) { k.in(t).showsEveryState(chromium) })
}

// TestBoardFigures tells how quick the board is and what it needs, so nothing else runs beside it.
func TestBoardFigures(t *testing.T) {
	chromium := browser.Open(t)
	k := openKitchen(t)
	t.Run("DoesNotGrow", func(t *testing.T) { k.in(t).doesNotGrow(t, chromium) })
	t.Run("ShowsTwoHundredBatchesThatChange", func(t *testing.T) { k.in(t).showsMany(t, chromium) })
	t.Run("LoadsOnAMobileLine", func(t *testing.T) { k.in(t).loadsOnAMobileLine(t, chromium) })
}

// cooksByTaps takes a batch from its plan to the road on the shared tablet, with the PINs of those who may. Nothing is typed but numbers
// and what was done about a check that failed.
func (k *kitchenServer) cooksByTaps(t *testing.T, chromium context.Context) {
	id := k.plan("ayam", 1, 700, -time.Hour)
	s := k.show(chromium, tablet(k.kitchen), k.Addr, "tablet", tabletWidth, tabletHeight)
	s.tap(".row-link", "ayam teriyaki")
	s.tap("#next", "Mulai Persiapan")
	s.tap("#undo", "Urungkan") // a tap too many is no harm
	s.gone("dikirim dalam")
	if got := k.read(id)["status"]; got != "PLANNED" {
		t.Fatalf("after undo the batch is %v; want PLANNED", got)
	}
	s.tap("#next", "Mulai Persiapan")
	s.tap("#send-now", "Kirim sekarang")
	s.waitText("Pemeriksaan kebersihan belum lulus")
	s.tap("#next", "Mulai Memasak") // the server says the same
	s.tap(".unmet-box button", "Tutup")
	s.inspect("Kebersihan", "60", "Rizky")
	s.say("lantai dipel ulang") // it failed: what is done about it has to be said
	s.waitText("Gagal")
	s.inspect("Kebersihan", "90", "")
	s.tap("#save", "Simpan")
	s.wait(`!document.getElementById('unmet').innerText.includes('kebersihan')`)
	s.tap("#next", "Mulai Memasak")
	s.tap("#send-now", "Kirim sekarang")
	s.waitText("Suhu belum dicatat selama memasak")
	for _, dish := range []string{"Nasi", "Ayam teriyaki"} {
		s.tap(".action", "Catat Suhu")
		s.tap(".sheet .action", dish)
		s.keys("81,5")
		s.tap("#save", "Simpan")
		s.gone("Simpan\n")
	}
	s.wait(`document.querySelector('.banner-refused') === null && document.querySelector('.one-head').innerText.includes('81,5 °C')`)
	s.tap(".action", "Catat Porsi")
	s.keys("6")
	s.tap(".pad-steps .key", "+100")
	s.keys("⌫")
	s.keys("0")
	s.tap(".pad-steps .key", "+100")
	s.wait(`document.getElementById('typed').innerText.startsWith('200')`)
	for range 5 {
		s.tap(".pad-steps .key", "+100")
	}
	s.tap("#save", "Simpan")
	s.wait(`document.getElementById('unmet').innerText === ''`)
	s.tap("#next", "Cek Kualitas")
	s.tap("#send-now", "Kirim sekarang")
	s.waitText("Sampel makanan belum disimpan")
	s.inspect("Suhu", "Lulus", "")
	s.tap("#save", "Simpan")
	s.inspect("Rasa", "4", "")
	s.tap("#save", "Simpan")
	s.inspect("Penampilan", "5", "")
	s.tap("#save", "Simpan")
	s.inspect("Keamanan", "Lulus", "")
	s.tap("#save", "Simpan")
	s.tap(".action", "Simpan Sampel")
	s.tap("#send-now", "Kirim sekarang")
	s.wait(`document.getElementById('unmet').innerText === ''`)
	s.tap("#next", "Tandai Selesai")
	s.tap("#send-now", "Kirim sekarang")
	s.waitText("Catat Pengiriman")
	p := k.read(id)
	for name, want := range map[string]any{"status": "COMPLETED", "actualPortions": 700.0, "actualTemperature": 81.5, "tasteRating": 4.0, "qualityPassed": true} {
		if p[name] != want {
			t.Errorf("%s is %v; want %v", name, p[name], want)
		}
	}
}

// inspect opens a check and gives its number or verdict; who is asked for a PIN if it is not empty.
func (s *screen) inspect(check, verdict, who string) {
	s.t.Helper()
	s.tap(`[aria-labelledby="h-checks"] .action`, check)
	if who != "" {
		s.tap(".people .action", who)
		s.keys(pin)
		s.tap("#pin-done", "Simpan")
	}
	s.tap(".choices button", verdict)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// showsConflicts has two tablets that write the same number, one of them without a line.
func (k *kitchenServer) showsConflicts(t *testing.T, chromium context.Context) {
	id := k.plan("telur", 2, 300, -time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(t, k.Addr)
	a := k.show(chromium, tablet(k.kitchen), network.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	b := k.show(chromium, member(k.kitchen, "manajer"), k.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	a.waitText("telur balado")
	network.Cut()
	a.count("120")
	b.count("110")
	b.wait(`document.querySelector('.one-head').innerText.includes('110')`)
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 80.5})
	network.Mend()
	a.connected()
	a.wait(`document.querySelector('.banner-refused') !== null`)
	a.turn("tablet/unsent")
	a.waitText("Di server: 110. Catatan Anda: 120.")
	a.picture("tablet-conflict")
	a.accessible("conflict")
	a.tap(".action", "Kirim catatan saya")
	a.waitText("Semua catatan sudah terkirim.")
	if got := k.read(id)["actualPortions"]; got != 120.0 {
		t.Errorf("actualPortions is %v; want 120, as a person decided", got)
	}
	b.wait(`document.querySelector('.one-head').innerText.includes('120')`)

	// A version that only grew is no conflict.
	network.Cut()
	a.turn("tablet/b/" + id)
	a.count("125")
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 81.5})
	network.Mend()
	b.wait(`document.querySelector('.one-head').innerText.includes('125')`)
}

// count enters portions.
func (s *screen) count(n string) {
	s.t.Helper()
	s.tap(".action", "Catat Porsi")
	for range 5 {
		s.tap(".pad-keys .key", "⌫")
	}
	s.keys(n)
	s.tap("#save", "Simpan")
	s.wait(`document.querySelector('.sheet') === null`)
}

func (k *kitchenServer) isAccessible(chromium context.Context) {
	k.plan("ayam", 2, 350, 2*time.Hour)
	k.cookUntil(k.plan("ayam", 1, 700, -time.Hour), "PREPARING")
	k.cookUntil(k.plan("ikan", 1, 400, -time.Hour), "COOKING")
	id := k.plan("ikan", 2, 420, -2*time.Hour)
	k.cookUntil(id, "QUALITY_CHECK")
	k.cookUntil(k.plan("telur", 4, 160, -3*time.Hour), "COMPLETED")
	s := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)
	s.waitText("Pemeriksaan Kualitas")
	s.accessible("wall")
	s.picture("wall")
	s.size(tabletWidth, tabletHeight)
	s.turn("tablet")
	s.waitText("Sudah selesai")
	s.accessible("tablet")
	s.picture("tablet")
	s.turn("tablet/b/" + id)
	s.waitText("Sampel makanan belum disimpan")
	s.accessible("batch")
	s.picture("tablet-batch")
	s.tap(".action", "Catat Suhu")
	s.accessible("pad")
	s.picture("tablet-pad")
	s.tap(".sheet .action", "Tutup")
	s.tap(`[aria-labelledby="h-checks"] .action`, "Rasa")
	s.tap(".choices button", "2")
	s.accessible("check")
	s.picture("tablet-check")
	s.tap(".sheet .action", "Tutup")
	s.turn("day")
	s.waitText("Langkah: Memasak")
	s.accessible("day")
	s.picture("day")
	k.turnsDays(s)
	s.size(phoneWidth, phoneHeight)
	s.accessible("day on a phone")
	for _, view := range []string{"tablet", "tablet/b/" + id, "wall"} {
		s.turn(view)
		s.wait(`document.querySelector('main.day') === null && document.querySelector('main') !== null`)
		s.accessible(view + " on a phone")
	}
	s.picture("phone")
	for _, pasted := range []string{"tablet/b/%E0%A4%A", "tablet/b/nobody", "tablet/unsent/%", "day/<script>", "x/%"} {
		s.turn(pasted)
		s.wait(`document.querySelector('main.wall') === null || location.hash === '#x/%'`)
		s.turn("wall") // nothing has broken
		s.wait(`document.querySelector('main.wall') !== null`)
	}
	s.tap("#language", "EN")
	s.waitText("Quality check")
	s.size(wallWidth, wallHeight)
	s.picture("wall-en")
}

// turnsDays looks at other days: they are called as Indonesians call them, whatever the language of the browser.
func (k *kitchenServer) turnsDays(s *screen) {
	s.t.Helper()
	today, err := time.Parse(time.DateOnly, k.day)
	if err != nil {
		s.t.Fatal(err)
	}
	days := []string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}
	months := []string{"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember"}
	called := func(d time.Time) string {
		return fmt.Sprintf("%s, %d %s %d", days[d.Weekday()], d.Day(), months[d.Month()-1], d.Year())
	}
	shows := func(d time.Time) {
		s.t.Helper()
		s.wait(fmt.Sprintf(`document.getElementById('day').innerText.includes(%q)`, called(d)))
	}
	shows(today)
	s.run(`document.getElementById('day-before').click()`)
	shows(today.AddDate(0, 0, -1))
	s.waitText("Belum ada catatan")
	s.run(`((e) => { e.value = '2026-01-31'; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.querySelector('.day-field input'))`) // as the calendar does
	shows(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC))
	s.run(fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.querySelector('.day-field input'))`, k.day))
	shows(today)
	s.waitText("Langkah: Memasak")
	// Whoever looks at today looks at tomorrow when that has come. The clock is put on by a day until it was seen: the board would put it
	// right with the next word of the server.
	s.run(`((now, day) => {
		globalThis.daysSeen = new Set()
		new MutationObserver(() => daysSeen.add(day.innerText)).observe(day, { attributes: true, characterData: true, childList: true, subtree: true })
		Date.now = () => now.call(Date) + 86400_000
		globalThis.endDay = () => { Date.now = now }
	})(Date.now, document.getElementById('day'))`)
	s.wait(fmt.Sprintf(`[...daysSeen].some((d) => d.includes(%q))`, called(today.AddDate(0, 0, 1))))
	s.run(`endDay()`)
	shows(today)
}

// sounds has an alert that flashes until somebody taps; then it stays in sight, and sounds again once it has risen.
func (k *kitchenServer) sounds(chromium context.Context) {
	id := k.plan("telur", 3, 180, -time.Hour)
	k.cookUntil(id, "COOKING")
	s := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)
	s.run(`document.getElementById('alarm')?.click()`) // what sounds already
	s.wait(`document.getElementById('alarm') === null`)
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 72.5})
	k.act("manajer", id, "work", map[string]any{"actualPortions": 180})
	k.act("manajer", id, "transition", map[string]any{"to": "QUALITY_CHECK"})
	s.wait(`document.getElementById('alarm')?.innerText.includes('Suhu inti kurang') === true`)
	s.accessible("alarm")
	s.picture("wall-alarm")
	s.tap("#alarm", "Diamkan")
	s.wait(`document.getElementById('alarm') === null`)
	s.waitText("Suhu inti kurang")
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 62.5})
	k.act("mutu", id, "checks", map[string]any{"checkType": "TEMPERATURE", "parameter": "rutin", "actualValue": "62,5", "celsius": 62.5})
	s.wait(`document.getElementById('alarm')?.innerText.includes('Kritis') === true`)
}

// watchPaint notes in the page, for each mark T1764000000000 in the list, how long after that instant it was painted, how long frames took,
// and how many tasks took more than 50 ms.
const watchPaint = `(globalThis.painted = [], globalThis.frames = [], globalThis.longTasks = 0,
new PerformanceObserver((list) => { longTasks += list.getEntries().length }).observe({ type: 'longtask' }), new MutationObserver((changes) => {
	for (const c of changes) {
		const mark = /T(\d{13})/.exec(c.target.textContent ?? '')
		if (mark) requestAnimationFrame(() => painted.push(Date.now() - Number(mark[1])))
	}
}).observe(document.getElementById('main'), { subtree: true, characterData: true }),
(function frame(last) { requestAnimationFrame((t) => { frames.push(t - last); frame(t) }) })(performance.now()))`

// showsMany has far more batches than a kitchen cooks, of which fifty change each second. How long that takes is told and not judged.
func (k *kitchenServer) showsMany(t *testing.T, chromium context.Context) {
	const batches, updates = 200, 500
	channel := "production:updates:" + k.kitchen
	s := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "tablet", tabletWidth, tabletHeight)
	for i := range batches {
		k.publish(channel, fmt.Sprintf(`{"type":"production_created","productionId":"many-%d","data":{"id":"many-%d","status":"COOKING","version":1,"consumeBy":"%s"},"timestamp":1}`,
			i, i, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	}
	s.wait(fmt.Sprintf(`document.querySelectorAll('.row').length >= %d`, batches))
	s.run(watchPaint)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	events := s.trace(func() {
		for i := range updates {
			<-tick.C
			k.publish(channel, fmt.Sprintf(`{"type":"production_update","productionId":"many-%d","data":{"version":%d,"menuName":"T%d"},"timestamp":1}`,
				i%batches, 2+i/batches, time.Now().UnixMilli()))
		}
	})
	took := time.Since(begin)
	k.publish(channel, `{"type":"production_update","productionId":"many-0","data":{"version":9,"menuName":"yang terakhir"},"timestamp":1}`)
	s.waitText("yang terakhir")
	figures := s.list(`((of, at) => [painted.length, of(painted, 0.5), of(painted, 0.95), of(frames, 0.5), of(frames, 0.95), frames.length, frames.filter((f) => f > 25).length, longTasks].map((n) => n.toFixed(0)))(
		(list, at) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * at))] ?? NaN)`)
	if figures[0] == "0" {
		t.Error("no update was seen to be painted")
	}
	t.Logf("%d updates in %v on %d batches: %s painted; from publish to paint p50 %s ms, p95 %s ms; frames p50 %s ms, p95 %s ms; of %s frames %s came late; %s long tasks",
		updates, took.Round(time.Millisecond), batches, figures[0], figures[1], figures[2], figures[3], figures[4], figures[5], figures[6], figures[7])
	w := framesOf(events)
	if w.frames == 0 || w.cpu == 0 {
		t.Errorf("the trace tells nothing of the page's main thread: %s", w)
	}
	t.Logf("by Chromium's trace: %s", w)

	// What is out of sight does not count the seconds. Who scrolls there sees what it is now, and how it goes on.
	const last = `[...document.querySelectorAll('.row')].filter((row) => row.textContent.includes('Sisa waktu')).pop()`
	before := s.list("[" + last + ".textContent]")[0]
	s.run(last + ".scrollIntoView()")
	for range 2 {
		s.wait(fmt.Sprintf("%s.textContent !== %q", last, before))
		before = s.list("[" + last + ".textContent]")[0]
	}
}

func (k *kitchenServer) saysHowToSignIn(t *testing.T, chromium context.Context) {
	s := &screen{t, browser.Profile(t, chromium)}
	s.size(tabletWidth, tabletHeight)
	s.open("http://" + k.Addr + "/")
	s.waitText("Anda belum masuk")
	s.accessible("gate")
	if left := s.list(`Object.keys(localStorage).filter((k) => k.startsWith('kentongan.'))`); len(left) > 0 {
		t.Errorf("a page without a session keeps %q", left)
	}
	s.open("http://" + k.Addr + "/live")
	s.waitText("Anda belum masuk")
}

// cutsTheLineOfTheDemo has a visitor cut the line, enter something meanwhile, and mend it.
func (s *screen) cutsTheLineOfTheDemo() {
	s.t.Helper()
	s.size(tabletWidth, tabletHeight)
	s.turn("tablet")
	s.wait(`document.querySelector('.status-preparing, .status-cooking') !== null`)
	s.run(`document.querySelector('.row:has(.status-preparing, .status-cooking) .row-link').click()`)
	s.tap("#cut", "Putuskan sambungan")
	s.waitText("Sambungan layar ini diputus")
	s.tap(".action", "Catat Suhu")
	s.wait(`document.querySelector('.sheet .acts .action') !== null`)
	s.run(`document.querySelector('.sheet .acts .action').click()`) // the only dish
	s.keys("44,5")
	s.tap("#save", "Simpan")
	s.wait(`/Terputus – data pukul \d\d\.\d\d – 1 belum terkirim/.test(document.getElementById('banner').innerText)`)
	s.picture("demo-cut")
	s.accessible("demo, cut off")
	s.size(wallWidth, wallHeight)
	s.turn("wall")
	s.wait(`document.querySelector('.wall-alerts')?.innerText.includes('Tidak ada peringatan.') === false`) // for that is not known any more
	s.picture("demo-cut-wall")
	s.tap("#cut", "Sambungkan lagi")
	s.connected()
	s.turn("tablet/unsent")
	s.waitText("Semua catatan sudah terkirim.")
}

// A visitor of the demo sees a kitchen at work, and can look into the others.
func TestDemoShowsTheBoard(t *testing.T) {
	t.Parallel() // most of it is waiting until data is old
	srv := start(t, nil, "demo")
	link := func(name string) string {
		_, after, _ := strings.Cut(srv.output(), name)
		_, after, found := strings.Cut(after, "/signin?")
		if !found {
			t.Fatalf("the demo prints no link for %s:\n%s", name, srv.output())
		}
		ticket, _, _ := strings.Cut(after, "\n")
		return "http://" + srv.Addr + "/signin?" + ticket
	}
	eventually(t, "the demo prints its links", func() bool { return strings.Contains(srv.output(), "Platform, all kitchens") })
	chromium := browser.Shared(t)
	s := &screen{t, browser.Profile(t, chromium)}
	s.size(wallWidth, wallHeight)
	s.open(link("Bandung"))
	s.connected()
	s.wait(`document.querySelectorAll('.tile').length > 0`)
	s.picture("demo")
	s.accessible("demo")
	s.cutsTheLineOfTheDemo()
	s = &screen{t, browser.Profile(t, chromium)}
	s.size(tabletWidth, tabletHeight)
	s.open(link("Platform"))
	s.waitText("Sentani")
	s.accessible("the demo's kitchens")
	s.picture("demo-all")
	s.open(s.list(`[[...document.querySelectorAll('.standings a')].find((a) => a.innerText.includes('Sentani')).href]`)[0])
	s.connected()
	s.waitText("WIT")
	s.accessible("a visitor's view")
}
