-- Reads the heads of one tenant. KEYS: head. ARGV: epoch to take if the tenant has none.
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
return redis.call('HGETALL', KEYS[1])
