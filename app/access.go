package app

import (
	"net/http"
	"net/netip"

	"kentongan/config"
	"kentongan/internal/access"
)

// accessLog is where the lines of requests go; nil: none are written.
func (a *App) accessLog() *access.Log {
	if a.cfg.Log.Access == config.AccessOff || a.cfg.Log.Access == "" {
		return nil
	}
	return &access.Log{Log: a.log, ErrorsOnly: a.cfg.Log.Access == config.AccessErrors}
}

// logged gives the requests of the public listener their ids, and has their lines written.
func (a *App) logged(h http.Handler) http.Handler {
	known := proxies(a.cfg)
	return access.Handler(a.accessLog(), func(r *http.Request) netip.Addr {
		peer := access.Peer(r)
		if !peer.IsValid() {
			return peer
		}
		return known.Client(peer, r.Header)
	}, h)
}
