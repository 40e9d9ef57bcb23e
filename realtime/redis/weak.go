package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
)

// Weakness is one way in which this Redis can lose what it was given, by how it is set up. It works meanwhile.
type Weakness struct {
	Name string // of the setting, as CONFIG GET calls it; "unknown": it does not say
	Text string // what can happen, and what would be better, for an operator
}

// The output buffers that Redis has by default for subscribers. With smaller ones a node that does not read for a moment, because it was
// starved of its CPU, is cut off with what it had not read.
const (
	pubsubHardBytes = 32 << 20
	pubsubSoftBytes = 8 << 20
)

// weaknessesOf judges settings as CONFIG GET returns them, and what INFO replication says.
func weaknessesOf(settings map[string]string, replication reply) []Weakness {
	var found []Weakness
	add := func(name, format string, args ...any) {
		found = append(found, Weakness{name, fmt.Sprintf(format, args...)})
	}
	hard, soft, ok := pubsubLimits(settings["client-output-buffer-limit"])
	if ok && (small(hard, pubsubHardBytes) || small(soft, pubsubSoftBytes)) {
		add("client-output-buffer-limit", "pubsub has %d bytes at once and %d for longer: a server that is slow for a moment is "+
			"cut off, and everybody is told a gap; give it at least %d and %d", hard, soft, pubsubHardBytes, pubsubSoftBytes)
	}
	if limit, policy := settings["maxmemory"], settings["maxmemory-policy"]; limit != "" && limit != "0" &&
		(strings.HasPrefix(policy, "allkeys-") || strings.HasPrefix(policy, "volatile-")) {
		add("maxmemory-policy", "%s with a maxmemory of %s bytes: when it is full, history is evicted, and who comes back is told a gap; "+
			"noeviction, in a Redis that is no cache, refuses new publications instead", policy, limit)
	}
	switch snapshots := settings["save"] != ""; {
	case settings["appendonly"] == "yes" && settings["appendfsync"] == "no":
		add("appendfsync", "no: what was acknowledged in the last half minute or so is lost with the machine; everysec loses a second, "+
			"always nothing")
	case settings["appendonly"] == "yes":
	case settings["appendonly"] == "no" && snapshots:
		add("appendonly", "no, with snapshots (save %s): a restart forgets what was acknowledged since the last one; yes forgets a second "+
			"at most", settings["save"])
	case settings["appendonly"] == "no":
		add("appendonly", "no, and no snapshots: a restart forgets all history, and everybody is told a gap; yes forgets a second at most")
	}
	if n := replication.field("connected_slaves"); n != "" && n != "0" && settings["min-replicas-to-write"] == "0" {
		add("min-replicas-to-write", "0, with %s replica(s): a primary that is cut off goes on acknowledging what a failover will forget; "+
			"1, with min-replicas-max-lag 1, makes it refuse", n)
	}
	return found
}

// weaknessesOfCluster judges what CLUSTER INFO and INFO replication say at the node that has our slot.
func weaknessesOfCluster(state, replication reply) (found []Weakness) {
	covered, err := strconv.Atoi(state.field("cluster_slots_ok"))
	if err == nil && covered < clusterSlots {
		found = append(found, Weakness{"cluster_slots_ok", fmt.Sprintf("%d of %d slots: some have no node that is well, and unless "+
			"cluster-require-full-coverage is no, the whole Cluster refuses everything", covered, clusterSlots)})
	}
	if replication.field("connected_slaves") == "0" {
		found = append(found, Weakness{"cluster-replicas", fmt.Sprintf("the node that has slot %d, in which all is kept, has no replica: "+
			"when it is gone nothing works until it is back; give it one, and the same to the others, which elect it", clusterSlot)})
	}
	return found
}

// small reports whether a limit is one (0 is none) and below what is enough.
func small(limit, enough int64) bool { return limit > 0 && limit < enough }

// pubsubLimits reads "normal 0 0 0 slave … pubsub 33554432 8388608 60".
func pubsubLimits(s string) (hard, soft int64, ok bool) {
	words := strings.Fields(s)
	at := slices.Index(words, "pubsub")
	if at < 0 || at+2 >= len(words) {
		return 0, 0, false
	}
	hard, err1 := strconv.ParseInt(words[at+1], 10, 64)
	soft, err2 := strconv.ParseInt(words[at+2], 10, 64)
	return hard, soft, err1 == nil && err2 == nil
}

// inspect looks at how Redis is set up, and what its user may do, after each connect, for it may be another one. It tries until it
// knows, or knows that it will not be told; and while something is missing that is needed, for an operator allows that without a reconnect.
func (b *Broker) inspect(ctx context.Context) {
	for fails := 0; ; fails++ {
		found, missing, err := b.look(ctx)
		if err == nil {
			b.noteWeaknesses(found)
			b.noteMissing(missing)
			if len(missing) == 0 {
				return
			}
		}
		if !nap.For(ctx, backoff(fails)+time.Second) { // there is no hurry
			return
		}
	}
}

// look returns how Redis is weak, and which permissions are missing without which a server does not work.
func (b *Broker) look(ctx context.Context) (found []Weakness, needed []Permission, err error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	if found, err = b.weaknesses(ctx); err != nil {
		return nil, nil, err
	}
	missing, err := lacks(ctx, b.ask, b.keys)
	if err != nil {
		return nil, nil, err
	}
	needed, weak := split(missing)
	weak = slices.DeleteFunc(weak, func(p Permission) bool {
		return p.Rule == "+config|get" || p.Rule == "+select" && b.opts.DB == 0 // the first is told as what is unknown
	})
	if len(weak) > 0 {
		found = append(found, Weakness{"acl", "the user may not do all that a server can use: " + rules(weak)})
	}
	return found, needed, nil
}

// noteMissing makes the node ready only if nothing is missing.
func (b *Broker) noteMissing(needed []Permission) {
	var err error
	if len(needed) > 0 {
		err = errors.New("it may not do what is needed; allow it with ACL SETUSER: " + rules(needed))
	}
	if before := b.health.of(partUser); err != nil && (before == nil || before.Error() != err.Error()) {
		b.opts.Log.Error("redis refuses what is needed", "err", err) // until a person has allowed it
	}
	b.health.set(partUser, err)
}

func (b *Broker) weaknesses(ctx context.Context) ([]Weakness, error) {
	c := b.ask.B()
	settings, err := b.ask.Do(ctx, c.ConfigGet().Parameter("client-output-buffer-limit", "maxmemory", "maxmemory-policy",
		"appendonly", "save", "appendfsync", "min-replicas-to-write").Build()).AsStrMap()
	if said, ok := errors.AsType[*rueidis.RedisError](err); ok && !said.IsLoading() {
		return []Weakness{{"unknown", fmt.Sprintf("CONFIG GET is refused (%.100s), so nobody can tell whether this Redis evicts, or "+
			"forgets at a restart; allow it with +config|get", said.Error())}}, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := b.ask.Do(ctx, c.Info().Section("replication").Build()).ToString()
	if _, refused := rueidis.IsRedisErr(err); err != nil && !refused {
		return nil, err
	}
	found := weaknessesOf(settings, reply{text: info})
	if !b.keys.placed() {
		return found, nil
	}
	state, err := b.ask.Do(ctx, c.ClusterInfo().Build()).ToString()
	if _, refused := rueidis.IsRedisErr(err); err != nil && !refused {
		return nil, err
	}
	return append(found, weaknessesOfCluster(reply{text: state}, reply{text: info})...), nil
}

// noteWeaknesses logs what is new, and remembers all.
func (b *Broker) noteWeaknesses(found []Weakness) {
	b.health.mu.Lock()
	before := b.health.weak
	b.health.weak = found
	b.health.mu.Unlock()
	b.counts.inspections.Add(1)
	for _, w := range found {
		if !slices.Contains(before, w) {
			b.opts.Log.Warn("redis may lose data", "setting", w.Name, "text", w.Text) // it works; a person should change it
		}
	}
}

// Weaknesses returns how this Redis can lose data, as it was set up at the last connect.
func (b *Broker) Weaknesses() []Weakness {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	return slices.Clone(b.health.weak)
}
