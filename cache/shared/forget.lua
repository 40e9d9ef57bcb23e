-- Puts a floor in the place of an entry that is older than a version. KEYS: the entry; then, if the app may write it again, as in drop.
-- ARGV: version, 19 digits; lifetime in ms; after how many us to look again; for how many ms to remember.
local zero = string.rep('0', 19)
local cur = redis.pcall('GET', KEYS[1])
if type(cur) == 'table' then cur = false end -- of another kind: it has no version
local wanted, px = ARGV[1], tonumber(ARGV[2])
-- Also if what is there is newer: the app may overwrite it with what it read before.
if #KEYS > 1 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[4])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[3])), 'again ' .. KEYS[1])
end
if cur then
  if #cur == 41 and string.find(cur, '^0e[12]%d+$') then
    if string.sub(cur, 4, 22) > wanted then
      wanted = string.sub(cur, 4, 22)
      px = math.max(px, redis.call('PTTL', KEYS[1]))
    end
  else
    local d = string.match(cur, '^{"version":(%d+),') or string.match(string.sub(cur, -2048), '.*"version":"?(%d+)"?,"sppgId"')
    if d and #d <= 19 and string.rep('0', 19 - #d) .. d >= wanted then return 0 end
  end
end
redis.call('SET', KEYS[1], '0e2' .. wanted .. zero, 'PX', px)
return 1
