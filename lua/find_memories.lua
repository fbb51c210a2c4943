#!lua flags=no-writes
--[[ Finds memories of any agents by a RediSearch query over their metadata documents. For one server without
     cluster mode. Memories without a value are left out. No KEYS: those of agents follow from what is found.
     ARGV[1] name of the index. ARGV[2] query and ARGV[3] a filter that what it finds must pass, too, both in
     dialect 2. ARGV[4] offset. ARGV[5] limit, from 1. ARGV[6] field to sort by, or empty text. ARGV[7] ASC or
     DESC. ARGV[8] fields: both, states or metadata.
     Returns {total, entries, gone}: how many documents match; of those on this page {agent, timestamp, state
     FLOAT[input_dim] or empty text, metadata as JSON text or false}; gone, those of the page that have no
     value, {agent, timestamp} each, which are for drop_lost.lua.
     Errors MEMERR BADARG BADQUERY NOINDEX CLUSTERED NOCODEC NOMODELS CORRUPT WRONGTYPE BADCODEC.
     Cost that of the search, O(limit), and one run of each decoder for all agents of one configuration. ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include recall

-- In a cluster a query would see the documents of one shard, and a script the memories of one slot.
local function refuse_in_cluster()
  if not redis.pcall('CLUSTER', 'INFO').err then
    errors.refuse('CLUSTERED', 'queries need a server without cluster mode')
  end
end

-- The reply of a command of RediSearch, refused by what it says is wrong.
local function ask(name, ...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then
    return reply
  end
  local said = reply.err:gsub('^ERR ', '')
  if said:lower():find('no such index', 1, true) then
    errors.refuse('NOINDEX', 'there is no search index ' .. name)
  elseif said:find('nknown Redis command', 1, true) then
    error('ERR unknown command FT.SEARCH: RediSearch is not loaded', 0)
  elseif said:find('ACL failure', 1, true) then
    error(reply.err, 0)
  end
  local wrong = said:find('not loaded nor in schema', 1, true) and 'sort_by'
    or said:find('OFFSET exceeds', 1, true) and 'offset' or 'query'
  errors.refuse('BADQUERY', wrong .. ': ' .. said)
end

-- Total and keys of documents that both query and filter find.
local function search(name, query, filter, offset, limit, sort_by, order)
  -- A query that is none by itself might end the parentheses and be more than the filter lets pass.
  ask(name, 'FT.EXPLAIN', name, query, 'DIALECT', 2)
  local both = query:find('^%s*%*%s*$') and filter or filter .. ' ( ' .. query .. ' )'
  local command = { 'FT.SEARCH', name, both, 'NOCONTENT', 'LIMIT', offset, limit, 'DIALECT', 2 }
  if sort_by ~= '' then
    for _, word in ipairs({ 'SORTBY', sort_by, order }) do
      command[#command + 1] = word
    end
  end
  return ask(name, unpack(command))
end

-- Sorts what was found by agent: a list of {memory, ids, places}.
local function by_agent(reply)
  local groups, group_of = {}, {}
  for place = 2, #reply do
    local agent, id = reply[place]:match('^agent:{(.*)}:memory:(%d+):meta$')
    if agent and not group_of[agent] then
      group_of[agent] = { memory = layout.open('agent:{' .. agent .. '}:memories'), ids = {}, places = {} }
      groups[#groups + 1] = group_of[agent]
    end
    if agent then
      local group = group_of[agent]
      group.ids[#group.ids + 1], group.places[#group.places + 1] = id, place
    end
  end
  return groups
end

-- Puts the memories of one agent that have a value into entries, by their places, and these values into
-- batches, by the text of the agent's memory_system: agents of the same are decoded together. Adds the others
-- to gone.
local function read(group, fields, entries, batches, gone)
  local ids, places, values, memory = {}, {}, {}, group.memory
  for i, value in ipairs(memory:values(memory:at(group.ids))) do
    if value then
      ids[#ids + 1], places[#places + 1], values[#values + 1] = group.ids[i], group.places[i], value
    else
      gone[#gone + 1] = { memory.agent, group.ids[i] }
    end
  end
  if #ids == 0 then
    return
  end
  local metadata = fields == 'states' and {} or memory:metadata(memory:at(ids))
  for i, place in ipairs(places) do
    entries[place] = { memory.agent, ids[i], '', metadata[i] or false }
  end
  if fields == 'metadata' then
    return
  end
  local key = 'agent:{' .. memory.agent .. '}:memory_system'
  local text = redis.call('JSON.GET', key)
  local batch = batches[text] or { index = memory.index, names = {}, places = {}, values = {} }
  batch.config = batch.config or codec.of_agent(key, text)
  batches[text] = batch
  for i, place in ipairs(places) do
    local n = #batch.places + 1
    batch.names[n] = ids[i] .. ' of agent ' .. memory.agent
    batch.places[n], batch.values[n] = place, values[i]
  end
end

-- Decodes the values of the batches and puts the states into entries.
local function decode(batches, entries)
  for _, batch in pairs(batches) do
    local runs = {}
    codec.add_runs(runs, batch.values)
    local states = codec.decode(batch.index, batch.config, batch.names, runs)
    local width = codec.row_bytes(batch.config, 'states')
    for i, place in ipairs(batch.places) do
      entries[place][3] = states:sub((i - 1) * width + 1, i * width)
    end
  end
end

return errors.guard(function()
  local offset = arguments.integer(ARGV[4], 'offset', 0, 2 ^ 31 - 1)
  local limit = arguments.integer(ARGV[5], 'limit', 1, arguments.largest_batch)
  local fields = recall.fields(ARGV[8])
  refuse_in_cluster()
  local reply = search(ARGV[1], ARGV[2], ARGV[3], offset, limit, ARGV[6], ARGV[7])
  local entries, batches, found, gone = {}, {}, {}, {}
  for _, group in ipairs(by_agent(reply)) do
    read(group, fields, entries, batches, gone)
  end
  decode(batches, entries)
  for place = 2, #reply do
    found[#found + 1] = entries[place]
  end
  return { reply[1], found, gone }
end)
