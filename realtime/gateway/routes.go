package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// endpoint is where clients connect.
const endpoint = "/api/ws"

// rootPattern is where the app's hook connects in development.
const rootPattern = "/{$}"

// Routes adds the routes of the gateway to mux. What comes to "/" without an upgrade goes to page.
func (g *Gateway) Routes(mux *http.ServeMux, page http.Handler) {
	mux.HandleFunc(endpoint, g.serveEndpoint)
	mux.HandleFunc(rootPattern, func(w http.ResponseWriter, r *http.Request) {
		if protocol.IsUpgrade(r) {
			g.serveWebSocket(w, r) // the app's hook connects to the root in development
			return
		}
		page.ServeHTTP(w, r)
	})
	mux.HandleFunc("/api/sse", g.serveSSE)
	mux.HandleFunc("GET /api/history", g.serveHistory)
	mux.HandleFunc("GET /api/presence", g.servePresence)
	mux.HandleFunc("POST /api/ws/extend", g.serveExtend)
}

func (g *Gateway) serveEndpoint(w http.ResponseWriter, r *http.Request) {
	switch {
	case protocol.IsUpgrade(r):
		g.serveWebSocket(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		g.serveInfo(w, r)
	default:
		w.Header().Set("Allow", "GET")
		answer.Error(w, http.StatusMethodNotAllowed, string(protocol.ErrMethod),
			"GET with an upgrade opens a WebSocket, GET without answers the connection info")
	}
}

// info is what the existing app's hook fetches before it connects.
type info struct {
	WSURL    string     `json:"wsUrl"`
	SSEURL   string     `json:"sseUrl"`
	TenantID tenant.ID  `json:"sppgId"`
	UserID   string     `json:"userId"`
	Role     string     `json:"userRole,omitempty"`
	Platform bool       `json:"platform,omitempty"`
	Channels []string   `json:"channels"`
	Token    string     `json:"token,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Config   infoConfig `json:"config"`
}

type infoConfig struct {
	HeartbeatMs int64 `json:"heartbeatInterval"`
	ReconnectMs int64 `json:"reconnectInterval"`
	Attempts    int   `json:"maxReconnectAttempts"`
}

// neverStop is what stands where the app's own answer had 10: a screen that stops trying stays dark until somebody
// reloads it.
const neverStop = 1 << 30

func (g *Gateway) serveInfo(w http.ResponseWriter, r *http.Request) {
	who, ok := g.identify(w, r)
	if !ok {
		return
	}
	in := info{
		WSURL: g.address(r, "ws", "/api/ws"), SSEURL: g.address(r, "http", "/api/sse"),
		TenantID: who.Tenant, UserID: who.Subject, Role: who.Role, Platform: who.Platform, Channels: []string{},
		Config: infoConfig{HeartbeatMs: g.opts.PingInterval.Milliseconds(), ReconnectMs: retryAfter.Milliseconds(), Attempts: neverStop},
	}
	if who.Tenant != tenant.Global {
		in.Channels = append(in.Channels, g.opts.Names.Of(who.Tenant)...)
	}
	in.Channels = append(in.Channels, g.opts.Names.Of(tenant.Global)...)
	if !who.Expires.IsZero() {
		at := who.Expires.Time()
		in.Expires = &at
	}
	if g.opts.Ticket != nil {
		token, err := g.opts.Ticket(r.Context(), who)
		if err != nil {
			// The cookie is enough to connect; a page of another origin asks for a ticket by itself.
			g.opts.Log.Warn("connection info without a ticket", "err", err)
		}
		in.Token = token
	}
	answer.JSON(w, http.StatusOK, struct {
		Success bool `json:"success"`
		Data    info `json:"data"`
	}{true, in})
}

// address returns the public address of path.
func (g *Gateway) address(r *http.Request, scheme, path string) string {
	if public, err := url.Parse(g.opts.PublicURL); err == nil && public.Host != "" {
		if public.Scheme == "https" {
			scheme += "s"
		}
		return scheme + "://" + public.Host + strings.TrimSuffix(public.Path, "/") + path
	}
	if g.secure(r) {
		scheme += "s"
	}
	return scheme + "://" + r.Host + path
}

// secure reports whether the client came over TLS. Behind a proxy only its header tells. A client that forges it misleads nobody but
// itself.
func (g *Gateway) secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" || strings.HasPrefix(g.opts.PublicURL, "https:")
}

// history reads at most limit publications of ch after since, as by may see them.
func (g *Gateway) history(
	ctx context.Context, by *auth.Identity, ch realtime.Channel, since realtime.Position, unreadable bool, limit int,
) (realtime.Page, error) {
	if limit <= 0 || limit > maxHistory {
		limit = maxHistory
	}
	if unreadable {
		page, err := g.readHistory(ctx, by, ch, realtime.Position{}, 0)
		if err != nil {
			return realtime.Page{}, err
		}
		return realtime.Page{Head: page.Head, Gap: realtime.GapMalformed}, nil
	}
	return g.readHistory(ctx, by, ch, since, limit)
}

func (g *Gateway) serveHistory(w http.ResponseWriter, r *http.Request) {
	who, ch, wire, ok := g.named(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	since, limit := realtime.Position{Epoch: query.Get("epoch")}, 0
	var errs []error
	if text := query.Get("offset"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			errs = append(errs, errors.New("offset must be a whole number, 0 or more"))
		}
		since.Offset = n
	}
	if (since.Epoch == "") != (query.Get("offset") == "") {
		errs = append(errs, errors.New("epoch and offset belong together; leave both out for all that is held"))
	}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxHistory {
			errs = append(errs, fmt.Errorf("limit must be 1 to %d", maxHistory))
		}
		limit = n
	}
	snapshot, problem := readSnapshotWish(query, protocol.V1)
	if problem != nil {
		errs = append(errs, errors.New(problem.Message))
	}
	if snapshot && (query.Has("offset") || query.Has("epoch") || query.Has("limit")) {
		errs = append(errs, errors.New("a snapshot is of now and whole: leave epoch, offset and limit out"))
	}
	if err := errors.Join(errs...); err != nil {
		answer.Error(w, http.StatusBadRequest, string(protocol.ErrBadRequest), strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	var page realtime.Page
	var err error
	if snapshot {
		page, err = g.snapshotPage(ctx, who, ch)
	} else {
		page, err = g.history(ctx, who, ch, since, false, limit)
	}
	if err != nil {
		g.refuse(w, err)
		return
	}
	g.answer(w, protocol.History{Channel: wire, Page: page}.AppendJSON(nil))
}

func (g *Gateway) servePresence(w http.ResponseWriter, r *http.Request) {
	_, ch, wire, ok := g.named(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	members, err := g.presence.Members(ctx, ch)
	if err != nil {
		g.refuse(w, fmt.Errorf("presence: %w", err))
		return
	}
	g.answer(w, protocol.Presence{Channel: wire, Members: members}.AppendJSON(nil))
}

// named returns who asks and the channel that the query names, for those who may see it; it answers the refusal itself.
func (g *Gateway) named(w http.ResponseWriter, r *http.Request) (who *auth.Identity, ch realtime.Channel, wire string, ok bool) {
	if who, ok = g.identify(w, r); !ok {
		return nil, realtime.Channel{}, "", false
	}
	wire = r.URL.Query().Get("channel")
	ch, err := g.channel(who, wire)
	if err != nil {
		g.refuse(w, err)
		return nil, realtime.Channel{}, "", false
	}
	return who, ch, wire, true
}

// refuse answers err.
func (g *Gateway) refuse(w http.ResponseWriter, err error) {
	e := g.explain("", err)
	if e.Code.Temporary() {
		answer.Later(w, e.Code.Status(), string(e.Code), e.Message, retryAfter)
		return
	}
	answer.Error(w, e.Code.Status(), string(e.Code), e.Message)
}

// answer writes JSON that is made already.
func (g *Gateway) answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n')) // a client that has gone is no error of ours
}
