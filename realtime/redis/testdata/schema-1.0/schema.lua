-- Writes down in which form data are kept here, unless a newer one is written down already.
-- KEYS: schema
-- ARGV: 1 and 2 ours: major, minor
-- Returns what is written down now
local written = redis.call('GET', KEYS[1])
local major, minor = string.match(written or '', '^(%d+)%.(%d+)$')
if not major and written then return written end -- of nobody that we know
if not major or tonumber(major) < tonumber(ARGV[1]) or tonumber(major) == tonumber(ARGV[1]) and tonumber(minor) < tonumber(ARGV[2]) then
  written = ARGV[1] .. '.' .. ARGV[2]
  redis.call('SET', KEYS[1], written)
end
return written
