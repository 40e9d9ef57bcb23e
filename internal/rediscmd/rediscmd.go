// Package rediscmd knows the commands of Redis that touch nothing but the keys that they name, where in their arguments these keys
// are, and why others are not such. It is for what stands between a client and a Redis.
package rediscmd

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Command is one command that reads or writes the keys in its arguments, and nothing else. None of them waits, administers,
// runs scripts, or reads the names of keys that it was not given.
type Command struct {
	Name  string // in capitals
	Write bool   // changes something

	first, last, step int // places of keys, the name being 0; last -1: to the end. As COMMAND INFO of Redis tells them
	scan              bool
}

// ErrArguments says that a command has too few arguments to have its keys.
var ErrArguments = errors.New("wrong number of arguments")

// Find returns the command called name, in capitals.
func Find(name string) (Command, bool) {
	c, ok := table[name]
	return c, ok
}

// Names returns the names of all commands, sorted.
func Names() []string { return slices.Sorted(maps.Keys(table)) }

// Cache returns what an app needs that keeps a cache, counters and sets of tags in Redis.
func Cache() []string {
	return strings.Fields("GET SET SETEX PSETEX SETNX GETDEL MGET MSET STRLEN INCR INCRBY DECR DECRBY " +
		"DEL UNLINK EXISTS EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST TTL PTTL TYPE " +
		"HGET HSET HSETNX HMGET HMSET HGETALL HDEL HEXISTS HLEN HKEYS HVALS HINCRBY " +
		"SADD SREM SMEMBERS SISMEMBER SMISMEMBER SCARD")
}

// Keys returns the keys among args, which are all that stands behind the name. They are parts of args.
func (c Command) Keys(args [][]byte) ([][]byte, error) {
	if c.scan {
		return nil, nil
	}
	last := c.last
	if last < 0 {
		last += len(args) + 1
	}
	if len(args) < c.first || last > len(args) {
		return nil, ErrArguments
	}
	var keys [][]byte
	for i := c.first; i <= last; i += c.step {
		keys = append(keys, args[i-1])
	}
	return keys, nil
}

// Reaches reports whether the command with args may touch a key that begins with prefix, or tell its name.
func (c Command) Reaches(prefix string, args [][]byte) (bool, error) {
	if c.scan {
		return scanReaches(prefix, args), nil
	}
	keys, err := c.Keys(args)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(keys, func(key []byte) bool { return bytes.HasPrefix(key, []byte(prefix)) }), nil
}

// scanReaches looks at the patterns of SCAN cursor [MATCH pattern] …: what stands before the first sign of one decides. Without any,
// all keys are shown. Redis takes the last MATCH, and so all have to be harmless.
func scanReaches(prefix string, args [][]byte) bool {
	matched := false
	for i := 1; i+1 < len(args); i++ {
		if !bytes.EqualFold(args[i], []byte("MATCH")) {
			continue
		}
		matched = true
		literal := string(args[i+1])
		if sign := strings.IndexAny(literal, `*?[\`); sign >= 0 {
			literal = literal[:sign]
		}
		if strings.HasPrefix(literal, prefix) || strings.HasPrefix(prefix, literal) {
			return true
		}
	}
	return !matched
}

// Refusal says in words why the command called name, in capitals, is none of the table; "" for one that it has never heard of.
func Refusal(name string) string {
	for _, r := range refusals {
		if slices.Contains(strings.Fields(r.names), name) {
			return r.why
		}
	}
	return ""
}

var refusals = []struct{ why, names string }{
	{"it is part of a transaction", "MULTI EXEC DISCARD WATCH UNWATCH"},
	{"it may wait, and would hold up all behind it", "BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP XREAD XREADGROUP " +
		"WAIT WAITAOF"},
	{"it runs a program inside of Redis", "EVAL EVALSHA EVAL_RO EVALSHA_RO SCRIPT FUNCTION FCALL FCALL_RO MODULE"},
	{"it reaches keys that it does not name", "KEYS RANDOMKEY DBSIZE FLUSHALL FLUSHDB SWAPDB MIGRATE MOVE SORT SORT_RO GEORADIUS " +
		"GEORADIUSBYMEMBER"},
	{"it administers Redis", "ACL BGREWRITEAOF BGSAVE CLUSTER CONFIG DEBUG FAILOVER LASTSAVE LATENCY MEMORY MONITOR OBJECT PSYNC " +
		"REPLCONF REPLICAOF RESTORE DUMP ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SYNC"},
	{"it changes what the connection is", "ASKING READONLY READWRITE SSUBSCRIBE SUNSUBSCRIBE"},
}
