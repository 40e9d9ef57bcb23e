-- Gives one publication its place: position, history, the newest of its key, announcement. It comes before the scripts that do so.
-- c is a table: head, stream, and of a channel that keeps the newest of each key newest and order, its keys; name, data, token, live;
-- epoch, offset and ms, its position and time; size and age in ms of the history; key, keys and bytes: the key that it is the newest
-- of ("" for none), and how many keys and how many bytes of their data are kept
-- Returns the position as "offset epoch"
local function store(c)
  local place, age, time = string.format('%.0f', c.offset), c.age, string.format('%.0f', c.ms)
  redis.call('HSET', c.head, 'o:' .. c.name, place)

  -- What is left of another epoch has other ids, in whose way these would be.
  if c.offset == 1 then redis.call('DEL', c.stream) end
  if c.size > 0 then
    -- Trimming exactly is dear for long streams; readers leave out what is too much.
    redis.call('XADD', c.stream, 'MAXLEN', c.size < 100 and '=' or '~', c.size, place .. '-0', 'd', c.data, 't', time, 'i', c.token)
    redis.call('PEXPIRE', c.stream, age)
  end
  if c.newest then
    local newest, order, key = c.newest, c.order, c.key
    if c.offset == 1 then redis.call('DEL', newest, order) end
    if key ~= '' then
      -- Field "" counts the bytes: no key is empty.
      local value = struct.pack('>I8I8I4', c.offset, c.ms, #c.data) .. c.data
      local bytes = redis.call('HINCRBY', newest, '', #value - redis.call('HSTRLEN', newest, key))
      redis.call('HSET', newest, key, value)
      redis.call('ZADD', order, place, key)
      local surplus = redis.call('ZCARD', order) - c.keys
      while surplus > 0 or bytes > c.bytes and redis.call('ZCARD', order) > 1 do
        local oldest = redis.call('ZPOPMIN', order)[1]
        bytes = redis.call('HINCRBY', newest, '', -redis.call('HSTRLEN', newest, oldest))
        redis.call('HDEL', newest, oldest)
        surplus = surplus - 1
      end
      redis.call('PEXPIRE', newest, age)
      redis.call('PEXPIRE', order, age)
    end
  end
  redis.call('PUBLISH', c.live, struct.pack('>BBI8I8', 1, 1, c.offset, c.ms) .. c.token
    .. string.char(#c.epoch) .. c.epoch .. string.char(#c.name) .. c.name .. c.data)
  return place .. ' ' .. c.epoch
end
