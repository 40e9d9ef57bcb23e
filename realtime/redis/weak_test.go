package redis_test

import (
	"bytes"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/realtime/redis"
)

// logs is a log that may be read while it is written.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count returns how often a line about a weakness called name was written.
func (l *logs) count(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), `msg="redis may lose data" setting=`+name+" ")
}

func names(weak []redis.Weakness) string {
	var names []string
	for _, w := range weak {
		names = append(names, w.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestWeaknesses sets up real ones in each way, and looks for what is said of them.
func TestWeaknesses(t *testing.T) {
	safe := []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	with := func(args ...string) []string { return append(slices.Clone(safe), args...) }
	for name, one := range map[string]struct {
		args []string
		want string
	}{
		"Safe":              {safe, ""},
		"NoLimit":           {with("--client-output-buffer-limit", "pubsub 0 0 0"), ""},
		"SmallBuffer":       {with("--client-output-buffer-limit", "pubsub 1mb 512kb 10"), "client-output-buffer-limit"},
		"SmallSoftBuffer":   {with("--client-output-buffer-limit", "pubsub 64mb 1mb 10"), "client-output-buffer-limit"},
		"Cache":             {with("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "maxmemory-policy"},
		"VolatileCache":     {with("--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"), "maxmemory-policy"},
		"FullRefuses":       {with("--maxmemory", "100mb", "--maxmemory-policy", "noeviction"), ""},
		"PolicyWithoutFill": {with("--maxmemory-policy", "allkeys-lru"), ""},
		"NothingOnDisk":     {nil, "appendonly"},
		"Snapshots":         {[]string{"--save", "3600 1"}, "appendonly"},
		"NeverFlushed":      {[]string{"--appendonly", "yes", "--appendfsync", "no"}, "appendfsync"},
		"ManyThings":        {[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random"}, "appendonly maxmemory-policy"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logs
			server := testenv.StartRedis(t, one.args...)
			b, _ := follow(t, redis.Options{Address: server.Addr, Log: slog.New(slog.NewTextHandler(&log, nil))})
			eventually(t, "a first look", func() bool { return b.Stats().Inspections > 0 })
			c := admin(t, server.Addr)
			eventually(t, "a connection to cut", func() bool { // and once more after a reconnect
				killed, err := do(t, c, "CLIENT", "KILL", "TYPE", "pubsub").AsInt64()
				return err == nil && killed > 0
			})
			eventually(t, "a second look", func() bool { return b.Stats().Inspections >= 2 })
			if got := names(b.Weaknesses()); got != one.want {
				t.Errorf("found %q, want %q", got, one.want)
			}
			for name := range strings.FieldsSeq(one.want) {
				if n := log.count(name); n != 1 {
					t.Errorf("%s was logged %d times, want once", name, n)
				}
			}
			if b.Ready() != nil {
				t.Errorf("not ready: %v", b.Ready())
			}
		})
	}
}

func TestWeaknessOfReplication(t *testing.T) {
	primary := testenv.StartRedis(t, "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
	_, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	testenv.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	c := admin(t, primary.Addr)
	eventually(t, "the replica", func() bool {
		info, err := do(t, c, "INFO", "replication").ToString()
		return err == nil && strings.Contains(info, "state=online")
	})
	b, _ := follow(t, redis.Options{Address: primary.Addr})
	eventually(t, "a look", func() bool { return b.Stats().Inspections > 0 })
	if got := names(b.Weaknesses()); got != "min-replicas-to-write" {
		t.Errorf("found %q, want min-replicas-to-write", got)
	}
	do(t, c, "CONFIG", "SET", "min-replicas-to-write", "1")
	do(t, c, "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "nothing to be found", func() bool { return len(b.Weaknesses()) == 0 })
}

// TestRestrictedUser may do what the server needs for its work, and nothing that tells how Redis is set up, who it is, or who else is
// connected.
func TestRestrictedUser(t *testing.T) {
	server := testenv.StartRedis(t)
	do(t, admin(t, server.Addr), "ACL", "SETUSER", "kentongan", "on", ">secret", "~kentongan:*", "&*", "+@all", "-@dangerous", "-@admin")
	var log logs
	b, w := follow(t, redis.Options{
		Address: server.Addr, Username: "kentongan", Password: "secret", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	settle(t, b, w)
	eventually(t, "a look", func() bool { return b.Stats().Inspections > 0 })
	if got := names(b.Weaknesses()); got != "acl unknown" || log.count("unknown") != 1 {
		t.Errorf("found %q, logged %d times; want acl and unknown, once", got, log.count("unknown"))
	}
	do(t, admin(t, server.Addr), "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a reconnect", func() bool { return b.Stats().Reconnects == 2 })
	settle(t, b, w)
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: nothing was lost", n)
	}
}
