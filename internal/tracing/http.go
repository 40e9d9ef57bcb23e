package tracing

import (
	"net/http"
	"strings"
	"time"
)

// Handler has a span recorded for each request that h answers and wants reports true for, by its path: named by its method and route,
// below the place that it came with. With a nil Tracer it is h itself.
func (t *Tracer) Handler(wants func(path string) bool, h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wants(r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		came := time.Now()
		ctx, span := t.Begin(t.Adopt(r.Context(), single(r.Header[http.CanonicalHeaderKey(Header)])), "request", Server, came)
		outer := r
		r = r.WithContext(ctx)
		defer func() { outer.Pattern = r.Pattern }() // for who looks at it outside
		if span == nil {
			h.ServeHTTP(w, r)
			return
		}
		seen := &writer{ResponseWriter: w}
		whole := false
		defer func() { // also when h panics, which is how net/http is told to hang up
			span.answered(r, seen.status, whole)
		}()
		h.ServeHTTP(seen, r)
		whole = true
	})
}

// answered ends the span of a request.
func (s *Span) answered(r *http.Request, status int, whole bool) {
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "_OTHER" // anything may stand there
	}
	route := r.Pattern
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == "" {
		route = "none"
	}
	s.Rename(method + " " + route)
	s.Text("http.request.method", method)
	s.Text("http.route", route)
	switch {
	case !whole:
		s.Fail("broken off")
	case status == 0:
		status = http.StatusOK // which net/http writes for who has written nothing
	}
	if status > 0 {
		s.Number("http.response.status_code", status)
	}
	if status >= http.StatusInternalServerError {
		s.Fail("")
	}
	s.End()
}

// single returns the only one of values; empty if there are more or none.
func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// writer sees how a request is answered.
type writer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.status < http.StatusOK { // what comes before is no answer yet
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.status < http.StatusOK {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // it is the writer's own
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
