-- Lets go of refused publications.
-- KEYS: stream of the tenant, its bytes
-- ARGV: ids
-- Returns how many were there, and how many are left.
local gone = 0
for i = 1, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XDEL', KEYS[1], ARGV[i])
    redis.call('DECRBY', KEYS[2], entry[2][2])
    gone = gone + 1
  end
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then redis.call('DEL', KEYS[1], KEYS[2]) end
return {gone, left}
