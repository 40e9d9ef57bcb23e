-- Ends a lease, if it is still there; its floor stays. KEYS: the entry. ARGV: the lease.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local floor = string.sub(ARGV[1], 4, 22)
if floor > string.rep('0', 19) then
  redis.call('SET', KEYS[1], '0e2' .. floor .. string.rep('0', 19), 'KEEPTTL')
else
  redis.call('UNLINK', KEYS[1])
end
return 1
