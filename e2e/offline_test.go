//go:build unix

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// entries is how many temperatures are entered without a line.
const entries = 30

// offline is how long the line is cut: BOARD_OFFLINE, such as 60m, or no longer than the entries take.
func (k *kitchenServer) offline() time.Duration {
	k.t.Helper()
	text := os.Getenv("BOARD_OFFLINE")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		k.t.Fatalf("BOARD_OFFLINE is %q: want a duration such as 60m", text)
	}
	return d
}

// ahead is how far the clock of a tablet is off that nobody has set.
const ahead = 7 * time.Minute

// aheadOfTime sets the clock of the pages that are opened from now on.
func (s *screen) aheadOfTime() {
	s.t.Helper()
	source := fmt.Sprintf(`((Real) => {
		globalThis.realNow = () => Real.now()
		globalThis.Date = class extends Real {
			constructor(...given) { given.length === 0 ? super(Real.now() + %[1]d) : super(...given) }
			static now() { return Real.now() + %[1]d }
		}
	})(Date)`, ahead.Milliseconds())
	if _, err := chromedp.Call(s.page, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}); err != nil {
		s.t.Fatal(err)
	}
}

// timeLeftIs waits until the list says how long the food of a batch is still good, by the server's clock, and that it is old.
func (s *screen) timeLeftIs(menu string, consumeBy time.Time) {
	s.t.Helper()
	s.turn("tablet")
	s.wait(fmt.Sprintf(`((row) => {
		const [, sign, ...parts] = /Sisa waktu (-?)(?:(\d+):)?(\d+):(\d+)/.exec(row?.innerText ?? '') ?? []
		const shown = parts.reduce((sum, n) => sum * 60 + Number(n ?? 0), 0) * 1000
		return sign === '' && Math.abs(shown - (%d - realNow())) <= 2000 && row.closest('.old') !== null
	})([...document.querySelectorAll('.row')].find((row) => row.innerText.includes(%q)))`, consumeBy.UnixMilli(), menu))
}

// keepsEntries cuts the line, enters temperatures, loads the page anew and switches the tablet off and on again meanwhile, and mends the line.
// The clock of the tablet is wrong, and the times on it are the server's all the same.
func (k *kitchenServer) keepsEntries(t *testing.T, chromium context.Context) {
	good := k.plan("telur", 1, 250, -2*time.Hour)
	k.cookUntil(good, "QUALITY_CHECK")
	consumeBy, err := time.Parse(time.RFC3339, fmt.Sprint(k.read(good)["consumeBy"]))
	if err != nil {
		t.Fatal(err)
	}
	id := k.plan("ikan", 1, 400, -time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(t, k.Addr)
	s := newScreen(t, chromium, tablet(k.kitchen), "http://"+network.Addr+"/healthz")
	s.aheadOfTime()
	s.size(tabletWidth, tabletHeight)
	batch := "tablet/b/" + id
	s.open("http://" + network.Addr + "/#" + batch)
	s.connected()
	s.waitText("ikan kuah kuning")
	s.wait(`navigator.serviceWorker.controller !== null`)
	s.wait(`JSON.parse(localStorage.getItem('kentongan.kitchen') ?? '{}').productions?.some((p) => p.id === ` + quoted(id) + ` && p.status === 'COOKING')`)
	place, err := time.LoadLocation(k.zone)
	if err != nil {
		t.Fatal(err)
	}
	network.Cut()
	cut := time.Now()
	var known []string // when the newest was known, in the kitchen's minutes
	for at := cut.Add(-2 * time.Minute); !at.After(cut.Add(time.Minute)); at = at.Add(time.Minute) {
		known = append(known, at.In(place).Format(`15\.04`))
	}
	unsent := func(n int) {
		t.Helper()
		s.wait(fmt.Sprintf(`/Terputus – data pukul (%s) – %d belum terkirim/.test(document.getElementById('banner')?.innerText ?? '')`, strings.Join(known, "|"), n))
	}
	var want []string
	var entered []time.Time
	for i := range entries {
		time.Sleep(time.Until(cut.Add(k.offline() * time.Duration(i) / entries))) // spread over the time without a line
		if i == entries/2 {
			unsent(i)
			s.open("about:blank")
			s.open("http://" + network.Addr + "/#" + batch) // out of what the worker keeps
			unsent(i)
		}
		if k.offline() > 0 && i > 0 {
			s.timeLeftIs("telur balado", consumeBy) // as whoever only looks
			s.turn(batch)
		}
		s.tap(".action", "Catat Suhu")
		s.keys(fmt.Sprintf("%d,5", 60+i))
		s.tap("#save", "Simpan")
		s.wait(`document.querySelector('.sheet') === null`)
		want = append(want, fmt.Sprintf("%d.5", 60+i))
		entered = append(entered, time.Now())
	}
	unsent(entries)
	s.wait(`document.getElementById('main').classList.contains('old')`)
	s.wait(`document.querySelector('.one-head .badge').innerText.includes('` + fmt.Sprint(entries) + `')`)
	s.picture("tablet-offline")
	s.accessible("offline")
	s.timeLeftIs("telur balado", consumeBy)
	time.Sleep(time.Until(cut.Add(k.offline())))
	s.open("about:blank")
	s.open("http://" + network.Addr + "/#" + batch)
	unsent(entries)
	s.waitText("ikan kuah kuning") // what is kept is shown, as old
	s.wait(`document.getElementById('main').classList.contains('old')`)
	s.timeLeftIs("telur balado", consumeBy)
	s.turn("tablet/unsent")
	s.wait(fmt.Sprintf(`document.querySelectorAll('.unsent-line').length === %d`, entries))
	s.picture("tablet-unsent")
	network.Mend()
	without, mended := time.Since(cut), time.Now()
	const left = `document.querySelectorAll('.unsent-line').length`
	for n := fmt.Sprint(entries); n != "0"; n = s.list(`['' + ` + left + `]`)[0] {
		s.wait(left + " < " + n) // on a busy machine all of them may take long, but each of them does not
	}
	s.waitText("Semua catatan sudah terkirim.")
	t.Logf("%d entries in %v without a line, the tablet switched off and on meanwhile: all on the server %v after it was back",
		entries, without.Round(time.Second), time.Since(mended).Round(10*time.Millisecond))
	s.connected()
	var got []string
	readings, _ := k.ask("kepala", "GET", "/api/productions/"+id+"/readings", nil, 200)["readings"].([]any)
	for i, r := range readings {
		row, _ := r.(map[string]any)
		got = append(got, fmt.Sprint(row["celsius"]))
		taken, err := time.Parse(time.RFC3339, fmt.Sprint(row["takenAt"]))
		if err != nil || i >= len(entered) {
			continue // the comparison below tells
		}
		// It is the device's time, which the server flags.
		if off := taken.Sub(entered[i].Add(ahead)); off.Abs() > ahead/2 || row["clockOff"] != true {
			t.Errorf("entry %d was made at %v by a clock that is %v ahead; the server has %v", i, entered[i], ahead, row)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the server has %v; want each entry once, in their order: %v", got, want)
	}
}
