//go:build unix

package rest

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"kentongan/auth"
	"kentongan/internal/testenv/browser"
	"kentongan/production"
)

// TestPages_InABrowser opens both pages in a real one: what their policies forbid would be missing.
func TestPages_InABrowser(t *testing.T) {
	s := newStage(t)
	s.to(production.Completed)
	srv := httptest.NewServer(s.api)
	defer srv.Close()
	page := browser.Open(t)

	open(t, page, srv.URL+"/docs#INVALID", "#listProductions")
	shown := evaluate[struct {
		Operations, Dangling []string
		Size                 string
		Code                 string
	}](t, page, `({
		Operations: [...document.querySelectorAll("nav a")].map(a => a.hash.slice(1)).filter(id => document.getElementById(id) && !id.startsWith("schema-")),
		Dangling: [...document.querySelectorAll('main a[href^="#schema-"]')].map(a => a.hash.slice(1)).filter(id => !document.getElementById(id)),
		Size: getComputedStyle(document.querySelector("nav")).fontSize,
		Code: document.getElementById("INVALID").innerText,
	})`)
	n := 0
	for _, item := range s.api.huma.OpenAPI().Paths {
		n += len(operations(item))
	}
	if len(shown.Operations) != n || len(shown.Dangling) > 0 || shown.Size != "13px" || !strings.Contains(shown.Code, titles["INVALID"]) {
		t.Errorf("/docs shows %d of %d operations, has links to %q, which are not there, writes in %s and explains INVALID with %q",
			len(shown.Operations), n, shown.Dangling, shown.Size, shown.Code)
	}

	token, err := auth.MintSession(secret, auth.SessionCookie, map[string]any{"sub": "kepala", "userRole": "SPPG_KEPALA", "sppgId": string(sppg)}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(page, network.SetCookie, network.SetCookieParams{Name: auth.SessionCookie, Value: token, URL: srv.URL}); err != nil {
		t.Fatal(err)
	}
	open(t, page, srv.URL+"/api/daylog?format=html&date=2026-11-26", "table")
	log := evaluate[struct {
		Title, Borders string
		Rows           int
		Last           float64 // width of the column for what was done about it, which takes what the others leave
	}](t, page, `({
		Title: document.title, Borders: getComputedStyle(document.querySelector("table")).borderCollapse, Rows: document.querySelectorAll("tbody tr").length,
		Last: document.querySelector("thead th:last-child").getBoundingClientRect().width,
	})`)
	if !strings.HasPrefix(log.Title, "Catatan harian") || log.Borders != "collapse" || log.Rows < 10 || log.Last < 150 {
		t.Errorf("the log of a day shows %+v", log)
	}
}

// open loads url and waits for what the selector names.
func open(t *testing.T, page context.Context, url, selector string) {
	t.Helper()
	if err := chromedp.Do(page, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(page, chromedp.Poll[bool](`!!document.querySelector("`+selector+`")`, chromedp.WithPollingTimeout(30*time.Second))); err != nil {
		t.Fatalf("%s shows no %s: %v", url, selector, err)
	}
}

func evaluate[T any](t *testing.T, page context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(page, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
