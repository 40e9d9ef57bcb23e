-- Begins a wait for all nodes. KEYS: the nodes; what they hear of. ARGV: how long in us a node may answer from memory without a
-- sign of life. Returns the nodes that may, or nothing if the list of nodes was lost less long ago.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local from = string.format('%.0f', now - tonumber(ARGV[1]))
redis.call('SET', KEYS[2], '1', 'PX', math.ceil(tonumber(ARGV[1]) / 500))
local since = redis.call('ZSCORE', KEYS[1], '@since')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. (since or '0'), string.format('%.0f', now - 60000000 - tonumber(ARGV[1])))
if not since or tonumber(since) > tonumber(from) then return false end
local nodes = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf')) do
  if node ~= '@since' then nodes[#nodes + 1] = node end
end
return nodes
