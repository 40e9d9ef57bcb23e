//go:build unix

package browser_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv/browser"
)

func TestPagesShareCookiesAndProfilesDoNot(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><title>x</title><p id=p></p><script>p.textContent = document.cookie + ';'</script>`))
	}))
	defer srv.Close()
	first := browser.Open(t)
	second := browser.Page(t, first)
	other := browser.Profile(t, first)
	if err := chromedp.Do(first, chromedp.Navigate(srv.URL)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(first, chromedp.Evaluate[string](`document.cookie = 'kitchen=7'`)); err != nil {
		t.Fatal(err)
	}
	shared, apart := cookies(t, second, srv.URL), cookies(t, other, srv.URL)
	if shared != "kitchen=7;" || apart != ";" {
		t.Errorf("cookies of the second page %q and of the other profile %q; want %q and %q", shared, apart, "kitchen=7;", ";")
	}
}

// cookies loads url in page and returns the cookies that its script sees, and a semicolon.
func cookies(t *testing.T, page context.Context, url string) string {
	t.Helper()
	if err := chromedp.Do(page, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(page, chromedp.Text(chromedp.CSS("#p")))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestSharedBrowserIsOneUntilItIsGone: all get the same one, and who comes after it has died gets another.
func TestSharedBrowserIsOneUntilItIsGone(t *testing.T) {
	t.Cleanup(browser.EndShared) // after the pages
	first := browser.Shared(t)
	if again := browser.Shared(t); again != first {
		t.Fatal("two were started")
	}
	if err := chromedp.Do(browser.Profile(t, first), chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	dying := chromedp.FromContext(first).Browser
	if err := dying.Process().Kill(); err != nil {
		t.Fatal(err)
	}
	<-dying.LostConnection
	next := browser.Shared(t)
	if next == first {
		t.Fatal("the one that has died is given out")
	}
	if err := chromedp.Do(browser.Profile(t, next), chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
}
