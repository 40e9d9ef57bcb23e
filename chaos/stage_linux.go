package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/chaos/check"
	"kentongan/chaos/client"
	"kentongan/chaos/payload"
	"kentongan/chaos/publish"
	"kentongan/chaos/stand"
	engineredis "kentongan/realtime/redis"
)

// Credentials of a server that lives for one run on loopback.
const (
	secret = "a secret for the runs that break things"
	apiKey = "key-of-the-chaos-runs"
	origin = "https://kitchens.test" // of the pages
)

// retention is how much history the server keeps: all that a run can send, so that every client can resume.
const retention = 100_000

// stage is one run while it goes on.
type stage struct {
	scene

	dir   string
	began time.Time
	key   payload.Key
	world *check.World

	redis      []*stand.Redis // the primary first; with Sentinel the replica second; or all nodes of the Cluster
	sentinels  []*stand.Redis
	links      []*stand.Link // of each gateway to Redis
	gateways   []*stand.Gateway
	clients    []*client.Client
	publishers []*publish.Publisher

	// Of the night alone.
	postgres  *stand.Postgres
	nginx     *stand.Nginx
	authority *stand.Authority
	kitchen   *kitchen

	nodeLocks []sync.Mutex // one fault at a time ill-treats a process
	redisLock sync.Mutex

	injected atomic.Int64
	gone     atomic.Int32 // guests that were told not to come back

	mu     sync.Mutex
	spans  []check.Span
	logged []string
	ends   map[int]time.Duration // when the right of a client ended

	hurt    int           // gateways that a fault has in hand
	allHurt time.Duration // since when that is so for all
}

// clock is the time of the run, which all histories share.
func (s *stage) clock() time.Duration { return time.Since(s.began) }

// build starts everything that sc needs, in dir.
func build(ctx context.Context, sc scene, binary, dir string) (*stage, error) {
	s := &stage{scene: sc, dir: dir, began: time.Now(), nodeLocks: make([]sync.Mutex, sc.nodes), ends: map[int]time.Duration{}}
	random := rand.New(rand.NewPCG(sc.seed, 0)) //nolint:gosec // repeatable on purpose
	for i := range s.key {
		s.key[i] = byte(random.IntN(256)) //nolint:gosec // a byte
	}
	s.world = &check.World{Retention: retention, Rules: check.Rules{Replicated: sc.engine == sentinel || sc.engine == cluster}}
	for _, t := range tenants {
		s.world.Channels = append(s.world.Channels,
			check.Channel{Name: "production:updates:" + t, Tenant: t}, check.Channel{Name: "production:alerts:" + t, Tenant: t})
	}
	s.world.Channels = append(s.world.Channels, check.Channel{Name: "system-alert"})
	if sc.engine != memory {
		if err := s.startRedis(ctx); err != nil {
			return s, err
		}
	}
	if sc.engine == night {
		if err := s.dusk(ctx); err != nil {
			return s, err
		}
	}
	for i := range sc.nodes {
		if err := s.startGateway(ctx, binary, i); err != nil {
			return s, err
		}
	}
	if err := s.ready(ctx); err != nil {
		return s, err
	}
	if sc.engine == night {
		if err := s.lead(ctx); err != nil {
			return s, err
		}
	}
	if err := s.enlist(random); err != nil {
		return s, err
	}
	s.hire(random)
	if sc.engine == night {
		err := s.openKitchen(s.nginx.Address, s.postgres.URL, s.tls())
		return s, err
	}
	return s, nil
}

// tenants are the kitchens of a run.
var tenants = []string{"sppg_a", "sppg_b", "sppg_c"}

// The user as whom gateways sign in to Redis in the night, who may do what they need and nothing else.
const (
	leastUser     = "kentongan"
	leastPassword = "word-of-the-chaos-runs"
)

// redisSettings are those of every Redis here. A replica is served at once, and not after the five seconds that a primary waits for more of
// them.
func (s *stage) redisSettings() []string {
	settings := []string{"--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"}
	if s.engine == night {
		settings = append(settings, "--user", leastUser, "on", ">"+leastPassword)
		settings = append(settings, engineredis.LeastRules("kentongan:")...)
	}
	return settings
}

// startRedis starts a Redis that keeps what it has acknowledged, unless a fault is to be that it does not.
func (s *stage) startRedis(ctx context.Context) error {
	if s.engine == cluster {
		return s.startCluster(ctx)
	}
	first, err := stand.NewRedis(s.dir, "redis", s.redisSettings()...)
	if err != nil {
		return err
	}
	s.redis = append(s.redis, first)
	if err := first.Start(ctx); err != nil {
		return err
	}
	if s.engine.watched() {
		return s.startSentinels(ctx)
	}
	return nil
}

func (s *stage) startGateway(ctx context.Context, binary string, i int) error {
	env := []string{
		"KENTONGAN_LOG_LEVEL=info", "AUTH_SECRET=" + secret, "KENTONGAN_API_KEYS=chaos:" + apiKey,
		"KENTONGAN_ALLOWED_ORIGINS=" + origin, "KENTONGAN_DRAIN_TIME=2s",
		"KENTONGAN_PING_INTERVAL=5s", fmt.Sprintf("KENTONGAN_HISTORY_SIZE=%d", retention),
		// What may wait for a slow reader is small, so that slow readers are found out within a run.
		"KENTONGAN_MAX_PUBLISH_BYTES=64KiB", "KENTONGAN_BACKLOG_BYTES=64KiB", "GORACE=atexit_sleep_ms=0",
	}
	if s.sockets != "" {
		env = append(env, "KENTONGAN_SOCKETS="+s.sockets)
	}
	switch s.engine {
	case redis:
		link, err := stand.NewLink(ctx, func() string { return s.redis[0].Address })
		if err != nil {
			return err
		}
		s.links = append(s.links, link)
		env = append(env, "REDIS_URL=redis://"+link.Address)
	case night:
		env = append(env, "KENTONGAN_PRODUCTION=on", "DATABASE_URL="+s.postgres.URL, "KENTONGAN_TRUSTED_PROXIES=127.0.0.1",
			"REDIS_USERNAME="+leastUser, "REDIS_PASSWORD="+leastPassword,
			"REDIS_SENTINEL_NAME="+sentinelName, "REDIS_SENTINELS="+s.sentinelAddresses())
	case sentinel:
		env = append(env, "REDIS_SENTINEL_NAME="+sentinelName, "REDIS_SENTINELS="+s.sentinelAddresses())
	case cluster:
		env = append(env, "REDIS_CLUSTER="+strings.Join(s.clusterAddresses()[:2], ","))
	case memory:
	}
	g, err := stand.NewGateway(binary, s.dir, fmt.Sprintf("gateway-%d", i), env)
	if err != nil {
		return err
	}
	s.gateways = append(s.gateways, g)
	return g.Start(ctx)
}

// ready waits until all gateways are.
func (s *stage) ready(ctx context.Context) error {
	for i := range s.gateways {
		if err := s.gateways[i].Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) nodeAddresses() []string {
	all := make([]string, len(s.gateways))
	for i, g := range s.gateways {
		all[i] = g.Address
	}
	return all
}

// entrances are where HTTP and WebSockets go to.
func (s *stage) entrances() []string {
	if s.nginx != nil {
		return []string{s.nginx.Address}
	}
	return s.nodeAddresses()
}

// tls are the settings of those who go there; nil: in the clear.
func (s *stage) tls() *tls.Config {
	if s.authority == nil {
		return nil
	}
	return s.authority.Client()
}

func (s *stage) doorAddresses() []string {
	all := make([]string, len(s.gateways))
	for i, g := range s.gateways {
		all[i] = g.Door
	}
	return all
}

// enlist makes the clients: each dialect, in each kitchen, by each way to name channels.
func (s *stage) enlist(random *rand.Rand) error {
	global := len(s.world.Channels) - 1
	if s.scene.clients == 0 {
		return nil
	}
	for i := range s.scene.clients + guests {
		tenant := i / 3 % len(tenants)
		claims := map[string]any{
			"sub": user(i), "sppgId": tenants[tenant], "userRole": "SPPG_STAFF", "userType": "SPPG_USER",
		}
		token, err := auth.MintSession(secret, auth.SessionCookie, claims, time.Hour*12)
		if err != nil {
			return fmt.Errorf("mint session: %w", err)
		}
		kind := i / (3 * len(tenants)) // of those who are alike otherwise
		o := client.Options{
			Name: fmt.Sprintf("%s-%d", check.Dialect(i%3), i), Dialect: check.Dialect(i % 3),
			Tenant: tenants[tenant],
			Cookie: auth.SessionCookie + "=" + token, Origin: origin, World: s.world, Nosy: -1, Key: s.key,
			Nodes: s.entrances, TLS: s.tls(), Clock: s.clock, Seed: random.Uint64(), InUpgrade: kind%2 == 0,
			Narrow:   kind%2 == 1,
			Channels: []int{2 * tenant, 2*tenant + 1, global},
		}
		if kind%3 == 1 {
			o.Nosy = 2 * ((tenant + 1) % len(tenants))
		}
		s.clients = append(s.clients, client.New(o))
	}
	return nil
}

// doors are the ways in that a scene has, in turn over the publishers.
func (s *stage) doors() []string {
	switch s.engine {
	case memory:
		return []string{"http", "redis", "batch"}
	case sentinel:
		// What an app sends to a primary that has been replaced and does not know it yet is acknowledged and forgotten. No server
		// can know of it, so here all goes through the server.
		return []string{"http", "redis", "batch"}
	default: // in the night, too: its failover is planned, and nobody is left behind at the old primary
		return []string{"http", "redis", "batch", "stream", "plain"}
	}
}

// hire makes the publishers: every door into every channel.
func (s *stage) hire(random *rand.Rand) {
	if s.rate == 0 {
		return
	}
	doors := s.doors()
	count := len(doors) * len(s.world.Channels)
	const batch = 5
	units := 0 // how much each publisher sends in a turn, together
	for i := range count {
		units++
		if doors[i%len(doors)] == "batch" {
			units += batch - 1
		}
	}
	every := time.Duration(units) * time.Second / time.Duration(s.rate)
	primary, stream := s.primary, "kentongan:publish"
	if s.engine == cluster {
		stream = "{kentongan}:" + stream
	}
	for i := range count {
		name := doors[i%len(doors)]
		o := publish.Options{
			Name: fmt.Sprintf("%s-%d", name, i), Index: i, World: s.world, Channel: i % len(s.world.Channels), Ordered: true, Batch: 1,
			Every: every, Pad: s.pad, Key: s.key, Clock: s.clock, Seed: random.Uint64(),
		}
		switch name {
		case "http":
			o.Door = publish.HTTP(s.entrances, apiKey, i, s.tls())
		case "batch":
			o.Door, o.Batch = publish.HTTP(s.entrances, apiKey, i, s.tls()), batch
		case "redis":
			o.Door = publish.Redis(s.doorAddresses, apiKey, i)
		case "stream":
			o.Door, o.Ordered = publish.Stream(stream, primary), false // nodes share it, and take over from each other
		case "plain":
			o.Door = publish.Plain(s.anywhere(i, primary))
		}
		s.publishers = append(s.publishers, publish.New(o))
	}
}

// primary returns the address of the Redis that takes writes.
func (s *stage) primary(ctx context.Context) (string, error) {
	switch {
	case s.engine == cluster:
		return s.clusterOwner(ctx)
	case s.engine.watched():
		return s.askSentinel(ctx)
	}
	return s.redis[0].Address, nil
}

// note notes a fault that has healed.
func (s *stage) note(f *fault, span check.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, span)
	s.logged = append(s.logged, fmt.Sprintf("%12v %12v  %s", span.From.Round(time.Millisecond), span.Until.Round(time.Millisecond), f.name))
	if f.gaps(s) {
		s.excuse(span.From)
	}
}

// excuse notes that something may have been missed from a time until now. The lock is held.
func (s *stage) excuse(from time.Duration) {
	// Gaps are spread over the clients, and those that were away hear of them when they are back.
	const spread = 15 * time.Second
	s.world.Excuses = append(s.world.Excuses, check.Excuse{From: from, Until: s.clock() + spread})
}

// close ends everything that was started.
func (s *stage) close() {
	for _, g := range s.gateways {
		g.Close()
	}
	for _, l := range s.links {
		l.Close()
	}
	for _, r := range append(s.sentinels, s.redis...) {
		r.Close()
	}
	if s.nginx != nil {
		s.nginx.Close()
	}
	if s.postgres != nil {
		s.postgres.Close()
	}
}

// logTail returns the last warnings of the gateways.
func (s *stage) logTail(out io.Writer) {
	for i := range s.gateways {
		text, err := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("gateway-%d.log", i)))
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic") {
				_, _ = fmt.Fprintf(out, "  gateway-%d: %.300s\n", i, line)
			}
		}
	}
}
