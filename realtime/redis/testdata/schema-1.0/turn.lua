-- Gives a channel, or a whole tenant, a new epoch and says so.
-- Before it comes store.lua.
-- KEYS: head, stream (head again for a tenant)
-- ARGV: 1 name ("" for all channels), 2 new epoch, 3 live channel, 4 cause, 5 and 6 a position: turn only if the channel is
--       in that epoch and behind that offset ("" turns always), 7 of a tenant: what this turn pays, once ("" for nothing)
-- Returns "offset epoch" of the channel afterwards, or "" if that was paid before.
local head, name, epoch = KEYS[1], ARGV[1], ARGV[2]
if ARGV[5] ~= '' then
  local state = redis.call('HMGET', head, 'epoch', 'e:' .. name, 'o:' .. name)
  local now = state[2] or state[1]
  if now and (now ~= ARGV[5] or tonumber(state[3] or '0') >= tonumber(ARGV[6])) then
    return (state[3] or '0') .. ' ' .. now
  end
end
if ARGV[7] ~= '' and redis.call('HGET', head, 'turned') == ARGV[7] then return '' end
local kind, state = 2, redis.call('HMGET', head, 'epoch', 'e:' .. name)
local before = state[2] or state[1] or ''
if name == '' then
  kind = 3
  leaveAll(head, epoch, ARGV[7])
else
  redis.call('HSETNX', head, 'epoch', epoch)
  keep(head, KEYS[2], name, before)
  redis.call('HSET', head, 'e:' .. name, epoch, 'o:' .. name, '0')
end
local time = redis.call('TIME')
redis.call('PUBLISH', ARGV[3], struct.pack('>BBI8I8', 1, kind, 0, time[1] * 1000 + math.floor(time[2] / 1000))
  .. string.rep('\0', 16) .. string.char(#epoch) .. epoch .. string.char(#name) .. name .. ARGV[4] .. ' ' .. before)
return '0 ' .. epoch
