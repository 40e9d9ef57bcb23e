-- Stamps a batch of plain PUBLISH: position, history and announcement of each message, and how far it came, in one step.
-- Before it come store.lua, links.lua, and the word of the reign.
-- KEYS: ledger, then of each message head and stream, and what keeps the newest of each key if its channel does
-- ARGV: 1 token, 2 numbering, 3 the number that must be stamped already, 4 the last number, 5 lease in ms, 6 epoch to take if a new one
--       is needed; then of each message 1 number, 2 name, 3 data, 4 history size, 5 history age in ms, 6 live channel, 7 token and trace,
--       8 and 9 the newest position that the node knows of, 10 "" or, of a channel that keeps the newest of each key, "k" and the key that this is the newest of
-- Returns lines, in one text. The first is a letter, the highest number that is stamped, and how many lines follow, one for each message:
-- its position as "offset epoch", or nothing if it was stamped before. Letters: D done, F another node is the holder, T less is
-- stamped than the node believes, S stuck: the message after the last one that has a line cannot be stored, and why is the rest of the text
local state = redis.call('HMGET', KEYS[1], 'token', 'numbering', 'stamped', 'owed', 'links')
local stamped = tonumber(state[3] or '0')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then return string.format('F %.0f 0', stamped) end
if tonumber(ARGV[3]) > stamped then return string.format('T %.0f 0', stamped) end
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local owed, fresh = state[4] or '', ARGV[6] .. reign

-- What came after a link broke came over a new one. So it is seen here before any of that is stamped, and a gap is told first.
if placed then
  local links = linksNow()
  if links and state[5] ~= links then
    if state[5] then owed = ARGV[6] .. '-link' end
    redis.call('HSET', KEYS[1], 'links', links, 'owed', owed)
  end
end

-- While all epochs have to be turned, a tenant that is sent something is told first that something may be missing before it.
local function pay(head, live, before)
  leaveAll(head, fresh, owed)
  redis.call(PUBLISH, live, struct.pack('>BBI8I8', 1, 3, 0, ms) .. string.rep('\0', 16)
    .. string.char(#fresh) .. fresh .. '\0' .. 'intake ' .. before)
end

local function stamp(i, k)
  local head, name, key = KEYS[k], ARGV[i + 1], ARGV[i + 9]
  local at = redis.call('HMGET', head, 'epoch', 'e:' .. name, 'o:' .. name, 'turned')
  local epoch, offset = at[2] or at[1], tonumber(at[3] or '0')
  if not at[1] then
    epoch, offset = fresh, 0
    redis.call('HSET', head, 'epoch', epoch, 'turned', owed)
  elseif owed ~= '' and at[4] ~= owed then
    pay(head, ARGV[i + 5], at[1])
    epoch, offset = fresh, 0
  elseif foreign(epoch) or epoch == ARGV[i + 7] and offset < tonumber(ARGV[i + 8]) then
    -- Redis has forgotten what it acknowledged, or may have. Going on in this epoch would give an offset out twice.
    epoch, offset = leave(head, KEYS[k + 1], name, epoch, fresh)
  end
  return store({
    head = head, stream = KEYS[k + 1], newest = key ~= '' and KEYS[k + 2] or nil, name = name,
    data = ARGV[i + 2], token = ARGV[i + 6], live = ARGV[i + 5], epoch = epoch, offset = offset + 1, ms = ms,
    size = tonumber(ARGV[i + 3]), age = ARGV[i + 4], key = string.sub(key, 2),
  })
end

local lines, stuck = {}, nil
local k = 2
for i = 7, #ARGV, 10 do
  local number = tonumber(ARGV[i])
  if number <= stamped then
    lines[#lines + 1] = ''
  else
    local ok, position = pcall(stamp, i, k)
    if not ok then
      stuck = type(position) == 'table' and position.err or tostring(position)
      break
    end
    lines[#lines + 1] = position
    stamped = number
  end
  k = k + (ARGV[i + 9] == '' and 2 or 3)
end
if not stuck then stamped = math.max(stamped, tonumber(ARGV[4])) end
local highest = string.format('%.0f', stamped)
redis.call('HSET', KEYS[1], 'stamped', highest, 'until', string.format('%.0f', ms + tonumber(ARGV[5])))
table.insert(lines, 1, string.format('%s %s %d', stuck and 'S' or 'D', highest, #lines))
lines[#lines + 1] = stuck
return table.concat(lines, '\n')
