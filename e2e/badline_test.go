//go:build unix

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv/browser"
)

// The board behind lines that are slow, that die without a word, and that let no WebSocket through; and two tablets that tap at once.
func TestBoardOnABadLine(t *testing.T) {
	t.Parallel() // most of it is waiting until a line is known to be dead
	chromium := browser.Shared(t)
	k := openKitchen(t)
	t.Run("WorksWhenEverythingIsSlow", func(t *testing.T) { k.in(t).worksSlowly(t, chromium) })
	t.Run("GoesOnWithoutWebSockets", func(t *testing.T) { k.in(t).goesOnWithoutSockets(t, chromium) })
	t.Run("HidesNoAlertWhenTheLineDies", func(t *testing.T) { k.in(t).hidesNoAlert(t, chromium) })
	t.Run("TakesTwoTapsForOne", func(t *testing.T) { k.in(t).takesTwoTaps(t, chromium) })
	t.Run("SharesOneLineAmongTabs", func(t *testing.T) { k.in(t).sharesALine(t, chromium) })
	t.Run("ShowsNoOtherKitchen", func(t *testing.T) { k.in(t).showsNoOther(t, chromium) })
}

// worksSlowly has a tablet on a line that takes 300 ms each way, which is a bad 3G line.
func (k *kitchenServer) worksSlowly(t *testing.T, chromium context.Context) {
	id := k.plan("ayam", 1, 500, -time.Hour)
	network := newLine(t, k.Addr)
	network.Delay(300 * time.Millisecond)
	s := k.show(chromium, member(k.kitchen, "manajer"), network.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	s.waitText("ayam teriyaki")
	if unknown := s.list(`[...document.querySelectorAll('.one-head .value')].map((e) => e.textContent)`); strings.Join(unknown, " ") != "– – – – –" {
		t.Errorf("of a batch that is planned the tablet says %q; what is not known is –, and never 0", unknown)
	}
	s.tap("#next", "Mulai Persiapan")
	s.tap("#send-now", "Kirim sekarang")
	s.waitText("Pemeriksaan kebersihan belum lulus")
	if offered := s.list(`[...document.querySelectorAll('.acts .action')].map((e) => e.innerText)`); strings.Contains(strings.Join(offered, " "), "Catat Porsi") {
		t.Errorf("before anything is cooked the tablet offers %q; portions would be refused", offered)
	}
	s.tap(".action", "Catat Limbah")
	s.keys("2,5")
	s.tap("#save", "Simpan")
	s.wait(`document.querySelector('.one-head').innerText.includes('2,5 kg')`)
	k.act("manajer", id, "work", map[string]any{"progress": 21})
	s.wait(`document.querySelector('.one-head').innerText.includes('21 %')`)
	s.connected()
}

// goesOnWithoutSockets has a proxy that knows no WebSocket: the board follows an event stream.
func (k *kitchenServer) goesOnWithoutSockets(t *testing.T, chromium context.Context) {
	id := k.plan("ikan", 1, 400, -time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(t, k.Addr)
	network.BlockSockets()
	before := strings.Count(k.output(), `"dialect":"sse"`)
	s := k.show(chromium, member(k.kitchen, "kepala"), network.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 77.5})
	s.wait(`document.querySelector('.one-head').innerText.includes('77,5 °C')`)
	network.Cut()
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 78.5})
	network.Mend()
	s.wait(`document.querySelector('.one-head').innerText.includes('78,5 °C')`)
	s.connected()
	if strings.Count(k.output(), `"dialect":"sse"`) == before {
		t.Error("no event stream was opened")
	}
}

// hidesNoAlert has a wall whose line dies without a word while food is found too cold. It says that what it shows is old, and once the line is
// back it sounds. The clock of the food goes on where it was, also when the food goes back to the stove.
func (k *kitchenServer) hidesNoAlert(t *testing.T, chromium context.Context) {
	id := k.plan("telur", 1, 200, -time.Hour)
	k.cookUntil(id, "QUALITY_CHECK")
	network := newLine(t, k.Addr)
	s := k.show(chromium, member(k.kitchen, "kepala"), network.Addr, "wall", wallWidth, wallHeight)
	tile := `[...document.querySelectorAll('.tile')].find((e) => e.innerText.includes('telur'))`
	s.wait(tile + `?.querySelector('.tile-by').innerText.includes('Layak sampai pukul') === true`)
	eatBy := s.list(`[` + tile + `.querySelector('.tile-by').innerText]`)[0]
	network.Vanish()
	network.Cut() // new connections come to nothing, either
	k.act("mutu", id, "checks", map[string]any{"checkType": "TEMPERATURE", "parameter": "rutin", "actualValue": "62,5", "celsius": 62.5})
	k.act("gizi", id, "transition", map[string]any{"to": "COOKING", "reason": "Suhu inti kurang dari 75 °C"})
	s.wait(`/^Terputus – data pukul \d\d\.\d\d – 0 belum terkirim$/.test(document.querySelector('#banner p').textContent) && document.getElementById('main').classList.contains('old')`)
	if s.list(`[` + tile + `.innerText]`)[0] == "" || len(s.list(`[...document.querySelectorAll('#alarm')].map((e) => e.innerText)`)) > 0 {
		t.Error("the wall knows what it was not told")
	}
	network.Mend()
	s.wait(`document.getElementById('alarm')?.innerText.includes('Kritis') === true`)
	s.connected()
	s.wait(tile + `.innerText.includes('Memasak')`)
	if got := s.list(`[` + tile + `.querySelector('.tile-by').innerText]`)[0]; got != eatBy {
		t.Errorf("after the food went back to the stove the wall says %q; want %q as before", got, eatBy)
	}
}

// takesTwoTaps has two tablets on which the same step is tapped at once: it is done once, and neither has anything to decide.
func (k *kitchenServer) takesTwoTaps(t *testing.T, chromium context.Context) {
	id := k.plan("ayam", 2, 300, -time.Hour)
	before := k.read(id)["version"]
	a := k.show(chromium, tablet(k.kitchen), k.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	b := k.show(chromium, member(k.kitchen, "manajer"), k.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	for _, s := range []*screen{a, b} {
		s.tap("#next", "Mulai Persiapan")
		s.wait(`document.getElementById('send-now') !== null`)
	}
	for _, s := range []*screen{a, b} {
		s.run(`document.getElementById('send-now').click()`)
	}
	for _, s := range []*screen{a, b} {
		s.waitText("Mulai Memasak")
		s.turn("tablet/unsent")
		s.waitText("Semua catatan sudah terkirim.")
	}
	if after := k.read(id)["version"]; after != before.(float64)+1 {
		t.Errorf("the batch came from version %v to %v; want one step", before, after)
	}
}

// sharesALine has two tabs of one tablet: the kitchen has one connection more, and when the tab that holds it is closed the other goes on.
func (k *kitchenServer) sharesALine(t *testing.T, chromium context.Context) {
	id := k.plan("ikan", 3, 300, -time.Hour)
	k.cookUntil(id, "COOKING")
	sessions := func() any {
		for _, v := range k.ask(apiUser, http.MethodGet, "/api/overview", nil, http.StatusOK)["kitchens"].([]any) {
			if kitchen, ok := v.(map[string]any); ok && kitchen["sppgId"] == k.kitchen {
				return kitchen["sessions"]
			}
		}
		return nil
	}
	eventually(t, "the screens of other tests are gone", func() bool { return sessions() == 0.0 })
	first := k.show(chromium, member(k.kitchen, "mutu"), k.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	second := &screen{t, browser.Page(t, first.page)}
	second.open("http://" + k.Addr + "/#wall")
	second.connected()
	if got := sessions(); got != 1.0 {
		t.Errorf("the kitchen has %v connections; want one for both tabs", got)
	}
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 79.5})
	second.waitText("79,5 °C")
	first.open("about:blank")
	k.act("manajer", id, "readings", map[string]any{"kind": "CORE", "celsius": 80.5})
	second.waitText("80,5 °C")
	second.connected()
}

// showsNoOther has somebody open the address of another kitchen.
func (k *kitchenServer) showsNoOther(t *testing.T, chromium context.Context) {
	k.plan("telur", 2, 300, -time.Hour)
	other := newScreen(t, chromium, member("sppg_8", "kepala"), "http://"+k.Addr+"/healthz")
	other.size(tabletWidth, tabletHeight)
	other.open("http://" + k.Addr + "/?tenant=" + k.kitchen + "#tablet")
	other.waitText("Server menolak halaman ini")
	other.open("http://" + k.Addr + "/#tablet")
	other.connected()
	other.waitText("Tidak ada batch untuk hari ini.")
	if text := other.list(`[document.body.innerText, JSON.stringify(localStorage)]`); strings.Contains(strings.Join(text, ""), "telur") {
		t.Errorf("the board of another kitchen knows of the batch: %q", text)
	}

	// Somebody of the other kitchen signs in at the same device.
	u := member(k.kitchen, "gizi")
	if _, err := chromedp.Call(other.page, network.SetCookie, network.SetCookieParams{Name: u.cookie, Value: u.token(t), URL: "http://" + k.Addr}); err != nil {
		t.Fatal(err)
	}
	other.open("about:blank")
	other.open("http://" + k.Addr + "/#tablet")
	other.connected()
	other.waitText("telur balado")
}

// doesNotGrow lets a wall take in what it is told in a busy night (twenty thousand messages), and
// weighs the page before and after, without what is garbage. Batches come and go, alerts are raised and end.
func (k *kitchenServer) doesNotGrow(t *testing.T, chromium context.Context) {
	id := k.plan("ayam", 4, 200, -time.Hour)
	s := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "wall", wallWidth, wallHeight)
	took := 0
	take := func(rounds int) {
		t.Helper()
		for range rounds {
			took++
			k.publishAll(busyMinute(k.kitchen, id, took))
		}
		k.publish("production:updates:"+k.kitchen, fmt.Sprintf(`{"type":"production_update","productionId":%q,"data":{"version":%d,"menuName":"giliran %d"},"timestamp":1}`, id, 1_000_000+took, took))
		s.waitText(fmt.Sprintf("giliran %d", took))
	}
	take(5) // until everything has been used once
	// Strings of the last messages are garbage a little later than one collection sees, and the engine keeps code that it has compiled.
	// What grows with the messages grows by as much the next time.
	const slack, nights = 256 << 10, 3
	before := s.weigh()
	for night := 1; ; night++ {
		take(100)
		after := s.weigh()
		t.Logf("night %d of twenty thousand messages: from %v to %v", night, before, after)
		if after.nodes > before.nodes+20 || after.listeners > before.listeners+5 {
			t.Fatalf("the page has grown from %v to %v in twenty thousand messages", before, after)
		}
		if after.heap <= before.heap+slack {
			return
		}
		if night == nights {
			t.Fatalf("the page grows with each twenty thousand messages, at last from %v to %v", before, after)
		}
		before = after
	}
}

// busyMinute returns two hundred messages of a kitchen, as JSON for POST /api/publish, the n-th such minute.
func busyMinute(kitchen, id string, n int) []string {
	var list []string
	say := func(channel, format string, args ...any) {
		list = append(list, fmt.Sprintf(`{"channel":%q,"data":%s}`, channel+":"+kitchen, fmt.Sprintf(format, args...)))
	}
	for i := range 49 {
		say("production:updates", `{"type":"production_update","productionId":%q,"data":{"version":%d,"progress":%d,"actualTemperature":%d},"timestamp":1}`, id, n*1000+i, 10+i, 40+i)
		say("production:updates", `{"type":"production_update","productionId":%q,"data":{"version":%d,"actualPortions":%d},"timestamp":1}`, id, n*1000+i, 100+i)
	}
	for i := range 25 {
		alert := fmt.Sprintf("a-%d-%d", n, i)
		batch := fmt.Sprintf("b-%d-%d", n, i)
		say("production:updates", `{"type":"production_created","productionId":%q,"data":{"id":%q,"status":"COOKING","version":1,"productionDate":"2020-01-01"},"timestamp":1}`, batch, batch)
		say("production:alerts", `{"type":"production_alert","productionId":%q,"alert":{"id":%q,"code":"OVERRUN","severity":"HIGH","status":"OPEN","productionId":%q},"timestamp":%d}`, batch, alert, batch, 2*n)
		say("production:alerts", `{"type":"production_alert","productionId":%q,"alert":{"id":%q,"code":"OVERRUN","severity":"HIGH","status":"RESOLVED","productionId":%q},"timestamp":%d}`, batch, alert, batch, 2*n+1)
		say("production:updates", `{"type":"production_update","productionId":%q,"data":{"status":"COMPLETED","version":2},"timestamp":1}`, batch)
	}
	return append(list, list[0], list[1])
}

// publishAll sends many publications in one request.
func (s *server) publishAll(list []string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.Addr+"/api/publish", strings.NewReader("["+strings.Join(list, ",")+"]"))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+apiKey)
	if status, text := do(s.t, req); status != http.StatusOK || strings.Contains(text, `"error"`) {
		s.t.Fatalf("publish %d messages: status %d, %.300s", len(list), status, text)
	}
}

// weight is what a page is made of when no garbage is left.
type weight struct {
	nodes, listeners int64 // also those that are no longer in the document
	heap             float64
}

func (w weight) String() string {
	return fmt.Sprintf("%d nodes, %d listeners, %.0f KiB of heap", w.nodes, w.listeners, w.heap/1024)
}

func (s *screen) weigh() weight {
	s.t.Helper()
	var w weight
	for range 2 { // what finalizers let go is garbage only then
		if _, err := chromedp.Call(s.page, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			s.t.Fatal(err)
		}
	}
	counters, err := chromedp.Call(s.page, memory.GetDOMCounters, cdp.Empty{})
	if err != nil {
		s.t.Fatal(err)
	}
	heap, err := chromedp.Call(s.page, runtime.GetHeapUsage, cdp.Empty{})
	if err != nil {
		s.t.Fatal(err)
	}
	w.nodes, w.listeners, w.heap = counters.Nodes, counters.JsEventListeners, heap.UsedSize
	return w
}
