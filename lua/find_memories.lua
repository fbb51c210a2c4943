#!lua flags=no-writes
--[[ Finds memories of any agents by a RediSearch query over their metadata documents. For one server without
     cluster mode: the agents' keys follow from what the query finds. Memories without a value are left out.
     KEYS[1] name of the RediSearch index.
     ARGV[1] query, dialect 2. ARGV[2] offset. ARGV[3] limit, from 1. ARGV[4] field to sort by, or empty text.
     ARGV[5] ASC or DESC. ARGV[6] fields: both, states or metadata.
     Returns {total, entries, gone}: how many documents match; of those on this page {agent, timestamp, state
     FLOAT[input_dim] or empty text, metadata as JSON text or false}; gone, those of the page that have no
     value, {agent, timestamp} each, which are for drop_lost.lua.
     Errors MEMERR BADARG BADQUERY NOINDEX NOCODEC CORRUPT WRONGTYPE BADCODEC.
     Cost that of the search, O(limit), and one run of each decoder for each agent. ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout_keys

-- The reply of FT.SEARCH: the total, then keys of documents.
local function search(name, query, offset, limit, sort_by, order)
  local command = { 'FT.SEARCH', name, query, 'NOCONTENT', 'LIMIT', offset, limit, 'DIALECT', 2 }
  if sort_by ~= '' then
    for _, word in ipairs({ 'SORTBY', sort_by, order }) do
      command[#command + 1] = word
    end
  end
  local reply = redis.pcall(unpack(command))
  if reply.err and reply.err:lower():find('no such index', 1, true) then
    errors.refuse('NOINDEX', 'there is no search index ' .. name)
  elseif reply.err and reply.err:find('nknown Redis command', 1, true) then
    error('ERR unknown command FT.SEARCH: RediSearch is not loaded', 0)
  elseif reply.err then
    errors.refuse('BADQUERY', 'query: ' .. reply.err)
  end
  return reply
end

-- Sorts what was found by agent: a list of {index, agent, ids, places}.
local function by_agent(reply)
  local groups, group_of = {}, {}
  for place = 2, #reply do
    local agent, id = reply[place]:match('^agent:{(.*)}:memory:(%d+):meta$')
    if agent and not group_of[agent] then
      group_of[agent] = { index = 'agent:{' .. agent .. '}:memories', agent = agent, ids = {}, places = {} }
      groups[#groups + 1] = group_of[agent]
    end
    if agent then
      local group = group_of[agent]
      group.ids[#group.ids + 1], group.places[#group.places + 1] = id, place
    end
  end
  return groups
end

-- Puts the memories of one agent that have a value into entries, by their places; adds the others to gone.
local function read(group, fields, entries, gone)
  local values, ids, places = {}, {}, {}
  for i, value in ipairs(layout.get(group.index, group.ids)) do
    if value then
      values[#values + 1], ids[#ids + 1], places[#places + 1] = value, group.ids[i], group.places[i]
    else
      gone[#gone + 1] = { group.agent, group.ids[i] }
    end
  end
  if #ids == 0 then
    return
  end
  local states, width, metadata = '', 0, {}
  if fields ~= 'metadata' then
    local config = codec.of_agent('agent:{' .. group.agent .. '}:memory_system')
    states, width = codec.decode(group.index, config, ids, values), 4 * config.input_dim
  end
  if fields ~= 'states' then
    metadata = layout.metadata(group.index, ids)
  end
  for i, place in ipairs(places) do
    entries[place] = { group.agent, ids[i], states:sub((i - 1) * width + 1, i * width), metadata[i] or false }
  end
end

return errors.guard(function()
  local offset = arguments.integer(ARGV[2], 'offset', 0, 2 ^ 31 - 1)
  local limit = arguments.integer(ARGV[3], 'limit', 1, arguments.largest_batch)
  local reply = search(KEYS[1], ARGV[1], offset, limit, ARGV[4], ARGV[5])
  local entries, found, gone = {}, {}, {}
  for _, group in ipairs(by_agent(reply)) do
    read(group, ARGV[6], entries, gone)
  end
  for place = 2, #reply do
    found[#found + 1] = entries[place]
  end
  return { reply[1], found, gone }
end)
