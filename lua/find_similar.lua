#!lua flags=no-writes
--[[ Finds the memories of one agent whose states, as they are recalled, are nearest to a given one, by
     Euclidean distance. Memories whose value Redis has evicted are passed over; of equally near
     ones the newer is first.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] state FLOAT[input_dim], little endian. ARGV[2] k, from 1. ARGV[3] how many of the newest memories
     to look at, from 1.
     Returns {timestamps, states FLOAT[B, input_dim] row after row, metadata, distances FLOAT[B], gone},
     nearest first, B is at most k; metadata are JSON texts or false. gone are the timestamps that were passed
     over, which are for drop_lost.lua.
     Errors MEMERR BADARG BADSHAPE NOCODEC NOFUNCTION CORRUPT WRONGTYPE BADCODEC.
     Cost O(newest), one run of each decoder, and log N. Only k states of each decoder leave the engine. ]]
-- @include errors
-- @include arguments
-- @include codec
-- @include nearest
-- @include layout_keys
-- @include recall

return errors.guard(function()
  local index, codec_key = KEYS[1], KEYS[2]
  arguments.key_type(index, 'zset')
  arguments.key_type(codec_key, 'ReJSON-RL')
  local k = arguments.integer(ARGV[2], 'k', 1, arguments.largest_batch)
  local newest = arguments.integer(ARGV[3], 'newest', 1, arguments.largest_batch)
  local ids, values, gone = {}, {}, {}
  recall.gather(index, layout.newest(index, 0, newest), ids, values, gone)
  if #ids == 0 then
    return { {}, '', {}, '', gone }
  end
  local config = codec.of_agent(codec_key)
  if #ARGV[1] ~= 4 * config.input_dim then
    local text = 'state has %d bytes, but the memories of agent %s are of %d features'
    errors.refuse('BADSHAPE', text:format(#ARGV[1], layout.agent(index), config.input_dim))
  end
  local found = nearest.find(index, config, ids, values, ARGV[1], k)
  local near_ids, states, distances = {}, {}, {}
  for i, one in ipairs(found) do
    near_ids[i], states[i], distances[i] = ids[one.row], one.state, struct.pack('<f', one.distance)
  end
  return { near_ids, table.concat(states), layout.metadata(index, near_ids), table.concat(distances), gone }
end)
