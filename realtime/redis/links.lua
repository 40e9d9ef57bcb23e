-- What the app publishes at another node of a Cluster comes here over its bus, where a link that breaks takes with it what it had, without
-- a word. So a link from another node that is gone, or is a new one, is a break. Comes before the scripts that keep the ledger.

-- linksNow names the links from all other nodes; nothing if there are none, or the user may not ask.
local function linksNow()
  local all, links = redis.pcall('CLUSTER', 'LINKS'), {}
  if all.err then return nil end
  for _, flat in ipairs(all) do
    local link = {}
    for i = 1, #flat, 2 do link[flat[i]] = flat[i + 1] end
    if link.direction == 'from' then links[#links + 1] = link.node .. string.format(' %.0f', link['create-time']) end
  end
  table.sort(links)
  return redis.sha1hex(table.concat(links, ','))
end
