package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// Permission is one rule of an ACL that a server needs.
type Permission struct {
	Rule string // as in ACL SETUSER
	For  string // what does not work without it, for an operator

	// Weak says that the rest works without it, and what is worse then is in For.
	Weak bool

	probe []string // a command that the rule allows; K stands for a key of ours, C for a Pub/Sub channel of ours
}

// K and C stand in the probes for names of ours.
const (
	probeKey     = "K"
	probeChannel = "C"
)

// LeastRules are the rules of a user who may do nothing but what a server needs, for ACL SETUSER, without a password. He may hear all
// channels, for that is what KENTONGAN_REPORT_UNMATCHED does; with that off "&" and each glob of the channel patterns would do.
func LeastRules(prefix string) []string { return leastRules(keys(prefix)) }

// LeastClusterRules is LeastRules for a user of a Cluster, who has to be made at each of its nodes.
func LeastClusterRules(prefix string) []string { return leastRules(keys(clusterTag + prefix)) }

func leastRules(k keys) []string {
	all := []string{"~" + string(k) + "*", "&*", "-@all"}
	for _, p := range permissionsOf(k) {
		all = append(all, p.Rule)
	}
	return all
}

// permissionsOf returns what is needed where all is kept under these names.
func permissionsOf(k keys) []Permission {
	if k.placed() {
		return slices.Concat(permissions, clusterPermissions)
	}
	return permissions
}

// Permissions returns all that a server does in a single Redis, as rules for its user. Who may not do one of them is found by Examine and
// by a Broker after each connect.
func Permissions() []Permission { return slices.Clone(permissions) }

// permissions is tried by TestLeastUser: the suites pass with exactly these, and each of them is used there.
var permissions = []Permission{
	{"+ping", "to see that a connection lives", false, []string{"PING"}},
	{"+time", "presence, and the clock of Redis", false, []string{"TIME"}},
	{"+select", "another database than 0", true, []string{"SELECT", "1"}},
	{"+eval", "every publication", false, []string{"EVAL", "return 1", "1", probeKey}},
	{"+evalsha", "every publication", false, []string{"EVALSHA", strings.Repeat("0", 40), "1", probeKey}},
	{"+script|load", "every publication", false, []string{"SCRIPT", "LOAD", "return 1"}},
	{"+publish", "handing publications on", false, []string{"PUBLISH", probeChannel, ""}},
	{"+subscribe", "hearing publications", false, []string{"SUBSCRIBE", probeChannel}},
	{"+unsubscribe", "leaving kitchens that nobody follows", false, []string{"UNSUBSCRIBE"}},
	{"+psubscribe", "hearing what the app publishes", false, []string{"PSUBSCRIBE"}}, // which names, each installation has set
	{"+pubsub|numsub", "agreeing on who stamps", false, []string{"PUBSUB", "NUMSUB"}},
	{"+get", "idempotency keys, devices", false, []string{"GET", probeKey}},
	{"+set", "idempotency keys, tickets", false, []string{"SET", probeKey, "1"}},
	{"+getdel", "tickets", false, []string{"GETDEL", probeKey}},
	{"+del", "history of a new epoch", false, []string{"DEL", probeKey}},
	{"+unlink", "devices and the quarantine", false, []string{"UNLINK", probeKey}},
	{"+exists", "epochs that were left", false, []string{"EXISTS", probeKey}},
	{"+rename", "epochs that were left", false, []string{"RENAME", probeKey, probeKey}},
	{"+expire", "presence", false, []string{"EXPIRE", probeKey, "1"}},
	{"+pexpire", "the age of history", false, []string{"PEXPIRE", probeKey, "1"}},
	{"+scan", "finding all kitchens", false, []string{"SCAN", "0"}},
	{"+incrby", "the bound of the quarantine", false, []string{"INCRBY", probeKey, "1"}},
	{"+decrby", "the bound of the quarantine", false, []string{"DECRBY", probeKey, "1"}},
	{"+hset", "positions", false, []string{"HSET", probeKey, "f", "1"}},
	{"+hsetnx", "positions", false, []string{"HSETNX", probeKey, "f", "1"}},
	{"+hget", "positions", false, []string{"HGET", probeKey, "f"}},
	{"+hmget", "positions", false, []string{"HMGET", probeKey, "f"}},
	{"+hgetall", "positions, presence", false, []string{"HGETALL", probeKey}},
	{"+hvals", "presence", false, []string{"HVALS", probeKey}},
	{"+hdel", "presence, who stamps", false, []string{"HDEL", probeKey, "f"}},
	{"+hlen", "the newest of each key", false, []string{"HLEN", probeKey}},
	{"+hstrlen", "the newest of each key", false, []string{"HSTRLEN", probeKey, "f"}},
	{"+hincrby", "the newest of each key", false, []string{"HINCRBY", probeKey, "f", "1"}},
	{"+sadd", "presence", false, []string{"SADD", probeKey, "m"}},
	{"+srem", "presence", false, []string{"SREM", probeKey, "m"}},
	{"+smembers", "presence", false, []string{"SMEMBERS", probeKey}},
	{"+zadd", "devices, revocations, quarantine", false, []string{"ZADD", probeKey, "1", "m"}},
	{"+zcard", "devices, quarantine", false, []string{"ZCARD", probeKey}},
	{"+zrem", "the quarantine", false, []string{"ZREM", probeKey, "m"}},
	{"+zpopmin", "the bound of devices and of the quarantine", false, []string{"ZPOPMIN", probeKey}},
	{"+zrangebyscore", "revocations", false, []string{"ZRANGEBYSCORE", probeKey, "0", "1"}},
	{"+zrevrangebyscore", "the quarantine", false, []string{"ZREVRANGEBYSCORE", probeKey, "1", "0"}},
	{"+zremrangebyscore", "devices, revocations, quarantine", false, []string{"ZREMRANGEBYSCORE", probeKey, "0", "1"}},
	{"+zremrangebyrank", "the bound of revocations", false, []string{"ZREMRANGEBYRANK", probeKey, "0", "1"}},
	{"+xadd", "history", false, []string{"XADD", probeKey, "*", "f", "1"}},
	{"+xrange", "history", false, []string{"XRANGE", probeKey, "-", "+"}},
	{"+xrevrange", "history", false, []string{"XREVRANGE", probeKey, "+", "-"}},
	{"+xlen", "the durable stream", false, []string{"XLEN", probeKey}},
	{"+xdel", "the durable stream", false, []string{"XDEL", probeKey, "0-1"}},
	{"+memory|usage", "the history of a kitchen has no bound in bytes", true, []string{"MEMORY", "USAGE", probeKey}},
	{"+xtrim", "the durable stream, the bound of history", false, []string{"XTRIM", probeKey, "MAXLEN", "1"}},
	{"+xack", "the durable stream", false, []string{"XACK", probeKey, "g", "0-1"}},
	{"+xpending", "the durable stream", false, []string{"XPENDING", probeKey, "g"}},
	{"+xautoclaim", "the durable stream", false, []string{"XAUTOCLAIM", probeKey, "g", "c", "0", "0"}},
	{"+xreadgroup", "the durable stream", false, []string{"XREADGROUP", "GROUP", "g", "c", "STREAMS", probeKey, ">"}},
	{"+xgroup|create", "the durable stream", false, []string{"XGROUP", "CREATE", probeKey, "g", "0"}},
	{"+xgroup|delconsumer", "the durable stream", false, []string{"XGROUP", "DELCONSUMER", probeKey, "g", "c"}},
	{"+xinfo|groups", "the durable stream", false, []string{"XINFO", "GROUPS", probeKey}},
	{"+xinfo|consumers", "the durable stream", false, []string{"XINFO", "CONSUMERS", probeKey, "g"}},
	{"+role", "a replica is not refused", true, []string{"ROLE"}},
	{"+info", "a promotion or a Cluster is not noticed, and data are compared after every reconnect", true, []string{"INFO"}},
	{"+client|id", "what a Redis that hung has in its hands may be carried out twice", true, []string{"CLIENT", "ID"}},
	{"+client|kill", "what a Redis that hung has in its hands may be carried out twice", true, []string{"CLIENT", "KILL", "ID", "1"}},
	{"+client|setname", "CLIENT LIST does not say whose a connection is", true, []string{"CLIENT", "SETNAME", "kentongan"}},
	{"+config|get", "nobody can tell whether this Redis evicts, or forgets at a restart", true, []string{"CONFIG", "GET", "save"}},
}

// clusterPermissions are needed in a Cluster as well.
var clusterPermissions = []Permission{
	{"+cluster|slots", "finding the node that has the slot", false, []string{"CLUSTER", "SLOTS"}},
	{"+cluster|nodes", "finding the node that has the slot", false, []string{"CLUSTER", "NODES"}},
	{"+cluster|info", "nobody can tell whether all slots have a node", true, []string{"CLUSTER", "INFO"}},
	{"+cluster|links", "what nodes of the Cluster lose between them is not noticed", true, []string{"CLUSTER", "LINKS"}},
	{"+spublish", "handing publications on", false, []string{"SPUBLISH", probeChannel, ""}},
	{"+ssubscribe", "hearing publications", false, []string{"SSUBSCRIBE", probeChannel}},
	{"+sunsubscribe", "leaving kitchens that nobody follows", false, []string{"SUNSUBSCRIBE"}},
	{"+pubsub|shardnumsub", "agreeing on who stamps", false, []string{"PUBSUB", "SHARDNUMSUB"}},
}

// permitSource asks for each command, given as the number of its words and the words, whether whoever runs the script may run it, and
// returns the numbers, from 1 on, of those that he may not.
const permitSource = `
local missing, at, n = {}, 1, 0
while at <= #ARGV do
  local words, count = {}, tonumber(ARGV[at])
  for i = 1, count do words[i] = ARGV[at + i] end
  at, n = at + count + 1, n + 1
  missing[#missing + 1] = not redis.acl_check_cmd(unpack(words)) and n or nil
end
return missing`

// lacks returns which of the permissions this user does not have. A Redis that does not say, because it is another program or older,
// lacks none.
func lacks(ctx context.Context, c *client, k keys) ([]Permission, error) {
	key, channel := string(k)+"{doctor}:doctor", string(k)+"doctor"
	var args []string
	all := permissionsOf(k)
	for _, p := range all {
		args = append(args, fmt.Sprint(len(p.probe)))
		for _, word := range p.probe {
			switch word {
			case probeKey:
				word = key
			case probeChannel:
				word = channel
			}
			args = append(args, word)
		}
	}
	numbers, err := c.Do(ctx, c.B().Eval().Script(permitSource).Numkeys(0).Arg(args...).Build()).AsIntSlice()
	if said, refused := rueidis.IsRedisErr(err); refused {
		if strings.HasPrefix(said.Error(), "NOPERM") {
			return []Permission{all[slices.IndexFunc(all, func(p Permission) bool { return p.Rule == "+eval" })]}, nil
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var missing []Permission
	for _, n := range numbers {
		if n < 1 || int(n) > len(all) {
			return nil, errProtocol
		}
		missing = append(missing, all[n-1])
	}
	missing = instead(all, missing, probeKey, Permission{Rule: "~" + string(k) + "*", For: "all that is kept"})
	return instead(all, missing, probeChannel, Permission{Rule: "&" + string(k) + "*", For: "all that nodes tell each other"}), nil
}

// instead puts one permission in the place of all that have a name of ours in their probe, if every one of these is missing: then it is
// not the commands that are refused, but the name.
func instead(all, missing []Permission, name string, one Permission) []Permission {
	named := func(p Permission) bool { return slices.Contains(p.probe, name) }
	rest := slices.DeleteFunc(slices.Clone(missing), named)
	for _, p := range all {
		if named(p) && !slices.ContainsFunc(missing, func(m Permission) bool { return m.Rule == p.Rule }) {
			return missing
		}
	}
	return append(rest, one)
}

// rules lists what is missing, with what it is for.
func rules(missing []Permission) string {
	all := make([]string, len(missing))
	for i, p := range missing {
		all[i] = p.Rule + " (" + p.For + ")"
	}
	return strings.Join(all, ", ")
}

// split tells what is needed from what only makes it weaker.
func split(missing []Permission) (needed, weak []Permission) {
	for _, p := range missing {
		if p.Weak {
			weak = append(weak, p)
		} else {
			needed = append(needed, p)
		}
	}
	return needed, weak
}
