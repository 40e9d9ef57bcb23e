package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// redisParts are the settings that make one Redis together: either a URL, or a host with the rest.
type redisParts struct {
	url      redisURL
	host     string
	port     int
	username string
	password Secret
	db       int

	sentinels Sentinels
	cluster   []string
}

// redisURL is a REDIS_URL that was read.
type redisURL struct {
	set bool
	Redis
}

func redisSection() section {
	return section{
		title: "Redis",
		intro: "With `REDIS_URL`, `REDIS_HOST`, `REDIS_SENTINELS` or `REDIS_CLUSTER` the redis engine runs, without them " +
			"the memory engine. If the first two are both set they must say the same: the app may read one of them and this server the " +
			"other. With `REDIS_SENTINELS` or `REDIS_CLUSTER` the primary is asked for there; of `REDIS_URL` the user, the password, the " +
			"database and TLS still hold, host and port are then not used, and neither are `REDIS_HOST` and `REDIS_PORT`.",
		settings: append([]setting{
			{ //nolint:gosec // an example
				key: "redis.url", env: []string{"REDIS_URL"}, unset: "see `REDIS_HOST`",
				example: "rediss://app:password@redis.example.id:6380/1",
				meaning: "`redis://`, `rediss://` (TLS) or `unix://`. Special characters in the password are percent-encoded.",
				kind:    redisAddress{},
			},
			{
				key: "redis.host", env: []string{"REDIS_HOST"}, unset: "memory engine", example: "redis",
				meaning: "Host name or IP address.",
				kind:    text{func(d *draft) *string { return &d.redis.host }, "host", checkRedisHost},
			},
			{
				key: "redis.port", env: []string{"REDIS_PORT"}, def: "6379", example: "6380",
				meaning: "Port, with `REDIS_HOST`.",
				kind:    count{func(d *draft) *int { return &d.redis.port }, 1, 65535},
			},
			{
				key: "redis.username", env: []string{"REDIS_USERNAME"}, unset: "the default user", example: "kentongan",
				meaning: "User of the access control list (Redis 6 and later).",
				kind:    text{func(d *draft) *string { return &d.redis.username }, "text", checkLine},
			},
			{
				key: "redis.password", env: []string{"REDIS_PASSWORD"}, unset: "no password", example: "a-password",
				meaning: "Password, verbatim.",
				kind:    password{func(d *draft) *Secret { return &d.redis.password }},
			},
			{
				key: "redis.db", env: []string{"REDIS_DB"}, def: "0", example: "1",
				meaning: "Number of the database. Pub/Sub goes over all of them; history and presence stay in this one.",
				kind:    count{func(d *draft) *int { return &d.redis.db }, 0, maxRedisDB},
			},
			{
				key: "redis.cluster", env: []string{"REDIS_CLUSTER"}, unset: "no Cluster", example: "redis-1:6379,redis-2,redis-3",
				meaning: "Some nodes of a Redis Cluster, better more than one; they name the others. The port is 6379 where none is " +
					"written. `REDIS_USERNAME` and `REDIS_PASSWORD` are for all nodes.",
				kind: texts{func(d *draft) *[]string { return &d.redis.cluster }, "`host[:port]`", checkClusterNode},
			},
		}, sentinelSettings()...),
	}
}

func sentinelSettings() []setting {
	return []setting{
		{
			key: "redis.sentinels", env: []string{"REDIS_SENTINELS"}, unset: "no Sentinel",
			example: "sentinel-1:26379,sentinel-2,sentinel-3",
			meaning: "Sentinels that know the primary, all of them. The port is 26379 where none is written.",
			kind:    texts{func(d *draft) *[]string { return &d.redis.sentinels.Addresses }, "`host[:port]`", checkSentinel},
		},
		{
			key: "redis.sentinel_name", env: []string{"REDIS_SENTINEL_NAME"}, def: "mymaster", example: "kitchens",
			meaning: "Name of the primary at the sentinels.",
			kind:    text{func(d *draft) *string { return &d.redis.sentinels.Name }, "text", checkLine},
		},
		{
			key: "redis.sentinel_username", env: []string{"REDIS_SENTINEL_USERNAME"}, unset: "the default user", example: "kentongan",
			meaning: "User of the sentinels' own access control list.",
			kind:    text{func(d *draft) *string { return &d.redis.sentinels.Username }, "text", checkLine},
		},
		{
			key: "redis.sentinel_password", env: []string{"REDIS_SENTINEL_PASSWORD"}, unset: "no password", example: "a-password",
			meaning: "Password of the sentinels themselves, verbatim.",
			kind:    password{func(d *draft) *Secret { return &d.redis.sentinels.Password }},
		},
		{
			key: "redis.sentinel_tls", env: []string{"REDIS_SENTINEL_TLS"}, def: "off", example: "on",
			meaning: "Speak TLS with the sentinels. With the primary it is `rediss://` in `REDIS_URL` that asks for TLS.",
			kind:    toggle{func(d *draft) *bool { return &d.redis.sentinels.TLS }},
		},
	}
}

// checkSentinel accepts host or host:port, and writes the usual port where none is.
func checkSentinel(s string) (string, error) {
	return hostAndPort(s, "26379", "REDIS_SENTINEL_PASSWORD")
}

func checkClusterNode(s string) (string, error) { return hostAndPort(s, "6379", "REDIS_PASSWORD") }

func hostAndPort(s, usual, password string) (string, error) {
	if strings.Contains(s, "://") || strings.ContainsAny(s, "@/") {
		return "", fmt.Errorf("has a URL in it; write host:port alone, and the password into %s", password)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), usual
	}
	if !isHost(host) {
		return "", fmt.Errorf("%s has no valid host; write host or host:port", quote(s))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%s has a bad port; write a number from 1 to 65535 after the host", quote(s))
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10)), nil
}

// maxRedisDB is far above the 16 databases that Redis has by default.
const maxRedisDB = 9999

func checkRedisHost(s string) (string, error) {
	if strings.Contains(s, "://") {
		return "", errors.New("is a URL; put it into REDIS_URL, or write the host alone")
	}
	if host, _, err := net.SplitHostPort(s); err == nil && isHost(host) {
		return "", errors.New("has a port; put that into REDIS_PORT")
	}
	if !isHost(s) {
		return "", errors.New("is no host; write a host name or an IP address")
	}
	return s, nil
}

// password is a secret that somebody else chose: it may be short.
type password struct{ at func(*draft) *Secret }

func (password) takes() string { return "secret" }
func (password) masked()       {}

func (k password) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	*k.at(d) = Secret(s)
	return nil
}

func (k password) show(d *draft) []string {
	if *k.at(d) == "" {
		return nil
	}
	return []string{k.at(d).String()}
}

// redisAddress is a REDIS_URL. It is masked, for it may hold a password; none of its errors repeats any part of it, since in a
// URL with a wrong character anything may turn out to be the password.
type redisAddress struct{}

func (redisAddress) takes() string {
	return "`redis://[user:password@]host[:port][/db]`, `unix://[user:password@]/path[?db=n]`"
}
func (redisAddress) masked() {}

func (redisAddress) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	r, err := parseRedisURL(s)
	if err != nil {
		return err
	}
	d.redis.url = redisURL{set: true, Redis: r}
	return nil
}

func (redisAddress) show(d *draft) []string {
	if !d.redis.url.set {
		return nil
	}
	return []string{d.redis.url.String()}
}

// String spells r as a URL without the password.
func (r Redis) String() string {
	u := url.URL{Scheme: "redis", Host: r.Address, Path: "/" + strconv.Itoa(r.DB)}
	switch {
	case r.Network == "unix":
		u = url.URL{Scheme: "unix", Path: r.Address, RawQuery: "db=" + strconv.Itoa(r.DB)}
	case r.TLS:
		u.Scheme = "rediss"
	}
	if r.Network == "sentinel" || r.Network == "cluster" {
		u.Scheme += "+" + r.Network
	}
	if r.Username != "" {
		u.User = url.User(r.Username)
	}
	s := u.String()
	if r.Password != "" {
		s += ", password " + r.Password.String()
	}
	return s
}

const redisURLHelp = "write redis://user:password@host:6379/0, with special characters of the password percent-encoded " +
	"(# is %23, / is %2F, @ is %40, % is %25)"

func parseRedisURL(s string) (Redis, error) {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsRune(s, '#') {
		return Redis{}, errors.New("cannot be read; " + redisURLHelp)
	}
	r := Redis{Network: "tcp", Username: u.User.Username()}
	if word, ok := u.User.Password(); ok {
		r.Password = Secret(word)
	}
	if r.DB, err = databaseInQuery(u); err != nil {
		return Redis{}, err
	}
	switch u.Scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		r.TLS = true
	case "unix":
		return unixRedis(r, u)
	default:
		return Redis{}, errors.New("must begin with redis://, rediss:// or unix://")
	}
	if u.Opaque != "" || !isHost(u.Hostname()) {
		return Redis{}, errors.New("has no valid host; " + redisURLHelp)
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Redis{}, errors.New("has a bad port; write a number from 1 to 65535 after the host")
	}
	r.Address = net.JoinHostPort(strings.ToLower(u.Hostname()), strconv.FormatUint(n, 10))
	if path := strings.Trim(u.Path, "/"); path != "" {
		if u.Query().Has("db") {
			return Redis{}, errors.New("names the database twice, after / and after ?db=; write it once")
		}
		if r.DB, err = database(path); err != nil {
			return Redis{}, err
		}
	}
	return r, nil
}

func unixRedis(r Redis, u *url.URL) (Redis, error) {
	if u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || len(u.Path) < 2 || strings.ContainsRune(u.Path, 0) {
		return Redis{}, errors.New("must have the path of the socket after unix://, for example unix:///run/redis/redis.sock?db=1")
	}
	r.Network, r.Address = "unix", u.Path
	return r, nil
}

// databaseInQuery reads ?db=1. Options of the app's Redis client that mean nothing here are passed over; any other is an
// error, since it may be one that matters.
func databaseInQuery(u *url.URL) (int, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return 0, errors.New("has a part after ? that cannot be read; " + redisURLHelp)
	}
	for name := range query {
		switch name {
		case "db", "family", "allowUsernameInURI":
		default:
			return 0, errors.New("has an unknown option after ?; only db is known, as in unix:///run/redis.sock?db=1")
		}
	}
	if !query.Has("db") {
		return 0, nil
	}
	return database(query.Get("db"))
}

func database(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > maxRedisDB {
		return 0, fmt.Errorf("has a bad database; write a number from 0 to %d", maxRedisDB)
	}
	return int(n), nil
}

// joinRedis makes one Redis of the parts. Where a URL and a variable both say something they must agree: guessing which one
// the app reads would connect the two to different servers, and nothing would ever arrive.
func (l *loader) joinRedis() {
	p := l.d.redis
	given := func(key string) bool { return l.sources[key].given() }
	sentinels, cluster := len(p.sentinels.Addresses) > 0, len(p.cluster) > 0
	asked := sentinels || cluster // for the primary
	if !sentinels {
		l.redisWithout([]string{"redis.sentinel_name", "redis.sentinel_username", "redis.sentinel_password", "redis.sentinel_tls"},
			"is set without REDIS_SENTINELS: list them there, or unset this")
	}
	if !p.url.set {
		if !given("redis.host") && !asked {
			l.redisWithout([]string{"redis.port", "redis.username", "redis.password", "redis.db"},
				"is set without REDIS_HOST or REDIS_URL: set one of them, or unset this to use the memory engine")
			return
		}
		l.d.Redis = Redis{
			Network: "tcp", Address: net.JoinHostPort(strings.ToLower(p.host), strconv.Itoa(p.port)),
			Username: p.username, Password: p.password, DB: p.db,
		}
	} else {
		l.redisAgrees(asked)
		l.d.Redis = p.url.Redis
	}
	if cluster {
		l.joinCluster(sentinels)
	}
	if sentinels {
		if l.d.Redis.Network == "unix" {
			l.problems.add(l.sources["redis.url"].where("redis.url"), "is a socket of this machine, and REDIS_SENTINELS asks for the "+
				"primary elsewhere: unset one of them")
		}
		l.d.Redis.Network, l.d.Redis.Address = "sentinel", p.sentinels.Name
		l.d.Sentinels = p.sentinels
	}
}

// joinCluster makes the Redis that was configured so far a Cluster.
func (l *loader) joinCluster(sentinels bool) {
	where := l.sources["redis.cluster"].where("redis.cluster")
	r := &l.d.Redis
	switch {
	case sentinels:
		l.problems.add(where, "is set beside REDIS_SENTINELS: a Cluster has none; unset one of them")
	case r.Network == "unix":
		l.problems.add(l.sources["redis.url"].where("redis.url"), "is a socket of this machine, and REDIS_CLUSTER lists nodes elsewhere: "+
			"unset one of them")
	case r.DB != 0:
		l.problems.add(where, "is set, and the database is %d: a Cluster has only database 0", r.DB)
	}
	r.Network, r.Address = "cluster", strings.Join(l.d.redis.cluster, ",")
	l.d.Cluster = l.d.redis.cluster
}

// redisWithout reports those of the settings that are given and mean nothing.
func (l *loader) redisWithout(keys []string, problem string) {
	for _, key := range keys {
		if s := l.sources[key]; s.given() {
			l.problems.add(s.where(key), "%s", problem)
		}
	}
}

// redisAgrees reports what contradicts the URL. Where others are asked for the primary nobody connects to the host of either.
func (l *loader) redisAgrees(asked bool) {
	p := l.d.redis
	host, port, _ := net.SplitHostPort(p.url.Address) // of a socket's path: both empty, so that any host contradicts it
	for _, c := range []struct {
		key  string
		same bool
	}{
		{"redis.host", asked || strings.EqualFold(p.host, host)},
		{"redis.port", asked || strconv.Itoa(p.port) == port},
		{"redis.username", p.username == p.url.Username},
		{"redis.password", p.password == p.url.Password},
		{"redis.db", p.db == p.url.DB},
	} {
		if l.sources[c.key].given() && !c.same {
			l.problems.add(l.sources[c.key].where(c.key), "says something else than %s: make both equal, or unset one",
				l.sources["redis.url"].where("redis.url"))
		}
	}
}
