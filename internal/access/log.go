package access

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"time"
)

// Line is one request that has ended.
type Line struct {
	Method string
	Route  string // the pattern, such as "GET /api/history"
	ID     string
	Client netip.Addr // behind proxies that are trusted; not valid: it has none
	Status int        // 0: the answer was broken off before it had one
	Bytes  uint64     // of the body, or of all that a session was sent
	Took   time.Duration
	Who    []slog.Attr
	More   []slog.Attr // what only some requests have
	Failed bool        // it ended as it should not; so does one with status 0, or 400 and above
}

// Log writes lines at the level info; those of probes, which come every few seconds, at debug.
type Log struct {
	Log        *slog.Logger
	ErrorsOnly bool // of requests that went well no line is written
}

// probes are asked by orchestrators all the time.
var probes = map[string]bool{"GET /healthz": true, "GET /readyz": true}

// Write writes l.
func (a *Log) Write(ctx context.Context, l *Line) {
	failed := l.Failed || l.Status == 0 || l.Status >= http.StatusBadRequest
	if a.ErrorsOnly && !failed {
		return
	}
	level := slog.LevelInfo
	if probes[l.Route] && !failed {
		level = slog.LevelDebug
	}
	client := "none" // a Unix socket, or a pipe
	if l.Client.IsValid() {
		client = l.Client.String()
	}
	attrs := make([]slog.Attr, 0, 8+len(l.Who)+len(l.More))
	attrs = append(attrs, slog.String("method", l.Method), slog.String("route", l.Route), slog.Int("status", l.Status),
		slog.Uint64("bytes", l.Bytes), slog.Float64("took_ms", math.Round(float64(l.Took)/1e3)/1e3), slog.String("request", l.ID),
		slog.String("client", client))
	a.Log.LogAttrs(ctx, level, "request", append(append(attrs, l.Who...), l.More...)...)
}

// Handler gives each request its id, which the answer has too, and writes its line to log when h has answered it. With a nil log there are
// only the ids. client says who sent a request.
func Handler(log *Log, client func(*http.Request) netip.Addr, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note := NewNote(r.Header)
		w.Header().Set(Header, note.ID)
		r = r.WithContext(With(r.Context(), note))
		if log == nil {
			h.ServeHTTP(w, r)
			return
		}
		came, seen, whole := time.Now(), &writer{ResponseWriter: w}, false
		defer func() { //nolint:contextcheck // r's. Also when h panics, which is how net/http is told to hang up
			if note.taken {
				return
			}
			if whole && seen.status == 0 {
				seen.status = http.StatusOK // which net/http writes for who has written nothing
			}
			log.Write(r.Context(), &Line{
				Method: method(r), Route: Route(r), ID: note.ID, Client: client(r), Status: seen.status, Bytes: seen.bytes,
				Took: time.Since(came), Who: note.who, Failed: !whole,
			})
		}()
		h.ServeHTTP(seen, r)
		whole = true
	})
}

// Route is the pattern that r was served by; "none" if it was refused before one was looked for.
func Route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// method returns the method of r, if it is one of those that are known: anything may stand there.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return r.Method
	}
	return "other"
}

// Peer returns the address that r came from, as its connection has it.
func Peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// writer sees how a request is answered.
type writer struct {
	http.ResponseWriter
	status int
	bytes  uint64
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
	n, err := w.ResponseWriter.Write(p)
	w.bytes += uint64(n) //nolint:gosec // never negative
	return n, err        //nolint:wrapcheck // it is the writer's own
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
