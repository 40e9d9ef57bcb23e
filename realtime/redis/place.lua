-- Comes before every script. KEYS[1] is a name of ours, as all names are.
-- In a Cluster they begin with a hash tag, by which all are in one slot; and so are the Pub/Sub channels, which are those of the slot.
local placed = string.byte(KEYS[1]) == 123
local PUBLISH, NUMSUB = 'PUBLISH', 'NUMSUB'
if placed then
  PUBLISH, NUMSUB = 'SPUBLISH', 'SHARDNUMSUB'
  -- While the slot is being moved to another node, a key that is not here may be there, and Redis breaks a script off when it meets one:
  -- in its middle. So this looks for one that never was, and breaks off before anything is done.
  redis.call('EXISTS', KEYS[1] .. ':moving')
end
