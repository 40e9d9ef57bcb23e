-- Takes the report of one node, and says how things stand. See the package stamping, whose ledgertest.Memory is its twin.
-- KEYS: ledger, able nodes
-- ARGV: 1 node, 2 token, 3 globs, 4 numbering, 5 low, 6 passed, 7 mark, 8 "1" to publish it, 9 answers to publish, 10 "1" if a
--       first numbering owes nothing, 11 "1" to give the lease up, 12 turned, 13 doubt, 14 lease in ms, 15 patience in ms,
--       16 channel of marks, 17... channels of the node's feeds
-- Returns, a line each, numbering, stamped, holder, mine, cause, began, first, apart, owed, ms since the holder before was heard of ("" if there
-- was none), and for each feed whether it is open
local ledger, able = KEYS[1], KEYS[2]
local node, token, globs, numbering, low = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local function open(feeds)
  local answer, found, any = {}, {}, false
  if #feeds > 0 then answer = redis.call('PUBSUB', NUMSUB, unpack(feeds)) end
  for i = 2, #answer, 2 do
    found[#found + 1] = tonumber(answer[i]) > 0 and '1' or '0'
    any = any or tonumber(answer[i]) > 0
  end
  return any, found
end
local function split(text)
  local words = {}
  for word in string.gmatch(text or '', '%S+') do words[#words + 1] = word end
  return words
end

local state = redis.call('HMGET', ledger, 'token', 'node', 'until', 'numbering', 'stamped', 'globs', 'owed', 'free', 'feeds',
  'links', 'looked')
local holding, holder, till, known = state[1] or '', state[2] or '', tonumber(state[3] or '0'), state[4] or ''
local stamped, theirs, owed, free = tonumber(state[5] or '0'), state[6] or '', state[7] or '', tonumber(state[8] or '0')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local feeds = {}
for i = 17, #ARGV do feeds[#feeds + 1] = ARGV[i] end
local alive, found = open(feeds)
local lease, patience = tonumber(ARGV[14]), tonumber(ARGV[15])

local aligned = known ~= '' and numbering == known and globs == theirs
local mine = holding ~= '' and holding == token
if mine then
  if aligned then stamped = math.max(stamped, tonumber(ARGV[6])) end
  if ARGV[12] ~= '' and owed == ARGV[12] then owed = '' end
end
if ARGV[13] ~= '' and ARGV[13] == known and owed == '' then owed = ARGV[7] end

-- A link that broke is one debt more, even beside one that is being paid. Scripts that stamp look each time, and this for quiet days.
if placed and now - tonumber(state[11] or '0') >= 250 then
  local links = linksNow()
  if links then
    if state[10] and state[10] ~= links and known ~= '' then owed = ARGV[7] .. '-link' end
    redis.call('HSET', ledger, 'links', links, 'looked', string.format('%.0f', now))
  end
end
local fit = aligned and low <= stamped + 1
if mine and (ARGV[11] == '1' or not alive or (aligned and not fit)) then mine, holding = false, '' end
if fit and alive then
  redis.call('HSET', able, node, numbering .. ' ' .. ARGV[5] .. ' ' .. table.concat(feeds, ' '))
else
  redis.call('HDEL', able, node)
end

-- whether some other node could go on; who is gone is forgotten
local function other()
  local all, yes = redis.call('HGETALL', able), false
  for i = 1, #all, 2 do
    local words = split(all[i + 1])
    if all[i] ~= node then
      if not open({ unpack(words, 3) }) then
        redis.call('HDEL', able, all[i])
      elseif words[1] == known and tonumber(words[2]) <= stamped + 1 then
        yes = true
      end
    end
  end
  return yes
end

local cause, began, first, since, vacant = '', false, false, '', false
if not mine then
  local why = ''
  if holding == '' then
    why = known == '' and 'first' or 'released'
  elseif now >= till then
    why = 'expired'
  elseif not open(split(state[9])) then
    why = 'gone'
  end
  if why ~= '' then
    if free == 0 then free = now end
    if alive and (fit or now - free >= patience or not other()) then
      if not fit then
        began, first = true, known == ''
        owed = (first and ARGV[10] == '1') and '' or ARGV[7]
        known, stamped, theirs = ARGV[7], 0, globs
        redis.call('DEL', able)
      else
        other() -- those that are gone are not needed any more
      end
      if till > 0 then since = string.format('%.0f', now - till + lease) end
      mine, cause, holding, holder, free = true, why, token, node, 0
    end
    vacant = not mine
  end
end
if mine then till = now + lease end

redis.call('HSET', ledger, 'token', holding, 'node', holder, 'until', string.format('%.0f', till), 'numbering', known,
  'stamped', string.format('%.0f', stamped), 'globs', theirs, 'owed', owed, 'free', string.format('%.0f', free),
  'feeds', mine and table.concat(feeds, ' ') or state[9] or '')
if mine and ARGV[9] ~= '' then redis.call(PUBLISH, ARGV[16], ARGV[9]) end
if ARGV[8] == '1' or began then redis.call(PUBLISH, ARGV[16], 'm ' .. ARGV[7]) end

local function flag(b) return b and '1' or '0' end
local answer = { known, string.format('%.0f', stamped), (vacant or holding == '') and '' or holder, flag(mine), cause, flag(began),
  flag(first), flag(theirs ~= '' and theirs ~= globs), owed, since }
for _, f in ipairs(found) do answer[#answer + 1] = f end
return table.concat(answer, '\n')
