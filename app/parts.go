package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/config"
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
)

// engine is the technology below everything: what the rest of the app needs of it.
type engine struct {
	name     string
	broker   realtime.Broker
	acks     realtime.AsyncPublisher // the broker, as the Redis door uses it
	presence realtime.Presence
	devices  realtime.Devices

	quarantine realtime.Quarantine // of what was refused

	exchange exchange // how nodes share limits; nil: there is only this one

	tickets auth.TicketStore // nil: those of the authenticator, in this process

	// announce takes a revocation to all nodes; nil: there is only this one.
	announce func(ctx context.Context, payload []byte) error

	// extend takes an extension to all nodes; nil: there is only this one.
	extend func(ctx context.Context, payload []byte) error

	source  intake.Source   // where the app publishes; nil with the memory engine
	ledger  stamping.Ledger // who stamps that; nil with the memory engine
	stream  *redis.Stream   // where the app appends; nil with the memory engine
	passage *redis.Passage  // where the Redis door passes commands on to; nil with the memory engine
	stats   func() engineStats

	// holdWhile keeps publications back while there is an error; nil with the memory engine.
	holdWhile func(owes func() error)

	weak func() []redis.Weakness // ways in which the engine can lose what it was given
}

// engineStats are the figures of an engine for metrics; what an engine does not know is zero.
type engineStats struct {
	published, duplicates, refused, delivered, repaired, gaps, reconnects, evicted uint64
	queued, channels, historyBytes, weaknesses                                     int64
	roundTrip                                                                      time.Duration
}

// engineNews takes what the engine hears beside publications, from other nodes or from the app.
type engineNews struct{ revocation, extension func(payload []byte) }

// openEngine makes the engine that the configuration asks for. It connects later, by itself.
func openEngine(
	cfg config.Config, names *realtime.Names, news engineNews, traces *tracing.Tracer, log *slog.Logger,
) (engine, error) {
	if cfg.Redis.Enabled() {
		return openRedis(cfg, names, news, traces, log)
	}
	return openMemory(cfg, names, log)
}

func openMemory(cfg config.Config, names *realtime.Names, log *slog.Logger) (engine, error) {
	broker, err := memory.New(memory.Options{
		Names: names, MaxHistoryBytes: int64(cfg.Limits.HistoryBytes), MaxTenantBytes: int64(cfg.Edge.TenantHistoryBytes),
		MaxDataBytes: cfg.Limits.PublishBytes, Log: log,
	})
	if err != nil {
		return engine{}, fmt.Errorf("memory engine: %w", err)
	}
	stats := func() engineStats {
		st := broker.Stats()
		return engineStats{
			published: st.Published, duplicates: st.Duplicates, delivered: st.Delivered, gaps: st.Gaps, evicted: st.Evicted,
			channels: st.Channels, historyBytes: st.HistoryBytes,
		}
	}
	return engine{
		name: "memory", broker: broker, acks: broker, presence: &memory.Presence{}, devices: &memory.Devices{}, stats: stats,
		quarantine: &memory.Quarantine{},
		weak:       func() []redis.Weakness { return nil },
	}, nil
}

func openRedis(
	cfg config.Config, names *realtime.Names, news engineNews, traces *tracing.Tracer, log *slog.Logger,
) (engine, error) {
	opts := RedisOptions(cfg)
	opts.Names, opts.MaxDataBytes, opts.Log = names, cfg.Limits.PublishBytes, log
	opts.MaxTenantBytes = int64(cfg.Edge.TenantHistoryBytes)
	opts.OnRevocation, opts.OnExtension, opts.Traces = news.revocation, news.extension, traces
	var err error
	if opts.Primary, err = redis.NewPrimary(opts); err != nil {
		return engine{}, fmt.Errorf("redis engine: %w", err)
	}
	broker, err := redis.New(opts)
	if err != nil {
		return engine{}, fmt.Errorf("redis engine: %w", err)
	}
	source, err := redis.NewSource(opts, cfg.Limits.PublishBytes)
	if err != nil {
		return engine{}, fmt.Errorf("redis engine: %w", err)
	}
	stream, err := redis.NewStream(opts)
	if err != nil {
		return engine{}, fmt.Errorf("redis engine: %w", err)
	}
	var passage *redis.Passage // commands are not passed on to a Cluster
	if len(opts.Cluster) == 0 {
		if passage, err = redis.NewPassage(opts); err != nil {
			return engine{}, fmt.Errorf("redis engine: %w", err)
		}
	}
	return engine{
		name: "redis", broker: broker, acks: broker, stream: stream, passage: passage, presence: broker.Presence(),
		tickets: broker.Tickets(), exchange: broker.Usage(),
		devices: broker.Devices(), quarantine: broker.Quarantine(),
		announce: broker.AnnounceRevocation, extend: broker.AnnounceExtension, source: source,
		ledger: broker.Ledger(), holdWhile: broker.HoldWhile, weak: broker.Weaknesses,
		stats: func() engineStats {
			st := broker.Stats()
			return engineStats{
				published: st.Published, duplicates: st.Duplicates, refused: st.Refused, delivered: st.Delivered,
				repaired: st.Repaired, gaps: st.Gaps, reconnects: st.Reconnects, queued: int64(st.Queued), roundTrip: st.RoundTrip,
				evicted: st.Evicted, weaknesses: int64(len(broker.Weaknesses())),
			}
		},
	}, nil
}

// RedisOptions says where Redis is and how to sign in.
func RedisOptions(cfg config.Config) redis.Options {
	r, s := cfg.Redis, cfg.Sentinels
	opts := redis.Options{
		Network: r.Network, Address: r.Address, Username: r.Username, Password: string(r.Password), DB: r.DB,
		Sentinels: s.Addresses, SentinelName: s.Name, SentinelUsername: s.Username, SentinelPassword: string(s.Password),
	}
	if opts.Cluster = cfg.Cluster; len(s.Addresses) > 0 || len(cfg.Cluster) > 0 {
		opts.Network, opts.Address = "tcp", ""
	}
	if r.TLS {
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if s.TLS {
		opts.SentinelTLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts
}

// newHub makes the hub, which tells the cache of a publication before anybody else.
func (a *App) newHub() *hub.Hub {
	return hub.New(a.engine.broker, hub.Options{
		Names: a.names, Before: forgetBefore(a.cache),
		DeflateMin: a.cfg.Connections.DeflateThreshold, Hidden: a.hidden, Delivered: a.metrics.delivered,
		FannedOut: a.fannedOut(), Weight: a.cfg.Edge.WeightOf, Log: a.log,
	})
}

// newPubSub makes the door for what the app publishes with plain PUBLISH.
func (a *App) newPubSub() (*intake.PubSub, error) {
	turner, _ := a.engine.broker.(realtime.EpochTurner)
	var taken func(id string, ch realtime.Channel, data []byte)
	if a.recorder() != nil {
		taken = a.heard
	}
	a.aside = intake.NewAside(a.engine.quarantine, a.log)
	p, err := intake.NewPubSub(a.engine.source, a.engine.ledger, turner, intake.PubSubOptions{
		Fits: a.fits(), Refused: a.aside.Put, Taken: taken, Names: a.names, MaxBytes: a.cfg.Limits.PublishBytes,
		OnlyPatterns: !a.cfg.Channels.ReportUnmatched,
		Connections:  a.cfg.Channels.IntakeConnections, Traces: a.traces, Log: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("intake of PUBLISH: %w", err)
	}
	return p, nil
}

func newAuthenticator(
	cfg config.Config, e engine, revocations *auth.Revocations, log, audit *slog.Logger,
) (*auth.Authenticator, error) {
	c := cfg.Auth
	secrets := make([]string, len(c.SessionSecrets))
	for i, s := range c.SessionSecrets {
		secrets[i] = string(s)
	}
	keys := make([]auth.APIKey, len(c.APIKeys))
	for i, k := range c.APIKeys {
		keys[i] = auth.APIKey{Name: k.Name, Tenant: k.Tenant, Key: string(k.Key)}
	}
	a, err := auth.New(auth.Options{
		SessionSecrets: secrets, SessionCookie: c.Cookie,
		Claims:        auth.ClaimPaths(c.Claims),
		PlatformRoles: c.PlatformRoles,
		JWTSecret:     string(c.JWTSecret), JWKSURL: c.JWKSURL, Issuer: c.JWTIssuer, Audience: c.JWTAudience,
		APIKeys: keys, SocketTokenSecret: string(c.SocketTokenSecret),
		AllowedOrigins: cfg.Server.AllowedOrigins, Client: proxies(cfg).Asker, Tickets: e.tickets, Revocations: revocations,
		Log: log, Audit: audit,
	})
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return a, nil
}

func newSignIn(cfg config.Config, log, audit *slog.Logger) (*auth.SignIn, error) {
	s, err := auth.NewSignIn(auth.SignInOptions{
		Secret: string(cfg.Auth.SessionSecrets[0]), Secure: strings.HasPrefix(cfg.Server.PublicURL, "https://"),
		Log: log, Audit: audit,
	})
	if err != nil {
		return nil, fmt.Errorf("sign-in by link: %w", err)
	}
	return s, nil
}
