-- Removes an entry; a floor stays. KEYS: the entry; then, if the app may write it again, the note of when, and the chores.
-- ARGV: after how many us to look again; for how many ms to remember.
local cur = redis.pcall('GET', KEYS[1])
if type(cur) == 'table' then cur = '' end -- of another kind
local zero = string.rep('0', 19)
if cur and #cur == 41 and string.find(cur, '^0e[12]%d+$') and string.sub(cur, 4, 22) > zero then
  redis.call('SET', KEYS[1], '0e2' .. string.sub(cur, 4, 22) .. zero, 'KEEPTTL')
elseif cur then
  redis.call('UNLINK', KEYS[1])
end
if #KEYS > 1 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[1])), 'again ' .. KEYS[1])
end
return 1
