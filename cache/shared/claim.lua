-- Takes the first chore that is due and gives it back in a while, if nobody finishes it. KEYS: the chores. ARGV: for how many us.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
if #due == 0 then return false end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[1])), due[1])
return due[1]
