-- Looks for names, as SCAN does. While the slot of a Cluster is being moved SCAN leaves out what is gone already, without a word; a script
-- breaks off, see place.lua.
-- KEYS: any. ARGV: 1 cursor, 2 glob, 3 how much to look at
return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
