-- Writes the record of one device, if nobody else has written it since it was read.
-- KEYS: record, index of the tenant's devices
-- ARGV: 1 the record as it was read ("" for none), 2 the new one, 3 ms that it is remembered, 4 name of the device in the index,
--       5 devices that are remembered, 6 what stands in front of that name in the keys of records
-- Returns 1, or 0 if it was another one.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], ms, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms - ARGV[3]) -- their records have expired
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local surplus = redis.call('ZCARD', KEYS[2]) - ARGV[5]
if surplus > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], surplus)
  for i = 1, #oldest, 2 do redis.call('UNLINK', ARGV[6] .. oldest[i]) end
end
return 1
