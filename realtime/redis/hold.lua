-- Keeps one refused publication, and lets go of what is over the bounds.
-- KEYS: stream of the tenant, its bytes
-- ARGV: 1 most entries, 2 most bytes, 3 ms that an entry is kept, 4 bytes of this one, 5 … fields of the entry
-- Returns its id.
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
local id = redis.call('XADD', KEYS[1], '*', 'cost', ARGV[4], unpack(fields))
local bytes = redis.call('INCRBY', KEYS[2], ARGV[4])
local n = redis.call('XLEN', KEYS[1])
local since = tonumber(string.match(id, '^%d+')) - ARGV[3]
while n > 1 do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if n <= tonumber(ARGV[1]) and bytes <= tonumber(ARGV[2]) and tonumber(string.match(oldest[1], '^%d+')) >= since then break end
  redis.call('XDEL', KEYS[1], oldest[1])
  bytes = redis.call('DECRBY', KEYS[2], oldest[2][2])
  n = n - 1
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return id
