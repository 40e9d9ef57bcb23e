package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"kentongan/auth"
	"kentongan/production"
	"kentongan/tenant"
)

// Authenticator says who a request comes from, and refuses foreign pages; auth.Authenticator is one.
type Authenticator interface {
	Admit(ctx context.Context, r *http.Request) (*auth.Identity, error)
}

// Store is what is read without the Service; a production.Store is one.
type Store interface {
	production.Lists
	production.Standings
	Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error)
}

// Options are the parts and knobs of an API. The parts are needed.
type Options struct {
	Auth    Authenticator
	Service *production.Service
	Store   Store // the one that Service keeps everything in

	// Screens returns who is connected, for each of these kitchens in their order. Nil: nobody knows.
	Screens func(ctx context.Context, kitchens []tenant.ID) ([]Screens, error)

	Version string           // of the document; empty means "dev"
	Timeout time.Duration    // of one request, the reading of its body not counted; zero means 15 s
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil discards
	Audit   *slog.Logger     // of looks of the platform at all kitchens; nil: Log
}

// API answers the routes of the production service. It is safe for concurrent use.
type API struct {
	opts Options
	huma huma.API
	mux  *http.ServeMux
}

// New returns an API. It panics if a part is missing, for that is a mistake in the code.
func New(opts Options) *API {
	if opts.Auth == nil || opts.Service == nil || opts.Store == nil {
		panic("rest: Options need Auth, Service and Store")
	}
	if opts.Version == "" {
		opts.Version = "dev"
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 15 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Audit == nil {
		opts.Audit = opts.Log
	}
	a := &API{opts: opts, mux: http.NewServeMux()}
	a.huma = humago.New(a.mux, a.config())
	a.productions()
	a.steps()
	a.rows()
	a.alerts()
	a.figures()
	a.dayLogs()
	a.kitchens()
	a.overviews()
	a.references()
	a.audits()
	a.observations()
	a.finish()
	return a
}

// ServeHTTP implements http.Handler. What is none of the API's paths is answered with 404.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Paths returns the patterns for which a mux should call the API, in the words of [http.ServeMux]: those that end in "/" hold
// everything below.
func (a *API) Paths() []string {
	first := map[string]bool{"/openapi.json": true, docsPath: true, docsPath + "/": true}
	for path := range a.huma.OpenAPI().Paths {
		// "/api/productions/{id}/cancel" is below "/api/productions/"
		stem, _, below := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
		first["/api/"+stem] = true
		if below {
			first["/api/"+stem+"/"] = true
		}
	}
	return slices.Sorted(maps.Keys(first))
}

// Register makes mux call the API for its paths.
func (a *API) Register(mux *http.ServeMux) {
	for _, path := range a.Paths() {
		mux.Handle(path, a)
	}
}

// config is huma's, with what we do otherwise switched off: its pages load scripts from elsewhere, its errors have no codes, and
// it would decode bodies less strictly than decode does.
func (a *API) config() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Kentongan: the production service",
				Version:     a.opts.Version,
				Description: introduction(),
			},
			Components: &huma.Components{
				Schemas: newRegistry(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"session": {Type: "apiKey", In: "cookie", Name: auth.SessionCookie, Description: "The session of the app (Auth.js). " +
						"Writes need an Origin that is allowed."},
					"bearer": {Type: "http", Scheme: "bearer", Description: "A JWT, or the API key of a server."},
				},
			},
			Security: []map[string][]string{{"session": {}}, {"bearer": {}}},
			Tags:     tags,
		},
		Formats:                      map[string]huma.Format{mediaJSON: format, "json": format}, // "json" stands behind a + in a kind
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{translate},
	}
}

var format = huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}

// marshal writes v in one piece. A client that has gone is no error of ours, and a type that cannot be written is a mistake in the code.
func marshal(w io.Writer, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("rest: " + err.Error())
	}
	_, _ = w.Write(buf.Bytes())
	return nil
}

// finish answers what no operation does: the document, the page that shows it, and everything that is wrong with a method or path.
func (a *API) finish() {
	describe(a.huma.OpenAPI())
	document := sync.OnceValue(func() []byte { // it is large, and most processes are never asked for it
		text, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
		if err != nil {
			panic("rest: " + err.Error())
		}
		return append(text, '\n')
	})
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/openapi+json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(document())
	})
	a.docs()
	for path, item := range a.huma.OpenAPI().Paths {
		allow := strings.Join(slices.Sorted(maps.Keys(operations(item))), ", ")
		a.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", allow)
			write(w, problem(http.StatusMethodNotAllowed, codeMethod, "want one of "+allow))
		})
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, problem(http.StatusNotFound, string(production.CodeNotFound), "no such route; /openapi.json lists them"))
	})
}

// operations returns the operations of a path by their methods.
func operations(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{
		http.MethodDelete: item.Delete, http.MethodGet: item.Get, http.MethodPatch: item.Patch, http.MethodPost: item.Post,
		http.MethodPut: item.Put,
	}
	maps.DeleteFunc(all, func(_ string, op *huma.Operation) bool { return op == nil })
	return all
}
