package rest

import (
	"embed"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// docsPath is where the page is that shows the document. The codes of problems are explained there, each under its name.
const docsPath = "/docs"

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page use its own files and the document, and nothing else: it works where there is no other server.
const docsPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"script-src 'self'; style-src 'self'; connect-src 'self'"

// docs serves the page.
func (a *API) docs() {
	files, err := fs.Sub(docsFiles, "docs")
	if err != nil {
		panic("rest: " + err.Error())
	}
	serve := http.StripPrefix(docsPath+"/", http.FileServerFS(files))
	headers := func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", docsPolicy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache")
			next.ServeHTTP(w, r)
		}
	}
	a.mux.Handle("GET "+docsPath, headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "page.html")
	})))
	for _, name := range []string{"docs.js", "docs.css"} {
		a.mux.Handle("GET "+docsPath+"/"+name, headers(serve))
	}
}

// introduction is the beginning of the document: what all operations have in common.
func introduction() string {
	var b strings.Builder
	b.WriteString(`The records of a kitchen: batches of food, what is measured and checked about them, alerts, figures and logs.

**Who.** The session cookie of the app (Auth.js), a bearer token, an API key, or a ticket. The kitchen comes out of the credential; what is
of another kitchen does not exist (404). A credential that belongs to no kitchen names one with ?tenant=; looks of the platform are written
down in that kitchen's audit trail, and the platform writes nothing but staff. Writes with a cookie need an allowed Origin. On a shared
tablet Person-Id and Person-Pin say who stands there.

**Times** are RFC 3339 in UTC with milliseconds, serving days are dates of the kitchen's zone, temperatures °C in steps of 0.1, weights kg
in steps of 0.1, money whole rupiah. What is not known is null, never 0. Fields with costs are null for roles that may not see them.

**Changes** of batches and alerts: send an Idempotency-Key with each; after a lost answer send the same again, and the first result is
answered. Where something is overwritten, name the version that you have seen, as If-Match or as version in the body; 409
VERSION_CONFLICT says the current one. What was entered while the line was down keeps its takenAt; send Device-Time with it.

**Bodies** are JSON of 1 MiB at most. A field that is unknown or comes twice is refused.

**Lists** come in pages: give next of one page as cursor of the following one.

**Problems** are application/problem+json (RFC 9457). code is stable; errors names every field that is wrong, unmet every guard that does
not hold.

| code | meaning |
|---|---|
`)
	for _, code := range slices.Sorted(maps.Keys(titles)) {
		b.WriteString("| " + code + " | " + titles[code] + " |\n")
	}
	return b.String()
}
