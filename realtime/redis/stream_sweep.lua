-- Forgets consumers that are gone, in one step: one that is given an entry meanwhile must not lose it.
-- KEYS: stream
-- ARGV: 1 group, 2 the caller, which stays, 3 ms since the last sign of life
-- Returns how many were forgotten
local forgotten = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #flat, 2 do c[flat[i]] = flat[i + 1] end
  if c.name ~= ARGV[2] and c.pending == 0 and c.idle > tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c.name)
    forgotten = forgotten + 1
  end
end
return forgotten
