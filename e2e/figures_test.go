//go:build unix

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// profiles are the mobile lines on which the first load is measured: the names and numbers of Chrome's own developer tools.
var profiles = []struct {
	name    string
	latency time.Duration // of a round trip
	kbit    float64       // a second, each way
}{
	{"3G (300 ms, 700 kbit/s)", 300 * time.Millisecond, 700},
	{"slow 3G (400 ms, 400 kbit/s)", 400 * time.Millisecond, 400},
}

// conditions are a mobile line to Chromium: ms of a round trip, bytes a second.
type conditions struct {
	Offline  bool    `json:"offline"`
	Latency  float64 `json:"latency"`
	Download float64 `json:"downloadThroughput"`
	Upload   float64 `json:"uploadThroughput"`
}

var slowDown = cdp.Command[conditions, cdp.Empty]{Method: "Network.emulateNetworkConditions"}

// watchFirst notes when a batch can be read first, and when it is known to be the present, in ms since the page was asked for.
const watchFirst = `globalThis.first = { value: 0, live: 0 }; new MutationObserver(() => {
	if (!first.value && document.querySelector('.tile')) first.value = performance.now()
	if (!first.live && first.value && document.getElementById('lamp')?.textContent === 'Terhubung') first.live = performance.now()
}).observe(document, { subtree: true, childList: true, characterData: true })`

// loadsOnAMobileLine opens the wall as a browser does that has never been here, and tells when the first value can be read and when it is known
// to be the present. How long that takes is told and not judged: the machine of the tests is shared.
func (k *kitchenServer) loadsOnAMobileLine(t *testing.T, chromium context.Context) {
	k.plan("ayam", 5, 240, time.Hour)
	for _, p := range profiles {
		s := newScreen(t, chromium, member(k.kitchen, "kepala"), "http://"+k.Addr+"/healthz")
		s.size(wallWidth, wallHeight)
		bytes := p.kbit * 1000 / 8
		_, err := chromedp.Call(s.page, slowDown, conditions{Latency: float64(p.latency.Milliseconds()), Download: bytes, Upload: bytes})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(s.page, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchFirst}); err != nil {
			t.Fatal(err)
		}
		s.open("http://" + k.Addr + "/#wall")
		s.wait(`first.live > 0`)
		figures := s.list(`((all, sum) => [first.value, first.live, sum(all.filter((e) => !e.name.includes('/api/'))), sum(all)].map((n) => n.toFixed(0)))(
			[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')], (list) => list.reduce((n, e) => n + e.transferSize, 0))`)
		t.Logf("%s: the first value after %s ms, known to be the present after %s ms; files of %s bytes, %s with what the API answers",
			p.name, figures[0], figures[1], figures[2], figures[3])
	}
}
