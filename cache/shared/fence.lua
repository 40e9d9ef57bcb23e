-- Says that the node lives. KEYS: the nodes. ARGV: the node. Returns Redis' time in microseconds, and which process it is.
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZADD', KEYS[1], 'NX', now, '@since')
redis.call('EXPIRE', KEYS[1], 3600)
return {now, string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''}
