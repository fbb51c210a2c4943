#!lua flags=no-writes
--[[ What there is of one agent, and what it takes of the server's memory.
     KEYS[1] index zset. KEYS[2] agent metadata. KEYS[3] agent memory_system. KEYS[4] stream. KEYS[5] tokens.
     KEYS[6] importance. KEYS[7] sizes. KEYS[8] priorities.
     ARGV[1] sample, how many memories to look at, at equal distances from the oldest to the newest.
     Returns {memories, oldest or false, newest or false, agent metadata or false, memory_system or false,
     bytes, sampled, forms, layout}. bytes are those of the index, the documents and the state, the stream,
     the tokens, the companions, and of the values and the metadata of the sample. sampled is how many of the
     sample have a value, forms are {generation, version, bytes of their values, number} of those. layout is
     keys, packed or mixed, while the agent is converted.
     Errors MEMERR BADARG WRONGTYPE.
     Cost O(sample log N). ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include layout
-- @include state

local function usage(...)
  local bytes = 0
  for _, key in ipairs({ ... }) do
    bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
  end
  return bytes
end

local function sample_of(memory, count, wanted)
  local ranks = {}
  for i = 1, math.min(count, wanted) do
    ranks[i] = math.floor((i - 1) * count / math.min(count, wanted))
  end
  return memory:at_ranks(ranks)
end

-- {generation, version, bytes, number} for each generation and version that values are of.
local function forms_of(runs)
  local forms, form_of = {}, {}
  for _, run in ipairs(runs) do
    local generation, version = codec.origin(run.header)
    local key = generation .. ' ' .. version
    local form = form_of[key]
    if not form then
      form = { generation, version, 0, 0 }
      form_of[key], forms[#forms + 1] = form, form
    end
    form[3] = form[3] + run.count * (#run.header + run.size)
    form[4] = form[4] + run.count
  end
  return forms
end

return errors.guard(function()
  local memory, agent_key, codec_key = layout.open(KEYS[1]), KEYS[2], KEYS[3]
  arguments.key_type(agent_key, 'ReJSON-RL')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local wanted = arguments.integer(ARGV[1], 'sample', 1, arguments.largest_batch)
  local count = memory:count()
  local found = memory:read(sample_of(memory, count, wanted))
  local of_values, of_metadata = memory:usage(found.page)
  local companions = usage(KEYS[6], KEYS[7], KEYS[8])
  local index = usage(KEYS[1], KEYS[1] .. ':older')
  local documents_of = usage(agent_key, codec_key, state.key(KEYS[1]))
  local bytes = { index, documents_of, usage(KEYS[4]), usage(KEYS[5]), companions }
  bytes[6], bytes[7] = of_values, of_metadata
  local oldest, newest = memory:last(memory:oldest(1)) or false, memory:last(memory:newest(0, 1)) or false
  local documents = { redis.call('JSON.GET', agent_key), redis.call('JSON.GET', codec_key) }
  return {
    count, oldest, newest, documents[1], documents[2], bytes, #found.ids, forms_of(found.runs), memory.layout,
  }
end)
