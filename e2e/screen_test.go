//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"kentongan/internal/testenv"
	"kentongan/internal/testenv/browser"
)

// user is who sits before a screen: a session of the existing app.
type user struct {
	encoder string // v5: @auth/core, v4: next-auth 4
	cookie  string // its name
	claims  map[string]any
}

// cook returns somebody of the kitchen id, with a session as a default installation of Auth.js v5 makes it.
func cook(id string) user {
	return user{"v5", "authjs.session-token", map[string]any{
		"sub": "usr_" + id, "name": "Siti", "sppgId": id, "userRole": "SPPG_KEPALA", "userType": "SPPG",
	}}
}

// tokens are cookies that the app's library has made and nobody has, by what it was asked for. To start Node takes far longer
// than to make one, so that it makes some at a time.
var tokens = struct {
	sync.Mutex
	spare map[string][]string
}{spare: map[string][]string{}}

// token returns the value of u's cookie, made by the app's own library. Each is of a session of its own.
func (u user) token(t testing.TB) string {
	t.Helper()
	claims, err := json.Marshal(u.claims)
	if err != nil {
		t.Fatal(err)
	}
	const made = 20
	asked := []string{u.encoder, secret, u.cookie, string(claims), fmt.Sprint(made)}
	key := strings.Join(asked, "\n")
	tokens.Lock()
	defer tokens.Unlock()
	if len(tokens.spare[key]) == 0 {
		tokens.spare[key] = strings.Fields(string(testenv.Node(t, "testdata/session.mjs", asked...)))
	}
	if len(tokens.spare[key]) == 0 {
		t.Fatal("the app's library makes no cookie")
	}
	token := tokens.spare[key][0]
	tokens.spare[key] = tokens.spare[key][1:]
	return token
}

// screen is a page in Chromium.
type screen struct {
	t    testing.TB
	page context.Context
}

// newScreen opens url in a browser profile of its own, signed in as u.
func newScreen(t testing.TB, chromium context.Context, u user, url string) *screen {
	t.Helper()
	s := &screen{t, browser.Profile(t, chromium)}
	_, err := chromedp.Call(s.page, network.SetCookie, network.SetCookieParams{Name: u.cookie, Value: u.token(t), URL: url})
	if err != nil {
		t.Fatalf("set the cookie: %v", err)
	}
	s.open(url)
	return s
}

func (s *screen) open(url string) {
	s.t.Helper()
	if err := chromedp.Do(s.page, chromedp.Navigate(url)); err != nil {
		s.t.Fatalf("open %s: %v", url, err)
	}
}

// waitState waits until the page shows this state of its connection.
func (s *screen) waitState(state string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("document.getElementById('state').textContent === %q", state))
}

// waitText waits until text can be read anywhere on the page.
func (s *screen) waitText(text string) {
	s.t.Helper()
	s.wait(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// wait waits until the JavaScript expression is true. One that asks something of an element that is not there yet is not.
func (s *screen) wait(expression string) {
	s.t.Helper()
	soon := "(() => { try { return " + expression + " } catch (e) { if (e instanceof TypeError) return false; throw e } })()"
	end := time.Now().Add(patience)
	for {
		_, err := chromedp.Run(s.page, chromedp.Poll[bool](soon, chromedp.WithPollingTimeout(patience)))
		if err == nil {
			return
		}
		// On a busy machine the document that is asked may be the one before, of which only the browser knows yet that it is gone.
		gone := slices.ContainsFunc([]string{"Cannot find context", "context was destroyed", "navigated or closed"},
			func(words string) bool { return strings.Contains(err.Error(), words) })
		if gone && time.Now().Before(end) {
			continue
		}
		text, _ := chromedp.Run(s.page, chromedp.Evaluate[string]("document.body.innerText"))
		s.t.Fatalf("waited for %s: %v\nthe page shows:\n%s", expression, err, text)
	}
}

const items = "[...document.querySelectorAll('#messages li')].map((li) => li.textContent)"

// waitFor waits until a message with this text is there, and returns all messages on the page, oldest first.
func (s *screen) waitFor(text string) []string {
	s.t.Helper()
	s.wait(fmt.Sprintf("%s.some((m) => m.includes(%q))", items, text))
	return s.messages()
}

func (s *screen) messages() []string {
	s.t.Helper()
	all, err := chromedp.Run(s.page, chromedp.Evaluate[[]string](items))
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// wantOnly checks that the page shows exactly these messages, each recognised by a part of it, in this order.
func (s *screen) wantOnly(parts ...string) {
	s.t.Helper()
	got := s.messages()
	if !slices.EqualFunc(got, parts, strings.Contains) {
		s.t.Errorf("the page shows\n%s\nwant %q", strings.Join(got, "\n"), parts)
	}
}

// update is a message as the app publishes it; marker makes it recognisable.
func update(marker string) string {
	return fmt.Sprintf(`{"type":"production_update","productionId":%q,"data":{"status":"COOKING","actualPortions":120},`+
		`"timestamp":1700000000000,"updatedBy":"usr_1"}`, marker)
}

// publisher is one of the app's Redis clients in a process of its own.
type publisher struct{ node *testenv.NodeProcess }

// newPublisher starts the script of a client, connected to the Redis at addr.
func newPublisher(t testing.TB, script, addr string) publisher {
	t.Helper()
	return publisher{testenv.StartNode(t, "testdata/"+script, "redis://"+addr)}
}

// publish publishes message, JSON text, with a plain PUBLISH.
func (p publisher) publish(t testing.TB, channel, message string) {
	t.Helper()
	if got := p.node.Ask(fmt.Sprintf(`{"channel":%q,"message":%s}`, channel, message)); got != "published" {
		t.Fatalf("publish to %s: %s", channel, got)
	}
}
