package app

import "net/http"

// act is a route of the admin listener that changes something. Each act is logged, also one that failed, and whatever the level
// of the log is; guardAdmin sees to it that no page of another site sends any.
func (a *App) act(name string, do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		do(seen, r)
		a.audit.Info("admin act", "act", name, "path", r.URL.EscapedPath(), "query", r.URL.RawQuery, "remote", r.RemoteAddr,
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
