package config_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/config"
	"kentongan/realtime"
	"kentongan/realtime/schema"
	"kentongan/tenant"
)

const secretA, secretB = "a-session-secret-of-many-bytes", "b-session-secret-of-many-bytes"

func load(t *testing.T, serve bool, file string, environ ...string) (config.Config, error) {
	t.Helper()
	in := config.Input{Environ: environ, Serve: serve}
	if file != "" {
		in.File = filepath.Join(t.TempDir(), "kentongan.yaml")
		if err := os.WriteFile(in.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(in)
}

func mustLoad(t *testing.T, file string, environ ...string) config.Config {
	t.Helper()
	c, err := load(t, false, file, environ...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, "")
	for _, one := range []struct {
		name      string
		got, want any
	}{
		{"listen", c.Server.Listen, ":3001"},
		{"admin listen", c.Server.AdminListen, "127.0.0.1:3002"},
		{"drain time", c.Server.DrainTime, 20 * time.Second},
		{"redis", c.Redis.Enabled(), false},
		{"ping interval", c.Connections.PingInterval, 25 * time.Second},
		{"deflate", c.Connections.Deflate, true},
		{"bare resume", c.Connections.BareResume, true},
		{"backlog", c.Limits.BacklogBytes, 1 << 20},
		{"message", c.Limits.MessageBytes, 64 << 10},
		{"publish", c.Limits.PublishBytes, 1 << 20},
		{"subscriptions", c.Limits.Subscriptions, 100},
		{"claims", c.Auth.Claims, config.Claims{Subject: "sub", Tenant: "sppgId", Role: "userRole", UserType: "userType"}},
		{"platform roles", c.Auth.PlatformRoles, []string{"PLATFORM_SUPERADMIN", "PLATFORM_SUPPORT"}},
		{"production", c.Production.On, false},
		{"database", c.Production.Database, config.Database{Path: "kentongan.db"}},
		{"the app's database", mustLoad(t, "", "DATABASE_URL=mysql://u:p@h/d").Production.On, false},
		{"the app's PostgreSQL", mustLoad(t, "", "DATABASE_URL=postgres://u:p@h/d").Production.On, false},
		{"postgres", mustLoad(t, "", "KENTONGAN_PRODUCTION=on", "DATABASE_URL=postgres://u:p@h:1/d").Production.Database.String(), "postgres://h:1/d"},
		{"money fields", len(c.Channels.MoneyFields), 6},
		{"no money fields", len(mustLoad(t, "", "KENTONGAN_MONEY_FIELDS=none").Channels.MoneyFields), 0},
		{"patterns", c.Channels.Patterns, realtime.DefaultPatterns()},
		{"level", c.Log.Level, slog.LevelInfo},
		{"format", c.Log.Format, config.LogAuto},
		{"credentials", c.Auth.HasSource(), false},
	} {
		if !reflect.DeepEqual(one.got, one.want) {
			t.Errorf("%s: got %v, want %v", one.name, one.got, one.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Run("WinsOverFile", func(t *testing.T) {
		c := mustLoad(t, "server:\n  listen: :1\n  drain_time: 5s\n", "KENTONGAN_LISTEN=:2")
		if c.Server.Listen != ":2" || c.Server.DrainTime != 5*time.Second {
			t.Errorf("got %q, %v; want :2 of the environment and 5s of the file", c.Server.Listen, c.Server.DrainTime)
		}
	})
	t.Run("EmptyIsUnset", func(t *testing.T) {
		if c := mustLoad(t, "", "KENTONGAN_LISTEN=", "REDIS_HOST=", "REDIS_PORT=", "KENTONGAN_NO_SUCH="); c.Server.Listen != ":3001" {
			t.Errorf("got %q, want the default", c.Server.Listen)
		}
	})
	t.Run("LastOfTwoCounts", func(t *testing.T) {
		if c := mustLoad(t, "", "KENTONGAN_LISTEN=:1", "KENTONGAN_LISTEN=:2"); c.Server.Listen != ":2" {
			t.Errorf("got %q, want :2", c.Server.Listen)
		}
	})
	t.Run("NamesTheFile", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "k.yaml")
		if err := os.WriteFile(path, []byte("log: {level: debug}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if c := mustLoad(t, "", "KENTONGAN_CONFIG="+path); c.Log.Level != slog.LevelDebug {
			t.Errorf("got %v, want debug", c.Log.Level)
		}
	})
	t.Run("OfOrchestratorsIsPassedOver", func(t *testing.T) {
		mustLoad(t, "", "KENTONGAN_SERVICE_HOST=10.0.0.1", "KENTONGAN_SERVICE_PORT=3001", "KENTONGAN_SERVICE_PORT_HTTP=3001", "KENTONGAN_PORT=tcp://10.0.0.1:3001",
			"KENTONGAN_PORT_3001_TCP=tcp://10.0.0.1:3001", "KENTONGAN_PORT_3001_TCP_ADDR=10.0.0.1", "KENTONGAN_PORT_3001_TCP_PROTO=tcp")
	})
}

func TestSessionSecrets(t *testing.T) {
	t.Run("OrderIsThatOfTheApp", func(t *testing.T) {
		c := mustLoad(t, "", "AUTH_SECRET_1=one-1-secret-of-many-bytes", "AUTH_SECRET_2=two-2-secret-of-many-bytes", "NEXTAUTH_SECRET="+secretB, "AUTH_SECRET="+secretA,
			"AUTH_SECRET_3=three-secret-of-many-bytes")
		var got []string
		for _, s := range c.Auth.SessionSecrets {
			got = append(got, s.Reveal())
		}
		want := []string{secretA, secretB, "three-secret-of-many-bytes", "two-2-secret-of-many-bytes", "one-1-secret-of-many-bytes"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("Verbatim", func(t *testing.T) {
		const odd = " spaces, commas: and\ttabs stay \n"
		if c := mustLoad(t, "", "AUTH_SECRET="+odd); c.Auth.SessionSecrets[0].Reveal() != odd {
			t.Errorf("got %q, want %q", c.Auth.SessionSecrets[0].Reveal(), odd)
		}
	})
	t.Run("FromTheFile", func(t *testing.T) {
		c := mustLoad(t, "auth:\n  session_secrets: ["+secretA+", "+secretB+"]\n")
		if len(c.Auth.SessionSecrets) != 2 || c.Auth.SessionSecrets[1].Reveal() != secretB {
			t.Errorf("got %d secrets, want 2", len(c.Auth.SessionSecrets))
		}
	})
}

// passing is the environment of a server whose Redis door passes commands on.
const passing = "KENTONGAN_REDIS_DOOR_PASS=app KENTONGAN_API_KEYS=app:an-api-key-of-many-bytes KENTONGAN_REDIS_DOOR=:6380 REDIS_HOST=r"

func TestDoorCommands(t *testing.T) {
	c := mustLoad(t, "", strings.Fields(passing)...)
	if got := c.Server.DoorCommands; !slices.Contains(got, "GET") || slices.Contains(got, "LPUSH") || slices.Contains(got, "default") {
		t.Errorf("by default %q are passed on", got)
	}
	c = mustLoad(t, "", append(strings.Fields(passing), "KENTONGAN_REDIS_DOOR_COMMANDS=lpush,default,GET")...)
	if got := c.Server.DoorCommands; !slices.Contains(got, "SETEX") || !slices.Contains(got, "LPUSH") || slices.Contains(got, "default") {
		t.Errorf("%q are passed on, want LPUSH too", got)
	}
	c = mustLoad(t, "", append(strings.Fields(passing), "KENTONGAN_REDIS_DOOR_COMMANDS=get")...)
	if got := c.Server.DoorCommands; !slices.Equal(got, []string{"GET"}) {
		t.Errorf("%q are passed on, want GET alone", got)
	}
}

// TestMistakes has one row for each kind of mistake, with the whole of what Load says about it.
func TestMistakes(t *testing.T) {
	for _, one := range []struct {
		name, env, file, want string
	}{
		{"UnknownVariable", "KENTONGAN_LISTN=:1", "", "KENTONGAN_LISTN: unknown variable; did you mean KENTONGAN_LISTEN?"},
		{"UnknownVariableWithPrefix", "KENTONGAN_REDIS_URL=x", "", "KENTONGAN_REDIS_URL: unknown variable; did you mean REDIS_URL?"},
		{"UnknownPort", "KENTONGAN_PORT=3001", "", "KENTONGAN_PORT: unknown variable; did you mean KENTONGAN_LISTEN=:3001?"},
		{"UnknownFar", "KENTONGAN_COFFEE_MACHINE=1", "", "KENTONGAN_COFFEE_MACHINE: unknown variable; see: kentongan config doc"},
		{"BadListen", "KENTONGAN_LISTEN=3001", "", `KENTONGAN_LISTEN: "3001" is no address to listen on; write :3001 or 127.0.0.1:3001`},
		{"BadPort", "KENTONGAN_LISTEN=:70000", "", `KENTONGAN_LISTEN: ":70000" has a bad port; write a number from 0 to 65535`},
		{"BadDuration", "KENTONGAN_PING_INTERVAL=25", "", `KENTONGAN_PING_INTERVAL: "25" is no duration; write for example 25s, 1m30s or 24h`},
		{"DurationOutside", "KENTONGAN_PING_INTERVAL=1ms", "", `KENTONGAN_PING_INTERVAL: "1ms" is outside of 1s to 10m`},
		{"BadSize", "KENTONGAN_MAX_MESSAGE_BYTES=64KB", "", `KENTONGAN_MAX_MESSAGE_BYTES: "64KB" is no size; write bytes, or a whole number of KiB or MiB, for example 64KiB`},
		{"BadNumber", "KENTONGAN_MAX_CONNECTIONS=many", "", `KENTONGAN_MAX_CONNECTIONS: "many" is no whole number; write for example 1`},
		{"BadToggle", "KENTONGAN_DEFLATE=maybe", "", `KENTONGAN_DEFLATE: "maybe" is neither on nor off`},
		{"DoorPassWithoutDoor", "KENTONGAN_REDIS_DOOR_PASS=app KENTONGAN_API_KEYS=app:an-api-key-of-many-bytes REDIS_HOST=r", "",
			"KENTONGAN_REDIS_DOOR_PASS: is set without KENTONGAN_REDIS_DOOR: that door is what passes commands on"},
		{"DoorPassWithoutRedis", "KENTONGAN_REDIS_DOOR_PASS=app KENTONGAN_API_KEYS=app:an-api-key-of-many-bytes KENTONGAN_REDIS_DOOR=:6380", "",
			"KENTONGAN_REDIS_DOOR_PASS: is set without REDIS_HOST or REDIS_URL: the memory engine has no Redis to pass commands on to"},
		{"DoorPassOfNobody", "KENTONGAN_REDIS_DOOR_PASS=ap KENTONGAN_API_KEYS=app:an-api-key-of-many-bytes KENTONGAN_REDIS_DOOR=:6380 REDIS_HOST=r", "",
			"KENTONGAN_REDIS_DOOR_PASS: names ap, which is none of the API keys"},
		{"DoorPassOfAKitchen", "KENTONGAN_REDIS_DOOR_PASS=app KENTONGAN_API_KEYS=app@k1:an-api-key-of-many-bytes KENTONGAN_REDIS_DOOR=:6380 REDIS_HOST=r", "",
			"KENTONGAN_REDIS_DOOR_PASS: names app, which is a key of one kitchen: write app@k1 if it shall reach the keys of all kitchens in Redis"},
		{"DoorPassOfAnotherKitchen", "KENTONGAN_REDIS_DOOR_PASS=app@k2 KENTONGAN_API_KEYS=app@k1:an-api-key-of-many-bytes KENTONGAN_REDIS_DOOR=:6380 REDIS_HOST=r",
			"", "KENTONGAN_REDIS_DOOR_PASS: names app@k2, but the API key app is not of that kitchen"},
		{"DoorPassWithTheKey", "KENTONGAN_REDIS_DOOR_PASS=app:an-api-key-of-many-bytes", "",
			"KENTONGAN_REDIS_DOOR_PASS: has an entry that is no name of an API key; write name or name@tenant, without the key itself"},
		{"DoorCommandsWithoutPass", "KENTONGAN_REDIS_DOOR_COMMANDS=GET", "",
			"KENTONGAN_REDIS_DOOR_COMMANDS: is set without KENTONGAN_REDIS_DOOR_PASS: name the API keys whose commands are passed on"},
		{"DoorCommandNever", passing + " KENTONGAN_REDIS_DOOR_COMMANDS=default,flushall", "",
			"KENTONGAN_REDIS_DOOR_COMMANDS: FLUSHALL is never passed on, for it reaches keys that it does not name"},
		{"DatabaseNone", "KENTONGAN_PRODUCTION=on DATABASE_URL=mysql://u:p4ssw0rd@h/d", "", "DATABASE_URL: must begin with sqlite: or postgres://"},
		{"DatabaseOfPrisma", "KENTONGAN_PRODUCTION=on DATABASE_URL=file:./dev.db", "",
			"DATABASE_URL: begins with file:, as Prisma spells SQLite; write sqlite:PATH, and never the app's own database"},
		{"DatabaseWithoutHost", "KENTONGAN_PRODUCTION=on DATABASE_URL=postgres:///d", "",
			"DATABASE_URL: has no host; write postgres://user:password@host:5432/database"},
		{"DatabaseUnreadable", "KENTONGAN_PRODUCTION=on DATABASE_URL=postgres://u:p%zz@h/d", "",
			"DATABASE_URL: cannot be read; write postgres://user:password@host:5432/database, with special characters of the " +
				"password percent-encoded (# is %23, / is %2F, @ is %40, % is %25)"},
		{"DatabaseWithoutPath", "KENTONGAN_PRODUCTION=on DATABASE_URL=sqlite:", "", "DATABASE_URL: names no file; write sqlite: and its path"},
		{"DatabaseInMemory", "KENTONGAN_PRODUCTION=on DATABASE_URL=sqlite::memory:", "", "DATABASE_URL: keeps nothing: records need a file"},
		{"DatabaseWithOptions", "KENTONGAN_PRODUCTION=on DATABASE_URL=sqlite:a.db?mode=ro", "",
			"DATABASE_URL: has a ? in its path: there is nothing to set behind it"},
		{"DatabaseAndOff", "DATABASE_URL=sqlite:a.db", "",
			"DATABASE_URL: is set and the production service is off: set KENTONGAN_PRODUCTION=on, or unset it"},
		{"RecordAndOff", "KENTONGAN_RECORD_APP=on", "",
			"KENTONGAN_RECORD_APP: is set and the production service is off: set KENTONGAN_PRODUCTION=on, or unset it"},
		{"WebhookWithoutSecret", "KENTONGAN_PRODUCTION=on KENTONGAN_WEBHOOK_URL=https://h.test/", "",
			"KENTONGAN_WEBHOOK_URL: is set without KENTONGAN_WEBHOOK_SECRET: calls are signed"},
		{"WebhookSecretAlone", "KENTONGAN_PRODUCTION=on KENTONGAN_WEBHOOK_SECRET=" + secretA, "",
			"KENTONGAN_WEBHOOK_SECRET: is set without KENTONGAN_WEBHOOK_URL: say who is called, or unset it"},
		{"WebhookBad", "KENTONGAN_PRODUCTION=on KENTONGAN_WEBHOOK_SECRET=" + secretA + " KENTONGAN_WEBHOOK_URL=https://u:p@h.test/", "",
			"KENTONGAN_WEBHOOK_URL: must have no user and password in it: calls are signed"},
		{"MoneyFieldBad", "KENTONGAN_MONEY_FIELDS=cost,data.price", "",
			`KENTONGAN_MONEY_FIELDS: has an entry that is none: hidden field "data.price": want A-Z a-z 0-9 _ -`},
		{"MoneyFieldsNoneAndSome", "KENTONGAN_MONEY_FIELDS=cost,none", "",
			"KENTONGAN_MONEY_FIELDS: has none beside names: write one or the other"},
		{"DoorCommandUnknown", passing + " KENTONGAN_REDIS_DOOR_COMMANDS=HGETAL", "",
			`KENTONGAN_REDIS_DOOR_COMMANDS: "HGETAL" is no command that can be passed on; did you mean HGETALL?`},
		{"BadRate", "KENTONGAN_PUBLISH_RATE=-1", "", "KENTONGAN_PUBLISH_RATE: -1 is outside of 0 to 1000000"},
		{"OriginWithPath", "KENTONGAN_ALLOWED_ORIGINS=https://a.example/x", "",
			`KENTONGAN_ALLOWED_ORIGINS: origin "https://a.example/x" has a path; an origin is scheme, host and port alone: "https://a.example"`},
		{"OriginStar", "KENTONGAN_ALLOWED_ORIGINS=*", "", `KENTONGAN_ALLOWED_ORIGINS: * would let every page of the web use the visitor's session; list each origin`},
		{"EachOrigin", "KENTONGAN_ALLOWED_ORIGINS=null,ftp://x", "",
			"KENTONGAN_ALLOWED_ORIGINS: null is the origin of every sandboxed page; list real origins\n" +
				`KENTONGAN_ALLOWED_ORIGINS: origin "ftp://x" must begin with https:// or http://`},
		{"WellKnownSecret", "NEXTAUTH_SECRET=default-secret", "",
			"NEXTAUTH_SECRET: is a well-known placeholder that everybody can guess; make one with: openssl rand -base64 32"},
		{"ShortSecret", "AUTH_SECRET_2=short", "", "AUTH_SECRET_2: has 5 bytes and needs at least 16; make one with: openssl rand -base64 32"},
		{"ShortJWTSecret", "KENTONGAN_JWT_SECRET=twenty-bytes-are-few", "", "KENTONGAN_JWT_SECRET: has 20 bytes and needs at " +
			"least 32; make one with: openssl rand -base64 32"},
		{"KeyWithoutColon", "KENTONGAN_API_KEYS=0123456789abcdef0123", "", "KENTONGAN_API_KEYS: entry 1 has no colon; write " +
			"name:key or name@tenant:key"},
		{"KeyTooShort", "KENTONGAN_API_KEYS=app:short", "", "KENTONGAN_API_KEYS: entry 1 has a bad key: it has 5 bytes and " +
			"needs at least 16; make one with: openssl rand -base64 32"},
		{"KeyOfBadTenant", "KENTONGAN_API_KEYS=app@a/b:0123456789abcdef", "", "KENTONGAN_API_KEYS: entry 1 has a bad tenant " +
			"after the @; a tenant id is 1 to 64 of A-Z a-z 0-9 _ -"},
		{"KeyNameTwice", "KENTONGAN_API_KEYS=app:0123456789abcdef,app:1123456789abcdef", "",
			"KENTONGAN_API_KEYS: entry 2 has the same name as entry 1; names must be unique, for they stand in the log"},
		{"KeyTwice", "KENTONGAN_API_KEYS=app:0123456789abcdef,web:0123456789abcdef", "", "KENTONGAN_API_KEYS: entry 2 has the " +
			"same key as entry 1; give each server its own"},
		{"BadRedisURL", "REDIS_URL=redis://:p#ss@host", "", "REDIS_URL: cannot be read; write " +
			"redis://user:password@host:6379/0, with special characters of the password " +
			"percent-encoded (# is %23, / is %2F, @ is %40, % is %25)"},
		{"RedisURLWithoutScheme", "REDIS_URL=host:6379", "", "REDIS_URL: must begin with redis://, rediss:// or unix://"},
		{"RedisDatabase", "REDIS_URL=redis://h/x", "", "REDIS_URL: has a bad database; write a number from 0 to 9999"},
		{"RedisTwice", "REDIS_URL=redis://h:6379 REDIS_HOST=other", "", "REDIS_HOST: says something else than REDIS_URL: make " +
			"both equal, or unset one"},
		{"RedisPasswordTwice", "REDIS_URL=redis://h REDIS_PASSWORD=word", "", "REDIS_PASSWORD: says something else than " +
			"REDIS_URL: make both equal, or unset one"},
		{"RedisWithoutHost", "REDIS_PORT=6380", "", "REDIS_PORT: is set without REDIS_HOST or REDIS_URL: set one of them, or " +
			"unset this to use the memory engine"},
		{"RedisHostIsURL", "REDIS_HOST=redis://:word@h", "", "REDIS_HOST: is a URL; put it into REDIS_URL, or write the host alone"},
		{"SentinelIsURL", "REDIS_SENTINELS=redis://:word@h", "", "REDIS_SENTINELS: has a URL in it; write host:port alone, and the " +
			"password into REDIS_SENTINEL_PASSWORD"},
		{"SentinelPort", "REDIS_SENTINELS=h:0", "", `REDIS_SENTINELS: "h:0" has a bad port; write a number from 1 to 65535 after the host`},
		{"SentinelNameAlone", "REDIS_HOST=h REDIS_SENTINEL_NAME=n", "", "REDIS_SENTINEL_NAME: is set without REDIS_SENTINELS: list them " +
			"there, or unset this"},
		{"SentinelAndSocket", "REDIS_URL=unix:///run/r.sock REDIS_SENTINELS=h", "", "REDIS_URL: is a socket of this machine, and " +
			"REDIS_SENTINELS asks for the primary elsewhere: unset one of them"},
		{"ClusterIsURL", "REDIS_CLUSTER=redis://:word@h", "", "REDIS_CLUSTER: has a URL in it; write host:port alone, and the " +
			"password into REDIS_PASSWORD"},
		{"ClusterAndSocket", "REDIS_URL=unix:///run/r.sock REDIS_CLUSTER=h", "", "REDIS_URL: is a socket of this machine, and " +
			"REDIS_CLUSTER lists nodes elsewhere: unset one of them"},
		{"ClusterAndSentinel", "REDIS_SENTINELS=s REDIS_CLUSTER=h", "", "REDIS_CLUSTER: is set beside REDIS_SENTINELS: a Cluster has " +
			"none; unset one of them"},
		{"ClusterAndDatabase", "REDIS_URL=redis://h/1 REDIS_CLUSTER=h", "", "REDIS_CLUSTER: is set, and the database is 1: a Cluster has " +
			"only database 0"},
		{"ClusterAndPass", "REDIS_CLUSTER=h KENTONGAN_REDIS_DOOR=:1 KENTONGAN_REDIS_DOOR_PASS=app KENTONGAN_API_KEYS=app:0123456789abcdef", "",
			"KENTONGAN_REDIS_DOOR_PASS: is set, and so is REDIS_CLUSTER: commands are not passed on to a Cluster, whose clients have to find " +
				"the right node for each key; give the app the nodes of it, and this door for PUBLISH alone"},
		{"SentinelAndPasswordTwice", "REDIS_URL=redis://:a@h REDIS_PASSWORD=b REDIS_SENTINELS=h", "", "REDIS_PASSWORD: says something else " +
			"than REDIS_URL: make both equal, or unset one"},
		{"HalfOfTLS", "KENTONGAN_TLS_CERT=/c.pem", "", "KENTONGAN_TLS_CERT: is set without KENTONGAN_TLS_KEY: TLS needs both"},
		{"SamePort", "KENTONGAN_ADMIN_LISTEN=127.0.0.1:3001", "", "KENTONGAN_ADMIN_LISTEN: uses the same port as " +
			"server.listen: give each its own"},
		{"AdminForEverybody", "KENTONGAN_ADMIN_LISTEN=:3002", "", "KENTONGAN_ADMIN_LISTEN: listens on more than this machine and asks nobody " +
			"who they are: set KENTONGAN_ADMIN_TOKEN, or listen on 127.0.0.1"},
		{"AdminOnALookalike", "KENTONGAN_ADMIN_LISTEN=127.0.0.1.example.id:3002", "", "KENTONGAN_ADMIN_LISTEN: listens on more than this " +
			"machine and asks nobody who they are: set KENTONGAN_ADMIN_TOKEN, or listen on 127.0.0.1"},
		{"DoorOnTheSamePort", "KENTONGAN_REDIS_DOOR=:3002 KENTONGAN_API_KEYS=app:0123456789abcdef", "",
			"KENTONGAN_REDIS_DOOR: uses the same port as server.admin_listen: give each its own"},
		{"DoorWithoutKeys", "KENTONGAN_REDIS_DOOR=:6380", "", "KENTONGAN_REDIS_DOOR: is set without KENTONGAN_API_KEYS: its clients " +
			"sign in with one of them as the password"},
		{"SocketSecretAlone", "KENTONGAN_SOCKET_TOKEN_SECRET=0123456789abcdef", "",
			"KENTONGAN_SOCKET_TOKEN_SECRET: is set but socket tokens are off: set KENTONGAN_SOCKET_TOKENS=on, or unset it"},
		{"SocketTokensWithoutSecret", "KENTONGAN_SOCKET_TOKENS=on", "", "KENTONGAN_SOCKET_TOKENS: is on without a secret: set " +
			"KENTONGAN_SOCKET_TOKEN_SECRET or NEXTAUTH_SECRET"},
		{"IssuerAlone", "KENTONGAN_JWT_ISSUER=me", "",
			"KENTONGAN_JWT_ISSUER: is set but no bearer tokens are accepted: set KENTONGAN_JWT_SECRET or KENTONGAN_JWKS_URL, or unset it"},
		{"JWKSInTheClear", "KENTONGAN_JWKS_URL=http://keys.example/jwks", "",
			"KENTONGAN_JWKS_URL: must begin with https://, for who can change the keys on their way can sign tokens (http is for " +
				"this machine only)"},
		{"BacklogBelowPublication", "KENTONGAN_BACKLOG_BYTES=64KiB", "",
			"KENTONGAN_BACKLOG_BYTES: contradicts limits.publish_bytes: a publication of 1MiB could never wait in a backlog of " +
				"64KiB; raise the backlog or lower the publication"},

		{"UnknownKey", "", "server:\n  listn: :1\n", "FILE:2: server.listn: unknown key; did you mean listen?"},
		{"UnknownTopKey", "", "\nsevrer:\n  listen: :1\n", "FILE:2: sevrer: unknown key; did you mean server?"},
		{"UnknownKeyFar", "", "log:\n  coffee: 1\n", "FILE:2: log.coffee: unknown key; known here: level, format, access"},
		{"KeyTwiceInFile", "", "log:\n  level: info\n  level: warn\n", "FILE:3: log.level: is there already in line 2"},
		{"BadValueInFile", "", "connections:\n  ping_interval: soon\n", `FILE:2: connections.ping_interval: "soon" is no duration; write for example 25s, 1m30s or 24h`},
		{"MapExpected", "", "server: 1\n", "FILE:1: server: takes a map; write its names below it, indented"},
		{"ValueExpected", "", "server:\n  listen: [a]\n", "FILE:2: server.listen: takes a value here; put it into quotes if " +
			"it has special characters"},
		{"ListExpected", "", "server:\n  allowed_origins: https://a\n", "FILE:2: server.allowed_origins: takes a list; write " +
			"each item on a line of its own, after a dash"},
		{"Alias", "", "log: &l\n  level: info\nserver: *l\n", "FILE:3: server: uses an alias, a merge or a key that is no " +
			"text; write the values out"},
		{"NotYAML", "", "log:\n\tlevel: info\n", "FILE:2: is no YAML: found character that cannot start any token"},
		{"TwoDocuments", "", "log: {}\n---\nlog: {}\n", "FILE: holds more than one document; write one, without a line of three dashes in it"},
		{"PatternUnknownKey", "", "channels:\n  patterns:\n    - {speling: a}\n", "FILE:3: channels.patterns.speling: unknown " +
			"key; did you mean spelling?\nFILE:3: channels.patterns: has no spelling"},
		{"PatternBad", "", "channels:\n  patterns:\n    - \"a b\"\n",
			`FILE:3: channels.patterns: bad channel pattern "a b": " " may not stand in it; write {tenant} for the kitchen and * for one free segment`},
		{"PatternTwice", "", "channels:\n  patterns: [\"x:{tenant}\", \"x:{tenant}\"]\n",
			`FILE:2: channels.patterns: bad channel pattern "x:{tenant}": its channels would have the same name "x" as those of "x:{tenant}"`},
		{"PatternMode", "", "channels:\n  patterns:\n    - {spelling: \"x:{tenant}\", validation: strict}\n",
			`FILE:3: channels.patterns.validation: "strict" is none of off, report and refuse`},
		{"PatternModeWithoutSchema", "", "channels:\n  patterns:\n    - {spelling: \"x:{tenant}\", validation: refuse}\n",
			"FILE:3: channels.patterns.validation: is refuse, and there is no schema for x:{tenant}; name a file in schema"},
		{"PatternNoSuchSchema", "", "channels:\n  patterns:\n    - {spelling: \"x:{tenant}\", schema: none.json}\n",
			`FILE:3: channels.patterns.schema: "none.json" cannot be read: no such file or directory`},
		{"ValidationBad", "KENTONGAN_VALIDATION=yes", "", `KENTONGAN_VALIDATION: "yes" is none of off, report and refuse`},
		{"PatternsNone", "", "channels:\n  extend: off\n", "FILE:2: channels.extend: is off and channels.patterns is empty: " +
			"no name would belong to any kitchen"},
		{"HistoryWithoutAge", "", "history:\n  age: 0s\n", `FILE:2: history.age: "0s" is outside of 1s to 720h`},
	} {
		t.Run(one.name, func(t *testing.T) {
			_, err := load(t, false, one.file, strings.Fields(one.env)...)
			if err == nil {
				t.Fatalf("got no error, want %q", one.want)
			}
			if got := withoutPath(err.Error()); got != one.want {
				t.Errorf("got\n%s\nwant\n%s", got, one.want)
			}
		})
	}
}

// withoutPath writes FILE for the path of the temporary file.
func withoutPath(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if _, rest, found := strings.Cut(line, "kentongan.yaml"); found {
			lines[i] = "FILE" + rest
		}
	}
	return strings.Join(lines, "\n")
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, true, "server:\n  listn: x\nlog:\n  level: loud\n", "KENTONGAN_LISTEN=x", "AUTH_SECRET=short", "KENTONGAN_PINGINTERVAL=1s", "REDIS_PORT=1")
	want := []string{"KENTONGAN_PINGINTERVAL: ", "FILE:2: server.listn: ", "FILE:4: log.level: ", "KENTONGAN_LISTEN: ", "AUTH_SECRET: ", "REDIS_PORT: "}
	got := strings.Split(withoutPath(fmt.Sprint(err)), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%v", len(got), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d: got %q, want it to begin with %q", i+1, got[i], want[i])
		}
	}
}

func TestServeNeedsCredentials(t *testing.T) {
	if _, err := load(t, true, ""); err == nil || !strings.HasPrefix(err.Error(), "credentials: none are configured") {
		t.Errorf("got %v, want a line about credentials", err)
	}
	for _, env := range []string{"AUTH_SECRET=" + secretA, "KENTONGAN_JWT_SECRET=" + secretA + secretB, "KENTONGAN_JWKS_URL=https://a.example/k", "KENTONGAN_API_KEYS=a:" + secretA} {
		if _, err := load(t, true, "", env); err != nil {
			t.Errorf("%s: got %v, want none", env, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	c := mustLoad(t, config.ExampleFile())
	got := map[string]realtime.Retention{}
	for _, p := range c.Channels.Patterns {
		got[p.Spelling] = p.Retention
	}
	if n := len(realtime.DefaultPatterns()) + 2; len(got) != n {
		t.Errorf("got %d patterns, want %d", len(got), n)
	}
	for spelling, want := range map[string]realtime.Retention{
		"orders:{tenant}:*":          {Size: 500, Age: 24 * time.Hour},
		"probe:{tenant}":             {Size: 2880, Age: 6 * time.Hour},
		"system-alert":               {Size: 50, Age: 24 * time.Hour},
		"production:alerts:{tenant}": {Size: 500, Age: 24 * time.Hour},
	} {
		if got[spelling] != want {
			t.Errorf("%s: got %v, want %v", spelling, got[spelling], want)
		}
	}
	c = mustLoad(t, "channels:\n  extend: off\n  patterns:\n    - {spelling: only, history: {size: 0}}\n")
	if want := []realtime.Pattern{{Spelling: "only"}}; !reflect.DeepEqual(c.Channels.Patterns, want) {
		t.Errorf("got %v, want %v", c.Channels.Patterns, want)
	}
	c = mustLoad(t, "", "KENTONGAN_HISTORY_SIZE=0")
	if r := c.Channels.Patterns[0].Retention; r != (realtime.Retention{}) {
		t.Errorf("got %v with size 0, want none", r)
	}
}

func TestValidation(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("order.json", `{"type":"object","required":["id"]}`)
	write("k.yaml", "channels:\n  validation: report\n  patterns:\n"+
		"    - {spelling: \"orders:{tenant}:*\", schema: order.json, validation: refuse}\n"+
		"    - \"free:{tenant}\"\n"+
		"    - {spelling: \"production:updates:{tenant}\", validation: refuse}\n"+
		"    - {spelling: \"menu:updates:{tenant}\", validation: off, history: {size: 5}}\n")
	c, err := config.Load(config.Input{File: filepath.Join(folder, "k.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i, r := range c.Channels.Rules {
		if r.Spelling != c.Channels.Patterns[i].Spelling {
			t.Errorf("rule %d is of %s, its pattern is %s", i, r.Spelling, c.Channels.Patterns[i].Spelling)
		}
		got[r.Spelling] = string(r.Mode)
		if r.Schema != nil {
			got[r.Spelling] += " " + r.Schema.Name()
		}
	}
	for spelling, want := range map[string]string{
		"orders:{tenant}:*": "refuse order.json", "free:{tenant}": "off", "production:updates:{tenant}": "refuse production-updates.json",
		"menu:updates:{tenant}": "off update.json", "hrd:updates:{tenant}": "report update.json",
	} {
		if got[spelling] != want {
			t.Errorf("%s: got %q, want %q", spelling, got[spelling], want)
		}
	}
	if p := c.Channels.Patterns[0]; p.SnapshotKey != "productionId" || p.Retention.Size != 500 {
		t.Errorf("a default pattern has lost what it keeps: %+v", p)
	}
	write("order.json", `{"type":"thing"}`)
	if _, err = config.Load(config.Input{File: filepath.Join(folder, "k.yaml")}); err == nil ||
		!strings.Contains(err.Error(), "k.yaml:4: channels.patterns.schema: bad schema: order.json") {
		t.Errorf("got %v, want a problem with order.json", err)
	}
	for _, r := range mustLoad(t, "").Channels.Rules {
		if r.Mode != schema.Off {
			t.Errorf("%s is checked and nobody asked for it", r.Spelling)
		}
	}
}

func TestRedis(t *testing.T) {
	for _, one := range []struct {
		env  string
		want config.Redis
	}{
		{"REDIS_URL=redis://Redis", config.Redis{Network: "tcp", Address: "redis:6379"}},
		{"REDIS_URL=rediss://u:p%40ss@h:7000/3", config.Redis{Network: "tcp", Address: "h:7000", TLS: true, Username: "u", Password: "p@ss", DB: 3}},
		{"REDIS_URL=redis://[::1]:7000/?family=6", config.Redis{Network: "tcp", Address: "[::1]:7000"}},
		{"REDIS_URL=unix:///run/redis.sock?db=2", config.Redis{Network: "unix", Address: "/run/redis.sock", DB: 2}},
		{"REDIS_HOST=h", config.Redis{Network: "tcp", Address: "h:6379"}},
		{"REDIS_HOST=h REDIS_PORT=1 REDIS_PASSWORD=p REDIS_DB=2 REDIS_USERNAME=u", config.Redis{Network: "tcp", Address: "h:1", Username: "u", Password: "p", DB: 2}},
		{"REDIS_URL=redis://:p@h:1/2 REDIS_HOST=H REDIS_PORT=1 REDIS_PASSWORD=p REDIS_DB=2", config.Redis{Network: "tcp", Address: "h:1", Password: "p", DB: 2}},
	} {
		if got := mustLoad(t, "", strings.Fields(one.env)...).Redis; got != one.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", one.env, got, one.want)
		}
	}
}

func TestSentinels(t *testing.T) {
	for _, one := range []struct {
		env   string
		redis config.Redis
		want  config.Sentinels
	}{
		{"REDIS_URL=redis://h", config.Redis{Network: "tcp", Address: "h:6379"}, config.Sentinels{}},
		{"REDIS_SENTINELS=A,b:1,[::1],[::1]:2,a:26379", config.Redis{Network: "sentinel", Address: "mymaster"},
			config.Sentinels{Addresses: []string{"a:26379", "b:1", "[::1]:26379", "[::1]:2"}, Name: "mymaster"}},
		{"REDIS_SENTINELS=a REDIS_SENTINEL_NAME=n REDIS_SENTINEL_USERNAME=su REDIS_SENTINEL_PASSWORD=sp REDIS_SENTINEL_TLS=on " +
			"REDIS_HOST=old REDIS_PORT=7 REDIS_PASSWORD=p REDIS_USERNAME=u REDIS_DB=3",
			config.Redis{Network: "sentinel", Address: "n", Username: "u", Password: "p", DB: 3},
			config.Sentinels{Addresses: []string{"a:26379"}, Name: "n", Username: "su", Password: "sp", TLS: true}},
		{"REDIS_SENTINELS=a REDIS_URL=rediss://u:p@old:7/3 REDIS_HOST=other REDIS_PASSWORD=p",
			config.Redis{Network: "sentinel", Address: "mymaster", TLS: true, Username: "u", Password: "p", DB: 3},
			config.Sentinels{Addresses: []string{"a:26379"}, Name: "mymaster"}},
	} {
		c := mustLoad(t, "", strings.Fields(one.env)...)
		if c.Redis != one.redis || !reflect.DeepEqual(c.Sentinels, one.want) {
			t.Errorf("%s:\ngot  %+v %+v\nwant %+v %+v", one.env, c.Redis, c.Sentinels, one.redis, one.want)
		}
	}
	c := mustLoad(t, "redis:\n  sentinels: [a, b]\n  password: word\n")
	if got, want := c.Engine(), "redis at redis+sentinel://mymaster/0, password set (4 bytes), by the sentinels a:26379, b:26379"; got != want {
		t.Errorf("the engine is %q, want %q", got, want)
	}
}

func TestCluster(t *testing.T) {
	for _, one := range []struct {
		env   string
		redis config.Redis
		want  []string
	}{
		{"REDIS_CLUSTER=A,b:1,[::1]", config.Redis{Network: "cluster", Address: "a:6379,b:1,[::1]:6379"}, []string{"a:6379", "b:1", "[::1]:6379"}},
		{"REDIS_CLUSTER=a REDIS_URL=rediss://u:p@old:7 REDIS_HOST=other REDIS_PASSWORD=p",
			config.Redis{Network: "cluster", Address: "a:6379", TLS: true, Username: "u", Password: "p"}, []string{"a:6379"}},
	} {
		c := mustLoad(t, "", strings.Fields(one.env)...)
		if c.Redis != one.redis || !reflect.DeepEqual(c.Cluster, one.want) || len(c.Sentinels.Addresses) > 0 {
			t.Errorf("%s:\ngot  %+v %+v\nwant %+v %+v", one.env, c.Redis, c.Cluster, one.redis, one.want)
		}
	}
	c := mustLoad(t, "redis:\n  cluster: [a, b]\n  password: word\n")
	if got, want := c.Engine(), "redis at redis+cluster://a:6379,b:6379/0, password set (4 bytes)"; got != want {
		t.Errorf("the engine is %q, want %q", got, want)
	}
}

func TestOrigins(t *testing.T) {
	c := mustLoad(t, "", "KENTONGAN_ALLOWED_ORIGINS=HTTPS://App.example:443, http://localhost:3000,http://[::1]:80\nhttps://app.example")
	want := []string{"https://app.example", "http://localhost:3000", "http://[::1]"}
	if !reflect.DeepEqual(c.Server.AllowedOrigins, want) {
		t.Errorf("got %q, want %q", c.Server.AllowedOrigins, want)
	}
}

// TestAdminListenOnThisMachine needs no token; elsewhere a token is enough.
func TestAdminListenOnThisMachine(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:3002", "127.8.8.8:3002", "localhost:3002", "[::1]:3002", "[::ffff:127.0.0.1]:3002", "off"} {
		mustLoad(t, "", "KENTONGAN_ADMIN_LISTEN="+listen)
	}
	c := mustLoad(t, "", "KENTONGAN_ADMIN_LISTEN=0.0.0.0:3002", "KENTONGAN_ADMIN_TOKEN=a-token-of-24-random-bytes")
	if c.Server.AdminToken.Reveal() != "a-token-of-24-random-bytes" {
		t.Errorf("the token is %v", c.Server.AdminToken)
	}
}

func TestShow(t *testing.T) {
	c := mustLoad(t, "server:\n  drain_time: 5s\n", "AUTH_SECRET="+secretA, "AUTH_SECRET_1="+secretB+"x", "REDIS_URL=redis://u:word@h/1", "KENTONGAN_ADMIN_LISTEN=off",
		"KENTONGAN_API_KEYS=app:"+secretA+",web@sppg_7:"+secretB)
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for line := range strings.Lines(b.String()) {
		words[withoutPath(strings.Join(strings.Fields(line), " "))] = true
	}
	for _, want := range []string{
		"# engine: redis at redis://u@h:6379/1, password set (4 bytes)",
		"server.listen :3001 default",
		"server.admin_listen - environment KENTONGAN_ADMIN_LISTEN: off",
		"auth.session_secrets set (30 bytes) environment AUTH_SECRET",
		"set (31 bytes) environment AUTH_SECRET_1",
		"auth.api_keys app: set (30 bytes) environment KENTONGAN_API_KEYS",
		"web@sppg_7: set (30 bytes) environment KENTONGAN_API_KEYS",
		"redis.password - default: no password",
	} {
		if !words[want] {
			t.Errorf("want the line %q in\n%s", want, b.String())
		}
	}
	if !strings.Contains(b.String(), "kentongan.yaml:2") {
		t.Errorf("want path and line of the file in\n%s", b.String())
	}
}

// TestTenantWeights reads them from both places, and says what is wrong with each entry.
func TestTenantWeights(t *testing.T) {
	c := mustLoad(t, "", "KENTONGAN_TENANT_WEIGHTS=sppg_7:4, sppg_1:2")
	for kitchen, want := range map[tenant.ID]int{"sppg_7": 4, "sppg_1": 2, "sppg_2": 1, tenant.Global: 1} {
		if got := c.Edge.WeightOf(kitchen); got != want {
			t.Errorf("the weight of %q is %d, want %d", kitchen, got, want)
		}
	}
	c = mustLoad(t, "limits:\n  tenant_weights: [sppg_7:100]\n")
	if got := c.Edge.WeightOf("sppg_7"); got != 100 {
		t.Errorf("in a file the weight is %d, want 100", got)
	}
	_, err := load(t, false, "", "KENTONGAN_TENANT_WEIGHTS=a,b:0,c:101,d:x,:4,e f:2,g:1,g:2")
	if err == nil {
		t.Fatal("mistakes are taken")
	}
	for _, want := range []string{
		`"a" without a weight`, `bad weight in "b:0"`, `bad weight in "c:101"`, `bad weight in "d:x"`, `":4" without a tenant`,
		`"e" without a weight`, `names "g" twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %q, want %q in it", err, want)
		}
	}
}
