-- Reads who is present at all nodes of one tenant. KEYS: set of nodes. ARGV: prefix of the nodes' keys, node to leave out.
local found = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if node ~= ARGV[2] then
    local fields = redis.call('HGETALL', ARGV[1] .. node)
    if #fields == 0 then
      redis.call('SREM', KEYS[1], node) -- it has vanished, or it has nobody
    else
      found[#found + 1] = fields
    end
  end
end
return found
