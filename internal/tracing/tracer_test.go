package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kentongan/internal/tracing"
	"kentongan/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run returns a running Tracer, and what ends it.
func run(t *testing.T, opts tracing.Options) (*tracing.Tracer, func()) {
	t.Helper()
	if opts.Service == "" {
		opts.Service = "kentongan"
	}
	tr, err := tracing.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	last, kill := context.WithCancel(context.WithoutCancel(ctx)) // which has ended when a test is cleaned up
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx, last) }()
	end := sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		kill()
	})
	t.Cleanup(end)
	return tr, end
}

var all = tracing.Sampling{Ratio: 1, Parent: true}

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestSpans(t *testing.T) {
	receiver := tracingtest.New(t)
	tr, end := run(t, tracing.Options{
		Endpoint: receiver.URL, Headers: map[string]string{"x-scope": "dapur"}, Version: "v1", Instance: "node-a",
		Attributes: map[string]string{"deployment.environment.name": "test"}, Sampling: all,
	})
	ctx, request := tr.Begin(tr.Adopt(t.Context(), parent), "request", tracing.Server, time.Time{})
	_, publish := tr.Begin(ctx, "publish", tracing.Producer, time.Time{})
	publish.Text("kentongan.tenant", "a")
	publish.Number("n", 3)
	publish.Texts("dialects", []string{"bare", "sse"})
	publish.Millis("late", 1500*time.Microsecond)
	other := tr.Root("other", tracing.Consumer, time.Time{})
	stamp := tr.Child(publish.Context(), "stamp", tracing.Client, time.Time{}, other.Context())
	stamp.Fail("refused")
	for _, s := range []*tracing.Span{stamp, publish, other, request} {
		s.End()
	}
	end() // which sends what is left
	spans := receiver.Spans()
	by := map[string]tracingtest.Span{}
	for _, s := range spans {
		by[s.Name] = s
	}
	if len(by) != 4 || by["request"].Trace != parent[3:35] || by["request"].Parent != parent[36:52] {
		t.Fatalf("got %s", tracingtest.List(spans))
	}
	if p := by["publish"]; p.Parent != by["request"].ID || p.Trace != by["request"].Trace || p.Kind != "SPAN_KIND_PRODUCER" ||
		p.Attributes["kentongan.tenant"] != "a" || p.Attributes["n"] != 3 || p.Attributes["late"] != 1.5 ||
		!slices.Equal(p.Attributes["dialects"].([]any), []any{"bare", "sse"}) {
		t.Errorf("got %+v", p)
	}
	if s := by["stamp"]; s.Parent != by["publish"].ID || !slices.Equal(s.Links, []string{by["other"].ID}) || !s.Failed {
		t.Errorf("got %+v", s)
	}
	if o := by["other"]; o.Parent != "" || o.Trace == by["request"].Trace {
		t.Errorf("a trace of its own is %+v", o)
	}
	for key, want := range map[string]string{
		"service.name": "kentongan", "service.version": "v1", "service.instance.id": "node-a", "deployment.environment.name": "test",
	} {
		if got := by["request"].Resource[key]; got != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
	if h := receiver.Headers()[0].Get("X-Scope"); h != "dapur" {
		t.Errorf("the header is %q", h)
	}
	if st := tr.Stats(); st != (tracing.Stats{Sent: 4}) {
		t.Errorf("the figures are %+v", st)
	}
}

// TestDecisions has traces recorded or not, as the sampler and the request say, once for all that is done below them.
func TestDecisions(t *testing.T) {
	low := "00-4bf92f3577b34da60000000000000001-00f067aa0ba902b7-0" // recorded by any ratio above 0
	for name, c := range map[string]struct {
		sampling tracing.Sampling
		header   string
		want     bool
	}{
		"AlwaysOn":             {tracing.Sampling{Ratio: 1}, "", true},
		"AlwaysOff":            {tracing.Sampling{}, "", false},
		"AlwaysOffForAll":      {tracing.Sampling{}, parent, false},
		"ParentOn":             {tracing.Sampling{Parent: true}, parent, true},
		"ParentOff":            {all, strings.TrimSuffix(parent, "1") + "0", false},
		"ParentOffButRatio":    {tracing.Sampling{Ratio: 0.01}, low + "0", true},
		"ParentOnButRatio":     {tracing.Sampling{Ratio: 0.01}, strings.Replace(low, "6000", "6fff", 1) + "1", false},
		"NoParent":             {all, "00-nothing", true},
		"NoParentAndNoneWants": {tracing.Sampling{Parent: true}, "00-nothing", false},
	} {
		t.Run(name, func(t *testing.T) {
			tr, _ := run(t, tracing.Options{Endpoint: tracingtest.New(t).URL, Sampling: c.sampling})
			ctx, span := tr.Begin(tr.Adopt(t.Context(), c.header), "a", tracing.Server, time.Time{})
			again, child := tr.Begin(ctx, "b", tracing.Internal, time.Time{})
			at, decided := tracing.From(again)
			if (span != nil) != c.want || (child != nil) != c.want || !decided || (at != nil) != c.want {
				t.Errorf("recorded: %v, its child %v, decided %v", span != nil, child != nil, decided)
			}
		})
	}
}

func TestRatio(t *testing.T) {
	const n, ratio = 200_000, 0.01
	tr, _ := run(t, tracing.Options{Endpoint: tracingtest.New(t).URL, Sampling: tracing.Sampling{Ratio: ratio}})
	got := 0
	for range n {
		if tr.Root("a", tracing.Consumer, time.Time{}) != nil {
			got++
		}
	}
	// Ten standard deviations: less often than once in 10^22 runs.
	if want := n * ratio; math.Abs(float64(got)-want) > 10*math.Sqrt(want) {
		t.Errorf("%d of %d are recorded", got, n)
	}
}

// TestCostsNothing counts what is allocated where nothing is recorded.
func TestCostsNothing(t *testing.T) {
	none, _ := run(t, tracing.Options{Endpoint: tracingtest.New(t).URL, Sampling: tracing.Sampling{Parent: true}})
	now := time.Now()
	decided := tracing.With(t.Context(), nil)
	for name, tr := range map[string]*tracing.Tracer{"Off": nil, "NotRecorded": none} {
		if n := testing.AllocsPerRun(1000, func() {
			span := tr.Root("a", tracing.Consumer, now)
			child := tr.Child(span.Context(), "b", tracing.Client, now)
			child.Number("n", 1)
			child.Text("t", "text")
			child.End()
			span.EndAt(now)
			_, below := tr.Begin(decided, "c", tracing.Client, now)
			below.Fail("word")
			below.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestDeadCollector(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), nil))
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	const room = 8
	tr, end := run(t, tracing.Options{Endpoint: closed.URL + "/v1/traces", Sampling: all, Queue: room, Log: log})
	const n = 1000
	for range n {
		tr.Root("a", tracing.Consumer, time.Time{}).End() // which never waits: nobody takes anything out for a second
	}
	end()
	st := tr.Stats()
	if st.Sent != 0 || st.Failed+st.Dropped != n || st.Dropped < n/2 || st.Waiting != 0 {
		t.Errorf("the figures are %+v", st)
	}
	mu.Lock()
	defer mu.Unlock()
	if lines := strings.Count(out.String(), "\n"); lines != 1 || !strings.Contains(out.String(), "traces cannot be sent") {
		t.Errorf("logged: %s", &out)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSlowCollector has a collector that does not answer: spans go on ending, what there is no room for is counted, and the end does not wait
// for it longer than it may.
func TestSlowCollector(t *testing.T) {
	receiver := tracingtest.New(t)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	defer close(release)
	receiver.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	}
	tr, err := tracing.New(tracing.Options{Endpoint: receiver.URL, Service: "kentongan", Sampling: all, Queue: 4})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	last, kill := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = tr.Run(ctx, last) }() // its error is that of the end
	tr.Root("a", tracing.Consumer, time.Time{}).End()
	<-asked // it hangs from here on
	const n = 100
	for range n {
		tr.Root("b", tracing.Consumer, time.Time{}).End()
	}
	if st := tr.Stats(); st.Dropped != n-4 || st.Waiting != 4 {
		t.Errorf("the figures are %+v", st)
	}
	stop()
	kill()
	<-done
	if st := tr.Stats(); st.Failed != 5 || st.Waiting != 0 {
		t.Errorf("at the end the figures are %+v", st)
	}
}

func TestHandler(t *testing.T) {
	receiver := tracingtest.New(t)
	tr, end := run(t, tracing.Options{Endpoint: receiver.URL, Sampling: tracing.Sampling{Parent: true}})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, s := tr.Begin(r.Context(), "inside", tracing.Internal, time.Time{})
		s.End()
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("/api/broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/api/bad", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusBadGateway) })
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	h := tr.Handler(func(path string) bool { return strings.HasPrefix(path, "/api/") }, mux)
	send := func(method, path string, parents ...string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		r.Header["Traceparent"] = parents
		defer func() {
			_ = recover() // what net/http does
			if r.Pattern == "" {
				t.Errorf("outside, %s %s has no pattern", method, path)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	send(http.MethodPost, "/api/things/of-kitchen-a?ticket=x", parent)
	send("BREW", "/api/bad", parent)
	send(http.MethodGet, "/api/broken", parent)
	send(http.MethodGet, "/other", parent)
	send(http.MethodGet, "/api/bad", parent, parent) // two are none
	send(http.MethodGet, "/api/bad")                 // which nobody records
	end()
	spans := receiver.Spans()
	got := map[string]tracingtest.Span{}
	for _, s := range spans {
		got[s.Name] = s
		if strings.Contains(tracingtest.List([]tracingtest.Span{s}), "of-kitchen-a") {
			t.Errorf("a span has the path of a request: %+v", s)
		}
	}
	if len(spans) != 4 {
		t.Fatalf("got %s", tracingtest.List(spans))
	}
	made := got["POST /api/things/{id}"]
	if made.Attributes["http.response.status_code"] != 201 || made.Failed || made.Parent != parent[36:52] {
		t.Errorf("got %+v", made)
	}
	if in := got["inside"]; in.Parent != made.ID {
		t.Errorf("what was done inside is below %q", in.Parent)
	}
	if s := got["_OTHER /api/bad"]; s.Attributes["http.response.status_code"] != 502 || !s.Failed {
		t.Errorf("got %+v", s)
	}
	if s := got["GET /api/broken"]; s.Attributes["http.response.status_code"] != nil || !s.Failed {
		t.Errorf("got %+v", s)
	}
	if off := (*tracing.Tracer)(nil).Handler(nil, mux); off != http.Handler(mux) {
		t.Error("off, there is a handler around the handler")
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string][2]bool{ // whether it is one, and recorded
		parent:                                   {true, true},
		strings.Replace(parent, "-01", "-00", 1): {true, false},
		strings.Replace(parent, "-01", "-03", 1): {true, true},
		strings.Replace(parent, "-01", "-02", 1): {true, false},
		"cc" + parent[2:] + "-what-comes-later":  {true, true},
		"cc" + parent[2:] + ".":                  {},
		"ff" + parent[2:]:                        {},
		parent + "-x":                            {},
		strings.ToUpper(parent):                  {},
		"":                                       {},
		parent[:54]:                              {},
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": {},
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": {},
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01": {},
	} {
		if _, sampled, ok := tracing.Parse(s); ok != want[0] || sampled != want[1] {
			t.Errorf("%q: recorded %v, one %v; want %v, %v", s, sampled, ok, want[1], want[0])
		}
	}
}

func contexts() *rapid.Generator[tracing.Context] {
	return rapid.Custom(func(t *rapid.T) tracing.Context {
		var c tracing.Context
		copy(c.Trace[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
		copy(c.Span[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span"))
		c.Trace[3] |= 1
		c.Span[3] |= 1
		return c
	})
}

func TestContextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := contexts().Draw(t, "context")
		if got, sampled, ok := tracing.Parse(c.String()); got != c || !sampled || !ok {
			t.Errorf("%s comes back as %s", &c, &got)
		}
		later := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "of a newer program")
		got, err := tracing.Read(append(c.Append(nil), later...), time.Time{})
		if err != nil || *got != c {
			t.Errorf("%s comes back as %v, %v", &c, got, err)
		}
	})
	for n := range tracing.Bytes {
		if c, err := tracing.Read(make([]byte, n), time.Time{}); err == nil {
			t.Errorf("%d bytes are %s", n, c)
		}
	}
	if c, err := tracing.Read(make([]byte, tracing.Bytes), time.Time{}); err == nil {
		t.Errorf("zeros are %s", c)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(parent)
	f.Add("01" + parent[2:] + "-more")
	f.Fuzz(func(t *testing.T, s string) {
		c, sampled, ok := tracing.Parse(s)
		if !ok {
			if c != (tracing.Context{}) || sampled {
				t.Errorf("%q is none, and something", s)
			}
			return
		}
		if again, _, ok := tracing.Parse(c.String()); !ok || again != c {
			t.Errorf("%q comes back as %v", s, again)
		}
		if c.String()[3:52] != s[3:52] {
			t.Errorf("%q was read as %s", s, &c)
		}
	})
}

func BenchmarkRoot(b *testing.B) {
	for name, opts := range map[string]tracing.Sampling{"none": {}, "one in a hundred": {Ratio: 0.01}, "all": {Ratio: 1}} {
		b.Run(name, func(b *testing.B) {
			tr, err := tracing.New(tracing.Options{Endpoint: "http://127.0.0.1:9/v1/traces", Service: "kentongan", Sampling: opts})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				tr.Root("publish production:updates:{tenant}", tracing.Producer, now).End()
			}
		})
	}
}
