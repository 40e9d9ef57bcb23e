-- Replaces an entry, or puts a lease in its place. KEYS: the entry, then the sets of its tags.
-- ARGV: expected identity, '' for nothing, '*' for anything; value, '' for a lease; token; lifetime in ms;
-- version, 19 digits; lifetime of the sets in s; how many names of each set to look at.
local zero = string.rep('0', 19)
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local entry = KEYS[1]
local cur = redis.pcall('GET', entry)
if type(cur) == 'table' then -- of another kind
  if ARGV[1] ~= '*' then return cur end
  cur = false
end

local function identity(v)
  if #v <= 300 then return v end
  return #v .. ':' .. string.sub(v, 1, 100) .. string.sub(v, -160)
end

local function version(v)
  local d = string.match(v, '^{"version":(%d+),')
  if not d then
    d = string.match(string.sub(v, -2048), '.*"version":"?(%d+)"?,"sppgId"')
  end
  if not d or #d > 19 then return zero end
  return string.rep('0', 19 - #d) .. d
end

local marker = cur and #cur == 41 and string.find(cur, '^0e[12]%d+$') ~= nil
local floor = marker and string.sub(cur, 4, 22) or zero
local expect, value, wanted = ARGV[1], ARGV[2], ARGV[5]

if expect == '' then
  if cur and not (marker and string.sub(cur, 3, 3) == '2') then return {0, 0, cur, now, 0, 0} end
elseif expect ~= '*' then
  if not cur or identity(cur) ~= expect then return {0, 0, cur or '', now, 0, 0} end
end

local done = ''
if value == '' then
  local px = tonumber(ARGV[4])
  if marker and floor > zero then px = math.max(px, redis.call('PTTL', entry)) end
  done = '0e1' .. floor .. ARGV[3]
  redis.call('SET', entry, done, 'PX', px)
else
  if wanted > zero then
    if floor > wanted then
      if expect ~= '*' then redis.call('SET', entry, '0e2' .. floor .. zero, 'KEEPTTL') end
      return {0, 1, cur, now, 0, 0}
    end
    if expect == '*' and cur and not marker and version(cur) > wanted then return {0, 1, '', now, 0, 0} end
  end
  redis.call('SET', entry, value, 'PX', ARGV[4])
end

local sampled, dead = 0, 0
for i = 2, #KEYS do
  -- What is no set is left alone. Only the app's invalidations need it, and the app could not read that either.
  if type(redis.pcall('SADD', KEYS[i], entry)) == 'number' then
    -- The app overwrites the lifetime of a set with that of the entry that it writes; ours only ever lengthens it. GT alone is refused on
    -- a set that has none.
    redis.call('EXPIRE', KEYS[i], ARGV[6], 'NX')
    redis.call('EXPIRE', KEYS[i], ARGV[6], 'GT')
    if value ~= '' then
      for _, m in ipairs(redis.call('SRANDMEMBER', KEYS[i], ARGV[7])) do
        sampled = sampled + 1
        if redis.call('EXISTS', m) == 0 then
          redis.call('SREM', KEYS[i], m)
          dead = dead + 1
        end
      end
    end
  end
end
return {1, 0, done, now, sampled, dead}
