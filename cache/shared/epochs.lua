-- Returns the epochs under KEYS[1], and begins new ones where there are none or where they were written by another process: what
-- that one had acknowledged last may be lost, and then an entry would be taken for current that is not.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local h = KEYS[1]
local known = redis.pcall('HMGET', h, '*', '@run')
if known.err then -- somebody else uses our name
  redis.call('UNLINK', h)
  known = {}
end
if not tonumber(known[1] or '') or known[2] ~= run then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local n = math.max(now, (tonumber(known[1] or '') or 0) + 1)
  redis.call('HSET', h, '*', string.format('%.0f', n), '@run', run or '')
  redis.call('EXPIRE', h, 691200) -- eight days: no entry lives longer
end
return redis.call('HGETALL', h)
