package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kentongan/app"
	"kentongan/production/postgres"
	"kentongan/production/sqlite"
	"kentongan/realtime/redis"
)

// Bounds of what is taken as well.
const (
	maxSkew      = 2 * time.Second      // of two clocks; tokens are given 15 s
	slowRedis    = 5 * time.Millisecond // each publication waits for a round trip
	slowDatabase = 20 * time.Millisecond
	littleDisk   = 1 << 30 // a kitchen writes some MB a month; a log that cannot grow stops all
	noDisk       = 100 << 20

	// databaseConnections is how many a server takes at most: 16 for calls, 8 for commits, one that listens.
	databaseConnections = 25
)

// redis looks at the Redis of the settings.
func (p *patient) redis(ctx context.Context) error {
	if !p.cfg.Redis.Enabled() {
		return skip("none is configured; the memory engine serves one machine, and forgets its history at a restart")
	}
	where := p.cfg.Redis.String()
	opts := app.RedisOptions(p.cfg)
	opts.ConnectTimeout, opts.CommandTimeout, opts.AnswerLimit = p.opts.Timeout, p.opts.Timeout, p.opts.Timeout
	e, err := redis.Examine(ctx, opts)
	if err != nil {
		p.found(Broken, where, cause(err), "REDIS_URL, or REDIS_HOST, REDIS_PORT and REDIS_PASSWORD, as the app has them; and a "+
			"Redis that runs")
		return nil
	}
	user := opts.Username
	if user == "" {
		user = "default"
	}
	p.detail = fmt.Sprintf("%s %s at %s, %.1f ms", e.Product, e.Version, where, ms(e.RoundTrip))
	if e.Primary != "" {
		p.detail += ", " + e.Primary
	}
	if e.Version != "" && e.Major() < redis.MinVersion {
		p.found(Broken, where, "it is "+e.Product+" "+e.Version, fmt.Sprintf("Redis %d or newer, or Valkey", redis.MinVersion))
	}
	for _, w := range e.Weaknesses {
		p.found(Warning, where+", "+w.Name, w.Text, "as it says")
	}
	for _, m := range e.Missing {
		if !m.Weak { // what is weak without it is told as that
			p.found(Broken, where, "its user may not "+m.Rule+", which is needed for: "+m.For, "ACL SETUSER "+user+" "+m.Rule)
		}
	}
	for _, refused := range e.Refused {
		p.found(Broken, where, "it refuses to "+refused, "let this user do that (ACL); or make room, or let it write, if that is "+
			"what it says")
	}
	if e.RoundTrip > slowRedis {
		p.found(Warning, where, fmt.Sprintf("a round trip takes %.1f ms (the slowest of %d took %.1f ms): each message waits for that",
			ms(e.RoundTrip), 21, ms(e.Slowest)), "a Redis in the same data centre, on a machine that is not overloaded")
	}
	p.skewed(where, e.Skew)
	if e.MaxClients > 0 && e.Clients*10 > e.MaxClients*9 {
		p.found(Warning, where, fmt.Sprintf("%d of %d connections are taken", e.Clients, e.MaxClients),
			"raise maxclients; each server needs about 12")
	}
	return nil
}

func (p *patient) skewed(where string, skew time.Duration) {
	if skew.Abs() > maxSkew {
		p.found(Warning, where, fmt.Sprintf("its clock is %s away from the one of this machine", skew.Round(time.Millisecond)),
			"NTP (chrony or systemd-timesyncd) on both")
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cause is err without what only programmers want to know.
func cause(err error) string {
	return strings.ReplaceAll(strings.TrimPrefix(err.Error(), "examine "), "\n", "; ")
}

// database looks at the one of the settings.
func (p *patient) database(ctx context.Context) error {
	if !p.cfg.Production.On {
		return skip("the production service is off")
	}
	db := p.cfg.Production.Database
	if db.Path != "" {
		p.sqlite(ctx, db.Path)
		return nil
	}
	where := db.String()
	e, err := postgres.Examine(ctx, postgres.Options{URL: db.URL.Reveal(), Timeout: 2 * p.opts.Timeout})
	if err != nil {
		p.found(Broken, where, cause(err), "DATABASE_URL with the host, user, password and database that are there; and a schema of "+
			"this program or older")
		return nil
	}
	p.detail = fmt.Sprintf("PostgreSQL %s, schema %d of %d, %.1f ms", e.Server, e.Version, e.Known, ms(e.RoundTrip))
	p.schema(where, e.Version, e.Known)
	switch {
	case e.ReadOnly:
		p.found(Broken, where, "it cannot be written: it is a standby, or read-only for this user", "the address of the primary")
	case e.Version == 0 && !e.MayCreate:
		p.found(Broken, where, "there is no schema yet, and this user may not make one",
			"GRANT CREATE ON DATABASE, or kentongan migrate with a user who may")
	}
	if e.Number < 120000 {
		p.found(Broken, where, "it is PostgreSQL "+e.Server, "PostgreSQL 12 or newer")
	}
	if e.FsyncOff {
		p.found(Warning, where, "fsync or synchronous_commit is off: records that were acknowledged may be lost with the machine",
			"both on")
	}
	if e.RoundTrip > slowDatabase {
		p.found(Warning, where, fmt.Sprintf("a round trip takes %.1f ms", ms(e.RoundTrip)), "a database in the same data centre")
	}
	p.skewed(where, e.Skew)
	if e.MaxConnections > 0 && e.Connections+databaseConnections > e.MaxConnections {
		p.found(Warning, where, fmt.Sprintf("%d of %d connections are taken, and a server takes up to %d", e.Connections, e.MaxConnections,
			databaseConnections), "raise max_connections, or put a pooler in session mode in front")
	}
	return nil
}

func (p *patient) schema(where string, version, known int) {
	if version > 0 && version < known {
		p.found(Note, where, fmt.Sprintf("its schema has version %d, and this program brings it to %d when it starts", version, known),
			"a backup first; kentongan migrate does only that")
	}
}

func (p *patient) sqlite(ctx context.Context, path string) {
	where := "sqlite:" + path
	e, err := sqlite.Examine(ctx, sqlite.Options{Path: path})
	if err != nil {
		p.found(Broken, where, cause(err), "DATABASE_URL=sqlite:PATH, in a folder that is there and that this user can write")
		return
	}
	p.detail = fmt.Sprintf("%s, schema %d of %d, %d KiB", where, e.Version, e.Known, e.Bytes>>10)
	if !e.Exists {
		p.detail = where + " is made when the server starts"
	}
	p.schema(where, e.Version, e.Known)
	free, err := freeBytes(e.Folder)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		p.found(Warning, e.Folder, "nobody can tell how much room is left: "+err.Error(), "a folder on a local disk")
	case free < noDisk:
		p.found(Broken, e.Folder, fmt.Sprintf("%d MiB are free: soon nothing can be written any more", free>>20), "make room")
	case free < littleDisk:
		p.found(Warning, e.Folder, fmt.Sprintf("%d MiB are free", free>>20), "make room: 1 GiB at least")
	}
}
