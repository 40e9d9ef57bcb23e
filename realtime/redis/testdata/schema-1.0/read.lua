-- Reads history.
-- KEYS: head, stream
-- ARGV: 1 name, 2 offset to read after ("" from the oldest), 3 limit, 4 history size, 5 history age in ms, 6 epoch to take
--       if the tenant has none, 7 bytes of data from which on no more entries are added
-- Returns epoch, newest offset, oldest offset that is held (0: none), and the entries as one text: of each the offset, the time in
-- ms, the length of the data (8, 8 and 4 bytes) and the data; and the time of now in ms. The caller judges them.
local head, stream, name = KEYS[1], KEYS[2], ARGV[1]
local limit, size, age = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('HSETNX', head, 'epoch', ARGV[6])
local state = redis.call('HMGET', head, 'epoch', 'e:' .. name, 'o:' .. name)
local epoch, offset = state[2] or state[1], tonumber(state[3] or '0')
local oldest = 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function offsetOf(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function at(o) return redis.call('XRANGE', stream, string.format('%.0f-0', o), '+', 'COUNT', 1)[1] end

if offset > 0 and size > 0 then
  local first = at(math.max(1, offset - size + 1))
  if first then
    local limitMs = now - age
    local low, high = offsetOf(first), offset + 1
    if tonumber(first[2][4]) >= limitMs then
      high = low
    end
    -- Entries are in the order of their times: halve until the first one that is young enough is found.
    while low < high do
      local middle = math.floor((low + high) / 2)
      local entry = at(middle)
      if entry and tonumber(entry[2][4]) >= limitMs then high = middle else low = middle + 1 end
    end
    if low <= offset then oldest = low end
  end
end

local entries, bytes = {}, 0
if oldest > 0 and limit > 0 then
  local from = oldest
  if ARGV[2] ~= '' then from = tonumber(ARGV[2]) + 1 end
  while from >= oldest and from <= offset and #entries < limit * 2 and bytes < tonumber(ARGV[7]) do
    -- In parts, so that large entries that are not wanted are not read.
    local part = redis.call('XRANGE', stream, string.format('%.0f-0', from), '+', 'COUNT', math.min(limit - #entries / 2, 50))
    for _, entry in ipairs(part) do
      local data = entry[2][2]
      from = offsetOf(entry)
      entries[#entries + 1] = struct.pack('>I8I8I4', from, tonumber(entry[2][4]), #data)
      entries[#entries + 1] = data
      bytes = bytes + #data
      from = from + 1
    end
    if #part == 0 then break end
  end
end
return { epoch, string.format('%.0f', offset), string.format('%.0f', oldest), table.concat(entries), string.format('%.0f', now) }
