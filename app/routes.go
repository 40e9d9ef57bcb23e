package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kentongan/auth"
	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/web"
)

// publicRoutes is everything on the public listener; docs/protocol.md describes it.
func (a *App) publicRoutes() http.Handler {
	api := http.NewServeMux()
	page := web.Handler(web.Options{Board: a.records != nil, Demo: a.line != nil})
	a.gateway.Routes(api, page)
	api.Handle("/api/publish", a.http)
	api.Handle("/api/ticket", a.auth.TicketHandler())
	api.Handle("/api/revoke", a.auth.RevokeHandler(a.announceRevocation()))
	if a.records == nil {
		api.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
			answer.Error(w, http.StatusNotFound, "NOT_FOUND", "no such route; docs/protocol.md lists them")
		})
	} else {
		a.records.register(api)
	}
	api.HandleFunc("GET /asyncapi.json", a.serveAsyncAPI)
	api.HandleFunc("GET /healthz", a.serveHealth)
	api.HandleFunc("GET /readyz", a.serveReady)
	api.Handle("/signout", a.auth.SignOutHandler())
	if a.signIn != nil {
		api.Handle("/signin", a.signIn)
	}
	api.Handle("/", page)
	if a.line != nil {
		return a.auth.CORS(a.line.Wrap(api))
	}
	return a.auth.CORS(api)
}

// announceRevocation returns how a revocation gets to all nodes; nil if this is the only one.
func (a *App) announceRevocation() func(context.Context, auth.Revocation) error {
	if a.engine.announce == nil {
		return nil
	}
	return func(ctx context.Context, r auth.Revocation) error {
		payload, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode revocation: %w", err)
		}
		return a.engine.announce(ctx, payload)
	}
}

// announceExtension returns how an extension gets to all nodes; nil if this is the only one.
func (a *App) announceExtension() func(context.Context, auth.Extension) error {
	if a.engine.extend == nil {
		return nil
	}
	return func(ctx context.Context, e auth.Extension) error {
		payload, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode extension: %w", err)
		}
		return a.engine.extend(ctx, payload)
	}
}

// adminRoutes is everything on the admin listener, which must never be public; see guardAdmin.
func (a *App) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /connections", a.serveConnections)
	mux.HandleFunc("POST /connections/kick", a.act("kick", a.serveKick))
	mux.HandleFunc("GET /log/level", a.serveLogLevel)
	mux.HandleFunc("PUT /log/level", a.act("log level", a.serveLogLevel))
	mux.HandleFunc("GET /cache", a.serveCache)
	mux.HandleFunc("GET /channels", a.serveChannels)
	mux.HandleFunc("GET /channels/unmatched", a.serveUnmatched)
	mux.HandleFunc("GET /stream/poison", a.servePoison)
	mux.HandleFunc("GET /validation", a.serveValidation)
	a.quarantineRoutes(mux)
	if a.records != nil {
		mux.HandleFunc("GET /relay/poison", a.records.servePoison)
	}
	mux.HandleFunc("GET /healthz", a.serveHealth)
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer.Error(w, http.StatusNotFound, "NOT_FOUND",
			"here are /metrics /connections?tenant=&limit= /connections/kick /log/level /channels?limit= /channels/unmatched "+
				"/stream/poison?limit= /relay/poison /validation "+
				"/quarantine?tenant=&limit= /healthz /readyz "+
				"/debug/pprof/")
	})
	return guardAdmin(string(a.cfg.Server.AdminToken), a.audit, mux)
}

// serveChannels lists the channels that something was published in, by any server, with how many follow them on this one.
func (a *App) serveChannels(w http.ResponseWriter, r *http.Request) {
	limit := 10_000
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1_000_000 {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "limit must be a whole number from 1 to 1000000")
			return
		}
		limit = n
	}
	type channel struct {
		Channel   string `json:"channel"` // as it is spelled in Redis
		Pattern   string `json:"pattern"`
		Tenant    string `json:"tenant"`
		Offset    uint64 `json:"offset"`    // publications of its epoch
		Followers int    `json:"followers"` // on this server
	}
	out := struct {
		Patterns []string  `json:"patterns"`
		Channels []channel `json:"channels"`
		More     bool      `json:"more"` // the limit cut the list
	}{Channels: []channel{}}
	for _, p := range a.names.Patterns() {
		out.Patterns = append(out.Patterns, p.Spelling)
	}
	if lister, can := a.engine.broker.(realtime.Lister); can {
		ctx, cancel := context.WithTimeout(r.Context(), quarantineTime)
		defer cancel()
		heads, err := lister.Channels(ctx, limit+1)
		if err != nil {
			answer.Error(w, http.StatusServiceUnavailable, "UNAVAILABLE", err.Error())
			return
		}
		if len(heads) > limit {
			heads, out.More = heads[:limit], true
		}
		for _, h := range heads {
			p, _ := a.names.PatternOf(h.Channel) // none: its pattern was taken out of the configuration
			out.Channels = append(out.Channels, channel{
				a.names.Spell(h.Channel), p.Spelling, string(h.Channel.Tenant), h.Head.Offset, a.hub.Followers(h.Channel),
			})
		}
	}
	answer.JSON(w, http.StatusOK, out)
}

// serveUnmatched lists the names that the app publishes to and no channel pattern matches: what is sent there reaches
// nobody.
func (a *App) serveUnmatched(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		Total uint64 `json:"total"`
		Names any    `json:"names"`
	}{Names: []string{}}
	if a.pubsub != nil {
		out.Total, out.Names = a.pubsub.Unmatched().Total(), a.pubsub.Unmatched().Names()
	}
	answer.JSON(w, http.StatusOK, out)
}
