-- Reads the newest publication of each key of one channel.
-- KEYS: head, snapshot
-- ARGV: 1 name, 2 history age in ms, 3 epoch to take if the tenant has none
-- Returns epoch, newest offset, and the publications as one text, as the reading script does, in any order.
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'epoch', 'e:' .. ARGV[1], 'o:' .. ARGV[1])
local epoch, offset = state[2] or state[1], state[3] or '0'
local newest = {}
if offset ~= '0' then
  local time = redis.call('TIME')
  local limit = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2]
  for i, value in ipairs(redis.call('HVALS', KEYS[2])) do
    if #value >= 20 and select(2, struct.unpack('>I8I8', value)) >= limit then newest[#newest + 1] = value end
  end
end
return { epoch, offset, table.concat(newest) }
