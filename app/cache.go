package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/config"
	"kentongan/internal/answer"
	"kentongan/production"
	"kentongan/realtime"
)

// OpenCacheTier returns the way of the cache to the configured Redis. It connects when it is first used.
func OpenCacheTier(cfg config.Config, log *slog.Logger) (*shared.Redis, error) {
	r := RedisOptions(cfg)
	address := r.Address
	if len(r.Cluster) > 0 {
		address = strings.Join(r.Cluster, ",")
	}
	tier, err := cache.OpenRedis(shared.Options{
		Network: r.Network, Address: address, Cluster: len(r.Cluster) > 0,
		Username: r.Username, Password: r.Password, DB: r.DB, TLS: r.TLS,
		Sentinels: r.Sentinels, SentinelName: r.SentinelName, SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword,
		SentinelTLS: r.SentinelTLS, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return tier, nil
}

// NewCache returns the cache that the configuration asks for, over a tier; nil: in memory alone.
func NewCache(cfg config.Config, tier *shared.Redis, log *slog.Logger) (*cache.Cache, error) {
	o := cache.Options{
		MaxBytes: int64(cfg.Cache.Bytes), Bound: cfg.Cache.Bound, Quarantine: cfg.Cache.Quarantine, HoldOff: cfg.Cache.HoldOff, Log: log,
	}
	if tier != nil { // and not an interface that holds nil
		o.Shared = tier
	}
	c, err := cache.New(o)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return c, nil
}

// openCache makes the cache of serve, if it is on.
func openCache(cfg config.Config, log *slog.Logger) (*cache.Cache, error) {
	if !cfg.Cache.On {
		return nil, nil //nolint:nilnil // it is off
	}
	var tier *shared.Redis
	if cfg.Redis.Enabled() {
		var err error
		if tier, err = OpenCacheTier(cfg, log); err != nil {
			return nil, err
		}
	}
	return NewCache(cfg, tier, log)
}

// stateCache is the cache as the relay knows it: the real-time state of a production that is older than its event is forgotten everywhere
// before the event goes out, and is not taken from a slower reader afterwards.
type stateCache struct{ cache *cache.Cache }

// Forget implements relay.Listener.
func (s stateCache) Forget(ctx context.Context, e *production.Event) error {
	state := cache.ProductionRealtime[json.RawMessage]()
	return state.Forget(ctx, s.cache, e.Tenant, e.ProductionID, e.Version) //nolint:wrapcheck // it says all
}

// forgetBefore makes the cache of this node forget what a publication is about, before any screen hears of it and asks. It is
// called with an engine's lock held, and does not block.
func forgetBefore(c *cache.Cache) func(*realtime.Publication) {
	if c == nil {
		return nil
	}
	return func(p *realtime.Publication) {
		if !strings.HasPrefix(p.Channel.Name, "production:") {
			return
		}
		if id := productionOf(p.Data); id != "" {
			c.ForgetProduction(p.Channel.Tenant, id)
		}
	}
}

// productionOf finds the first "productionId" with a plain text in a JSON text, without parsing all of it: this is on the way of each
// message. If it finds the wrong one, an entry too many is asked for once more.
func productionOf(data []byte) string {
	_, rest, ok := bytes.Cut(data, []byte(`"productionId"`))
	if !ok {
		return ""
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	rest, ok = bytes.CutPrefix(rest, []byte(":"))
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if !ok || len(rest) == 0 || rest[0] != '"' {
		return ""
	}
	id, _, ok := bytes.Cut(rest[1:], []byte(`"`))
	if !ok || len(id) > cache.MaxKeyBytes/2 || bytes.IndexByte(id, '\\') >= 0 {
		return ""
	}
	return string(id)
}

// cacheAnswer is what /cache shows.
type cacheAnswer struct {
	cache.Stats
	Tenants []cache.TenantStats `json:"tenantStats"` // those that take the most memory, or have the most misses
}

// serveCache shows the figures of the cache, and of the tenants that take most. ?limit says how many of these, 100 at first.
func (a *App) serveCache(w http.ResponseWriter, r *http.Request) {
	if a.cache == nil {
		answer.Error(w, http.StatusNotFound, "CACHE_OFF", "the cache is off; set KENTONGAN_CACHE=on")
		return
	}
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100_000 {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "limit must be a number from 1 to 100000")
			return
		}
		limit = n
	}
	tenants := a.cache.TenantStats()
	slices.SortFunc(tenants, func(x, y cache.TenantStats) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(y.Misses, x.Misses), cmp.Compare(x.Tenant, y.Tenant))
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(cacheAnswer{a.cache.Stats(), tenants[:min(limit, len(tenants))]}); err != nil {
		a.log.Debug("figures of the cache not written", "err", err)
	}
}
