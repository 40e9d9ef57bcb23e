-- Stamps one publication: position, history, announcement, in one step.
-- KEYS: head, stream, idempotency record; of a channel that keeps the newest of each key: these
-- Before it come store.lua, and the word of the reign.
-- ARGV: 1 name, 2 data, 3 history size, 4 history age in ms, 5 live channel, 6 token, 7 epoch to take if a new one is
--       needed, 8 and 9 the newest position that the publisher knows of, 10 digest ("" without a key), 11 seconds that the
--       record lives, 12 "1" if it was sent before and the answer was lost,
--       13 the key that this is the newest of ("" for none), only with a fourth KEY
-- Returns a letter and a position as "offset epoch": N new, A stored by an earlier try, D duplicate of a key,
--       K key used with other data, U nobody can know whether an earlier try was stored
local head, stream, name, token = KEYS[1], KEYS[2], ARGV[1], ARGV[6]
local size, known, fresh = tonumber(ARGV[3]), tonumber(ARGV[9]), ARGV[7] .. reign

if ARGV[10] ~= '' then
  local record = redis.call('GET', KEYS[3])
  if record then
    if string.sub(record, 1, 16) ~= ARGV[10] then return 'K' end
    local letter = string.sub(record, 17, 32) == token and 'A' or 'D'
    return letter .. string.sub(record, 33)
  end
end

local state = redis.call('HMGET', head, 'epoch', 'e:' .. name, 'o:' .. name, 'w:' .. name)
local epoch, offset = state[2] or state[1], tonumber(state[3] or '0')

-- find looks for an earlier try in a stream, from an offset on (0: in all that is there). It returns where it is in that epoch, 'U' if
-- that part of the history is not all there, or nothing.
local function find(stream, from, epoch)
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if from > 0 and (not first or tonumber(string.match(first[1], '^%d+')) > from) then return 'U' end
  while true do
    local entries = redis.call('XRANGE', stream, string.format('%.0f-0', from), '+', 'COUNT', 100)
    if #entries == 0 then return nil end
    for _, entry in ipairs(entries) do
      from = tonumber(string.match(entry[1], '^%d+')) + 1
      if entry[2][6] == token then return string.format('A%.0f %s', from - 1, epoch) end
    end
  end
end

if not state[1] then
  epoch, offset = fresh, 0
  redis.call('HSET', head, 'epoch', epoch)
elseif epoch == ARGV[8] and offset < known then
  -- Redis has forgotten what it acknowledged. Going on in this epoch would give an offset out twice.
  epoch, offset = leave(head, stream, name, epoch, fresh)
else
  if ARGV[12] == '1' then
    -- If the earlier try was stored, then after everything that the publisher knew of when it made it.
    if epoch ~= ARGV[8] then
      local was = state[4]
      for _, before in ipairs(was and was ~= ARGV[8] and { ARGV[8], was } or { ARGV[8] }) do
        local left = leftOf(stream, before)
        if before == was and offset == 0 and redis.call('EXISTS', left) == 0 then left = stream end
        if before ~= '' and redis.call('EXISTS', left) == 1 then
          local found = find(left, before == ARGV[8] and known + 1 or 0, before)
          if found then return found end
        end
      end
      known = 0
    end
    if offset > known then
      local found = size == 0 and 'U' or find(stream, known + 1, epoch)
      if found then return found end
    end
  end
  if foreign(epoch) then epoch, offset = leave(head, stream, name, epoch, fresh) end
end

local time = redis.call('TIME')
local position = store({
  head = head, stream = stream, newest = KEYS[4], name = name, data = ARGV[2], token = token, live = ARGV[5],
  epoch = epoch, offset = offset + 1, ms = time[1] * 1000 + math.floor(time[2] / 1000), size = size, age = ARGV[4],
  key = ARGV[13],
})
if ARGV[10] ~= '' then
  redis.call('SET', KEYS[3], ARGV[10] .. token .. position, 'EX', ARGV[11])
end
return 'N' .. position
