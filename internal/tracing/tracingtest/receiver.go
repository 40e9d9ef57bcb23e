// Package tracingtest is a receiver of spans for tests: it takes OTLP over HTTP, as a collector does.
package tracingtest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it came.
type Span struct {
	Trace, ID, Parent string // in hexadecimal; no Parent: the trace begins here
	Name, Kind        string
	Links             []string // numbers of the spans that are linked
	Attributes        map[string]any
	Resource          map[string]any
	Began, Ended      time.Time
	Failed            bool
}

// Receiver is a collector that keeps what it gets.
type Receiver struct {
	URL string // of its endpoint

	// Answer, if set, answers requests instead; what it answers 200 to is kept. Set it before anything comes.
	Answer func(w http.ResponseWriter, r *http.Request) (take bool)

	mu       sync.Mutex
	spans    []Span
	headers  []http.Header
	problems []string
}

// New starts a Receiver, which ends with t.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.Close()
		for _, p := range r.problems {
			t.Error("the receiver of spans:", p)
		}
	})
	r.URL = server.URL + "/v1/traces"
	return r
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.Answer != nil && !r.Answer(w, req) {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // it was broken off
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	got := &collector.ExportTraceServiceRequest{}
	if err := proto.Unmarshal(body, got); err != nil || req.URL.Path != "/v1/traces" || req.Method != http.MethodPost {
		r.problems = append(r.problems, fmt.Sprintf("%s %s: %v", req.Method, req.URL.Path, err))
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	r.headers = append(r.headers, req.Header)
	for _, rs := range got.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				one := Span{
					Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Name: s.GetName(), Kind: s.GetKind().String(),
					Attributes: values(s.GetAttributes()), Resource: values(rs.GetResource().GetAttributes()),
					Began: time.Unix(0, int64(s.GetStartTimeUnixNano())), Ended: time.Unix(0, int64(s.GetEndTimeUnixNano())),
					Failed: s.GetStatus().GetCode() != 0,
				}
				for _, l := range s.GetLinks() {
					one.Links = append(one.Links, hex.EncodeToString(l.GetSpanId()))
				}
				r.spans = append(r.spans, one)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func values(list []*common.KeyValue) map[string]any {
	all := map[string]any{}
	for _, kv := range list {
		all[kv.GetKey()] = value(kv.GetValue())
	}
	return all
}

func value(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return int(v.IntValue)
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_ArrayValue:
		var list []any
		for _, one := range v.ArrayValue.GetValues() {
			list = append(list, value(one))
		}
		return list
	}
	return nil
}

// Spans returns what has come so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// Headers returns those of the requests so far.
func (r *Receiver) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// Wait waits until n spans that fit have come, and returns all of those; it ends the test if they do not come.
func (r *Receiver) Wait(t testing.TB, n int, fits func(Span) bool) []Span {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all := r.Spans()
		found := slices.DeleteFunc(slices.Clone(all), func(s Span) bool { return !fits(s) })
		if len(found) >= n {
			return found
		}
		if time.Now().After(end) {
			t.Fatalf("%d of the %d wanted spans have come; all are %s", len(found), n, List(all))
		}
	}
}

// Named fits spans with that name.
func Named(name string) func(Span) bool { return func(s Span) bool { return s.Name == name } }

// List writes spans for people.
func List(spans []Span) string {
	var text strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&text, "\n%s %s below %s: %s %s %v links %v", s.Trace, s.ID, s.Parent, s.Kind, s.Name, s.Attributes, s.Links)
	}
	return text.String()
}
