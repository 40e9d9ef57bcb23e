package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/internal/tracing"
	"kentongan/internal/tracing/tracingtest"
	"kentongan/production"
	"kentongan/production/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("a key of more than 24 bytes, for tests")

func notice(store *storetest.Model, t *testing.T, id string) production.Notice {
	t.Helper()
	n := production.Notice{ID: id, Tenant: "k1", AlertID: "a", At: production.At(time.Now()), Payload: []byte(`{"alert":"` + id + `"}`)}
	if _, err := store.Commit(t.Context(), production.Commit{Tenant: "k1", Notices: []production.Notice{n}}); err != nil {
		t.Fatal(err)
	}
	return n
}

func run(t *testing.T, c *Caller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func caller(t *testing.T, store Notices, opts Options) *Caller {
	t.Helper()
	opts.Secret = key
	c, err := New(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// transport answers without a network, so that time may stand still.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
}

// waiting returns the notices that are not settled.
func waiting(t *testing.T, store *storetest.Model) []production.Notice {
	t.Helper()
	list, err := store.ClaimNotices(t.Context(), "test", production.At(time.Now().Add(1000*time.Hour)), time.Nanosecond, 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCallIsSigned(t *testing.T) {
	store := storetest.NewModel()
	n := notice(store, t, "a.1")
	got := make(chan *http.Request, 1)
	body := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body <- text
		got <- r
	}))
	defer server.Close()
	c := caller(t, store, Options{URL: server.URL + "/hook?x=1", Private: true, Every: time.Millisecond})
	defer run(t, c)()
	text, r := <-body, <-got
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/hook?x=1" || r.Header.Get("Content-Type") != "application/json" || !bytes.Equal(text, n.Payload) {
		t.Errorf("%s %s with %s", r.Method, r.URL.RequestURI(), text)
	}
	seconds, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("the timestamp is %q", r.Header.Get("webhook-timestamp"))
	}
	if want := Sign(key, "a.1", time.Unix(seconds, 0), text); r.Header.Get("webhook-signature") != want || r.Header.Get("webhook-id") != "a.1" {
		t.Errorf("signed %q as %q, want %q", r.Header.Get("webhook-signature"), r.Header.Get("webhook-id"), want)
	}
}

// TestCallTellsItsTrace has the receiver told where the call is in a trace, if it is traced, and nothing if not.
func TestCallTellsItsTrace(t *testing.T) {
	receiver := tracingtest.New(t)
	traces, err := tracing.New(tracing.Options{Endpoint: receiver.URL, Service: "test", Sampling: tracing.Sampling{Ratio: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = traces.Run(ctx, context.WithoutCancel(ctx)) }() // a Tracer's end is its own test
	for _, tr := range []*tracing.Tracer{nil, traces} {
		store := storetest.NewModel()
		notice(store, t, "a.1")
		got := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			got <- r.Header.Get("Traceparent")
		}))
		end := run(t, caller(t, store, Options{URL: server.URL, Private: true, Every: time.Millisecond, Traces: tr}))
		told := <-got
		end()
		server.Close()
		if tr == nil {
			if told != "" {
				t.Errorf("without traces the receiver is told %q", told)
			}
			continue
		}
		at, recorded, ok := tracing.Parse(told)
		if !ok || !recorded {
			t.Fatalf("the receiver is told %q", told)
		}
		stop()
		<-ended
		spans := receiver.Spans()
		if len(spans) != 1 || spans[0].Name != "call webhook" || at.String()[3:35] != spans[0].Trace || at.String()[36:52] != spans[0].ID ||
			spans[0].Attributes["kentongan.tenant"] != "k1" || strings.Contains(tracingtest.List(spans), server.URL) {
			t.Errorf("told %s, got %s", told, tracingtest.List(spans))
		}
	}
}

// TestSignature is the example of the standard's own reference: https://github.com/standard-webhooks/standard-webhooks.
func TestSignature(t *testing.T) {
	k, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(k, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	raw := strings.Repeat("s", 24)
	for secret, ok := range map[string]bool{
		raw: true, raw[1:]: false, "whsec_" + base64.StdEncoding.EncodeToString([]byte(raw)): true,
		"whsec_" + base64.StdEncoding.EncodeToString([]byte(raw[1:])): false, "whsec_no base64 although it is long": false, "": false,
	} {
		if _, err := ParseSecret(secret); (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		} else if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// TestTriesAgainLaterAndLater takes the receiver away for three hours.
func TestTriesAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		n := notice(store, t, "a.1")
		began := time.Now()
		var tries []time.Duration
		c := caller(t, store, Options{URL: "https://example.test/"})
		c.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			if text, _ := io.ReadAll(r.Body); !bytes.Equal(text, n.Payload) || r.Header.Get("webhook-id") != "a.1" {
				t.Errorf("try %d is another one: %s %s", len(tries), r.Header.Get("webhook-id"), text)
			}
			tries = append(tries, time.Since(began))
			if time.Since(began) < 3*time.Hour {
				return answer(http.StatusBadGateway), nil
			}
			return answer(http.StatusNoContent), nil
		})
		stop := run(t, c)
		time.Sleep(5 * time.Hour)
		stop()
		if len(waiting(t, store)) != 0 || c.Stats().Delivered != 1 || c.Stats().Failed != uint64(len(tries)-1) {
			t.Errorf("stats %+v after %d tries", c.Stats(), len(tries))
		}
		for i := 1; i < len(tries); i++ {
			wait, least := tries[i]-tries[i-1], min(firstRetry<<(i-1), lastRetry)
			if wait < least || wait > least*5/4+c.opts.Every {
				t.Errorf("try %d came after %s, want %s and up to a quarter more", i, wait, least)
			}
		}
		if len(tries) < 10 || len(tries) > 20 {
			t.Errorf("%d tries in three hours", len(tries))
		}
	})
}

func TestGivesUpLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		notice(store, t, "a.1")
		var log bytes.Buffer
		c := caller(t, store, Options{URL: "https://example.test/secret-path", Log: slog.New(slog.NewTextHandler(&log, nil))})
		c.client.Transport = transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		stop := run(t, c)
		time.Sleep(26 * time.Hour)
		stop()
		if len(waiting(t, store)) != 0 || c.Stats().GivenUp != 1 || !strings.Contains(log.String(), "nobody was called") {
			t.Errorf("stats %+v, %d wait", c.Stats(), len(waiting(t, store)))
		}
		if strings.Contains(log.String(), "secret-path") || strings.Contains(log.String(), `"alert"`) {
			t.Errorf("the log has the address or the payload:\n%s", log.String())
		}
	})
}

// TestTwoNodesCallOnce delivers many notices from two nodes.
func TestTwoNodesCallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		var mu sync.Mutex
		calls := map[string]int{}
		for _, owner := range []string{"a", "b"} {
			c := caller(t, store, Options{URL: "https://example.test/", Owner: owner})
			c.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
				time.Sleep(300 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				calls[r.Header.Get("webhook-id")]++
				return answer(http.StatusOK), nil
			})
			defer run(t, c)()
		}
		for n := range 30 {
			notice(store, t, "a."+strconv.Itoa(n+1))
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for id, n := range calls {
			if n != 1 {
				t.Errorf("%s was called %d times", id, n)
			}
		}
		if len(calls) != 30 || len(waiting(t, store)) != 0 {
			t.Errorf("%d of 30 were called", len(calls))
		}
	})
}

func TestWithoutAReceiverNoticesAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		notice(store, t, "a.1")
		c, err := New(store, Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, c)
		synctest.Wait()
		stop()
		if n := len(waiting(t, store)); n != 0 {
			t.Errorf("%d notices wait for a receiver that nobody has named", n)
		}
	})
}

// TestAStopDoesNotCount ends the process during a call: the next one makes it again at once.
func TestAStopDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		notice(store, t, "a.1")
		c := caller(t, store, Options{URL: "https://example.test/"})
		c.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		stop := run(t, c)
		time.Sleep(time.Second)
		stop()
		time.Sleep(time.Minute)
		if list := waiting(t, store); len(list) != 1 || list[0].Attempts != 0 {
			t.Errorf("it stands as %+v", list)
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Store(true)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	c := caller(t, storetest.NewModel(), Options{URL: server.URL, Private: true})
	defer c.client.CloseIdleConnections()
	if err := c.call(t.Context(), production.Notice{ID: "a.1"}); err == nil || !strings.Contains(err.Error(), "307") || followed.Load() {
		t.Errorf("a redirect gave %v, followed: %v", err, followed.Load())
	}
}

func TestPrivateReceivers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		url := "http://" + host + ":" + port
		c := caller(t, storetest.NewModel(), Options{URL: url})
		if err := c.call(t.Context(), production.Notice{ID: "a.1"}); !errors.Is(err, ErrPrivate) {
			t.Errorf("%s: %v, want ErrPrivate", host, err)
		}
		c = caller(t, storetest.NewModel(), Options{URL: url, Private: true})
		if err := c.call(t.Context(), production.Notice{ID: "a.1"}); err != nil {
			t.Errorf("%s, allowed: %v", host, err)
		}
		c.client.CloseIdleConnections()
	}
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "::1": false, "fc00::1": false, "fe80::1": false, "224.0.0.1": false,
		"255.255.255.255": false, "240.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "198.18.0.1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for url, why := range map[string]string{
		"ftp://x.test/": "https://", "https:///path": "no host", "https://u:p@x.test/": "user", "://": "no URL", "https://x.test/#a": "#", "x.test": "https://",
	} {
		if _, err := New(nil, Options{URL: url, Secret: key}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want something about %s", url, err, why)
		}
	}
	if _, err := New(nil, Options{URL: "https://x.test/", Secret: []byte("short")}); err == nil || !strings.Contains(err.Error(), "24 bytes") {
		t.Errorf("a short secret: %v", err)
	}
}
