package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/internal/tracing/tracingtest"
)

// traced are the settings of a server, called name in traces, that records all of them.
func traced(r *tracingtest.Receiver, name string, more ...string) []string {
	return append([]string{
		"KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + r.URL, "OTEL_TRACES_SAMPLER=parentbased_always_on",
		"OTEL_SERVICE_NAME=" + name,
	}, more...)
}

// parentOf makes a traceparent of a trace of its own for each n.
func parentOf(n int, flags string) string {
	return fmt.Sprintf("00-%032x-%016x-%s", 0xabc000+n, 0xdef000+n, flags)
}

func (s *server) publishIn(traceparent, channel, data string) {
	s.t.Helper()
	status, body := s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"`+channel+`","data":`+data+`}`, http.Header{
		"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}, "Traceparent": {traceparent},
	})
	if status != http.StatusOK {
		s.t.Fatalf("publish was answered with %d %s", status, body)
	}
}

// in fits the spans of the trace that a traceparent is of.
func in(traceparent string) func(tracingtest.Span) bool {
	return func(s tracingtest.Span) bool { return s.Trace == traceparent[3:35] }
}

// find returns the one span of that name, of the server of that name.
func find(t *testing.T, spans []tracingtest.Span, server, name string) tracingtest.Span {
	t.Helper()
	found := slices.DeleteFunc(slices.Clone(spans), func(s tracingtest.Span) bool {
		return s.Name != name || s.Resource["service.name"] != server
	})
	if len(found) != 1 {
		t.Fatalf("%d spans of %s are called %s, want one; all are %s", len(found), server, name, tracingtest.List(spans))
	}
	return found[0]
}

// has reports whether there is a span of that name below parent. There may be several: what Redis does not answer in time is sent again.
func has(spans []tracingtest.Span, name, parent string) bool {
	return slices.ContainsFunc(spans, func(s tracingtest.Span) bool { return s.Name == name && s.Parent == parent })
}

func ready(t *testing.T, servers ...*server) {
	t.Helper()
	for _, s := range servers {
		eventually(t, "readiness", func() bool {
			status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
			return status == http.StatusOK
		})
	}
}

const updates = "production:updates:{tenant}"

// TestTraceAcrossNodes publishes at one server, in a trace that the publisher began: what both servers do about it is in that trace, each
// step below the one that it comes from. Of a trace that the publisher does not record, nothing is sent. No span has anything of a
// person, a credential or a message.
func TestTraceAcrossNodes(t *testing.T) {
	receiver := tracingtest.New(t)
	redis := "REDIS_URL=redis://" + testenv.Redis(t)
	a, b := start(t, traced(receiver, "one", redis)...), start(t, traced(receiver, "two", redis)...)
	ready(t, a, b)
	here, there := a.dial(a.cookie("person-7", "k1", "SPPG_KEPALA")), b.dial(b.cookie("person-8", "k1", "SPPG_KEPALA"))
	for i, flags := range []string{"00", "01"} {
		data := fmt.Sprintf(`{"secret":"recipe","n":%d}`, i)
		a.publishIn(parentOf(i, flags), "production:updates:k1", data)
		for _, conn := range []string{read(t, here), read(t, there)} {
			if conn != data {
				t.Fatalf("a screen reads %s, want %s", conn, data)
			}
		}
	}
	parent := parentOf(1, "01")
	spans := receiver.Wait(t, 5, in(parent))
	request := find(t, spans, "one", "POST /api/publish")
	publish := find(t, spans, "one", "publish "+updates)
	if request.Parent != parent[36:52] || publish.Parent != request.ID || !has(spans, "stamp", publish.ID) ||
		request.Kind != "SPAN_KIND_SERVER" || publish.Kind != "SPAN_KIND_PRODUCER" {
		t.Errorf("got %s", tracingtest.List(spans))
	}
	if request.Attributes["http.response.status_code"] != 200 || publish.Attributes["kentongan.tenant"] != "k1" ||
		publish.Attributes["kentongan.door"] != "http" {
		t.Errorf("got %s", tracingtest.List(spans))
	}
	for _, server := range []string{"one", "two"} {
		d := find(t, spans, server, "deliver "+updates)
		if d.Parent != publish.ID || d.Kind != "SPAN_KIND_CONSUMER" || d.Attributes["kentongan.sessions"] != 1 ||
			!slices.Equal(d.Attributes["kentongan.dialects"].([]any), []any{"bare"}) {
			t.Errorf("on %s got %s", server, tracingtest.List([]tracingtest.Span{d}))
		}
		first, last := d.Attributes["kentongan.first_write_ms"].(float64), d.Attributes["kentongan.last_write_ms"].(float64)
		if first < 0 || last < first || d.Ended.Before(d.Began) {
			t.Errorf("on %s the first write is after %v ms, the last after %v ms", server, first, last)
		}
	}
	for _, s := range []*server{a, b} {
		if err := s.stop(); err != nil { // which sends what is left
			t.Error(err)
		}
	}
	all := receiver.Spans()
	text := tracingtest.List(all)
	for _, s := range all {
		if in(parentOf(0, "00"))(s) {
			t.Errorf("a span of a trace that is not recorded: %+v", s)
		}
	}
	for _, word := range []string{"recipe", "person-7", "person-8", apiKey, secret, "production:updates:k1"} {
		if strings.Contains(text, word) {
			t.Errorf("a span has %q: %s", word, text)
		}
	}
}

// TestTraceAtEachDoor publishes at the doors other than HTTP: who brings a traceparent goes on in that trace, the others begin one each.
func TestTraceAtEachDoor(t *testing.T) {
	receiver := tracingtest.New(t)
	addr := testenv.Redis(t)
	s := start(t, traced(receiver, "one", "REDIS_URL=redis://"+addr, "KENTONGAN_REDIS_DOOR=127.0.0.1:0")...)
	ready(t, s)
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	plain, door := redisClient(t, addr, ""), redisClient(t, s.redis, apiKey)
	ctx := t.Context()
	parent := parentOf(5, "01")
	for _, c := range []struct {
		door    string
		publish func() error
	}{
		{"pubsub", func() error {
			return plain.Do(ctx, plain.B().Publish().Channel("production:updates:k1").Message(`"pubsub"`).Build()).Error()
		}},
		{"redis", func() error {
			return door.Do(ctx, door.B().Publish().Channel("production:updates:k1").Message(`"redis"`).Build()).Error()
		}},
		{"stream", func() error {
			return plain.Do(ctx, plain.B().Xadd().Key("kentongan:publish").Id("*").FieldValue().FieldValue("channel", "production:updates:k1").
				FieldValue("data", `"stream"`).FieldValue("traceparent", parent).Build()).Error()
		}},
	} {
		if err := c.publish(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, screen); got != `"`+c.door+`"` {
			t.Fatalf("the screen reads %s", got)
		}
		publish := receiver.Wait(t, 1, func(s tracingtest.Span) bool { return s.Attributes["kentongan.door"] == c.door && !s.Failed })[0]
		spans := receiver.Wait(t, 3, func(s tracingtest.Span) bool { return s.Trace == publish.Trace })
		deliver := find(t, spans, "one", "deliver "+updates)
		want := ""
		if c.door == "stream" {
			want = parent[36:52]
		}
		if publish.Name != "publish "+updates || publish.Parent != want || (publish.Trace == parent[3:35]) != (want != "") ||
			!has(spans, "stamp", publish.ID) || deliver.Parent != publish.ID {
			t.Errorf("at the door %s: %s", c.door, tracingtest.List(spans))
		}
	}
}

// TestTraceOfAChange has somebody change a batch, in a trace that was begun before: the database, the relay and the screens are in it.
func TestTraceOfAChange(t *testing.T) {
	for system, database := range map[string]func(t *testing.T) string{
		"sqlite":     func(t *testing.T) string { return "sqlite:" + t.TempDir() + "/k.db" },
		"postgresql": func(t *testing.T) string { return testenv.Postgres(t) },
	} {
		t.Run(system, func(t *testing.T) {
			receiver := tracingtest.New(t)
			s := start(t, traced(receiver, "one", "KENTONGAN_PRODUCTION=on", "KENTONGAN_CACHE=on", "DATABASE_URL="+database(t))...)
			databaseIsThere(t, s)
			k := openKitchen(t, s, "k1")
			screen := s.dial(s.cookie("kepala", "k1", "SPPG_KEPALA"))
			path, version := k.planned()
			for i, flags := range []string{"00", "01"} {
				header := s.cookie("koki", "k1", "SPPG_STAFF_DAPUR")
				header.Set("Traceparent", parentOf(i, flags))
				body := fmt.Sprintf(`{"version":%d,"wasteAmount":0.%d}`, version+int64(i), i+1)
				k.want(http.StatusOK, http.MethodPost, path+"/work", body, header)
			}
			for last := ""; !strings.Contains(last, `0.2`); { // what the second change tells comes last
				last = read(t, screen)
			}
			parent := parentOf(1, "01")
			receiver.Wait(t, 1, func(s tracingtest.Span) bool { return in(parent)(s) && s.Name == "deliver "+updates })
			spans := receiver.Wait(t, 6, in(parent))
			request := find(t, spans, "one", "POST /api/productions/{id}/work")
			spans = slices.DeleteFunc(spans, func(s tracingtest.Span) bool { // what was decided again, for something else was faster
				return s.Attributes["kentongan.outcome"] == "conflict"
			})
			commit := find(t, spans, "one", "commit")
			publish, deliver := find(t, spans, "one", "publish "+updates), find(t, spans, "one", "deliver "+updates)
			if forget := find(t, spans, "one", "forget"); forget.Parent != commit.ID || forget.Ended.After(publish.Began) ||
				forget.Attributes["kentongan.tenant"] != "k1" {
				t.Errorf("the cache: %s", tracingtest.List(spans))
			}
			if request.Parent != parent[36:52] || !has(spans, "load", request.ID) || commit.Parent != request.ID || publish.Parent != commit.ID ||
				deliver.Parent != publish.ID || commit.Attributes["db.system.name"] != system || commit.Attributes["kentongan.events"] != 1 ||
				publish.Attributes["kentongan.door"] != "relay" {
				t.Errorf("got %s", tracingtest.List(spans))
			}
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			for _, span := range receiver.Spans() {
				if in(parentOf(0, "00"))(span) {
					t.Errorf("the change that is not recorded has a span: %+v", span)
				}
			}
		})
	}
}

// TestTracesAreOff: without KENTONGAN_TRACES nothing is sent, whatever else is set, and nothing runs for it.
func TestTracesAreOff(t *testing.T) {
	receiver := tracingtest.New(t)
	s := start(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+receiver.URL, "OTEL_TRACES_SAMPLER=always_on")
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	s.publishIn(parentOf(1, "01"), "production:updates:k1", `1`)
	if got := read(t, screen); got != "1" {
		t.Errorf("the screen reads %s", got)
	}
	if _, body := s.do(http.MethodGet, s.admin+"/debug/pprof/goroutine?debug=2", "", nil); !strings.Contains(body, "goroutine ") ||
		strings.Contains(body, "tracing.(*") || strings.Contains(body, "opentelemetry") {
		t.Error("something runs for traces")
	}
	if _, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil); strings.Contains(body, "kentongan_traces") {
		t.Error("there are figures of traces")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if n := len(receiver.Headers()); n != 0 {
		t.Errorf("the collector was sent %d requests", n)
	}
}

// TestCollectorHangs: a collector that does not answer holds up nothing, and a stop for no longer than the drain time.
func TestCollectorHangs(t *testing.T) {
	receiver := tracingtest.New(t)
	hang, asked := make(chan struct{}), make(chan struct{}, 1000)
	defer close(hang)
	receiver.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return false
	}
	s := start(t, traced(receiver, "one")...)
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	say := func(i int) {
		s.publish("production:updates:k1", fmt.Sprint(i))
		if got := read(t, screen); got != fmt.Sprint(i) {
			t.Fatalf("the screen reads %s, want %d", got, i)
		}
	}
	say(0)
	<-asked
	for i := range 20 {
		say(i)
	}
	if err := s.stop(); err != nil { // which waits for 30 s at most
		t.Error(err)
	}
	if log := s.logs.String(); strings.Count(log, "traces cannot be sent") > 2 {
		t.Errorf("it was said more than once a minute:\n%s", log)
	}
}
