package gateway

import (
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"kentongan/internal/access"
	"kentongan/realtime/protocol"
)

// visit is what a session keeps for its line in the access log.
type visit struct {
	id, route string
	bytes     atomic.Uint64 // sent
}

// visits returns the visit that begins with r, whose line is written at its end; nil if there are no such lines.
func (g *Gateway) visits(r *http.Request) *visit {
	note := access.From(r.Context())
	if g.opts.Access == nil || note == nil {
		return nil
	}
	note.Take()
	return &visit{id: note.ID, route: access.Route(r)}
}

// tellVisit writes the line of a session that has ended with code.
func (s *session) tellVisit(code protocol.Code) {
	if s.visit == nil {
		return
	}
	status := http.StatusSwitchingProtocols
	if s.dialect == protocol.SSE {
		status = http.StatusOK
	}
	who := s.who.Load()
	s.gw.opts.Access.Write(s.gw.ctx, &access.Line{
		Method: http.MethodGet, Route: s.visit.route, ID: s.visit.id, Client: s.client.addr(), Status: status, Bytes: s.visit.bytes.Load(),
		Took:   s.gw.clock() - s.came,
		Who:    []slog.Attr{slog.String("tenant", string(who.Tenant)), slog.String("user", who.Subject)},
		More:   []slog.Attr{slog.String("dialect", s.dialect.String()), slog.Int("code", int(code)), slog.String("reason", code.String())},
		Failed: !usualEnd(code),
	})
}

// usualEnd reports whether a session that ends with code has ended as sessions do: its client went, or it was asked to.
func usualEnd(code protocol.Code) bool {
	return slices.Contains([]protocol.Code{
		protocol.CloseNormal, protocol.CloseGoingAway, protocol.CloseNoStatus, protocol.CloseAbnormal, protocol.CloseDrain,
		protocol.CloseSessionExpired,
	}, code)
}

// note gives a handshake that did not come through net/http its id, if it brings one or a line is to be written.
func (w *handshake) note(r *http.Request) *http.Request {
	if w.gateway.opts.Access == nil && len(r.Header[access.Header]) == 0 {
		return r
	}
	w.came, w.noted = w.gateway.clock(), access.NewNote(r.Header)
	w.Header().Set(access.Header, w.noted.ID)
	if r.Pattern = endpoint; r.URL.Path == "/" {
		r.Pattern = rootPattern
	}
	w.route = r.Pattern
	return r.WithContext(access.With(r.Context(), w.noted))
}

// tellRefusal writes the line of a handshake that was refused.
func (w *handshake) tellRefusal() {
	g := w.gateway
	if g.opts.Access == nil {
		return
	}
	g.opts.Access.Write(g.ctx, &access.Line{
		Method: http.MethodGet, Route: w.route, ID: w.noted.ID, Client: w.asker, Status: w.status,
		Bytes: uint64(w.body.Len()), //nolint:gosec // never negative
		Took:  g.clock() - w.came, Who: w.noted.Who(),
	})
}
