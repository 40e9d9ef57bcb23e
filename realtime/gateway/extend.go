package gateway

import (
	"context"
	"net/http"
	"time"

	"kentongan/auth"
	"kentongan/internal/answer"
)

// Extend gives the live sessions of the same user a new identity, so that they end with the new credential and not with the old
// one. It returns how many were extended. mayReplace compares the identity of a session with the new one.
func (g *Gateway) Extend(who *auth.Identity, mayReplace func(old *auth.Identity) bool) int {
	n := 0
	for _, s := range g.list() {
		old := s.who.Load()
		if mayReplace(old) && s.who.CompareAndSwap(old, who) {
			n++
		}
	}
	return n
}

// ExtendBy extends the sessions that e is for, as another node has said. It returns how many those were.
func (g *Gateway) ExtendBy(e auth.Extension) int {
	n := 0
	for _, s := range g.list() {
		old := s.who.Load()
		if longer := e.Apply(old); longer != nil && s.who.CompareAndSwap(old, longer) {
			n++
		}
	}
	return n
}

// serveExtend gives the caller's live sessions the life of the credential that it sends now: here at once, and on the other nodes as
// soon as they hear of it.
func (g *Gateway) serveExtend(w http.ResponseWriter, r *http.Request) {
	who, ok := g.identify(w, r)
	if !ok {
		return
	}
	n := g.Extend(who, func(old *auth.Identity) bool { return old.MayReplace(who) })
	if e, ok := auth.ExtensionBy(who); ok && g.opts.AnnounceExtension != nil {
		ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
		defer cancel()
		if err := g.opts.AnnounceExtension(ctx, e); err != nil {
			g.refuse(w, err)
			return
		}
	}
	data := struct {
		Extended int        `json:"extended"` // on this node
		Expires  *time.Time `json:"expires,omitempty"`
	}{Extended: n}
	if !who.Expires.IsZero() {
		at := who.Expires.Time()
		data.Expires = &at
	}
	answer.JSON(w, http.StatusOK, struct {
		Success bool `json:"success"`
		Data    any  `json:"data"`
	}{true, data})
}
