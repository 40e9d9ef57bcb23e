-- Reads the heads of one tenant, and when and by whom some entries of history were written.
-- KEYS: head, a stream for each entry. ARGV: 1 epoch to take if the tenant has none, then an offset for each stream
-- Returns the fields of the head, the time in ms, and of each entry its time in ms and its token ("" where none is held)
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
local time = redis.call('TIME')
local written = {}
for i = 2, #KEYS do
  local entry = redis.call('XRANGE', KEYS[i], ARGV[i] .. '-0', ARGV[i] .. '-0')[1]
  written[i - 1] = entry and (entry[2][4] or '') .. ' ' .. (entry[2][6] or '') or ''
end
return { redis.call('HGETALL', KEYS[1]), string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), written }
