package rediscmd

import (
	"fmt"
	"strings"
)

// table is every command that may be passed on. A test compares it with what a Redis says of itself.
var table = makeTable()

// families are commands whose keys stand at the same places.
var families = []struct {
	first, last, step int
	write             bool
	names             string
}{
	{1, 1, 1, false, "GET GETRANGE STRLEN TTL PTTL EXPIRETIME PEXPIRETIME TYPE GETBIT BITCOUNT BITPOS " +
		"HGET HMGET HGETALL HEXISTS HLEN HKEYS HVALS HSTRLEN HSCAN HRANDFIELD " +
		"SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SSCAN " +
		"LLEN LRANGE LINDEX LPOS " +
		"ZSCORE ZMSCORE ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZRANK ZREVRANK ZCARD ZCOUNT " +
		"ZLEXCOUNT ZRANDMEMBER ZSCAN XLEN XRANGE XREVRANGE"},
	{1, 1, 1, true, "SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND SETRANGE INCR INCRBY INCRBYFLOAT DECR DECRBY SETBIT " +
		"EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST " +
		"HSET HSETNX HMSET HDEL HINCRBY HINCRBYFLOAT " +
		"SADD SREM SPOP " +
		"LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LSET LREM LTRIM LINSERT " +
		"ZADD ZREM ZINCRBY ZPOPMIN ZPOPMAX ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX " +
		"XADD XDEL XTRIM PFADD"},
	{1, -1, 1, false, "MGET EXISTS TOUCH SINTER SUNION SDIFF"},
	{1, -1, 1, true, "DEL UNLINK SINTERSTORE SUNIONSTORE SDIFFSTORE PFMERGE"},
	{1, -1, 2, true, "MSET MSETNX"},
	{1, 2, 1, true, "RENAME RENAMENX COPY SMOVE RPOPLPUSH LMOVE"},
}

func makeTable() map[string]Command {
	all := map[string]Command{"SCAN": {Name: "SCAN", scan: true}}
	for _, f := range families {
		for name := range strings.FieldsSeq(f.names) {
			if _, twice := all[name]; twice {
				panic(fmt.Sprintf("rediscmd: %s is there twice", name))
			}
			all[name] = Command{Name: name, Write: f.write, first: f.first, last: f.last, step: f.step}
		}
	}
	return all
}
