#!lua
--[[ Re-encodes memories of one agent with a version of the agent's own codec, oldest first: one step of a
     pass, whose caller goes on until no cursor comes back. Memories that this version made stay, those that
     Redis has evicted are passed over. Timestamps, metadata, index and expiry stay as they are. A step is
     done as a whole or not at all, and between two steps each memory is recalled by the codec that made it.
     The last step drops the earlier codecs from memory_system.
     KEYS[1] index zset. KEYS[2] agent memory_system.
     ARGV[1] codec configuration, as for store_memories.lua, of the codec that switch_codec.lua made the
     agent's own. ARGV[2] cursor that the step before returned; empty text to begin. ARGV[3] step, how many
     memories to look at.
     Returns {cursor or false after the last memory, moved, kept, evicted}.
     Errors MEMERR BADARG NOCODEC NOMODELS OTHERCODEC CORRUPT WRONGTYPE BADCODEC BADSTATE BADRANGE.
     Cost O(step + log N), one run of each decoder and one of the encoder. ]]
-- @include errors
-- @include arguments
-- @include timestamps
-- @include codec
-- @include layout
-- @include agents

-- The values of ids[i] that `config` did not make, with their ids, and how many it made.
local function not_made_by(config, ids, values)
  local other_ids, others, kept = {}, {}, 0
  for i, value in ipairs(values) do
    if value and codec.made(config, value) then
      kept = kept + 1
    elseif value then
      other_ids[#other_ids + 1], others[#others + 1] = ids[i], value
    end
  end
  return other_ids, others, kept
end

return errors.guard(function()
  local memory, codec_key = layout.open_to_write(KEYS[1]), KEYS[2]
  arguments.key_type(codec_key, 'ReJSON-RL')
  local config = codec.configuration(ARGV[1], 'codec configuration')
  local cursor = ARGV[2] ~= '' and timestamps.id(ARGV[2], 'cursor') or nil
  local step = arguments.integer(ARGV[3], 'step', 1, arguments.largest_batch)
  local own, agent = codec.of_agent(codec_key), memory.agent
  if own.name ~= config.name or own.input_dim ~= config.input_dim then
    local text = 'the codec of agent %s is %s of %d features, not %s of %d'
    text = text:format(agent, own.name, own.input_dim, config.name, config.input_dim)
    errors.refuse('OTHERCODEC', text)
  end
  agents.must_be_re_encoded_to(cursor, own, agent)

  config.generation = own.generation
  local page = memory:following(cursor, step)
  local size = memory:size(page)
  local ids, values, kept = not_made_by(config, memory:ids(page), memory:values(page))
  if #ids > 0 then
    local runs = {}
    codec.add_runs(runs, values)
    local states = codec.decode(memory.index, own, ids, runs)
    local codes = codec.encode(memory.index, config, states, #ids)
    memory:replace(ids, codec.coded(config, codes))
  end
  local next_cursor = size == step and memory:last(page) or nil
  agents.note_re_encoded(codec_key, own, next_cursor)
  return { next_cursor or false, #ids, kept, size - #ids - kept }
end)
