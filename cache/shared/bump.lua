-- Gives a field of the epochs a new number. KEYS: the epochs; the set of a tag, or ''; the chores.
-- ARGV: field; id of a trash; prefix of all entries of the tenant, or ''; how many fields are too many; how old in us is old; up to how
-- many entries of a tag are removed at once.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local h = KEYS[1]
local kind = redis.call('TYPE', h).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', h) end -- somebody else uses our name
local number = math.max(now, (tonumber(redis.call('HGET', h, ARGV[1]) or '0') or 0) + 1)
local text = string.format('%.0f', number)
redis.call('HSET', h, ARGV[1], text)
redis.call('EXPIRE', h, 691200)

local folded = 0
if redis.call('HLEN', h) > tonumber(ARGV[4]) then
  local all = redis.call('HGETALL', h)
  local old = now - tonumber(ARGV[5])
  local left = 0
  for i = 1, #all, 2 do
    if all[i] ~= '*' and all[i] ~= '@run' and (tonumber(all[i + 1]) or 0) < old then
      redis.call('HDEL', h, all[i])
    else
      left = left + 1
    end
  end
  if left > tonumber(ARGV[4]) then
    -- One number for all says the same, at the price of some loads. It is newer than any that there was.
    local run = redis.call('HGET', h, '@run')
    local newest = number
    for i = 1, #all, 2 do newest = math.max(newest, tonumber(all[i + 1]) or 0) end
    redis.call('UNLINK', h)
    redis.call('HSET', h, '*', string.format('%.0f', newest + 1), '@run', run or '')
    redis.call('EXPIRE', h, 691200)
    folded = 1
  end
end

if #KEYS > 1 then
  local set, chores = KEYS[2], KEYS[3]
  if ARGV[3] ~= '' then redis.call('ZADD', chores, text, 'tenant ' .. ARGV[3]) end
  if set ~= '' then
    local n = redis.pcall('SCARD', set)
    if type(n) == 'table' then n = 0 end -- it is no set
    if n > tonumber(ARGV[6]) then
      local trash = '{' .. set .. '}:trash:' .. ARGV[2]
      redis.call('RENAME', set, trash)
      redis.call('ZADD', chores, text, 'tag ' .. trash)
    elseif n > 0 then
      local names = redis.call('SMEMBERS', set)
      for i = 1, #names, 100 do redis.call('UNLINK', unpack(names, i, math.min(i + 99, #names))) end
      redis.call('UNLINK', set)
    end
  end
end
return {text, folded}
