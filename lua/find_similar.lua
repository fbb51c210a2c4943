#!lua flags=no-writes
--[[ Finds the memories of one agent that are nearest to a state, by Euclidean distance: to the states as they
     are recalled, or in the space of the codec's latents, where the state is encoded, too. Memories whose
     value Redis has evicted are passed over; of equally near ones the newer is first.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] state FLOAT[input_dim], little endian. ARGV[2] k, from 1. ARGV[3] space: state or codec.
     ARGV[4] weights of the features FLOAT[input_dim], by which differences are multiplied, or empty text;
     in space state alone. ARGV[5] first and ARGV[6] last timestamp, both included. ARGV[7] how many of the
     newest of these to look at, from 1.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, distances FLOAT[B], next, gone}:
     the nearest first, B is at most k; metadata are JSON texts or false. `next` is the oldest timestamp
     looked at, before which to go on, or false where there are no more. gone are the timestamps that were
     passed over, which are for drop_lost.lua.
     Errors MEMERR BADARG BADSHAPE BADSTATE BADRANGE NOCODEC NOMODELS OTHERCODEC NOFUNCTION CORRUPT WRONGTYPE
     BADCODEC.
     Cost O(newest + log N) and one run of each decoder, or of the encoder, the model of the latents and the
     decoder. Only k states of each decoder leave the engine. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include nearest
-- @include layout

-- Refuses a state, or weights, of another length than the agent's states have, and weights where none may be.
local function check_lengths(agent, config, space)
  if #ARGV[1] ~= codec.row_bytes(config, 'states') then
    local text = 'state has %d bytes, but the memories of agent %s are of %d features'
    errors.refuse('BADSHAPE', text:format(#ARGV[1], agent, config.input_dim))
  elseif ARGV[4] ~= '' and #ARGV[4] ~= #ARGV[1] then
    errors.refuse('BADSHAPE', string.format('weights have %d bytes, not %d', #ARGV[4], #ARGV[1]))
  elseif ARGV[4] ~= '' and space == 'codec' then
    errors.refuse('BADARG', 'weights are those of features, which the codec\'s space does not have')
  end
end

-- The nearest as {distance, row = position in ids}, and their states.
local function find(memory, codec_key, ids, runs, k)
  local config, space = codec.of_agent(codec_key), ARGV[3]
  check_lengths(memory.agent, config, space)
  if space == 'codec' then
    return nearest.by_latents(memory.index, config, ids, runs, ARGV[1], k)
  end
  return nearest.by_states(memory.index, config, ids, runs, ARGV[1], ARGV[4], k)
end

return errors.guard(function()
  local memory, codec_key = layout.open(KEYS[1]), KEYS[2]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local k = arguments.integer(ARGV[2], 'k', 1, arguments.largest_batch)
  if ARGV[3] ~= 'state' and ARGV[3] ~= 'codec' then
    errors.refuse('BADARG', 'space is ' .. tostring(ARGV[3]) .. ', not state or codec')
  end
  local first, last = timestamps.id(ARGV[5], 'start'), timestamps.id(ARGV[6], 'end')
  local newest = arguments.integer(ARGV[7], 'newest', 1, arguments.largest_batch)
  local page = memory:between(first, last, newest, true)
  local looked_at, gone = memory:read(page)
  local ids = timestamps.texts(looked_at.ids)
  local next_page = memory:size(page) == newest and memory:last(page)
  if #ids == 0 then
    return { {}, '', {}, '', next_page, gone }
  end
  local found, states = find(memory, codec_key, ids, looked_at.runs, k)
  local near_ids, distances = {}, {}
  for i, one in ipairs(found) do
    near_ids[i], distances[i] = ids[one.row], struct.pack('<f', one.distance)
  end
  return { near_ids, states, memory:metadata(memory:at(near_ids)), table.concat(distances), next_page, gone }
end)
