-- Stamps one publication: position, history, announcement, in one step.
-- KEYS: head, stream, idempotency record; of a channel that keeps the newest of each key: these
-- ARGV: 1 name, 2 data, 3 history size, 4 history age in ms, 5 live channel, 6 token, 7 epoch to take if a new one is
--       needed, 8 and 9 the newest position that the publisher knows of, 10 digest ("" without a key), 11 seconds that the
--       record lives, 12 "1" if it was sent before and the answer was lost,
--       13 the key that this is the newest of ("" for none), only with a fourth KEY
-- Returns a letter and a position as "offset epoch": N new, A stored by an earlier try, D duplicate of a key,
--       K key used with other data, U nobody can know whether an earlier try was stored

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

local head, stream, name, token = KEYS[1], KEYS[2], ARGV[1], ARGV[6]
local size, known = tonumber(ARGV[3]), tonumber(ARGV[9])

if ARGV[10] ~= '' then
  local record = redis.call('GET', KEYS[3])
  if record then
    if string.sub(record, 1, 16) ~= ARGV[10] then return 'K' end
    local letter = string.sub(record, 17, 32) == token and 'A' or 'D'
    return letter .. string.sub(record, 33)
  end
end

local state = redis.call('HMGET', head, 'epoch', 'e:' .. name, 'o:' .. name)
local epoch, offset = state[2] or state[1], tonumber(state[3] or '0')

if not state[1] then
  epoch, offset = ARGV[7], 0
  redis.call('HSET', head, 'epoch', epoch)
elseif epoch == ARGV[8] and offset < known then
  -- Redis has forgotten what it acknowledged. Going on in this epoch would give an offset out twice.
  epoch, offset = ARGV[7], 0
  redis.call('HSET', head, 'e:' .. name, epoch)
elseif ARGV[12] == '1' then
  -- If the earlier try was stored, then after everything that the publisher knew of when it made it.
  if epoch ~= ARGV[8] then known = 0 end
  if offset > known then
    if size == 0 then return 'U' end
    local from = known + 1
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if not first or tonumber(string.match(first[1], '^%d+')) > from then return 'U' end
    while from <= offset do
      local entries = redis.call('XRANGE', stream, string.format('%.0f-0', from), '+', 'COUNT', 100)
      if #entries == 0 then break end
      for _, entry in ipairs(entries) do
        from = tonumber(string.match(entry[1], '^%d+')) + 1
        if entry[2][6] == token then return string.format('A%.0f %s', from - 1, epoch) end
      end
    end
  end
end

offset = offset + 1
local place = string.format('%.0f', offset)
redis.call('HSET', head, 'o:' .. name, place)
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- What is left of another epoch has other ids, in whose way these would be.
if offset == 1 then redis.call('DEL', stream) end
if size > 0 then
  -- Trimming exactly is dear for long streams; readers leave out what is too much.
  redis.call('XADD', stream, 'MAXLEN', size < 100 and '=' or '~', size, place .. '-0', 'd', ARGV[2], 't', string.format('%.0f', ms), 'i', token)
  redis.call('PEXPIRE', stream, ARGV[4])
end
if KEYS[4] then
  local newest, key = KEYS[4], ARGV[13]
  if offset == 1 then redis.call('DEL', newest) end
  if key ~= '' then
    local value = struct.pack('>I8I8I4', offset, ms, #ARGV[2]) .. ARGV[2]
    -- Field "" counts the bytes of each beyond 1 KiB; what is smaller is bounded by the number of keys. No key is empty.
    local grown = beyond(#value) - beyond(redis.call('HSTRLEN', newest, key))
    local added = redis.call('HSET', newest, key, value)
    if added == 1 and redis.call('HLEN', newest) > maxKeys or grown ~= 0 and redis.call('HINCRBY', newest, '', grown) > maxBeyond then
      trim(newest)
    end
    redis.call('PEXPIRE', newest, ARGV[4])
  end
end
local position = place .. ' ' .. epoch
if ARGV[10] ~= '' then
  redis.call('SET', KEYS[3], ARGV[10] .. token .. position, 'EX', ARGV[11])
end
redis.call('PUBLISH', ARGV[5], struct.pack('>BBI8I8', 1, 1, offset, ms) .. token
  .. string.char(#epoch) .. epoch .. string.char(#name) .. name .. ARGV[2])
return 'N' .. position
