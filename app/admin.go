package app

import (
	"net/http"

	"kentongan/internal/answer"
)

// act is a route of the admin listener that changes something. A page of some site that an operator has open could send a request here too;
// its browser says so in headers that no page can leave away, and programs send neither. Each act is logged, also one that failed.
func (a *App) act(name string, do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 {
			a.log.Warn("admin act refused", "act", name, "path", r.URL.EscapedPath(), "remote", r.RemoteAddr)
			answer.Error(w, http.StatusForbidden, "FORBIDDEN", "acts are for programs, not for pages in a browser")
			return
		}
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		do(seen, r)
		a.log.Info("admin act", "act", name, "path", r.URL.EscapedPath(), "query", r.URL.RawQuery, "remote", r.RemoteAddr,
			"status", seen.status)
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
