//go:build unix

package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv/browser"
)

const (
	updates = "production:updates:sppg_7"
	alerts  = "production:alerts:sppg_7"
)

// patience is how long a page may take for what it should do at once: the machine of the tests may be busy.
const patience = 30 * time.Second

// visit opens a page and fails the test at its end if the browser found a fault: an uncaught error, or something that
// the security policy blocks.
func visit(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	eval[bool](t, ctx, `globalThis.faults = [],
		addEventListener('error', (e) => faults.push(e.message)),
		addEventListener('unhandledrejection', (e) => faults.push(String(e.reason))),
		document.addEventListener('securitypolicyviolation', (e) => faults.push(e.violatedDirective + ' ' + e.blockedURI)), true`)
}

func wantNoFaults(t *testing.T, ctx context.Context) {
	t.Helper()
	if faults := eval[[]string](t, ctx, `globalThis.faults`); len(faults) > 0 {
		t.Errorf("the browser found faults: %q", faults)
	}
}

func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// eventually waits until script is true in the page.
func eventually(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if eval[bool](t, ctx, script) {
			return
		}
	}
	t.Fatalf("never true: %s\nthe page says:\n%s", script, eval[string](t, ctx, `document.body.innerText`))
}

// says waits until the element with this id has text in it.
func says(t *testing.T, ctx context.Context, id, text string) {
	t.Helper()
	eventually(t, ctx, fmt.Sprintf(`document.getElementById(%s).innerText.includes(%s)`, quote(id), quote(text)))
}

func click(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	eval[bool](t, ctx, fmt.Sprintf(`document.querySelector(%s).click(), true`, quote(selector)))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("page_test: " + err.Error())
	}
	return string(b)
}

func update(id string, data object) object {
	return object{"type": "production_update", "productionId": id, "data": data, "timestamp": 1, "updatedBy": "u1"}
}

func TestPage(t *testing.T) {
	ctx := browser.Open(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"ShowsWhatComesAndWhatWas":          showsWhatComesAndWhatWas,
		"ShowsHostileTextAsText":            showsHostileTextAsText,
		"ResumesAfterABreak":                resumesAfterABreak,
		"TellsOfAGap":                       tellsOfAGap,
		"ShowsOldDataAsOld":                 showsOldDataAsOld,
		"ShowsWhatTheServerDoesNotKnow":     showsWhatTheServerDoesNotKnow,
		"DoesNotComeBackWhenToldSo":         doesNotComeBackWhenToldSo,
		"SaysHowToSignIn":                   saysHowToSignIn,
		"SignsOut":                          signsOut,
		"LetsPlatformRolesChooseAKitchen":   letsPlatformRolesChooseAKitchen,
		"PausesAndFiltersItsLog":            pausesAndFiltersItsLog,
		"FitsEveryScreenAndCanBeReadOnIt":   fitsEveryScreen,
		"KeepsTheLanguageThatSomebodyChose": keepsTheLanguage,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser.Page(t, ctx)) })
	}
}

func showsWhatComesAndWhatWas(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates, alerts)
	k.publish(t, updates, object{"type": "production_created", "productionId": "p1", "data": object{"batchNumber": "BATCH-20261124-0001", "status": "PLANNED", "plannedPortions": 2500}})
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	says(t, ctx, "kitchen", "sppg_7")
	says(t, ctx, "productions", "BATCH-20261124-0001") // out of the history
	says(t, ctx, "productions", "Direncanakan")
	eventually(t, ctx, `document.querySelector('.percent').innerText === '–'`) // never told, so not 0

	k.publish(t, updates, update("p1", object{"status": "COOKING", "progress": 35, "actualTemperature": 76.5, "actualPortions": 1200}))
	says(t, ctx, "productions", "Memasak")
	for _, text := range []string{"35 %", "76,5 °C", "1.200", "/ 2.500"} {
		says(t, ctx, "productions", text)
	}
	says(t, ctx, "last", "Pesan terakhir")

	alert := object{"id": "a1", "code": "CORE_TEMP_LOW", "severity": "CRITICAL", "status": "OPEN", "message": object{"id": "Suhu inti kurang", "en": "Core temperature low"}}
	k.publish(t, alerts, object{"type": "production_alert", "productionId": "p1", "alert": alert, "timestamp": 1})
	says(t, ctx, "alerts", "Suhu inti kurang")
	says(t, ctx, "alerts", "Kritis")
	says(t, ctx, "productions", "Kritis")
	alert["status"] = "RESOLVED"
	k.publish(t, alerts, object{"type": "production_alert", "productionId": "p1", "alert": alert, "timestamp": 2})
	eventually(t, ctx, `document.querySelectorAll('#alerts > li').length === 0`)
	wantNoFaults(t, ctx)
}

func showsHostileTextAsText(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates, alerts)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	evil := `<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>`
	k.publish(t, updates, update(evil, object{"batchNumber": evil, "menuName": evil, "status": evil, "progress": evil}))
	k.publish(t, alerts, object{"type": "production_alert", "productionId": evil, "alert": object{"message": evil, "unit": evil, "code": evil}})
	for _, odd := range []any{nil, 1, "x", []any{}, object{"__proto__": object{"status": "COOKING"}}, update("", object{}), object{"type": []any{}}} {
		k.publish(t, updates, odd)
	}
	says(t, ctx, "productions", "<img src=x")
	says(t, ctx, "alerts", "<img src=x")
	eventually(t, ctx, `document.querySelectorAll('#log > li').length === 9`)
	if n := eval[int](t, ctx, `document.querySelectorAll('main img, main script').length`); n != 0 {
		t.Errorf("%d elements came out of a message; want none", n)
	}
	if eval[bool](t, ctx, `'pwned' in globalThis`) {
		t.Error("a message ran as a script")
	}
	wantNoFaults(t, ctx)
}

func resumesAfterABreak(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates, alerts)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	k.publish(t, updates, object{"n": 1})
	says(t, ctx, "log", `{"n":1}`)
	k.change(func(k *kitchen) { k.refused = http.StatusServiceUnavailable })
	k.cut()
	k.publish(t, updates, object{"n": 2})
	eventually(t, ctx, `document.getElementById('lamp-word').innerText !== 'Terhubung'`)
	k.publish(t, updates, object{"n": 3})
	k.change(func(k *kitchen) { k.refused = 0 })
	says(t, ctx, "log", `{"n":3}`)
	says(t, ctx, "lamp", "Terhubung")
	k.publish(t, updates, object{"n": 4})
	says(t, ctx, "log", `{"n":4}`)
	texts := eval[[]string](t, ctx, `[...document.querySelectorAll('.log-text')].map((e) => e.innerText)`)
	if want := []string{`{"n":4}`, `{"n":3}`, `{"n":2}`, `{"n":1}`}; !slices.Equal(texts, want) {
		t.Errorf("the log is %q; want each once, newest first: %q", texts, want)
	}
	wantNoFaults(t, ctx)
}

func tellsOfAGap(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	k.publish(t, updates, update("p1", object{"batchNumber": "B1", "status": "COOKING"}))
	says(t, ctx, "productions", "B1")
	k.change(func(k *kitchen) { // the history was lost, and one message came since
		k.epoch = "second"
		k.channels[updates] = []json.RawMessage{json.RawMessage(`{"n":"after"}`)}
	})
	k.cut()
	says(t, ctx, "log", "Mungkin ada pesan yang terlewat di sini (riwayat dimulai ulang)")
	says(t, ctx, "log", `{"n":"after"}`)
	says(t, ctx, "productions", "Mungkin sudah berubah")
	k.publish(t, updates, update("p1", object{"status": "COMPLETED"}))
	eventually(t, ctx, `document.querySelectorAll('.card.doubtful').length === 0`)
	says(t, ctx, "productions", "Selesai")
}

// showsOldDataAsOld puts the page's clock ahead instead of waiting for the time to pass.
func showsOldDataAsOld(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	eventually(t, ctx, `!document.body.classList.contains('stale')`)
	k.change(func(k *kitchen) { k.refused = http.StatusServiceUnavailable })
	k.cut()
	eventually(t, ctx, `document.getElementById('lamp-word').innerText !== 'Terhubung'`)
	eval[bool](t, ctx, `(() => { const now = Date.now; Date.now = () => now() + 16000; return true })()`)
	eventually(t, ctx, `document.body.classList.contains('stale')`)
	says(t, ctx, "lamp", "Terputus")
	eventually(t, ctx, `/Terputus – data pukul \d\d\.\d\d/.test(document.getElementById('banner').innerText)`)
	k.change(func(k *kitchen) { k.refused = 0 })
	eventually(t, ctx, `!document.body.classList.contains('stale') && document.getElementById('banner').hidden`)
}

// showsWhatTheServerDoesNotKnow has a server that is well connected, and says that nothing new reaches it.
func showsWhatTheServerDoesNotKnow(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	eventually(t, ctx, `!document.body.classList.contains('stale')`)
	k.tell(object{"stale": object{"since": 1767243600123, "reason": "engine"}})
	eventually(t, ctx, `document.body.classList.contains('stale')`)
	says(t, ctx, "banner", "Data mungkin tidak terbaru")
	says(t, ctx, "lamp", "Terhubung")
	k.tell(object{"fresh": object{"time": 1767243609123}})
	eventually(t, ctx, `!document.body.classList.contains('stale') && document.getElementById('banner').hidden`)
}

func doesNotComeBackWhenToldSo(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	k.closeAll(4500, "session revoked")
	says(t, ctx, "banner", "session revoked (4500)")
	says(t, ctx, "lamp", "Terputus")
	eval[bool](t, ctx, `dispatchEvent(new Event('online')), dispatchEvent(new Event('pageshow')), true`)
	if n := k.connections(); n != 1 {
		t.Errorf("%d connections; want 1", n)
	}
	click(t, ctx, "#banner-reload")
	eventually(t, ctx, `document.readyState === 'complete' && document.getElementById('lamp-word').innerText === 'Terhubung'`)
}

func saysHowToSignIn(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	info := k.info
	k.change(func(k *kitchen) { k.info = nil })
	visit(t, ctx, k.URL)
	says(t, ctx, "gate", "Anda belum masuk")
	says(t, ctx, "gate", "buka tautan masuk yang dicetak server di terminal")
	if eval[bool](t, ctx, `document.getElementById('board').checkVisibility()`) {
		t.Error("the board is shown to nobody in particular")
	}
	k.change(func(k *kitchen) { k.info = info })
	click(t, ctx, "#gate-again")
	says(t, ctx, "lamp", "Terhubung")

	k.change(func(k *kitchen) { k.info = nil }) // the session ends
	k.publish(t, updates, object{"secret": true})
	k.closeAll(4002, "session expired")
	says(t, ctx, "gate", "Anda belum masuk")
	if left := eval[string](t, ctx, `document.getElementById('log').textContent`); left != "" {
		t.Errorf("after the session's end the page still holds %q", left)
	}
	wantNoFaults(t, ctx)
}

func signsOut(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	click(t, ctx, "#sign-out")
	eventually(t, ctx, `document.getElementById('gate')?.innerText.includes('Anda belum masuk') === true`)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.origins, []string{k.URL}) {
		t.Errorf("origins of the sign-outs are %q; want one of %q, or the server refuses it", k.origins, k.URL)
	}
}

func letsPlatformRolesChooseAKitchen(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "", updates, alerts, "system-alert")
	visit(t, ctx, k.URL)
	says(t, ctx, "gate", "Pilih dapur")
	eval[bool](t, ctx, `document.getElementById('tenant').value = 'sppg 7', true`)
	if eval[bool](t, ctx, `document.getElementById('gate-choose').checkValidity()`) {
		t.Error("an id with a space is accepted")
	}
	eval[bool](t, ctx, `document.getElementById('tenant').value = 'sppg_7', true`)
	click(t, ctx, "#gate-choose button")
	eventually(t, ctx, `document.getElementById('lamp-word')?.innerText === 'Terhubung' && location.search === '?tenant=sppg_7'`)
	k.publish(t, updates, object{"n": 1})
	says(t, ctx, "log", `{"n":1}`)
	says(t, ctx, "channels", "Ditolak: no such channel") // those that this server does not have
}

func pausesAndFiltersItsLog(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates, alerts)
	visit(t, ctx, k.URL)
	k.publish(t, updates, object{"n": 1})
	k.publish(t, alerts, object{"n": 2})
	says(t, ctx, "log", `{"n":1}`)
	says(t, ctx, "log", `{"n":2}`)
	click(t, ctx, "#pause")
	k.publish(t, updates, object{"n": 3})
	says(t, ctx, "pause", "Lanjutkan (1 baru)")
	if eval[bool](t, ctx, `document.getElementById('log').innerText.includes('{"n":3}')`) {
		t.Error("a paused log goes on")
	}
	click(t, ctx, "#pause")
	says(t, ctx, "log", `{"n":3}`)
	click(t, ctx, `#channels button[title="`+alerts+`"]`)
	eventually(t, ctx, `document.querySelectorAll('#log > li').length === 1`)
	says(t, ctx, "log", `{"n":2}`)
	says(t, ctx, "log-filter", "production:alerts")
}

func keepsTheLanguage(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates)
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Terhubung")
	click(t, ctx, `button[data-language="en"]`)
	says(t, ctx, "lamp", "Connected")
	visit(t, ctx, k.URL)
	says(t, ctx, "lamp", "Connected")
	if lang := eval[string](t, ctx, `document.documentElement.lang`); lang != "en" {
		t.Errorf("lang is %q; want en", lang)
	}
	click(t, ctx, `button[data-language="id"]`)
	says(t, ctx, "lamp", "Terhubung")
}

// contrast returns the texts of the page whose contrast is under what WCAG AA asks for: 4.5, or 3 for large text.
// Filters and opacity of what is stale are counted in.
const contrast = `(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
	const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
	const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const ground = (e) => { const c = e ? parse(getComputedStyle(e).backgroundColor) : [14, 20, 27, 1]; return c[3] === 1 ? c.slice(0, 3) : over(c, ground(e.parentElement)) };
	const opacity = (e) => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
	const poor = [];
	for (const e of document.querySelectorAll('body *')) {
		const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
		if (!text || !e.checkVisibility() || e.closest('svg, noscript')) continue;
		const s = getComputedStyle(e), size = parseFloat(s.fontSize), c = parse(s.color), g = ground(e);
		const faded = (c) => over([...c, opacity(e)], [14, 20, 27]);
		const a = light(faded(over(c, g))), b = light(faded(g));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < (size >= 24 || size >= 18.66 && Number(s.fontWeight) >= 700 ? 3 : 4.5)) poor.push(text.slice(0, 40) + ' ' + ratio.toFixed(2));
	}
	return poor;
})()`

func fitsEveryScreen(t *testing.T, ctx context.Context) {
	k := openKitchen(t, "sppg_7", updates, alerts, "system-alert")
	busy(t, k)
	for _, size := range []struct{ width, height int64 }{{320, 568}, {360, 740}, {800, 1280}, {1280, 800}, {1920, 1080}} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(size.width, size.height)); err != nil {
			t.Fatal(err)
		}
		visit(t, ctx, k.URL)
		says(t, ctx, "productions", "BATCH-20261124-0006")
		says(t, ctx, "lamp", "Terhubung")
		eval[bool](t, ctx, `document.getAnimations().forEach((a) => a.finish()), true`)
		if wide := eval[int64](t, ctx, `document.documentElement.scrollWidth`); wide > size.width {
			t.Errorf("at %d px the page is %d px wide", size.width, wide)
		}
		small := eval[[]string](t, ctx, `[...document.querySelectorAll('button, input')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 32).map((e) => e.innerText)`)
		if len(small) > 0 {
			t.Errorf("at %d px these are too small to be touched: %q", size.width, small)
		}
		for _, stale := range []bool{false, true} {
			eval[bool](t, ctx, fmt.Sprintf(`document.body.classList.toggle('stale', %v), true`, stale))
			if poor := eval[[]string](t, ctx, contrast); len(poor) > 0 {
				t.Errorf("at %d px, stale %v, the contrast of these is poor:\n%s", size.width, stale, strings.Join(poor, "\n"))
			}
		}
	}
}

// busy fills a kitchen with batches in all states, and alerts of all severities.
func busy(t *testing.T, k *kitchen) {
	t.Helper()
	now := time.Now()
	for i, status := range []string{"PLANNED", "PREPARING", "COOKING", "QUALITY_CHECK", "COMPLETED", "CANCELLED"} {
		data := object{"batchNumber": fmt.Sprintf("BATCH-20261124-%04d", i+1), "menuName": "Nasi, ayam suwir, tumis buncis, jeruk", "status": status, "plannedPortions": 2500 - 100*i}
		if i > 0 {
			data["progress"] = 20 * i
			data["actualTemperature"] = 71.5 + float64(i)
			data["targetTemperature"] = 75
			data["actualPortions"] = 400 * i
			data["consumeBy"] = now.Add(time.Duration(i) * time.Hour).UnixMilli()
		}
		k.publish(t, updates, object{"type": "production_created", "productionId": fmt.Sprint("p", i), "data": data})
	}
	for i, severity := range []string{"LOW", "MEDIUM", "HIGH", "CRITICAL"} {
		alert := object{"id": severity, "code": "CORE_TEMP_LOW", "severity": severity, "status": "OPEN", "value": 72.4, "limit": 75, "unit": "°C",
			"message": object{"id": "Suhu inti kurang", "en": "Core temperature low"}}
		if i == 1 {
			alert["status"] = "ACKNOWLEDGED"
		}
		k.publish(t, alerts, object{"type": "production_alert", "productionId": fmt.Sprint("p", i), "alert": alert})
	}
	k.publish(t, "system-alert", object{"type": "maintenance", "message": "Server dimulai ulang pukul 23.00"})
}
