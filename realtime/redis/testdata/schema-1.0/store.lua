-- Gives one publication its place: position, history, the newest of its key, announcement. It comes before the scripts that do so.
-- c is a table: head, stream, and newest, where the newest of each key is kept, if its channel does that; name, data, token, live;
-- epoch, offset and ms, its position and time; size and age in ms of the history; key, the one that it is the newest of ("" for none)
-- Returns the position as "offset epoch"

-- realtime.MaxSnapshotKeys, and what realtime.MaxSnapshotBytes leaves when each of them has 1 KiB.
local maxKeys, maxBeyond = 1000, 1073152

local function beyond(bytes) return math.max(bytes - 1024, 0) end

-- trim keeps those of the newest of each key that were published last. It takes more than it must, so that it is rarely needed: it
-- reads all.
local function trim(newest)
  local count, bytes = maxKeys * 0.9, maxBeyond * 0.9
  local all, entries = redis.call('HGETALL', newest), {}
  for i = 1, #all, 2 do
    if all[i] ~= '' then entries[#entries + 1] = { (struct.unpack('>I8', all[i + 1])), all[i], beyond(#all[i + 1]) } end
  end
  table.sort(entries, function(a, b) return a[1] > b[1] end)
  local kept, large = 0, 0
  for _, entry in ipairs(entries) do
    if kept == 0 or kept < count and large + entry[3] <= bytes then
      kept, large = kept + 1, large + entry[3]
    else
      redis.call('HDEL', newest, entry[2])
      count = 0 -- what is older goes as well
    end
  end
  redis.call('HSET', newest, '', large)
end

-- foreign reports whether an epoch is of another reign than this, so that what was given out in it may be forgotten here.
local function foreign(epoch) return reign ~= '' and string.sub(epoch, -#reign) ~= reign end

-- leftOf is where the history of an epoch that was left is kept, so that repeats find what was stored in it. Field w: of the head is
-- the epoch of a channel's last history that was left, or is about to be.
local function leftOf(stream, epoch) return stream .. ':left:' .. epoch end

local function keep(head, stream, name, epoch)
  if redis.call('EXISTS', stream) == 1 then
    redis.call('RENAME', stream, leftOf(stream, epoch))
    redis.call('PEXPIRE', leftOf(stream, epoch), 60000) -- ten times as long as anybody repeats
    redis.call('HSET', head, 'w:' .. name, epoch)
  end
end

-- leave begins an epoch of a channel instead of the one before. It returns epoch and offset.
local function leave(head, stream, name, before, epoch)
  keep(head, stream, name, before)
  redis.call('HSET', head, 'e:' .. name, epoch)
  return epoch, 0
end

-- leaveAll begins an epoch of all channels of a tenant. Their histories stay where they are until something comes in their way.
local function leaveAll(head, epoch, owed)
  local all, was = redis.call('HGETALL', head), {}
  for i = 1, #all, 2 do was[all[i]] = all[i + 1] end
  redis.call('DEL', head)
  redis.call('HSET', head, 'epoch', epoch, 'turned', owed)
  for field, value in pairs(was) do
    local kind, name = string.sub(field, 1, 2), string.sub(field, 3)
    if kind == 'o:' and value ~= '0' then
      redis.call('HSET', head, 'w:' .. name, was['e:' .. name] or was.epoch)
    elseif kind == 'w:' and (was['o:' .. name] or '0') == '0' then
      redis.call('HSET', head, field, value)
    end
  end
end

local function store(c)
  local place, age, time = string.format('%.0f', c.offset), c.age, string.format('%.0f', c.ms)
  redis.call('HSET', c.head, 'o:' .. c.name, place)

  -- What is left of another epoch has other ids, in whose way these would be.
  if c.offset == 1 then
    local was = redis.call('HGET', c.head, 'w:' .. c.name)
    if was then keep(c.head, c.stream, c.name, was) else redis.call('DEL', c.stream) end
  end
  if c.size > 0 then
    -- Trimming exactly is dear for long streams; readers leave out what is too much.
    redis.call('XADD', c.stream, 'MAXLEN', c.size < 100 and '=' or '~', c.size, place .. '-0', 'd', c.data, 't', time, 'i', c.token)
    redis.call('PEXPIRE', c.stream, age)
  end
  if c.newest then
    local newest, key = c.newest, c.key
    if c.offset == 1 then redis.call('DEL', newest) end
    if key ~= '' then
      local value = struct.pack('>I8I8I4', c.offset, c.ms, #c.data) .. c.data
      -- Field "" counts the bytes of each beyond 1 KiB; what is smaller is bounded by the number of keys. No key is empty.
      local grown = beyond(#value) - beyond(redis.call('HSTRLEN', newest, key))
      local added = redis.call('HSET', newest, key, value)
      if added == 1 and redis.call('HLEN', newest) > maxKeys or grown ~= 0 and redis.call('HINCRBY', newest, '', grown) > maxBeyond then
        trim(newest)
      end
      redis.call('PEXPIRE', newest, age)
    end
  end
  redis.call('PUBLISH', c.live, struct.pack('>BBI8I8', 1, 1, c.offset, c.ms) .. c.token
    .. string.char(#c.epoch) .. c.epoch .. string.char(#c.name) .. c.name .. c.data)
  return place .. ' ' .. c.epoch
end
