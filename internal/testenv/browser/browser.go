//go:build unix

// Package browser starts Chromium for tests. It stands apart from testenv because chromedp is large, and most tests need no
// browser.
package browser

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv"
)

// Open starts a headless Chromium with an empty profile and returns a context with one blank page, for chromedp.Do and
// chromedp.Run. More pages of it come from [Page] and [Profile]. It ends with the test.
func Open(t testing.TB) context.Context {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], // headless, an unattended first run, no throttled pages
		chromedp.ExecPath(testenv.Chromium(t)),
		chromedp.Flag("no-sandbox", true), // tests run as root in containers, where the sandbox cannot start
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), // nothing but the test's own server may be talked to
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(closePage) // waits for the browser's end, and only then the profile is removed
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// Page opens one more page in the browser of ctx, with the same cookies. It closes with the test.
func Page(t testing.TB, ctx context.Context) context.Context {
	t.Helper()
	return open(t, ctx)
}

// Profile opens a page in the browser of ctx that shares no cookies with the others, as if it were on another machine. It
// closes with the test.
func Profile(t testing.TB, ctx context.Context) context.Context {
	t.Helper()
	return open(t, ctx, chromedp.WithNewBrowserContext())
}

func open(t testing.TB, ctx context.Context, opts ...chromedp.ContextOption) context.Context {
	t.Helper()
	page, closePage := chromedp.NewContext(ctx, opts...)
	t.Cleanup(closePage)
	if err := chromedp.Do(page); err != nil {
		t.Fatalf("open a page: %v", err)
	}
	return page
}
