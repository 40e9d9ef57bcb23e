//go:build unix

// Package browser starts Chromium for tests. It stands apart from testenv because chromedp is large, and most tests need no
// browser.
package browser

import (
	"context"
	"log"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv"
)

// Open starts a headless Chromium with an empty profile and returns a context with one blank page, for chromedp.Do and
// chromedp.Run. More pages of it come from [Page] and [Profile]. It ends with the test.
func Open(t testing.TB) context.Context {
	t.Helper()
	ctx, end := launch(t, t.Logf)
	t.Cleanup(end)
	return ctx
}

// shared is the browser of the tests that do not mind others beside them.
var shared struct {
	sync.Mutex
	runs *running // nil: it does not
}

// running is a browser with one blank page, and what ends it.
type running struct {
	ctx context.Context
	end func()
}

// Shared returns the context of a browser that all tests of the process share, which is started by the first of them. A test opens
// a [Profile] of its own in it, and knows nothing of the others then, but that they need the processor, too. TestMain ends it with
// [EndShared]. Tests may ask for it at the same time.
func Shared(t testing.TB) context.Context {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.runs != nil && lost(shared.runs.ctx) { // whoever used it has failed; the next ones need not
		shared.runs.end()
		shared.runs = nil
	}
	if shared.runs == nil {
		ctx, end := launch(t, log.Printf) // it outlives t
		shared.runs = &running{ctx, end}
	}
	return shared.runs.ctx
}

// EndShared ends the browser of [Shared], if it runs. No test may use it any more.
func EndShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.runs != nil {
		shared.runs.end()
		shared.runs = nil
	}
}

// lost reports whether the browser of ctx is gone.
func lost(ctx context.Context) bool {
	select {
	case <-chromedp.FromContext(ctx).Browser.LostConnection:
		return true
	default:
		return ctx.Err() != nil
	}
}

// launch starts a browser that tells what goes wrong in it to logf.
func launch(t testing.TB, logf func(string, ...any)) (ctx context.Context, end func()) {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], // headless, an unattended first run, no throttled pages
		chromedp.ExecPath(testenv.Chromium(t)),
		chromedp.Flag("no-sandbox", true), // tests run as root in containers, where the sandbox cannot start
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), // nothing but the test's own server may be talked to
	)
	for tries := 1; ; tries++ {
		ctx, end, err := start(logf, flags)
		if err == nil {
			return ctx, end
		}
		end()
		if tries == maxStarts {
			t.Fatalf("start chromium, %d times: %v", tries, err)
		}
		t.Logf("start chromium: %v", err)
	}
}

// maxStarts is how often a browser is started that dies while it starts, as Chromium now and then does on a machine that is short of
// everything. What is tested here is not Chromium.
const maxStarts = 3

// start returns a browser with one blank page, and what ends it.
func start(logf func(string, ...any), flags []chromedp.ExecAllocatorOption) (ctx context.Context, end func(), err error) {
	allocator, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, closePage := chromedp.NewContext(allocator, chromedp.WithErrorf(logf))
	return ctx, func() { closePage(); stop() }, chromedp.Do(ctx) // closePage waits for the browser's end, and only then the profile is removed
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
